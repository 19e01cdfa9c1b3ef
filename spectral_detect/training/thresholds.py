"""Choose the threshold of a model from scores of samples that it did not see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta
from sklearn.metrics import roc_curve

from spectral_detect.errors import DatasetError


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
