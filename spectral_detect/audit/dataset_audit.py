"""Audit a labelled data set: what tells its classes apart, other than the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectral_detect.audit.duplicates import Duplicates, duplicates
from spectral_detect.audit.facts import FACTS, FactComparison, compare_classes, culprits
from spectral_detect.audit.metadata_classifier import Separability, separability
from spectral_detect.errors import DatasetError
from spectral_detect.training.dataset import MIN_PER_CLASS, Dataset


@dataclass(frozen=True)
class DatasetAudit:
    """The result of an audit.

    Attributes
    ----------
    n_failed : int
        Files that could not be read.
    metadata_auroc, metadata_auroc_ci : float or None, tuple of float or None
        AUROC of a classifier that sees metadata only, and its interval, see `separability`; None if it cannot be
        measured.
    is_biased : bool or None
        The interval lies above 0.5.
    culprits : tuple of str
        Names of the facts that tell the classes apart; empty if the data set is not biased.
    reason : str or None
        Why the AUROC cannot be measured.
    facts : mapping of str to FactComparison
        Name -> how much the fact differs between the classes.
    duplicates : Duplicates
        Copies and lookalikes.
    """

    n_real: int
    n_fake: int
    n_groups: int
    n_failed: int
    metadata_auroc: float | None
    metadata_auroc_ci: tuple[float, float] | None
    is_biased: bool | None
    culprits: tuple[str, ...]
    reason: str | None
    facts: Mapping[str, FactComparison]
    duplicates: Duplicates

    @property
    def is_unfair(self) -> bool:
        """Return whether the data set is biased, or a file is in both classes."""
        return bool(self.is_biased) or self.duplicates.exact.across.n_pairs > 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            **vars(self),
            "metadata_auroc_ci": None if self.metadata_auroc_ci is None else list(self.metadata_auroc_ci),
            "culprits": list(self.culprits),
            "facts": {name: fact.to_dict() for name, fact in self.facts.items()},
            "duplicates": self.duplicates.to_dict(),
        }


def audit_dataset(dataset: Dataset, *, seed: int = 0) -> DatasetAudit:
    """Find what tells the classes of a labelled data set apart, other than the pixels.

    Parameters
    ----------
    dataset : Dataset
        Images of both classes; only one of the edited copies of a file is looked at.
    seed : int
        Seed of folds, shuffling and bootstrap.

    Raises
    ------
    DatasetError
        A class is missing.
    """
    if not (dataset.n_real and dataset.n_fake):
        raise DatasetError(f"{dataset.n_real} real and {dataset.n_fake} fake images: an audit compares both")
    dataset = originals(dataset)
    columns = {name: fact.column(dataset.samples) for name, fact in FACTS.items()}
    facts = {name: compare_classes(fact, columns[name], dataset.y) for name, fact in FACTS.items()}
    seen = [name for name, fact in FACTS.items() if fact.is_seen]
    found, reason = _separability([columns[name] for name in seen], dataset, seed)
    is_biased = None if found is None else found.is_above_chance
    return DatasetAudit(
        n_real=dataset.n_real,
        n_fake=dataset.n_fake,
        n_groups=dataset.n_groups,
        n_failed=len(dataset.failures),
        metadata_auroc=None if found is None else found.auroc,
        metadata_auroc_ci=None if found is None else found.interval,
        is_biased=is_biased,
        culprits=tuple(culprits({name: facts[name] for name in seen})) if is_biased else (),
        reason=reason,
        facts=facts,
        duplicates=duplicates(dataset),
    )


def _separability(columns: list[np.ndarray], dataset: Dataset, seed: int) -> tuple[Separability | None, str | None]:
    """Return how well the columns tell the classes apart, or None and the reason why that cannot be measured."""
    fewest = min(dataset.n_real, dataset.n_fake)
    if fewest < MIN_PER_CLASS:
        return None, f"{fewest} images of a class: at least {MIN_PER_CLASS} of each are needed"
    found = separability(columns, dataset.y, dataset.groups, seed=seed)
    return found, "too few groups to cross-validate" if found is None else None


def originals(dataset: Dataset) -> Dataset:
    """Return one sample of each file: edited copies of an image have the same metadata."""
    seen: dict[tuple[str, int], int] = {}
    for k, (sample, label) in enumerate(zip(dataset.samples, dataset.y.tolist(), strict=True)):
        seen.setdefault((sample.path, label), k)
    if len(seen) == len(dataset.samples):
        return dataset
    return replace(dataset.select(np.array(list(seen.values()))), failures=dataset.failures)
