"""Many files -> a stream of records."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing

import numpy as np

from spectral_detect._version import __version__
from spectral_detect.classifiers import Model
from spectral_detect.errors import ModelFileError
from spectral_detect.finding import FoundFile, expand_arguments, find_images
from spectral_detect.pipeline import Extraction, Work, extract_files
from spectral_detect.records import LABELS, ImageRecord, Verdict

GUESS = "the model was trained without labels: which cluster it calls fake is a guess"


def scan(
    paths: Iterable[str],
    model: Model | Sequence[Model],
    *,
    threshold: float | None = None,
    work: Work | None = None,
    on_skip: Callable[[str], None] = lambda path: None,
) -> Generator[ImageRecord, None, None]:
    """Score images, lazily and in order.

    Parameters
    ----------
    paths : files, folders (searched recursively) and patterns.
    model : judges every image. Of several models of one spec, each image is judged by that in whose experience it lies
        (the nearest, if it is several); an image outside the experience of all of them is inconclusive.
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
    ModelFileError : several models of different features.
    """
    files = find_images(expand_arguments(paths), on_skip=on_skip)
    return scan_files(files, model, threshold=threshold, work=work)


def scan_files(
    files: Iterable[FoundFile],
    model: Model | Sequence[Model],
    *,
    threshold: float | None = None,
    work: Work | None = None,
) -> Generator[ImageRecord, None, None]:
    """`scan` of files already found; `files` is consumed lazily."""
    models = [model] if isinstance(model, Model) else list(model)
    if len({m.spec.sha256 for m in models}) != 1:
        raise ModelFileError("several models scan together only if they take the same features; name one with --model")
    return _scan_files(files, models, threshold, work)


def _scan_files(
    files: Iterable[FoundFile], models: list[Model], threshold: float | None, work: Work | None
) -> Generator[ImageRecord, None, None]:
    with closing(extract_files(files, models[0].spec, work)) as extractions:
        for extraction in extractions:
            yield _judge(extraction, models, threshold)


def _judge(extraction: Extraction, models: list[Model], threshold: float | None) -> ImageRecord:
    model, score, error, warnings = models[0], None, extraction.error, extraction.warnings
    verdict: Verdict | None = None
    has_judge = extraction.features is not None or len(models) == 1
    if extraction.features is not None and extraction.features.shape[-1:] != model.mean.shape:
        error = "the model was trained on images of one other size, without bins; train one with --bins"
    elif extraction.features is not None:
        model, objection = _nearest(extraction, models)
        score = float(model.scores([extraction.features])[0])
        verdict = "fake" if score >= (model.threshold if threshold is None else threshold) else "real"
        if extraction.is_constant or (objection and len(models) > 1):
            verdict = "inconclusive"
        if objection and not extraction.is_constant:
            warnings += (f"outside the experience of the model {model.name}: {objection}",)
        if model.is_guess:
            warnings += (GUESS,)
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
        threshold=threshold if threshold is not None or not has_judge else model.threshold,
        model=model.name if has_judge else None,
        model_sha256=model.sha256 if has_judge else None,
        spec_sha256=model.spec.sha256,
        tool_version=__version__,
        warnings=warnings,
        error=error,
    )


def _nearest(extraction: Extraction, models: list[Model]) -> tuple[Model, str | None]:
    """The model in whose experience an image lies most; if in none, the nearest and what speaks against it."""
    if extraction.features is None:
        return models[0], None
    width, height = extraction.width or 0, extraction.height or 0

    def rank(model: Model) -> tuple[bool, bool, float, str | None]:
        seen = model.experience
        if seen is None:
            return False, False, 0.0, None
        distance = model.distance(np.asarray(extraction.features))
        objection = seen.objection(width, height, distance)
        return objection is not None, not seen.covers(width, height), distance / seen.max_distance, objection

    ranks = [rank(model) for model in models]
    best = min(range(len(models)), key=lambda k: ranks[k][:3])
    return models[best], ranks[best][3]
