"""Try features and classifiers on one data set, each cross-validated on the same folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from spectral_detect.arguments import require_choice, require_type
from spectral_detect.detector.bootstrap import resamples
from spectral_detect.detector.classifiers import ClassifierName
from spectral_detect.detector.metric_values import Estimate, plain_estimates
from spectral_detect.detector.metrics import Curves, auroc
from spectral_detect.detector.model import CHANCE
from spectral_detect.errors import DatasetError, OptionError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.train import CrossValidated, cross_validate

CLASSIFIERS: tuple[ClassifierName, ...] = ("svm", "logreg")
Run = tuple[Dataset, FeatureSpec, ClassifierName]
Progress = Callable[[Iterable[Run]], Iterable[Run]]


@dataclass(frozen=True)
class Candidate:
    """One choice of features and classifier, and how it did on held-out folds.

    Attributes
    ----------
    features, spec_sha256, classifier : str
        Name and hash of the features, and the kind of classifier.
    balanced_accuracy, auroc : Estimate
        As `train` estimates them.
    behind : Estimate
        How much less its AUROC is than that of the best, on the same resamples.
    """

    features: str
    spec_sha256: str
    classifier: ClassifierName
    balanced_accuracy: Estimate
    auroc: Estimate
    behind: Estimate

    @property
    def is_behind(self) -> bool:
        """Tell whether the best can be told from it: the whole interval of their difference lies above 0."""
        return self.behind.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        estimates = {name: getattr(self, name) for name in ("balanced_accuracy", "auroc", "behind")}
        plain = {name: value for name, value in vars(self).items() if name not in estimates}
        return plain | plain_estimates(estimates)


@dataclass(frozen=True)
class Comparison:
    """All candidates, measured on the same folds of the same images.

    Attributes
    ----------
    n_real, n_fake, n_groups, n_fewest_groups : int
        Samples and groups that were compared on, and groups of the class that has fewer.
    n_failed : int
        Files without some of the features, which are left out of all.
    candidates : tuple of Candidate
        The best first: by AUROC, of equal ones by balanced accuracy, then as they were given.
    best_auroc_low : float
        Lower end of the 95 % interval of the best one's AUROC, with the choice counted in: see `compare_detectors`.
    """

    n_real: int
    n_fake: int
    n_groups: int
    n_fewest_groups: int
    n_failed: int
    candidates: tuple[Candidate, ...]
    best_auroc_low: float

    @property
    def best(self) -> Candidate:
        """The candidate of the highest AUROC."""
        return self.candidates[0]

    @property
    def runner_up(self) -> Candidate | None:
        """The second best; None if there is one only."""
        return self.candidates[1] if len(self.candidates) > 1 else None

    @property
    def is_better_than_chance(self) -> bool:
        """Tell whether the AUROC of the best lies above that of guessing, with the choice counted in."""
        return self.best_auroc_low > CHANCE

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "n_real": self.n_real,
            "n_fake": self.n_fake,
            "n_groups": self.n_groups,
            "n_fewest_groups": self.n_fewest_groups,
            "n_failed": self.n_failed,
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "best": self.best.to_dict(),
            "best_auroc_low": self.best_auroc_low,
            "is_better_than_chance": self.is_better_than_chance,
            "differs_from_runner_up": None if self.runner_up is None else self.runner_up.is_behind,
        }


def compare_detectors(
    datasets: Sequence[Dataset],
    classifiers: Sequence[ClassifierName] = CLASSIFIERS,
    *,
    seed: int = 0,
    progress: Progress = iter,
) -> Comparison:
    """Cross-validate each classifier on each kind of features, all on the same folds.

    Parameters
    ----------
    datasets : sequence of Dataset
        The same files, read by `read_dataset` once for each spec. A file that gave no features for one of them is left
        out of all.
    classifiers : sequence of {"svm", "logreg", "ridge", "perceptron", "kmeans"}
        The classifiers to try.
    seed : int
        Seed of folds, classifiers and bootstrap.
    progress : callable
        Passes the runs on, to show progress.

    Raises
    ------
    DatasetError
        There is nothing to compare, or a detector cannot be trained, see `train_model`.
    OptionError
        There is no such classifier.

    Notes
    -----
    The best of several looks better than it is, since chance is part of why it came first. `Comparison.best_auroc_low`
    counts that in: it lies below the AUROC of the best by the 97.5 % quantile, over the resamples, of the largest
    excess of any candidate's AUROC over its own estimate (White, "A reality check for data snooping", Econometrica 68,
    2000). It is never above the lower end of the interval of the best alone.
    """
    require_type("datasets", datasets, Iterable, "give a list of data sets")
    if isinstance(classifiers, str):
        raise OptionError(f"classifiers is {classifiers!r}", remedy="it must be a list of names")
    classifiers, datasets = list(classifiers), in_common(list(datasets))
    for classifier in classifiers:
        require_choice("a classifier", classifier, get_args(ClassifierName))
    runs: list[Run] = [(dataset, _spec_of(dataset), classifier) for dataset in datasets for classifier in classifiers]
    if not runs:
        raise DatasetError("there is nothing to compare", remedy="give a data set and a classifier")
    held_out = [cross_validate(*run, seed=seed) for run in progress(runs)]
    order = sorted(range(len(runs)), key=lambda k: [-held_out[k].metrics[m] for m in ("auroc", "balanced_accuracy")])
    behind, low = _bootstrap([held_out[k] for k in order], seed)
    candidates = tuple(_candidate(runs[k], held_out[k], b) for k, b in zip(order, behind, strict=True))
    failed = {failure.path for dataset in datasets for failure in dataset.failures}
    low = min(low, candidates[0].auroc.low)
    n_real, n_fake, n_groups, n_fewest = (
        int(held_out[0].metrics[name]) for name in ("n_real", "n_fake", "n_groups", "n_fewest_groups")
    )
    return Comparison(n_real, n_fake, n_groups, n_fewest, len(failed), candidates, low)


def in_common(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Return the samples that all data sets have, in one order and in the groups of the first; failures stay."""
    numbered = [
        {(s.path, s.frame, s.edit, label): k for k, (s, label) in enumerate(zip(d.samples, d.y.tolist(), strict=True))}
        for d in datasets
    ]
    common = [key for key in numbered[0] if all(key in other for other in numbered)] if numbered else []
    if datasets and not common:
        raise DatasetError("the data sets have no image in common", remedy="read the same files for each spec")
    parts = [d.select(np.array([of[key] for key in common])) for d, of in zip(datasets, numbered, strict=True)]
    return [
        replace(part, groups=parts[0].groups, failures=whole.failures)
        for part, whole in zip(parts, datasets, strict=True)
    ]


