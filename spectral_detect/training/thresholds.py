"""Choose the threshold of a model from scores of samples that it did not see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.errors import DatasetError
from spectral_detect.records import FAKE, REAL

TINY = 1e-9  # what rounding may take from a product


@dataclass(frozen=True)
class ErrorRate:
    """The rate of errors of one class to be expected at a threshold.

    Attributes
    ----------
    target : float
        The rate that was asked for.
    expected : float
        Its mean over new groups of images; above the target if the groups are too few to support that.
    interval : tuple of float
        95 % interval, low and high.
    n_groups : int
        Independent groups that the threshold was chosen on.
    """

    target: float
    expected: float
    interval: tuple[float, float]
    n_groups: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a model file."""
        return {**vars(self), "interval": list(self.interval)}


def equal_error_threshold(y: np.ndarray, scores: np.ndarray) -> float:
    """Return the threshold at which the rates of misses and of false alarms are nearest; midway between two scores."""
    from sklearn.metrics import roc_curve

    false_alarms, hits, thresholds = roc_curve(y, scores, drop_intermediate=False)
    best = int(np.argmin(np.abs(false_alarms - (1 - hits))))
    if best == 0:
        return float(np.nextafter(scores.max(), 2.0))
    below = scores[scores < thresholds[best]]
    return float((thresholds[best] + below.max()) / 2 if len(below) else thresholds[best])


def false_alarm_threshold(scores: np.ndarray, groups: np.ndarray, target: float) -> tuple[float, ErrorRate]:
    """Return the threshold at which no more than `target` of the reals are expected to be called fake.

    Parameters
    ----------
    scores, groups : (n_reals,) arrays
        Score out of fold, and group; the groups count alike, and a sample as its share of its group.
    target : float
        Rate of false alarms, above 0.

    Returns
    -------
    threshold : float
        Above 1 if no score calls so few fake.
    rate : ErrorRate
        The rate to be expected there.

    Raises
    ------
    DatasetError
        There are fewer than 1 / target - 1 groups of reals.
    """
    n = len(np.unique(groups))
    if _supported(target, n) < 0:
        needed = math.ceil(1 / target - TINY) - 1
        raise DatasetError(
            f"a false alarm rate of {target:g} needs at least {needed} independent real images; there are {n}"
        )
    return _rarely_reached(scores, groups, target)


def undecided_range(
    y: np.ndarray, scores: np.ndarray, groups: np.ndarray, errors: tuple[float, float], threshold: float
) -> tuple[tuple[float, float], tuple[ErrorRate, ErrorRate]]:
    """Return the scores between which a model shall not decide, and the rates of errors to be expected then.

    Parameters
    ----------
    y, scores, groups : (n,) arrays
        Class, score out of fold, and group of each sample; each group of a class counts alike.
    errors : (float, float)
        Share of the reals that may score above the upper end, and of the fakes that may score below the lower. Too few
        groups support no share so small: then the ends lie beyond all of these scores.
    threshold : float
        The model's; the range holds it. Where every score may decide, both ends are this.

    Notes
    -----
    An end may lie just beyond the scores, at `BELOW_ALL` or `ABOVE_ALL`: then none decides for that class.
    """
    reals, fakes = y == REAL, y == FAKE
    high, of_reals = _rarely_reached(scores[reals], groups[reals], errors[0])
    negative, of_fakes = _rarely_reached(-scores[fakes], groups[fakes], errors[1])
    low = -negative
    below = float(np.nextafter(threshold, -math.inf))  # a score at the threshold itself is called fake
    lie_apart = high <= threshold <= low
    ends = (threshold, threshold) if lie_apart else (min(low, below), max(high, threshold))
    return ends, (of_reals, of_fakes)


def _supported(share: float, n_groups: int) -> float:
    """Return how many of n groups may lie above a threshold that new ones are to exceed at this rate."""
    return share * (n_groups + 1) - 1 + TINY


def _rarely_reached(scores: np.ndarray, groups: np.ndarray, share: float) -> tuple[float, ErrorRate]:
    """Return the least threshold that new samples of new groups reach at this rate at most, or one above all.

    Notes
    -----
    Groups are exchangeable, and so are the samples of one. If m of n groups reach the threshold (a group of which a
    third does counts as a third), a new sample does at a rate of at most (m + 1) / (n + 1): Lee, Barber and Willett,
    "Distribution-free inference with hierarchical data", 2023, theorem 1. Where each group is one sample, the rate is
    distributed as Beta(m + 1, n - m) over such sets: Vovk, "Conditional validity of inductive conformal predictors",
    2012, proposition 2a. The rates of larger groups vary less.
    """
    from scipy.special import betaincinv

    _, of_score, counts = np.unique(groups, return_inverse=True, return_counts=True)
    n, order = len(counts), np.argsort(-scores, kind="stable")
    reaching = np.cumsum(1 / counts[of_score[order]])
    first_too_many = int(np.argmax(reaching > max(0.0, _supported(share, n))))
    threshold = float(np.nextafter(scores[order[first_too_many]], math.inf))
    m = float(np.sum(1 / counts[of_score[scores >= threshold]]))
    low, high = betaincinv(m + 1, n - m, [0.025, 0.975])
    return threshold, ErrorRate(share, (m + 1) / (n + 1), (float(low), float(high)), n)
