"""The numbers of an evaluation, with intervals by a bootstrap over groups.

Each metric is a function of the points of ROC curves and of sums of weights, so that all resamples of a bootstrap are
computed at once: a resample is a row of weights, how often each sample was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spectral_detect.detector.metric_values import (
    METRICS,
    Confusion,
    Estimate,
    Metrics,
    PredictiveValues,
    ReliabilityPoint,
)
from spectral_detect.records import FAKE, REAL

N_RESAMPLES = 1000
RESAMPLES_AT_ONCE = 2_000_000  # numbers in a block of rows
N_BINS = 10  # of the reliability diagram
ODDS_LIMIT = 30.0  # natural logarithm; beyond it a double cannot tell a score from 0 or 1
REALS_NEEDED = {"tpr_at_fpr_5": 20, "tpr_at_fpr_1": 100}  # with fewer, one false alarm is already more


def evaluate_scores(
    y: np.ndarray, scores: np.ndarray, threshold: float, groups: np.ndarray, *, seed: int = 0
) -> Metrics:
    """All metrics of scored, labelled samples, each with a 95 % interval.

    Parameters
    ----------
    y, scores, groups : (n_samples,); scores in [0, 1]. Groups are drawn together, with replacement, 1000 times;
        percentiles.
    threshold : a score at or above it counts as fake.

    Raises
    ------
    ValueError : one of the classes is missing.

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
    intervals = zip(METRICS, estimates[0].tolist(), low.tolist(), high.tolist(), strict=True)
    measured: dict[str, Any] = {
        name: Estimate(*interval) if n_real >= REALS_NEEDED.get(name, 0) else None for name, *interval in intervals
    }
    return Metrics(
        n_real, int(np.sum(y == FAKE)), len(np.unique(groups)), threshold, float(best[0]), confusion, **measured
    )


def resamples(y: np.ndarray, groups: np.ndarray, seed: int, n: int = N_RESAMPLES) -> Iterator[np.ndarray]:
    """Blocks of rows (n_rows, n_samples): how often each sample is in a bootstrap of whole groups.

    Resamples without both classes say nothing about a detector and are drawn again.
    """
    rng = np.random.default_rng(seed)
    names, number = np.unique(groups, return_inverse=True)
    n_rows = max(1, min(n, RESAMPLES_AT_ONCE // max(len(y), len(names))))
    done = 0
    while done < n:
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_rows)[:, number]
        has_both = np.all([(drawn[:, y == label] > 0).any(axis=1) for label in np.unique(y)], axis=0)
        block = drawn[has_both][: n - done]
        done += len(block)
        if len(block):
            yield block.astype(np.float64)


def bootstrap_interval(
    statistic: Callable[[np.ndarray], np.ndarray], y: np.ndarray, groups: np.ndarray, seed: int
) -> list[float]:
    """95 % percentile interval, [low, high], of `statistic(weights)`, (n_rows, n_samples) -> (n_rows,)."""
    values = np.concatenate([statistic(weights) for weights in resamples(y, groups, seed)])
    return [float(v) for v in np.percentile(values, [2.5, 97.5])]


def predictive_values(
    confusion: Confusion, n_real: int, n_fake: int, prevalence: float, *, seed: int = 0
) -> PredictiveValues:
    """What a verdict is worth where a share `prevalence` of the images is fake.

    Parameters
    ----------
    confusion : true class -> called class -> count of the images with a verdict.
    n_real, n_fake : images of each class, with or without a verdict.

    Notes
    -----
    The rates are drawn from Jeffreys' posterior, so that no error among few images is not taken for none among all; the
    estimates are the medians.
    """
    rng = np.random.default_rng(seed)

    def rate(true: str, called: str, n: int) -> np.ndarray:
        hits = confusion[true][called]
        return rng.beta(hits + 0.5, n - hits + 0.5, 100_000)

    reals = {called: (1 - prevalence) * rate("real", called, n_real) for called in ("fake", "real")}
    fakes = {called: prevalence * rate("fake", called, n_fake) for called in ("fake", "real")}

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
    """Scored, labelled samples, sorted once, for metrics under any weights of the samples."""

    y: np.ndarray
    scores: np.ndarray

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(-self.scores, kind="stable")

    @cached_property
    def _ends(self) -> np.ndarray:
        """Index of the last of each run of equal scores, in falling order."""
        falling = self.scores[self._order]
        return np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)

    @cached_property
    def thresholds(self) -> np.ndarray:
        """(n_points,) of the ROC curve; the first lies above all scores."""
        falling = self.scores[self._order][self._ends]
        return np.concatenate([[np.nextafter(falling[0], 2)], falling])

    def roc(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """False and true positive rates, (n_rows, n_points), of a score at or above each of `thresholds`."""
        rates = []
        for label in (REAL, FAKE):
            of_class = np.where(self.y == label, weights, 0.0)[:, self._order]
            counts = np.cumsum(of_class, axis=1)[:, self._ends]
            rates.append(np.pad(counts / counts[:, -1:], ((0, 0), (1, 0))))
        return rates[0], rates[1]

    def metrics(self, weights: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """(n_rows, n_metrics) in the order of `METRICS`, and (n_rows,) the oracle's thresholds."""
        fpr, tpr = self.roc(weights)
        n_fake, n_real = (weights[:, self.y == label].sum(axis=1) for label in (FAKE, REAL))
        at = max(0, int(np.sum(self.thresholds >= threshold)) - 1)  # 0: above every score
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
    """(n_rows,) area under the ROC curve, trapezoids: ties count half."""
    return np.asarray((np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1]) / 2).sum(axis=1))


