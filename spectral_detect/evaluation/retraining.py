"""Detectors trained again and again on parts of the data: what more images buy, and what another generator costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spectral_detect.detector.classifiers import ClassifierName
from spectral_detect.detector.metrics import METRICS, Curves, evaluate_scores
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.records import FAKE, REAL
from spectral_detect.training.dataset import MIN_PER_CLASS, Dataset, folds
from spectral_detect.training.lookalikes import groups_with_lookalikes
from spectral_detect.training.train import train_model

CURVE_SHOTS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
N_DRAWS = 5
TEST_SHARE = 0.3
ALL, OTHERS = "all", "all others"
WatchRuns = Callable[[Iterable[Any]], Iterable[Any]]


def learning_curve(model: Model, dataset: Dataset, *, seed: int = 0, watch: WatchRuns = iter) -> list[dict[str, Any]]:
    """Detectors of the model's features and classifier, trained on 10, 20, ... of the images and measured on others.

    Parameters
    ----------
    dataset : labelled images, read with the model's spec. Each of `N_DRAWS` folds is measured by detectors that were
        trained on parts of the others, half of each class; groups, and images that look the same, stay together.

    Returns
    -------
    For each number `n_train`: the mean and standard deviation over the folds of `balanced_accuracy` (each detector at
    its own threshold) and of `auroc`, with `_sd`.

    Raises
    ------
    DatasetError : too few groups for folds.
    """
    dataset = replace(dataset, groups=groups_with_lookalikes(dataset))
    parts = [p for p in folds(dataset.y, dataset.groups, N_DRAWS, seed) if len(np.unique(dataset.y[p[1]])) == 2]
    most = min((2 * np.bincount(dataset.y[train], minlength=2).min() for train, _ in parts), default=0)
    if most < 2 * MIN_PER_CLASS:
        raise DatasetError(f"a learning curve needs more images: {most} can be trained on while others are kept apart")
    shots = [n for n in CURVE_SHOTS if n < most] + [int(most)]
    runs = [(n, draw) for n in shots for draw in range(len(parts))]
    measured: dict[int, list[tuple[float, float]]] = {n: [] for n in shots}
    for n, draw in watch(runs):
        rng = np.random.default_rng([seed, n, draw])
        train, test = parts[draw]
        chosen = [rng.permutation(train[dataset.y[train] == label])[: n // 2] for label in (REAL, FAKE)]
        detector = train_model(
            dataset.select(np.concatenate(chosen)),
            model.spec,
            model.classifier.kind,
            paper_settings=bool(model.training.get("paper_settings")),
            seed=seed,
        )
        curves = Curves(dataset.y[test], detector.scores(dataset.select(test).features))
        values = curves.metrics(np.ones((1, len(test))), detector.threshold)[0][0]
        measured[n].append((values[METRICS.index("balanced_accuracy")], values[METRICS.index("auroc")]))
    return [_spread(n, np.array(values)) for n, values in measured.items()]


def _spread(n: int, values: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {"n_train": n, "n_draws": len(values)}
    for k, name in enumerate(("balanced_accuracy", "auroc")):
        row |= {name: float(values[:, k].mean()), f"{name}_sd": float(values[:, k].std(ddof=1))}
    return row


def cross_generators(
    dataset: Dataset,
    members: Mapping[str, np.ndarray],
    spec: FeatureSpec,
    classifier: ClassifierName = "svm",
    *,
    seed: int = 0,
    watch: WatchRuns = iter,
) -> dict[str, Any]:
    """Train on each generator, on all, and on all but one; measure on the held-out images of each.

    Parameters
    ----------
    dataset, members : see `dataset.members_of`. Three of ten groups, the same for all detectors, are held out; images
        that look the same, such as a photograph and what several generators made of it, count as one group.

    Returns
    -------
    `generators`, the columns; `rows`, each with `trained_on` (a generator, `ALL`, or `OTHERS`, a detector per column
    that has not seen that column's generator) and `results`: generator -> `evaluate_scores`.

    Raises
    ------
    DatasetError : fewer than two generators, or one with too few images to train on or to measure.
    """
    if len(members) < 2:
        raise DatasetError(f"{len(members)} generator: a comparison across generators needs two or more")
    dataset = replace(dataset, groups=groups_with_lookalikes(dataset))
    rng = np.random.default_rng(seed)
    held_out = rng.permutation(dataset.groups.max() + 1)[dataset.groups] < TEST_SHARE * (dataset.groups.max() + 1)
    train = {name: at[~held_out[at]] for name, at in members.items()}
    test = {name: dataset.select(at[held_out[at]]) for name, at in members.items()}
    for name, part in test.items():
        if not (part.n_real and part.n_fake):
            raise DatasetError(f"{name!r}: {part.n_real} real and {part.n_fake} fake images held out; it needs more")

    def fit(names: Iterable[str]) -> Model:
        at = np.unique(np.concatenate([train[name] for name in names]))
        return train_model(dataset.select(at), spec, classifier, seed=seed)

    jobs: list[tuple[str, list[str], list[str]]] = [(name, [name], list(members)) for name in members]
    jobs.append((ALL, list(members), list(members)))
    jobs += [(OTHERS, [other for other in members if other != name], [name]) for name in members]
    rows: dict[str, dict[str, Any]] = {}
    for title, names, measured_on in watch(jobs):
        detector = fit(names)
        rows.setdefault(title, {}).update({name: _measure(detector, test[name], seed) for name in measured_on})
    return {
        "generators": list(members),
        "rows": [{"trained_on": title, "results": results} for title, results in rows.items()],
    }


def _measure(detector: Model, test: Dataset, seed: int) -> dict[str, Any]:
    return evaluate_scores(test.y, detector.scores(test.features), detector.threshold, test.groups, seed=seed)
