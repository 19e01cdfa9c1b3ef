"""Evaluate a model again after edits of the images: JPEG, blur, resizing, a crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.evaluate import evaluate_model
from spectral_detect.evaluation.results import Evaluation, RobustnessRow
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.edits import ROBUSTNESS, Edit
from spectral_detect.parallel.work import Work
from spectral_detect.scanning.rules import Rules
from spectral_detect.training.dataset import Dataset, Progress, read_dataset
from spectral_detect.training.labelled_files import LabelledFile


def measure_robustness(
    model: Model,
    files: Sequence[LabelledFile],
    unedited: Dataset,
    rules: Rules | None = None,
    work: Work | None = None,
    *,
    extractor: Extractor | None = None,
    edits: Sequence[Edit] = ROBUSTNESS,
    progress: Progress = iter,
) -> tuple[RobustnessRow, ...]:
    """Call `evaluate_model` after each edit of the images.

    Parameters
    ----------
    model : Model
        The model to measure.
    files : sequence of LabelledFile
        The images.
    unedited : Dataset
        The same files without an edit, for the first row.
    rules : Rules, optional
        The rules for the share of inconclusive images; their check of stability is left out.
    work : Work, optional
        How to run.
    extractor : Extractor, optional
        How the files are read, for its limits and frames.
    edits : sequence of Edit
        One row each.
    progress : callable
        Passes the results on, a file at a time, to show progress.
    """
    rules, extractor = (
        replace(rules or Rules(), stability=False),
        extractor or Extractor(model.spec, delivery=model.delivery, seeks_faces=model.needs_portrait),
    )
    rows = [_row("none", None, evaluate_model(model, unedited, rules))]
    for edit in edits:
        try:
            edited = read_dataset(files, replace(extractor, edits=(edit,)), work, progress=progress)
            rows.append(_row(edit.name, edit.strength, evaluate_model(model, edited, rules)))
        except DatasetError:
            rows.append(RobustnessRow(edit.name, edit.strength))
    return tuple(rows)


def _row(edit: str, strength: float | None, evaluation: Evaluation) -> RobustnessRow:
    metrics = evaluation.metrics
    return RobustnessRow(
        edit,
        strength,
        evaluation.n_failed,
        metrics.balanced_accuracy,
        metrics.auroc,
        evaluation.inconclusive_rate,
        metrics.confusion["real"]["fake"] / metrics.n_real,
        metrics.confusion["fake"]["real"] / metrics.n_fake,
    )
