"""Train on one generator and measure on the others: what carries over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectral_detect.detector.classifiers import ClassifierName
from spectral_detect.detector.metric_values import Metrics
from spectral_detect.detector.metrics import evaluate_scores
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.records import FAKE, REAL
from spectral_detect.training.dataset import MIN_PER_CLASS, Dataset
from spectral_detect.training.lookalikes import groups_with_lookalikes
from spectral_detect.training.train import train_model

TEST_SHARE = 0.3
ALL, OTHERS = "all", "all others"
Run = tuple[str, list[str], list[str]]  # title of the row, generators to train on, generators to measure on
Progress = Callable[[Iterable[Run]], Iterable[Run]]


@dataclass(frozen=True)
class MatrixRow:
    """The metrics, on each generator's images, of detectors that were trained on some of them.

    Attributes
    ----------
    trained_on : str
        A generator, `generator_matrix.ALL` or `generator_matrix.OTHERS`.
    results : mapping of str to Metrics
        Generator that was measured on -> metrics.
    """

    trained_on: str
    results: Mapping[str, Metrics]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        results = {name: metrics.to_dict() for name, metrics in self.results.items()}
        return {"trained_on": self.trained_on, "results": results}


@dataclass(frozen=True)
class GeneratorMatrix:
    """Detectors trained on each generator, measured on each generator, the columns."""

    generators: tuple[str, ...]
    rows: tuple[MatrixRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"generators": list(self.generators), "rows": [row.to_dict() for row in self.rows]}


def cross_generators(
    dataset: Dataset,
    members: Mapping[str, np.ndarray],
    spec: FeatureSpec,
    classifier: ClassifierName = "svm",
    *,
    seed: int = 0,
    progress: Progress = iter,
) -> GeneratorMatrix:
    """Train on each generator, on all, and on all but one; measure on the held-out images of each.

    Parameters
    ----------
    dataset, members : Dataset, mapping of str to np.ndarray
        The images and the indices of each generator, see `dataset.members_of`. Three of ten groups, the same for all
        detectors, are held out; images that look the same, such as a photograph and what several generators made of it,
        count as one group.
    spec, classifier : FeatureSpec, {"svm", "logreg", "ridge", "perceptron", "kmeans"}
        The features of the data set and the kind of detector.
    seed : int
        Seed of the choice of held-out groups.
    progress : callable
        Passes the runs on, to show progress.

    Returns
    -------
    GeneratorMatrix
        A row for each generator, for `ALL`, and for `OTHERS`, which has, in each column, a detector that has not seen
        that column's generator.

    Raises
    ------
    DatasetError
        There are fewer than two generators, or one has too few images to train on or to measure.
    """
    if taken := {ALL, OTHERS} & set(members):
        raise DatasetError(
            f"a generator is called {sorted(taken)[0]!r}, as the row of several is", remedy="rename its folder"
        )
    if len(members) < 2:
        raise DatasetError(f"{len(members)} generator: a comparison across generators needs two or more")
    dataset = replace(dataset, groups=groups_with_lookalikes(dataset))
    is_held_out = _held_out(dataset.groups, seed)
    train = {name: at[~is_held_out[at]] for name, at in members.items()}
    test = {name: dataset.select(at[is_held_out[at]]) for name, at in members.items()}
    for name, part in test.items():
        if not (part.n_real and part.n_fake):
            n = len(np.unique(dataset.groups[members[name]]))
            raise DatasetError(
                f"{name!r}: {part.n_real} real and {part.n_fake} fake images are held out: its {len(members[name])} "
                f"images are {n} groups (those that look the same are one)",
                remedy="add independent images",
            )
    for name, at in train.items():
        n_real, n_fake = (len(np.unique(dataset.groups[at[dataset.y[at] == label]])) for label in (REAL, FAKE))
        if min(n_real, n_fake) < MIN_PER_CLASS:
            raise DatasetError(
                f"{name!r}: as three of ten are held out, {n_real} real and {n_fake} fake images that do not look the "
                f"same are left to train on; {MIN_PER_CLASS} of each are the least",
                remedy="add independent images, or leave this generator out",
            )
    rows: dict[str, dict[str, Metrics]] = {}
    for title, trained_on, measured_on in progress(_runs(list(members))):
        chosen = dataset.select(np.unique(np.concatenate([train[name] for name in trained_on])))
        detector = train_model(chosen, spec, classifier, seed=seed)
        rows.setdefault(title, {}).update({name: _measure(detector, test[name], seed) for name in measured_on})
    return GeneratorMatrix(tuple(members), tuple(MatrixRow(title, results) for title, results in rows.items()))


def _held_out(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return (n_samples,) whether a sample's group is held out."""
    n_groups = groups.max() + 1
    rank = np.random.default_rng(seed).permutation(n_groups)
    return np.asarray(rank[groups] < TEST_SHARE * n_groups)


def _runs(names: list[str]) -> list[Run]:
    each: list[Run] = [(name, [name], names) for name in names]
    others: list[Run] = [(OTHERS, [other for other in names if other != name], [name]) for name in names]
    return [*each, (ALL, names, names), *others]


def _measure(detector: Model, test: Dataset, seed: int) -> Metrics:
    return evaluate_scores(test.y, detector.scores(test.features), detector.threshold, test.groups, seed=seed)
