"""Compute the numbers of an evaluation, with intervals by a bootstrap over groups.

Each metric is a function of the points of ROC curves and of sums of weights, so that all resamples of a bootstrap are
computed at once: a resample is a row of weights, how often each sample was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.detector.bootstrap import resamples
from spectral_detect.detector.calibration_metrics import (
    JEFFREYS,
    ODDS_LIMIT,
    cllr,
    cllr_min,
    expected_calibration_error,
    log_odds,
)
from spectral_detect.detector.metric_values import (
    METRICS,
    Confusion,
    Estimate,
    Metrics,
    PredictiveValues,
)
from spectral_detect.lazy import cached_property
from spectral_detect.records import FAKE, REAL
from spectral_detect.text import short_repr

REALS_NEEDED = {"tpr_at_fpr_5": 20, "tpr_at_fpr_1": 100}  # with fewer, one false alarm is already more
N_DRAWS = 100_000  # from the posterior of each rate
OF_CLASS = {"real_accuracy": REAL, "fake_accuracy": FAKE}  # all others are of both
MOST = {"cllr": ODDS_LIMIT / math.log(2)}  # bits; all others are at most 1


def evaluate_scores(
    y: np.ndarray, scores: np.ndarray, threshold: float, groups: np.ndarray, *, seed: int = 0
) -> Metrics:
    """Return all metrics of scored, labelled samples, each with a 95 % interval.

    Parameters
    ----------
    y, scores, groups : (n_samples,) array
        Labels, scores in [0, 1], and groups. Groups are drawn together, with replacement, 1000 times; the intervals are
        percentiles. Where no resample has an error, or each has nothing else, they are Clopper and Pearson's for so
        many groups. A class of one group tells nothing of others: the intervals then hold all values.
    threshold : float
        A score at or above it counts as fake.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    ValueError
        If one of the classes is missing.

    Notes
    -----
    `oracle_accuracy` is the balanced accuracy at the threshold that is best on these very samples, which nobody knows
    beforehand. `ece`, `brier`, `cllr` and `cllr_min` judge the score as the probability of fake where both classes are
    equally frequent: each class has half of the weight.
    """
    if len(np.unique(y)) < 2:
        raise ValueError("an evaluation needs real and fake images")
    called = np.where(scores >= threshold, FAKE, REAL)
    names = {"real": REAL, "fake": FAKE}
    confusion = {
        true: {name: int(np.sum((y == a) & (called == b))) for name, b in names.items()} for true, a in names.items()
    }
    curves = Curves(y, scores)
    estimates, best = curves.metrics(np.ones((1, len(y))), threshold)
    resampled = [curves.metrics(weights, threshold)[0] for weights in resamples(y, groups, seed)]
    low, high = np.percentile(np.concatenate(resampled), [2.5, 97.5], axis=0)
    n_real = int(np.sum(y == REAL))
    values = estimates[0]
    ends = np.minimum(low, values), np.maximum(high, values)  # resamples of few images raise the ECE, all above it
    intervals = zip(METRICS, values.tolist(), *(end.tolist() for end in ends), strict=True)
    n_groups = {label: len(np.unique(groups[y == label])) for label in (REAL, FAKE)}
    perfect = _without_error(n_groups[REAL], n_groups[FAKE])
    measured: dict[str, Any] = {
        name: _widened(name, Estimate(*interval), perfect.get(name), n_groups)
        if n_real >= REALS_NEEDED.get(name, 0)
        else None
        for name, *interval in intervals
    }
    n_fake, n_all, n_fewest = int(np.sum(y == FAKE)), len(np.unique(groups)), min(n_groups.values())
    return Metrics(n_real, n_fake, n_all, n_fewest, threshold, float(best[0]), confusion, **measured)


def _without_error(n_real: int, n_fake: int) -> dict[str, Estimate]:
    """Return each rate with its 95 % interval where none of so many groups has an error.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 1934: n of n are 0.025^(1/n) and
    more.
    """
    real, fake = 0.025 ** (1 / n_real), 0.025 ** (1 / n_fake)
    mean = (real + fake) / 2
    lows = dict.fromkeys(("accuracy", "balanced_accuracy", "average_precision", "oracle_accuracy"), mean)
    lows |= dict.fromkeys(("fake_accuracy", "tpr_at_fpr_5", "tpr_at_fpr_1"), fake) | {"real_accuracy": real}
    lows["auroc"] = min(least_auroc(n_real, n_fake), least_auroc(n_fake, n_real))
    return {name: Estimate(1.0, low, 1.0) for name, low in lows.items()} | {"eer": Estimate(0.0, 0.0, 1 - mean)}


def least_auroc(n_lower: int, n_upper: int) -> float:
    """Return the AUROC at which so many samples of two classes lie apart with a probability of 0.025.

    Source: Lehmann, "The power of rank tests", Ann. Math. Stat. 1953: if the distribution of the upper class is that of
    the lower to the power of t, they do with the probability prod_k t k / (n + t k), k = 1 ... m, and the AUROC is
    t / (1 + t). Where it is 1/2, that is one in all orders of the samples.
    """
    k, low, high = np.arange(1, n_upper + 1), 1e-9, 1.0 - 1e-9
    for _ in range(60):
        middle = (low + high) / 2
        t = middle / (1 - middle)
        apart = float(np.sum(np.log(t * k / (n_lower + t * k))))
        low, high = (middle, high) if apart < np.log(0.025) else (low, middle)
    return low


def _widened(name: str, found: Estimate, perfect: Estimate | None, n_groups: Mapping[int, int]) -> Estimate:
    """Return an interval that does not claim more than so many groups of each class support.

    That of a perfect or a worst value where its own has the width 0, as no resample differs; all values where a class
    is one group, which no resample can replace.
    """
    values = np.array([found.value, found.low, found.high])  # sums of weights, whose last digits may differ
    if perfect is not None and np.allclose(values, perfect.value, rtol=0, atol=1e-9):
        return perfect
    if perfect is not None and np.allclose(values, 1 - perfect.value, rtol=0, atol=1e-9):
        return Estimate(1 - perfect.value, 1 - perfect.high, 1 - perfect.low)
    of_class = OF_CLASS.get(name)
    n_fewest = min(n_groups.values()) if of_class is None else n_groups[of_class]
    return Estimate(found.value, 0.0, MOST.get(name, 1.0)) if n_fewest == 1 else found


def predictive_values(
    confusion: Confusion,
    n_real: int,
    n_fake: int,
    prevalence: float,
    *,
    n_groups: tuple[int, int] | None = None,
    seed: int = 0,
) -> PredictiveValues:
    """Return how often verdicts are right if a share `prevalence` of the images is fake.

    Parameters
    ----------
    confusion : dict
        True class -> called class -> count of the images with a verdict.
    n_real, n_fake : int
        Images of each class, with or without a verdict.
    prevalence : float
        Share of fakes, 0 to 1.
    n_groups : (int, int), optional
        Groups among the images of each class: as many count as independent. Default: each image is.
    seed : int
        Seed of the random numbers.

    Notes
    -----
    The rates are drawn from their posterior under Jeffreys' prior, so that no error among few images does not count as
    none among all; the estimates are the medians, the intervals hold 95 %.
    """
    rng = np.random.default_rng(seed)
    of_reals, of_fakes = n_groups or (n_real, n_fake)

    def rate(true: str, called: str, n: int, n_independent: int) -> np.ndarray:
        hits = confusion[true][called] * n_independent / n
        return rng.beta(hits + JEFFREYS, n_independent - hits + JEFFREYS, N_DRAWS)

    reals = {called: (1 - prevalence) * rate("real", called, n_real, of_reals) for called in ("fake", "real")}
    fakes = {called: prevalence * rate("fake", called, n_fake, of_fakes) for called in ("fake", "real")}

    def share(called: str, right: np.ndarray, wrong: np.ndarray) -> Estimate | None:
        if confusion["real"][called] + confusion["fake"][called] == 0:
            return None
        low, middle, high = np.percentile(right / np.maximum(right + wrong, 1e-300), [2.5, 50, 97.5])
        return Estimate(float(middle), float(low), float(high))

    return PredictiveValues(
        prevalence, share("fake", fakes["fake"], reals["fake"]), share("real", reals["real"], fakes["real"])
    )


@dataclass(frozen=True, eq=False)
class Curves:
    """Sort scored, labelled samples once, for metrics under any weights of the samples.

    Attributes
    ----------
    y, scores : (n_samples,) array
        Labels, and scores in [0, 1].
    """

    y: np.ndarray
    scores: np.ndarray
    __repr__ = short_repr

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(-self.scores, kind="stable")

    @cached_property
    def _ends(self) -> np.ndarray:
        """Return the index of the last of each run of equal scores, in falling order."""
        falling = self.scores[self._order]
        return np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)

    @cached_property
    def thresholds(self) -> np.ndarray:
        """Return the (n_points,) thresholds of the ROC curve; the first lies above all scores."""
        falling = self.scores[self._order][self._ends]
        return np.concatenate([[np.nextafter(falling[0], 2)], falling])

    def roc(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return false and true positive rates, (n_rows, n_points), of a score at or above each of `thresholds`."""
        rates = []
        for label in (REAL, FAKE):
            of_class = np.where(self.y == label, weights, 0.0)[:, self._order]
            counts = np.cumsum(of_class, axis=1)[:, self._ends]
            rates.append(np.pad(counts / counts[:, -1:], ((0, 0), (1, 0))))
        return rates[0], rates[1]

    def metrics(self, weights: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Return (n_rows, n_metrics) in the order of `METRICS`, and (n_rows,) the oracle's thresholds."""
        fpr, tpr = self.roc(weights)
        n_fake, n_real = (weights[:, self.y == label].sum(axis=1) for label in (FAKE, REAL))
        at = max(0, int(np.sum(self.thresholds >= threshold)) - 1)  # 0 lies above every score
        real_right, fake_right = 1 - fpr[:, at], tpr[:, at]
        balanced = (1 - fpr + tpr) / 2
        best = balanced.argmax(axis=1)
        halved = weights * np.where(self.y == FAKE, 0.5 / n_fake[:, None], 0.5 / n_real[:, None])
        columns = (
            (real_right * n_real + fake_right * n_fake) / (n_real + n_fake),
            balanced[:, at],
            real_right,
            fake_right,
            average_precision(fpr, tpr, n_real, n_fake),
            auroc(fpr, tpr),
            equal_error_rate(fpr, tpr),
            *(np.where(fpr <= limit, tpr, 0.0).max(axis=1) for limit in (0.05, 0.01)),
            expected_calibration_error(self.y, self.scores, halved),
            halved @ (self.scores - self.y) ** 2,
            cllr(self.y, log_odds(self.scores), halved),
            cllr_min(fpr, tpr),
            balanced.max(axis=1),
        )
        return np.stack(columns, axis=1), self.thresholds[best]


def auroc(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Return (n_rows,), the area under the ROC curve by trapezoids: ties count half."""
    return np.asarray((np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1]) / 2).sum(axis=1))


def average_precision(fpr: np.ndarray, tpr: np.ndarray, n_real: np.ndarray, n_fake: np.ndarray) -> np.ndarray:
    """Return (n_rows,), the sum over thresholds of the step in recall times the precision, as scikit-learn does."""
    hits, alarms = tpr * n_fake[:, None], fpr * n_real[:, None]
    precision = hits / np.maximum(hits + alarms, 1e-12)
    return np.asarray((np.diff(tpr, axis=1) * precision[:, 1:]).sum(axis=1))


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Return (n_rows,), the rate where the two error rates cross, linearly between the points of the ROC curve."""
    gap = (1 - tpr) - fpr  # falls from 1 to -1
    after = np.argmax(gap <= 0, axis=1)
    rows = np.arange(len(fpr))
    before = np.maximum(after - 1, 0)
    step = gap[rows, before] - gap[rows, after]
    weight = np.where(step > 0, gap[rows, before] / np.where(step > 0, step, 1), 1.0)
    return np.asarray(fpr[rows, before] + weight * (fpr[rows, after] - fpr[rows, before]))
