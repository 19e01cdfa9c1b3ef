"""Find images of a data set that are the same or look the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.records import FAKE, REAL
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.lookalikes import near_pairs

MOST_PAIRS = 5  # listed of copies and lookalikes
PairBlock = tuple[np.ndarray, np.ndarray]  # indices of the first and of the second image of each pair


@dataclass(frozen=True)
class Pairs:
    """The number of pairs, and the paths of the first few."""

    n_pairs: int
    first: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"n_pairs": self.n_pairs, "first": list(self.first)}


@dataclass(frozen=True)
class PairsByClass:
    """Pairs within the reals, within the fakes, and of a real with a fake, the real one first."""

    real: Pairs
    fake: Pairs
    across: Pairs

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {place: pairs.to_dict() for place, pairs in vars(self).items()}


@dataclass(frozen=True)
class Duplicates:
    """Pairs of images that are the same file, `exact`, and that look the same, `near`."""

    exact: PairsByClass
    near: PairsByClass

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"exact": self.exact.to_dict(), "near": self.near.to_dict()}


def duplicates(dataset: Dataset) -> Duplicates:
    """Find pairs of images that are the same or look the same.

    Lookalikes of one group are not counted: they stay together anyway.
    """
    return Duplicates(_by_class(dataset, _equal_pairs(dataset)), _by_class(dataset, near_pairs(dataset)))


def _by_class(dataset: Dataset, blocks: Iterable[PairBlock]) -> PairsByClass:
    counts = dict.fromkeys(("real", "fake", "across"), 0)
    listed: dict[str, list[tuple[str, str]]] = {place: [] for place in counts}
    y = dataset.y
    for first, second in blocks:
        is_turned = y[first] > y[second]
        real, fake = np.where(is_turned, second, first), np.where(is_turned, first, second)
        places = {"real": y[fake] == REAL, "fake": y[real] == FAKE, "across": y[real] != y[fake]}
        for place, is_there in places.items():
            at = np.flatnonzero(is_there)
            counts[place] += len(at)
            for k in at[: MOST_PAIRS - len(listed[place])]:
                listed[place].append((dataset.samples[real[k]].path, dataset.samples[fake[k]].path))
    return PairsByClass(**{place: Pairs(n, tuple(listed[place])) for place, n in counts.items()})


def _equal_pairs(dataset: Dataset) -> Iterator[PairBlock]:
    copies: dict[object, list[int]] = {}
    for k, file in enumerate(dataset.files):
        copies.setdefault(file, []).append(k)
    for members in copies.values():
        for k in range(1, len(members)):  # a pair with each earlier copy
            yield np.array(members[:k]), np.full(k, members[k])
