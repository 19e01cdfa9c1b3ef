"""Train on ever more of the images: what more images buy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from spectral_detect.detector.metric_values import METRICS
from spectral_detect.detector.metrics import Curves
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.results import LearningCurveRow
from spectral_detect.records import FAKE, REAL
from spectral_detect.training.dataset import MIN_PER_CLASS, Dataset, folds
from spectral_detect.training.lookalikes import groups_with_lookalikes
from spectral_detect.training.train import train_model

CURVE_SHOTS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
N_DRAWS = 5
Progress = Callable[[Iterable[tuple[int, int]]], Iterable[tuple[int, int]]]


def learning_curve(
    model: Model, dataset: Dataset, *, seed: int = 0, progress: Progress = iter
) -> tuple[LearningCurveRow, ...]:
    """Train detectors of the model's features and classifier on 10, 20, ... of the images, measure them on others.

    Parameters
    ----------
    model : Model
        The model whose features and classifier are used.
    dataset : Dataset
        Labelled images, read with the model's spec. Each of `N_DRAWS` folds is measured by detectors that were trained
        on parts of the others, half of each class; groups, and images that look the same, stay together. An image of
        each group is trained on before any second one.
    seed : int
        Seed of the folds and of the choice of images.
    progress : callable
        Passes the runs, (n_train, draw), on, to show progress.

    Returns
    -------
    tuple of LearningCurveRow
        One for each number of training images; each detector is measured at its own threshold.

    Raises
    ------
    DatasetError
        There are too few groups for folds or to train on, or the model is fused of two, which were trained on other
        images.
    """
    if model.parts:
        raise DatasetError("a fused model has no learning curve", remedy="measure its parts")
    dataset = replace(dataset, groups=groups_with_lookalikes(dataset))
    drawn = folds(dataset.y, dataset.groups, N_DRAWS, seed)
    parts = [(train, test[dataset.weights[test] >= 1]) for train, test in drawn]
    parts = [(train, test) for train, test in parts if len(np.unique(dataset.y[test])) == 2]
    most = min((2 * np.bincount(dataset.y[train], minlength=2).min() for train, _ in parts), default=0)
    if most < 2 * MIN_PER_CLASS:
        raise DatasetError(f"a learning curve needs more images: {most} can be trained on while others are kept apart")
    n_groups = min(len(np.unique(dataset.groups[at])) for train, _ in parts for at in _by_class(dataset, train))
    if n_groups < MIN_PER_CLASS:
        raise DatasetError(
            f"a learning curve needs images that are independent: {n_groups} groups of a class are left to train on "
            f"while others are kept apart, and it takes {MIN_PER_CLASS}"
        )
    shots = [n for n in CURVE_SHOTS if n < most] + [int(most)]
    measured: dict[int, list[tuple[float, float]]] = {n: [] for n in shots}
    for n, draw in progress([(n, draw) for n in shots for draw in range(len(parts))]):
        train, test = parts[draw]
        rng = np.random.default_rng([seed, n, draw])
        chosen = [_one_of_each_group_first(dataset, at, rng)[: n // 2] for at in _by_class(dataset, train)]
        detector = _trained_like(model, dataset.select(np.concatenate(chosen)), seed)
        measured[n].append(_balanced_accuracy_and_auroc(detector, dataset.select(test)))
    return tuple(_row(n, np.array(values)) for n, values in measured.items())


def _by_class(dataset: Dataset, at: np.ndarray) -> list[np.ndarray]:
    return [at[dataset.y[at] == label] for label in (REAL, FAKE)]


def _one_of_each_group_first(dataset: Dataset, at: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the indices in a random order in which each group has its first image before any has its second."""
    shuffled = rng.permutation(at)
    seen: Counter[int] = Counter()
    turns = []
    for group in dataset.groups[shuffled].tolist():
        turns.append(seen[group])
        seen[group] += 1
    return np.asarray(shuffled[np.argsort(turns, kind="stable")])


def _trained_like(model: Model, dataset: Dataset, seed: int) -> Model:
    paper_settings = bool(model.training.get("paper_settings"))
    return train_model(dataset, model.spec, model.classifier.kind, paper_settings=paper_settings, seed=seed)


def _balanced_accuracy_and_auroc(detector: Model, test: Dataset) -> tuple[float, float]:
    curves = Curves(test.y, detector.scores(test.features))
    values = curves.metrics(np.ones((1, len(test.y))), detector.threshold)[0][0]
    return float(values[METRICS.index("balanced_accuracy")]), float(values[METRICS.index("auroc")])


def _row(n_train: int, values: np.ndarray) -> LearningCurveRow:
    """Average (n_draws, 2) values: balanced accuracy and AUROC."""
    (accuracy, auroc), (accuracy_sd, auroc_sd) = values.mean(axis=0).tolist(), values.std(axis=0, ddof=1).tolist()
    return LearningCurveRow(n_train, len(values), accuracy, accuracy_sd, auroc, auroc_sd)
