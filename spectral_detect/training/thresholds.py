"""Choose the threshold of a model from scores of samples that it did not see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta
from sklearn.metrics import roc_curve

from spectral_detect.errors import DatasetError
from spectral_detect.records import FAKE, REAL


@dataclass(frozen=True)
class FalseAlarmRate:
    """The rate of false alarms to be expected at a threshold.

    Attributes
    ----------
    target : float
        The rate that was asked for.
    expected : float
        Its mean over new reals.
    interval : tuple of float
        95 % interval, low and high.
    n_real : int
        Independent reals, groups, that the threshold was chosen on.
    """

    target: float
    expected: float
    interval: tuple[float, float]
    n_real: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a model file."""
        return {**vars(self), "interval": list(self.interval)}


def equal_error_threshold(y: np.ndarray, scores: np.ndarray) -> float:
    """Return the threshold at which the rates of misses and of false alarms are nearest; midway between two scores."""
    false_alarms, hits, thresholds = roc_curve(y, scores, drop_intermediate=False)
    best = int(np.argmin(np.abs(false_alarms - (1 - hits))))
    if best == 0:
        return float(np.nextafter(scores.max(), 2.0))
    below = scores[scores < thresholds[best]]
    return float((thresholds[best] + below.max()) / 2 if len(below) else thresholds[best])


def false_alarm_threshold(scores: np.ndarray, n_independent: int, target: float) -> tuple[float, FalseAlarmRate]:
    """Return the threshold at which no more than `target` of the reals are expected to be called fake.

    Parameters
    ----------
    scores : np.ndarray
        (n_reals,) out of fold.
    n_independent : int
        Number of groups among the reals.
    target : float
        Rate of false alarms, above 0.

    Returns
    -------
    threshold : float
    rate : FalseAlarmRate
        The rate to be expected there.

    Raises
    ------
    DatasetError
        There are fewer than 1 / target - 1 groups of reals.

    Notes
    -----
    With k = floor(target (n + 1)), the rate of scores above the k-th largest of n exchangeable reals is distributed as
    Beta(k, n + 1 - k), whose mean is k / (n + 1): split conformal prediction; Vovk, "Conditional validity of inductive
    conformal predictors", 2012, proposition 2a.
    """
    n = n_independent
    k = int(target * (n + 1) + 1e-9)
    if k < 1:
        needed = math.ceil(1 / target - 1e-9) - 1
        raise DatasetError(
            f"a false alarm rate of {target:g} needs at least {needed} independent real images; there are {n}"
        )
    rank = max(1, k * len(scores) // n)
    threshold = float(np.nextafter(np.sort(scores)[-rank], 2.0))
    low, high = beta.ppf([0.025, 0.975], k, n + 1 - k)
    return threshold, FalseAlarmRate(target, k / (n + 1), (float(low), float(high)), n)


def undecided_range(
    y: np.ndarray, scores: np.ndarray, groups: np.ndarray, errors: tuple[float, float]
) -> tuple[float, float]:
    """Return the scores between which a model shall not decide; both ends are alike if it may always.

    Parameters
    ----------
    y, scores, groups : (n,) arrays
        Class, score out of fold, and group of each sample; each group of a class counts alike.
    errors : (float, float)
        Share of the reals that may score above the upper end, and of the fakes that may score below the lower.
    """
    high = 1 - _weighted_quantile(1 - scores[y == REAL], groups[y == REAL], errors[0])
    low = _weighted_quantile(scores[y == FAKE], groups[y == FAKE], errors[1])
    return (low, high) if low < high else ((low + high) / 2,) * 2


def _weighted_quantile(values: np.ndarray, groups: np.ndarray, share: float) -> float:
    """Return the value below which this share of the groups' samples lies, each group counting alike."""
    _, of_value, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(values)
    below = np.cumsum(1 / counts[of_value][order]) / len(counts)
    return float(values[order][np.searchsorted(below, share)])
