"""Try features and classifiers on one data set, each cross-validated on the same folds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spectral_detect.detector.classifiers import ClassifierName
from spectral_detect.detector.metric_values import Estimate, stored_estimates
from spectral_detect.detector.model import CHANCE
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.train import train_model

CLASSIFIERS: tuple[ClassifierName, ...] = ("svm", "logreg")


@dataclass(frozen=True)
class Candidate:
    """One choice of features and classifier, and how it did on held-out folds."""

    features: str
    classifier: ClassifierName
    balanced_accuracy: Estimate
    auroc: Estimate

    @property
    def is_better_than_chance(self) -> bool:
        """Tell whether the whole interval of the AUROC lies above that of guessing."""
        return self.auroc.low > CHANCE

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values: dict[str, Any] = {"features": self.features, "classifier": self.classifier}
        for name in ("balanced_accuracy", "auroc"):
            estimate: Estimate = getattr(self, name)
            values |= {name: estimate.value, f"{name}_ci": [estimate.low, estimate.high]}
        return values | {"is_better_than_chance": self.is_better_than_chance}


@dataclass(frozen=True)
class Comparison:
    """All candidates, in the order in which they were tried.

    Attributes
    ----------
    n_real, n_fake, n_groups : int
        Samples and groups of the data set.
    candidates : tuple of Candidate
        Each measured on the same folds.
    """

    n_real: int
    n_fake: int
    n_groups: int
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The candidate of the highest AUROC; of equal ones, that of the highest balanced accuracy."""
        return max(self.candidates, key=lambda c: (c.auroc.value, c.balanced_accuracy.value))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "n_real": self.n_real,
            "n_fake": self.n_fake,
            "n_groups": self.n_groups,
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "best": self.best.to_dict(),
        }


def compare_detectors(
    specs: Sequence[FeatureSpec],
    read: Callable[[FeatureSpec], Dataset],
    classifiers: Sequence[ClassifierName] = CLASSIFIERS,
    *,
    seed: int = 0,
) -> Comparison:
    """Train each classifier on each kind of features, and compare their cross-validated numbers.

    Parameters
    ----------
    specs : sequence of FeatureSpec
        The features to try.
    read : callable
        Returns the data set in these features. Its samples and groups must be the same for all, so that the folds are.
    classifiers : sequence of {"svm", "logreg", "kmeans"}
        The classifiers to try.
    seed : int
        Seed of folds and classifiers.

    Raises
    ------
    DatasetError
        See `train_model`.

    Notes
    -----
    The best of several looks better than it is, for it is chosen by the numbers that are shown.
    """
    datasets = [(spec, read(spec)) for spec in specs]
    first = datasets[0][1]
    candidates = (
        candidate for spec, dataset in datasets for candidate in _candidates(dataset, spec, classifiers, seed)
    )
    return Comparison(first.n_real, first.n_fake, first.n_groups, tuple(candidates))


def _candidates(
    dataset: Dataset, spec: FeatureSpec, classifiers: Sequence[ClassifierName], seed: int
) -> Iterator[Candidate]:
    for classifier in classifiers:
        estimates = stored_estimates(train_model(dataset, spec, classifier, seed=seed).metrics)
        accuracy, auroc = estimates["balanced_accuracy"], estimates["auroc"]
        if accuracy is not None and auroc is not None:
            yield Candidate(spec.name, classifier, accuracy, auroc)