def _spec_of(dataset: Dataset) -> FeatureSpec:
    if dataset.extractor is None or dataset.extractor.spec is None:
        raise DatasetError("a data set does not tell its features", remedy="read it by `read_dataset(files, spec)`")
    return dataset.extractor.spec


def _candidate(run: Run, held_out: CrossValidated, behind: Estimate) -> Candidate:
    _, spec, classifier = run
    accuracy, area = (
        Estimate(held_out.metrics[name], *held_out.metrics[f"{name}_ci"]) for name in ("balanced_accuracy", "auroc")
    )
    return Candidate(spec.name, spec.sha256, classifier, accuracy, area, behind)


def _bootstrap(ranked: Sequence[CrossValidated], seed: int) -> tuple[list[Estimate], float]:
    """Return how far each is behind the first, and the lower end of the first's AUROC with the choice counted in."""
    y, groups = ranked[0].y, ranked[0].groups
    curves = [Curves(y, one.scores) for one in ranked]

    def aurocs(weights: np.ndarray) -> np.ndarray:
        return np.stack([auroc(*one.roc(weights)) for one in curves])

    whole = aurocs(np.ones((1, len(y))))
    drawn = np.concatenate([aurocs(weights) for weights in resamples(y, groups, seed)], axis=1)
    ends = np.percentile(drawn[0] - drawn, [2.5, 97.5], axis=1)
    behind = [Estimate(*row) for row in np.stack([(whole[0] - whole)[:, 0], *ends], axis=1).tolist()]
    return behind, float(whole[0, 0] - np.percentile((drawn - whole).max(axis=0), 97.5))
