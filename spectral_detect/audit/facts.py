"""Compare facts of the files of two classes: all that is known without a look at the pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spectral_detect.extraction.one_file import Extraction
from spectral_detect.media.header import Metadata
from spectral_detect.records import FAKE, REAL

SIGNIFICANT = 0.01  # after Holm's correction
MOST_VALUES = 5  # listed of a fact and class
IMPLIED_BY = {"coding_quality": "jpeg_quality", "coding": "format"}  # not named beside it

# an index of libwebp's quantiser is two or three qualities below 75, and less than one above
WEBP_IS_EXACT, WEBP_STEP = 80, 5


@dataclass(frozen=True)
class Fact:
    """A property of a file that is known without a look at its pixels.

    Attributes
    ----------
    value_of : callable
        Returns the value for a file and its header.
    is_number : bool
        Numbers are compared by the statistic of Kolmogorov and Smirnov, categories by Cramer's V.
    is_seen : bool
        The metadata classifier sees it. Facts that the content moves are shown only.
    """

    value_of: Callable[[Extraction, Metadata], Any]
    is_number: bool = False
    is_seen: bool = True

    def column(self, samples: Sequence[Extraction]) -> np.ndarray:
        """Return (n_samples,) values, numbers or texts."""
        values = [self.value_of(s, s.metadata) for s in samples if s.metadata is not None]
        return np.array(values, dtype=np.float64 if self.is_number else np.str_)


def _jpeg_quality(sample: Extraction, facts: Metadata) -> str:
    if facts.coding.family != "JPEG":
        return "none"
    return "custom" if facts.jpeg_quality is None else str(facts.jpeg_quality)


def _coding(facts: Metadata) -> str:
    return f"{facts.coding.family}, {facts.coding.method}" if facts.coding.method else facts.coding.family


def _coding_quality(facts: Metadata) -> int:
    """Return the quality, coarsely where it is an estimate that the content moves: 0 if unknown."""
    quality = facts.coding.quality or 0
    is_estimate = facts.coding.family == "WebP" and quality < WEBP_IS_EXACT
    return WEBP_STEP * round(quality / WEBP_STEP) if is_estimate else quality


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


FACTS = {
    "format": Fact(lambda s, m: m.format),
    "width": Fact(lambda s, m: m.width, is_number=True),
    "height": Fact(lambda s, m: m.height, is_number=True),
    "aspect": Fact(lambda s, m: m.width / m.height, is_number=True),
    "jpeg_quality": Fact(_jpeg_quality),
    "coding": Fact(lambda s, m: _coding(m)),
    "coding_quality": Fact(lambda s, m: _coding_quality(m), is_number=True),  # tells custom tables apart
    "bits": Fact(lambda s, m: str(m.coding.bits)),
    "alpha": Fact(lambda s, m: _yes_or_no(m.coding.has_alpha)),
    "subsampling": Fact(lambda s, m: m.coding.chroma or "none"),
    "progressive": Fact(lambda s, m: _yes_or_no(m.is_progressive)),
    "gray": Fact(lambda s, m: _yes_or_no(m.is_gray)),
    "exif": Fact(lambda s, m: _yes_or_no(m.has_exif)),
    "software": Fact(lambda s, m: m.software or "none"),
    "layout": Fact(lambda s, m: m.layout or "none"),
    "bits_per_pixel": Fact(lambda s, m: 8 * (s.size_bytes or 0) / (m.width * m.height), is_number=True, is_seen=False),
    "size_bytes": Fact(lambda s, m: s.size_bytes or 0, is_number=True, is_seen=False),
}


@dataclass(frozen=True)
class NumberSummary:
    """The range of a number in one class."""

    min: float
    median: float
    max: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class CategorySummary:
    """The number of categories in one class, and the counts of the most frequent ones."""

    n_values: int
    counts: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"n_values": self.n_values, "counts": dict(self.counts)}


@dataclass(frozen=True)
class FactComparison:
    """How much a fact differs between the classes.

    Attributes
    ----------
    measure : {"ks", "cramers_v"}
        Kolmogorov and Smirnov's statistic, or Cramer's V.
    strength : float
        Its value, 0 to 1.
    p : float
        Probability of such a difference by chance.
    is_seen : bool
        The metadata classifier sees the fact.
    real, fake : NumberSummary or CategorySummary
        The values in each class.
    """

    measure: Literal["ks", "cramers_v"]
    strength: float
    p: float
    is_seen: bool
    real: NumberSummary | CategorySummary
    fake: NumberSummary | CategorySummary

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {**vars(self), "real": self.real.to_dict(), "fake": self.fake.to_dict()}


def compare_classes(fact: Fact, column: np.ndarray, y: np.ndarray) -> FactComparison:
    """Compare the values of a fact, (n_samples,), between the classes in y."""
    real, fake = column[y == REAL], column[y == FAKE]
    if fact.is_number:
        summaries = _number_summary(real), _number_summary(fake)
        return FactComparison("ks", *_kolmogorov_smirnov(real, fake), fact.is_seen, *summaries)
    strength, p = _cramers_v(real, fake)
    return FactComparison("cramers_v", strength, p, fact.is_seen, _category_summary(real), _category_summary(fake))


def _kolmogorov_smirnov(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Return the statistic and its p; the asymptotic p is undefined for one value against one, which may be chance."""
    from scipy.stats import ks_2samp

    if len(real) == len(fake) == 1:
        return float(real[0] != fake[0]), 1.0
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


def _number_summary(values: np.ndarray) -> NumberSummary:
    return NumberSummary(float(values.min()), float(np.median(values)), float(values.max()))


def _category_summary(values: np.ndarray) -> CategorySummary:
    counts = Counter(values.tolist())
    return CategorySummary(len(counts), dict(counts.most_common(MOST_VALUES)))


def culprits(facts: Mapping[str, FactComparison]) -> list[str]:
    """Return the names of the facts that differ beyond chance, strongest first; if none does, of the strongest.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    by_p = sorted(facts, key=lambda name: facts[name].p)
    passes = [facts[name].p * (len(by_p) - k) <= SIGNIFICANT for k, name in enumerate(by_p)]
    significant = set(by_p[: [*passes, False].index(False)])
    by_strength = sorted(facts, key=lambda name: -round(facts[name].strength, 6))
    found = [name for name in by_strength if name in significant] or by_strength[:1]
    return [name for name in found if IMPLIED_BY.get(name) not in found]
