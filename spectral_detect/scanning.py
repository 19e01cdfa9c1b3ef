"""Many files -> a stream of records."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing

from spectral_detect._version import __version__
from spectral_detect.classifiers import Model
from spectral_detect.finding import FoundFile, expand_arguments, find_images
from spectral_detect.pipeline import Extraction, Work, extract_files
from spectral_detect.records import LABELS, ImageRecord, Verdict

GUESS = "the model was trained without labels: which cluster it calls fake is a guess"


def scan(
    paths: Iterable[str],
    model: Model,
    *,
    threshold: float | None = None,
    work: Work | None = None,
    on_skip: Callable[[str], None] = lambda path: None,
) -> Generator[ImageRecord, None, None]:
    """Score images, lazily and in order.

    Parameters
    ----------
    paths : files, folders (searched recursively) and patterns.
    threshold : in place of the model's own.
    work : worker processes, limits of size and time.
    on_skip : called with each file of a folder that is no image.

    Returns
    -------
    One record per image, from a generator that stops its workers when it is closed; a file that cannot be read gives a
    record with `error`.

    Raises
    ------
    FileNotFoundError : nothing has that name or matches that pattern; at the call, before any image is read.
    """
    files = find_images(expand_arguments(paths), on_skip=on_skip)
    return scan_files(files, model, threshold=threshold, work=work)


def scan_files(
    files: Iterable[FoundFile], model: Model, *, threshold: float | None = None, work: Work | None = None
) -> Generator[ImageRecord, None, None]:
    """`scan` of files already found; `files` is consumed lazily."""
    limit = model.threshold if threshold is None else threshold
    with closing(extract_files(files, model.spec, work)) as extractions:
        for extraction in extractions:
            yield _judge(extraction, model, limit)


def _judge(extraction: Extraction, model: Model, threshold: float) -> ImageRecord:
    score, error = None, extraction.error
    if extraction.features is not None:
        if extraction.features.shape == model.mean.shape:
            score = float(model.scores(extraction.features[None])[0])
        else:
            error = "the model was trained on images of one other size, without bins; train one with --bins"
    verdict: Verdict | None = None
    if score is not None:
        verdict = "inconclusive" if extraction.is_constant else "fake" if score >= threshold else "real"
    return ImageRecord(
        path=extraction.path,
        sha256=extraction.sha256,
        size_bytes=extraction.size_bytes,
        mtime_ns=extraction.mtime_ns,
        width=extraction.width,
        height=extraction.height,
        format=extraction.format,
        verdict=verdict,
        label=LABELS.get(verdict or ""),
        score=score,
        threshold=threshold,
        model=model.name,
        model_sha256=model.sha256,
        spec_sha256=model.spec.sha256,
        tool_version=__version__,
        warnings=(*extraction.warnings, *([GUESS] if model.is_guess and verdict else [])),
        error=error,
    )
