"""Measure how well scores serve as probabilities: calibration error, reliability diagram, cost of likelihood ratios.

Metrics are computed for rows of weights of the samples, of which each is one resample of a bootstrap.
"""

from __future__ import annotations

import numpy as np

from spectral_detect.detector.calibration import class_weights
from spectral_detect.detector.metric_values import ReliabilityPoint
from spectral_detect.records import FAKE

N_BINS = 10  # in the reliability diagram
ODDS_LIMIT = 30.0  # natural logarithm; beyond it a double cannot tell a score from 0 or 1
JEFFREYS = 0.5  # both parameters of Jeffreys' prior of a rate, a beta distribution


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Return ln(score / (1 - score)), limited to +-`ODDS_LIMIT`."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.log(scores) - np.log1p(-scores), -ODDS_LIMIT, ODDS_LIMIT))


def expected_calibration_error(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (n_rows,), the sum over `N_BINS` equal bins of the score of |weight of fakes - sum of scores|.

    Parameters
    ----------
    y, scores : (n_samples,) array
        Labels, and scores in [0, 1].
    weights : (n_rows, n_samples) array
        Each row adds up to 1.

    References
    ----------
    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    in_bin = np.minimum((scores * N_BINS).astype(int), N_BINS - 1)
    excess = weights * (y - scores)
    return np.asarray(np.sum([np.abs(excess[:, in_bin == b].sum(axis=1)) for b in range(N_BINS)], axis=0))


def reliability(y: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> list[ReliabilityPoint]:
    """Return the reliability diagram: a point for each bin of the score that holds images.

    `expected_calibration_error` sums it up.

    Parameters
    ----------
    y, scores, groups : (n_samples,) array
        Labels, scores in [0, 1], and groups, of which each counts as one independent image for the interval.

    Returns
    -------
    list of ReliabilityPoint
    """
    from scipy.special import betaincinv

    weights = class_weights(y)
    in_bin = np.minimum((scores * N_BINS).astype(int), N_BINS - 1)
    points = []
    for b in np.unique(in_bin):
        here = in_bin == b
        fakes, everything, n = (weights * y)[here].sum(), weights[here].sum(), int(here.sum())
        n_independent = len(np.unique(groups[here]))
        k = n_independent * fakes / everything
        with np.errstate(divide="ignore"):  # amid SciPy's search, where a bin holds one class
            low, high = betaincinv(k + JEFFREYS, n_independent - k + JEFFREYS, [0.025, 0.975])
        mean_score = float(np.average(scores[here], weights=weights[here]))
        share = float(fakes / everything)
        points.append(ReliabilityPoint(mean_score, share, float(low), float(high), n))
    return points


def cllr(y: np.ndarray, log_ratio: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (n_rows,), the cost of the log likelihood ratio in bits: 0 is perfect, 1 that of a ratio of 1 for all.

    Parameters
    ----------
    y : (n_samples,) array
        Labels.
    log_ratio : (n_samples,) array
        Natural logarithm of p(score | fake) / p(score | real).
    weights : (n_rows, n_samples) array
        Half of a row's sum on each class.

    References
    ----------
    Bruemmer and du Preez, "Application-independent evaluation of speaker detection", 2006.
    """
    return np.asarray(weights @ np.logaddexp(0, np.where(y == FAKE, -log_ratio, log_ratio)) / np.log(2))


def cllr_min(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Return (n_rows,), `cllr` of the best calibration that keeps the order: pool adjacent violators.

    Parameters
    ----------
    fpr, tpr : (n_rows, n_points) array
        Points of ROC curves.

    Notes
    -----
    The likelihood ratios of pooled blocks are the slopes of the convex hull of the ROC curve, which is what the
    algorithm finds; a block with share p of the fakes and q of the reals costs (p log2(1 + q/p) + q log2(1 + p/q)) / 2.
    """
    return np.array([_hull_cost(f, t) for f, t in zip(fpr, tpr, strict=True)])


def _hull_cost(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Return `cllr_min` of one curve."""
    from scipy.optimize import isotonic_regression

    real, fake = np.diff(fpr), np.diff(tpr)
    kept = real + fake > 0
    real, fake = real[kept], fake[kept]
    share = isotonic_regression(fake / (real + fake), weights=real + fake, increasing=False).x
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -np.where(fake > 0, fake * np.log2(share), 0) - np.where(real > 0, real * np.log2(1 - share), 0)
    return float(bits.sum() / 2)