def average_precision(fpr: np.ndarray, tpr: np.ndarray, n_real: np.ndarray, n_fake: np.ndarray) -> np.ndarray:
    """(n_rows,) sum over thresholds of the step in recall times the precision, as scikit-learn defines it."""
    hits, alarms = tpr * n_fake[:, None], fpr * n_real[:, None]
    precision = hits / np.maximum(hits + alarms, 1e-12)
    return np.asarray((np.diff(tpr, axis=1) * precision[:, 1:]).sum(axis=1))


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """(n_rows,) where the two error rates cross, linearly between the points of the ROC curve."""
    gap = (1 - tpr) - fpr  # falls from 1 to -1
    after = np.argmax(gap <= 0, axis=1)
    rows = np.arange(len(fpr))
    before = np.maximum(after - 1, 0)
    step = gap[rows, before] - gap[rows, after]
    weight = np.where(step > 0, gap[rows, before] / np.where(step > 0, step, 1), 1.0)
    return np.asarray(fpr[rows, before] + weight * (fpr[rows, after] - fpr[rows, before]))


def log_odds(scores: np.ndarray) -> np.ndarray:
    """ln(score / (1 - score)), limited to +-`ODDS_LIMIT`."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.log(scores) - np.log1p(-scores), -ODDS_LIMIT, ODDS_LIMIT))


def expected_calibration_error(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n_rows,) sum over `N_BINS` equal bins of the score of |weight of fakes - sum of scores|; weights add up to 1.

    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    in_bin = np.minimum((scores * N_BINS).astype(int), N_BINS - 1)
    excess = weights * (y - scores)
    return np.asarray(np.sum([np.abs(excess[:, in_bin == b].sum(axis=1)) for b in range(N_BINS)], axis=0))


def reliability(y: np.ndarray, scores: np.ndarray) -> list[ReliabilityPoint]:
    """The diagram that `expected_calibration_error` sums up: a point for each bin of the score that holds images."""
    from scipy.stats import beta

    weights = np.where(y == FAKE, 0.5 / np.mean(y == FAKE), 0.5 / np.mean(y == REAL))
    in_bin = np.minimum((scores * N_BINS).astype(int), N_BINS - 1)
    points = []
    for b in np.unique(in_bin):
        here = in_bin == b
        fakes, everything, n = (weights * y)[here].sum(), weights[here].sum(), int(here.sum())
        k = n * fakes / everything
        low, high = beta.ppf([0.025, 0.975], k + 0.5, n - k + 0.5)
        mean_score = float(np.average(scores[here], weights=weights[here]))
        share = float(fakes / everything)
        points.append(ReliabilityPoint(mean_score, share, float(low), float(high), n))
    return points


def cllr(y: np.ndarray, log_ratio: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n_rows,) cost of the log likelihood ratio in bits: 0 is perfect, 1 what a coin's ratio of 1 costs.

    Parameters
    ----------
    log_ratio : (n_samples,) natural logarithm of p(score | fake) / p(score | real).
    weights : (n_rows, n_samples), half of a row's sum on each class.

    Source: Bruemmer and du Preez, "Application-independent evaluation of speaker detection", 2006.
    """
    return np.asarray(weights @ np.logaddexp(0, np.where(y == FAKE, -log_ratio, log_ratio)) / np.log(2))


def cllr_min(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """(n_rows,) `cllr` of the best calibration that keeps the order: pool adjacent violators.

    The likelihood ratios of pooled blocks are the slopes of the convex hull of the ROC curve, which is what the
    algorithm finds; a block with share p of the fakes and q of the reals costs (p log2(1 + q/p) + q log2(1 + p/q)) / 2.
    """
    return np.array([_hull_cost(f, t) for f, t in zip(fpr, tpr, strict=True)])


def _hull_cost(fpr: np.ndarray, tpr: np.ndarray) -> float:
    from scipy.optimize import isotonic_regression

    real, fake = np.diff(fpr), np.diff(tpr)
    kept = real + fake > 0
    real, fake = real[kept], fake[kept]
    share = isotonic_regression(fake / (real + fake), weights=real + fake, increasing=False).x
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -np.where(fake > 0, fake * np.log2(share), 0) - np.where(real > 0, real * np.log2(1 - share), 0)
    return float(bits.sum() / 2)
