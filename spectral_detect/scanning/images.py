"""Many files -> a stream of records."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any

from spectral_detect._version import __version__
from spectral_detect.detector.model import Model
from spectral_detect.errors import ModelFileError
from spectral_detect.extraction.many_files import extract_each
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.extraction.work import Work
from spectral_detect.records import LABELS, ImageRecord
from spectral_detect.scanning.judging import Judgement, Rules, judge, settings_sha256
from spectral_detect.sources.discovery import FoundFile, expand_arguments, find_images


def scan(
    paths: Iterable[str],
    model: Model | Sequence[Model],
    *,
    rules: Rules | None = None,
    work: Work | None = None,
    on_skip: Callable[[str], None] = lambda path: None,
) -> Generator[ImageRecord, None, None]:
    """Score images, lazily and in order.

    Parameters
    ----------
    paths : files, folders (searched recursively) and patterns.
    model : of several models of one spec, each image is judged by that in whose experience it lies (the nearest, if it
        is several). An image outside the experience of all of them is inconclusive.
    rules : from a score to a verdict: a threshold, the least confidence, the prevalence of fakes, a check of stability.
    work : worker processes, limits of size and time.
    on_skip : called with each file of a folder that is no image.

    Returns
    -------
    One record per image, from a generator that stops its workers when it is closed; a file that cannot be read gives a
    record with `error`.

    Raises
    ------
    FileNotFoundError : nothing has that name or matches that pattern; at the call, before any image is read.
    ModelFileError : several models of different features; `Rules.check`.
    """
    files = find_images(expand_arguments(paths), on_skip=on_skip)
    return scan_files(files, model, rules=rules, work=work)


def scan_files(
    files: Iterable[FoundFile],
    model: Model | Sequence[Model],
    *,
    rules: Rules | None = None,
    work: Work | None = None,
) -> Generator[ImageRecord, None, None]:
    """`scan` of files already found; `files` is consumed lazily."""
    rules = rules or Rules()
    models = checked_models(model, rules)
    then = partial(record_of, models=models, rules=rules, settings=settings_sha256(models, rules))
    return extract_each(files, models[0].spec, then, work, edits=rules.edits)


def checked_models(model: Model | Sequence[Model], rules: Rules) -> list[Model]:
    """The models that judge; `ModelFileError` where they cannot do so together, or by these rules."""
    models = [model] if isinstance(model, Model) else list(model)
    if len({m.spec.sha256 for m in models}) != 1:
        raise ModelFileError("several models scan together only if they take the same features; name one with --model")
    rules.check(models)
    return models


def record_of(variants: Sequence[Extraction], models: list[Model], rules: Rules, settings: str) -> ImageRecord:
    """The record of one image, as it is and after the edits of the rules.

    Parameters
    ----------
    settings : the hash of models and rules.
    """
    extraction, judgement, error = variants[0], None, variants[0].error
    if extraction.features is not None and extraction.features.shape[-1:] != models[0].mean.shape:
        error = "the model was trained on images of one other size, without bins; train one with --bins"
    elif extraction.features is not None:
        judgement = judge(variants, models, rules)
    return ImageRecord(
        path=extraction.path,
        sha256=extraction.sha256,
        size_bytes=extraction.size_bytes,
        mtime_ns=extraction.mtime_ns,
        width=extraction.width,
        height=extraction.height,
        format=extraction.format,
        **_judged(judgement, models, rules),
        spec_sha256=models[0].spec.sha256,
        settings_sha256=settings,
        tool_version=__version__,
        warnings=extraction.warnings + (judgement.warnings if judgement else ()),
        error=error,
    )


def _judged(judgement: Judgement | None, models: list[Model], rules: Rules) -> dict[str, Any]:
    """The columns of a record that the judge fills; without one, its name where there was no choice."""
    if judgement is None:
        judge_is_known = len(models) == 1
        named = {"model": models[0].name, "model_sha256": models[0].sha256} if judge_is_known else {}
        threshold = models[0].threshold if judge_is_known and rules.threshold is None else rules.threshold
        unknown = ("verdict", "label", "score", "model", "model_sha256", "log10_likelihood_ratio", "posterior")
        return dict.fromkeys(unknown) | named | {"threshold": threshold}
    return {
        "verdict": judgement.verdict,
        "label": LABELS.get(judgement.verdict),
        "score": judgement.score,
        "threshold": judgement.threshold,
        "model": judgement.model.name,
        "model_sha256": judgement.model.sha256,
        "log10_likelihood_ratio": judgement.log10_likelihood_ratio,
        "posterior": None if rules.prevalence is None else judgement.posterior,
    }
