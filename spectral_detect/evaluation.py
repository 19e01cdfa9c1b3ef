"""How well a model does on labelled images."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectral_detect.classifiers import Model
from spectral_detect.dataset import Dataset, refuse_contradictions
from spectral_detect.errors import DatasetError
from spectral_detect.metrics import evaluate_scores


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
    if dataset.X.shape[1:] != model.mean.shape:
        raise DatasetError(f"features of {dataset.X.shape[1]} values; the model takes {len(model.mean)}")
    result = evaluate_scores(dataset.y, model.scores(dataset.X), model.threshold, dataset.groups, seed=seed)
    return {
        "model": model.name,
        "model_sha256": model.sha256,
        "spec_sha256": model.spec.sha256,
        **result,
        "inconclusive_rate": float(np.mean([sample.is_constant for sample in dataset.samples])),
        "n_failed": len(dataset.failures),
    }
