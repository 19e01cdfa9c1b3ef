"""Turn decision values into probabilities, by a map fitted on images that the classifier had not seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from spectral_detect.records import FAKE, REAL
from spectral_detect.text import short_repr

CalibrationKind = Literal["none", "platt", "isotonic"]
MIN_FOR_PLATT = 10  # groups of each class; with fewer a fitted sigmoid is noise
MIN_FOR_ISOTONIC = 500  # groups of each class; with fewer, says scikit-learn's guide, isotonic regression overfits


@dataclass(frozen=True, eq=False)
class Calibration:
    """Hold the log odds of fake, where both classes are equally frequent, as straight pieces through knots.

    Attributes
    ----------
    kind : {"none", "platt", "isotonic"}
        "none" is a fixed map, for too few images to fit one: its scores rank images and mean no more.
    slope : float
        Slope before the first knot and after the last, per unit of the decision value; > 0.
    n_real, n_fake : int
        Independent images that it was fitted on.
    values, log_odds : (n_knots,) array
        Rising; a sigmoid (Platt) has one knot.
    """

    kind: CalibrationKind = "none"
    slope: float = 1.0
    n_real: int = 0
    n_fake: int = 0
    values: np.ndarray = field(default_factory=lambda: np.zeros(1))
    log_odds: np.ndarray = field(default_factory=lambda: np.zeros(1))
    __repr__ = short_repr

    def scores(self, decision_values: np.ndarray) -> np.ndarray:
        """Return (n,) scores in [0, 1], the probability of fake at equal shares of both classes."""
        inside = np.interp(decision_values, self.values, self.log_odds)
        beyond = decision_values - np.clip(decision_values, self.values[0], self.values[-1])
        return sigmoid(inside + self.slope * beyond)

    def log10_likelihood_ratio(self, score: float) -> float | None:
        """Return the decimal logarithm of p(image | fake) / p(image | real); None without a fitted calibration.

        It is no stronger than its images support: n reals without a false alarm do not show a rate below about 1 / (n +
        1).

        References
        ----------
        Vergeer et al., "Numerical likelihood ratios outputted by LR systems are often based on extrapolation", Science
        & Justice 56 (2016).
        """
        if self.kind == "none":
            return None
        with np.errstate(divide="ignore"):
            ratio = (np.log(score) - np.log1p(-score)) / np.log(10)
        return float(np.clip(ratio, -np.log10(self.n_fake + 1), np.log10(self.n_real + 1)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


def fixed_calibration(decision_values: np.ndarray) -> Calibration:
    """Return a sigmoid whose slope is 1 / (mean |decision value|)."""
    return Calibration(slope=1.0 / max(float(np.mean(np.abs(decision_values))), 1e-12))


def fit_calibration(y: np.ndarray, decision_values: np.ndarray, groups: np.ndarray) -> Calibration:
    """Fit a calibration to out-of-fold decision values; each class has half of the weight.

    Platt's sigmoid, with his smoothed targets, from `MIN_FOR_PLATT` groups of each class on; isotonic regression from
    `MIN_FOR_ISOTONIC` on; a fixed sigmoid with fewer, or if the values do not rank better than chance.

    Parameters
    ----------
    y, decision_values, groups : (n_samples,) array
        Label, raw margin and group of each sample.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999; Zadrozny and Elkan, "Transforming classifier
    scores into accurate multiclass probability estimates", KDD 2002; Oron and Flournoy, "Centered isotonic regression",
    2017 (a block counts at its mean, with straight lines between, so that the order is kept).
    """
    n_real, n_fake = (len(np.unique(groups[y == label])) for label in (REAL, FAKE))
    if min(n_real, n_fake) < MIN_FOR_PLATT:
        return fixed_calibration(decision_values)
    slope, offset = _fit_platt(y, decision_values)
    if slope <= 0:
        return fixed_calibration(decision_values)
    if min(n_real, n_fake) < MIN_FOR_ISOTONIC:
        return Calibration("platt", slope, n_real, n_fake, np.zeros(1), np.array([offset]))
    return Calibration("isotonic", slope, n_real, n_fake, *_fit_isotonic(y, decision_values))


def class_weights(y: np.ndarray) -> np.ndarray:
    """Return (n,) weights, half of their mean on each class."""
    return np.asarray(np.where(y == FAKE, 0.5 / np.mean(y == FAKE), 0.5 / np.mean(y == REAL)))


def _fit_platt(y: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of Platt's sigmoid."""
    from sklearn.linear_model import LogisticRegression

    unit = 1.0 / max(float(np.mean(np.abs(values))), 1e-12)
    n_real, n_fake = np.sum(y == REAL), np.sum(y == FAKE)
    target = np.where(y == FAKE, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))
    # a soft target is a sample of each class with the target and its complement as weights
    platt = LogisticRegression(C=np.inf, max_iter=10_000).fit(
        np.tile(values * unit, 2)[:, None],
        np.repeat([FAKE, REAL], len(target)),
        sample_weight=np.tile(class_weights(y), 2) * np.concatenate([target, 1 - target]),
    )
    return float(platt.coef_[0, 0]) * unit, float(platt.intercept_[0])


def _fit_isotonic(y: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the knots: mean value and log likelihood ratio of each block, half an image added to either class."""
    from sklearn.isotonic import IsotonicRegression

    share = IsotonicRegression().fit_transform(values, y, sample_weight=class_weights(y))
    _, block = np.unique(share, return_inverse=True)
    fakes, reals = (np.bincount(block, y == label) for label in (FAKE, REAL))
    ratio = np.log((fakes + 0.5) / (np.sum(y == FAKE) + 0.5)) - np.log((reals + 0.5) / (np.sum(y == REAL) + 0.5))
    ratio = IsotonicRegression().fit_transform(np.arange(len(ratio)), ratio, sample_weight=fakes + reals)
    log_odds, knot = np.unique(ratio, return_inverse=True)  # blocks of one ratio are one knot
    centres = np.bincount(knot[block], values) / np.bincount(knot[block])
    return centres, log_odds
