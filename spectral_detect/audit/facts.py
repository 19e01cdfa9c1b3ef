"""What else than the generator tells two classes apart: facts of the files, copies, lookalikes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spectral_detect.audit.metadata_classifier import separability
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.media.header import Metadata
from spectral_detect.records import FAKE, REAL
from spectral_detect.training.dataset import MIN_PER_CLASS, Dataset
from spectral_detect.training.lookalikes import near_pairs

SIGNIFICANT = 0.01  # after Holm's correction
MOST_VALUES = 5  # listed of a fact and class
MOST_PAIRS = 5  # listed of copies and lookalikes
IMPLIED_BY = {"nearest_quality": "jpeg_quality"}  # not named beside it
CLASSES = {"real": REAL, "fake": FAKE}


@dataclass(frozen=True)
class Fact:
    """Something that is known of a file without a look at its pixels.

    Attributes
    ----------
    is_number : compared by Kolmogorov and Smirnov's statistic; a category by Cramer's V.
    is_seen : by the classifier; what the content moves is shown only.
    """

    of: Callable[[Extraction, Metadata], Any]
    is_number: bool = False
    is_seen: bool = True


def _jpeg_quality(sample: Extraction, facts: Metadata) -> str:
    if facts.nearest_quality is None:
        return "none"
    return "custom" if facts.jpeg_quality is None else str(facts.jpeg_quality)


FACTS = {
    "format": Fact(lambda s, m: m.format),
    "width": Fact(lambda s, m: m.width, is_number=True),
    "height": Fact(lambda s, m: m.height, is_number=True),
    "aspect": Fact(lambda s, m: m.width / m.height, is_number=True),
    "jpeg_quality": Fact(_jpeg_quality),
    "nearest_quality": Fact(lambda s, m: m.nearest_quality or 0, is_number=True),  # tells custom tables apart
    "subsampling": Fact(lambda s, m: m.subsampling or "none"),
    "progressive": Fact(lambda s, m: _yes_or_no(m.is_progressive)),
    "gray": Fact(lambda s, m: _yes_or_no(m.is_gray)),
    "exif": Fact(lambda s, m: _yes_or_no(m.has_exif)),
    "software": Fact(lambda s, m: m.software or "none"),
    "layout": Fact(lambda s, m: m.layout or "none"),
    "bits_per_pixel": Fact(lambda s, m: 8 * (s.size_bytes or 0) / (m.width * m.height), is_number=True, is_seen=False),
    "size_bytes": Fact(lambda s, m: s.size_bytes or 0, is_number=True, is_seen=False),
}


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def audit_dataset(dataset: Dataset, *, seed: int = 0) -> dict[str, Any]:
    """What tells the classes of a labelled data set apart, other than the pixels.

    Parameters
    ----------
    dataset : of both classes; of edited copies only one of each file is looked at.
    seed : of folds, shuffling and bootstrap.

    Returns
    -------
    Plain values, ready for JSON: `n_real`, `n_fake`, `n_groups`, `n_failed`; `metadata_auroc` and `metadata_auroc_ci`,
    see `separability`; `is_biased`, whether the interval lies above 0.5 (these three None, and `reason` says why, where
    it cannot be measured); `culprits`, names of facts; `facts` (name -> `measure`, `strength`, `p`, `is_seen`, and a
    summary of each class); `duplicates` (see `duplicates`).

    Raises
    ------
    DatasetError : a class is missing.
    """
    if not (dataset.n_real and dataset.n_fake):
        raise DatasetError(f"{dataset.n_real} real and {dataset.n_fake} fake images: an audit compares both")
    dataset = originals(dataset)
    columns = {name: _column(fact, dataset.samples) for name, fact in FACTS.items()}
    facts = {name: _compare(fact, columns[name], dataset.y) for name, fact in FACTS.items()}
    return {
        "n_real": dataset.n_real,
        "n_fake": dataset.n_fake,
        "n_groups": dataset.n_groups,
        "n_failed": len(dataset.failures),
        **_verdict(dataset, columns, facts, seed),
        "facts": facts,
        "duplicates": duplicates(dataset),
    }


def is_unfair(result: dict[str, Any]) -> bool:
    """Biased, or with a file that is in both classes."""
    return bool(result["is_biased"]) or result["duplicates"]["exact"]["across"]["n_pairs"] > 0


def originals(dataset: Dataset) -> Dataset:
    """One sample of each file: edited copies of an image have the same metadata."""
    seen: dict[tuple[str, int], int] = {}
    for k, (sample, label) in enumerate(zip(dataset.samples, dataset.y.tolist(), strict=True)):
        seen.setdefault((sample.path, label), k)
    if len(seen) == len(dataset.samples):
        return dataset
    return replace(dataset.select(np.array(list(seen.values()))), failures=dataset.failures)


def _column(fact: Fact, samples: Sequence[Extraction]) -> np.ndarray:
    values = [fact.of(s, s.metadata) for s in samples if s.metadata is not None]
    return np.array(values, dtype=np.float64 if fact.is_number else np.str_)


def _verdict(dataset: Dataset, columns: dict[str, np.ndarray], facts: dict[str, Any], seed: int) -> dict[str, Any]:
    seen = [name for name, fact in FACTS.items() if fact.is_seen]
    fewest = min(dataset.n_real, dataset.n_fake)
    found, reason = None, None
    if fewest < MIN_PER_CLASS:
        reason = f"{fewest} images of a class: at least {MIN_PER_CLASS} of each are needed"
    else:
        found = separability([columns[name] for name in seen], dataset.y, dataset.groups, seed=seed)
        reason = "too few groups to cross-validate" if found is None else None
    is_biased = None if found is None else found.is_above_chance
    return {
        "metadata_auroc": found and found.auroc,
        "metadata_auroc_ci": found and list(found.interval),
        "is_biased": is_biased,
        "culprits": culprits({name: facts[name] for name in seen}) if is_biased else [],
        "reason": reason,
    }


def _compare(fact: Fact, column: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    measure, summary = (_ks, _of_numbers) if fact.is_number else (_cramers_v, _of_categories)
    strength, p = measure(column[y == REAL], column[y == FAKE])
    return {
        "measure": "ks" if fact.is_number else "cramers_v",
        "strength": strength,
        "p": p,
        "is_seen": fact.is_seen,
        **{name: summary(column[y == label]) for name, label in CLASSES.items()},
    }


def _ks(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    from scipy.stats import ks_2samp

    result = ks_2samp(real, fake, method="asymp")
    return float(result.statistic), float(result.pvalue)


def _cramers_v(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    from scipy.stats import chi2_contingency
    from scipy.stats.contingency import association

    values = np.unique(np.concatenate([real, fake]))
    if len(values) < 2:
        return 0.0, 1.0
    table = np.stack([np.bincount(np.searchsorted(values, v), minlength=len(values)) for v in (real, fake)])
    return float(association(table, method="cramer")), float(chi2_contingency(table, correction=False).pvalue)


def _of_numbers(values: np.ndarray) -> dict[str, float]:
    return {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}


def _of_categories(values: np.ndarray) -> dict[str, Any]:
    counts = Counter(values.tolist())
    return {"n_values": len(counts), "counts": dict(counts.most_common(MOST_VALUES))}


def culprits(facts: dict[str, Any]) -> list[str]:
    """The facts that differ beyond chance, strongest first; where none does on its own, the strongest.

    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    by_p = sorted(facts, key=lambda name: facts[name]["p"])
    passes = [facts[name]["p"] * (len(by_p) - k) <= SIGNIFICANT for k, name in enumerate(by_p)]
    significant = set(by_p[: [*passes, False].index(False)])
    by_strength = sorted(facts, key=lambda name: -round(facts[name]["strength"], 6))
    found = [name for name in by_strength if name in significant] or by_strength[:1]
    return [name for name in found if IMPLIED_BY.get(name) not in found]


