"""How well a model does on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from spectral_detect.augment import ROBUSTNESS, Edit
from spectral_detect.classifiers import Model
from spectral_detect.dataset import Dataset, LabelledFile, read_dataset, refuse_contradictions
from spectral_detect.errors import DatasetError
from spectral_detect.metrics import evaluate_scores
from spectral_detect.pipeline import Extraction, Work


def robustness(
    model: Model,
    files: Sequence[LabelledFile],
    as_it_is: dict[str, Any],
    work: Work | None = None,
    *,
    edits: Sequence[Edit] = ROBUSTNESS,
    watch: Callable[[Iterable[Extraction]], Iterable[Extraction]] = iter,
) -> list[dict[str, Any]]:
    """`evaluate_model` after each edit of the images: JPEG, blur, resizing, a crop.

    Parameters
    ----------
    as_it_is : what `evaluate_model` gave for the images as they are, the first row.

    Returns
    -------
    Of each condition `edit`, `strength`, `n_failed` (an image may become too small) and the metrics, with
    `false_alarm_rate` and `miss_rate` at the stored threshold; None where an edit left nothing of a class.
    """
    rows = [_robustness_row(None, as_it_is)]
    for edit in edits:
        try:
            result = evaluate_model(model, read_dataset(files, model.spec, work, edits=(edit,), watch=watch))
        except DatasetError:
            result = None
        rows.append(_robustness_row(edit, result))
    return rows


def _robustness_row(edit: Edit | None, result: dict[str, Any] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"edit": edit.name if edit else "none", "strength": edit.strength if edit else None}
    names = [k for name in ("balanced_accuracy", "auroc") for k in (name, f"{name}_ci")]
    if result is None:
        return row | dict.fromkeys(("n_failed", *names, "false_alarm_rate", "miss_rate"))
    wrong = result["confusion"]
    return {
        **row,
        "n_failed": result["n_failed"],
        **{name: result[name] for name in names},
        "false_alarm_rate": wrong["real"]["fake"] / result["n_real"],
        "miss_rate": wrong["fake"]["real"] / result["n_fake"],
    }


def evaluate_model(model: Model, dataset: Dataset, *, seed: int = 0) -> dict[str, Any]:
    """`metrics.evaluate_scores` of a model on a labelled data set read with the model's spec.

    Every image counts, by score >= threshold; `inconclusive_rate` says how many of them a scan would not decide.

    Raises
    ------
    DatasetError : a class is missing, a file is in both, or the features are not the model's.
    """
    if not (dataset.n_real and dataset.n_fake):
        raise DatasetError(f"{dataset.n_real} real and {dataset.n_fake} fake images: an evaluation needs both")
    refuse_contradictions(dataset)
    n_features = dataset.features[0].shape[-1]
    if n_features != len(model.mean):
        raise DatasetError(f"features of {n_features} values; the model takes {len(model.mean)}")
    result = evaluate_scores(dataset.y, model.scores(dataset.features), model.threshold, dataset.groups, seed=seed)
    return {
        "model": model.name,
        "model_sha256": model.sha256,
        "spec_sha256": model.spec.sha256,
        **result,
        "inconclusive_rate": float(np.mean([sample.is_constant for sample in dataset.samples])),
        "n_failed": len(dataset.failures),
    }