# ------------------------------------------------------------------------------------------------------ copies


@dataclass
class _Pairs:
    """How many pairs there are, and the paths of the first."""

    n: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"n_pairs": self.n, "first": self.first}


def duplicates(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Pairs of images that are the same, `exact`, or look the same, `near`: within `real`, within `fake`, `across`.

    Of each kind `n_pairs`, and `first`, some paths (across: the real one first). Lookalikes of one group are not
    counted: they stay together as it is.
    """
    kinds = {kind: {where: _Pairs() for where in (*CLASSES, "across")} for kind in ("exact", "near")}
    for kind, found in (("exact", _equal_pairs(dataset)), ("near", near_pairs(dataset))):
        for i, j in found:
            _count(kinds[kind], dataset, i, j)
    return {kind: {where: pairs.to_dict() for where, pairs in by.items()} for kind, by in kinds.items()}


def _count(by_place: dict[str, _Pairs], dataset: Dataset, first: np.ndarray, second: np.ndarray) -> None:
    y = dataset.y
    second_is_real = y[first] > y[second]
    first, second = np.where(second_is_real, second, first), np.where(second_is_real, first, second)
    places = {"real": y[second] == REAL, "fake": y[first] == FAKE, "across": y[first] != y[second]}
    for place, is_there in places.items():
        pairs = by_place[place]
        at = np.flatnonzero(is_there)
        pairs.n += len(at)
        for k in at[: MOST_PAIRS - len(pairs.first)]:
            pairs.first.append((dataset.samples[first[k]].path, dataset.samples[second[k]].path))


def _equal_pairs(dataset: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    by_hash: dict[str | None, list[int]] = {}
    for k, sample in enumerate(dataset.samples):
        by_hash.setdefault(sample.sha256, []).append(k)
    for members in by_hash.values():
        for k in range(1, len(members)):  # a pair with each earlier copy
            yield np.array(members[:k]), np.full(k, members[k])
