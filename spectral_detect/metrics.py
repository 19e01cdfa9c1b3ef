"""The numbers of an evaluation, with intervals by a bootstrap over groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spectral_detect.records import FAKE, REAL

N_RESAMPLES = 1000
METRICS = ("accuracy", "balanced_accuracy", "average_precision", "auroc", "eer", "tpr_at_fpr_5")


def evaluate_scores(
    y: np.ndarray, scores: np.ndarray, threshold: float, groups: np.ndarray, *, seed: int = 0
) -> dict[str, Any]:
    """All metrics of scored, labelled samples, each with a 95 % interval.

    Parameters
    ----------
    y, scores, groups : (n_samples,). Groups are drawn together, with replacement, 1000 times; percentiles.
    threshold : a score at or above it counts as fake.

    Returns
    -------
    `n_real`, `n_fake`, `n_groups`, `threshold`, `confusion` (true class -> called class -> count), each of `METRICS`
    and `<metric>_ci` as [low, high].

    Raises
    ------
    ValueError : one of the classes is missing.
    """
    if len(np.unique(y)) < 2:
        raise ValueError("an evaluation needs real and fake images")
    called = np.where(scores >= threshold, FAKE, REAL)
    names = {"real": REAL, "fake": FAKE}
    confusion = {
        true: {name: int(np.sum((y == a) & (called == b))) for name, b in names.items()} for true, a in names.items()
    }
    result: dict[str, Any] = {
        "n_real": int(np.sum(y == REAL)),
        "n_fake": int(np.sum(y == FAKE)),
        "n_groups": len(np.unique(groups)),
        "threshold": threshold,
        "confusion": confusion,
    }
    estimates = _all_metrics(y, scores, threshold)
    low, high = bootstrap_interval(lambda at: _all_metrics(y[at], scores[at], threshold), y, groups, seed)
    for k, name in enumerate(METRICS):
        result |= {name: float(estimates[k]), f"{name}_ci": [float(low[k]), float(high[k])]}
    return result


def bootstrap_interval(
    statistics: Callable[[np.ndarray], np.ndarray], y: np.ndarray, groups: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile interval of `statistics(indices)` over resamples of whole groups.

    Resamples without both classes say nothing about a detector and are drawn again.
    """
    rng = np.random.default_rng(seed)
    names, number = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    drawn: list[np.ndarray] = []
    while len(drawn) < N_RESAMPLES:
        at = np.concatenate([members[g] for g in rng.integers(len(names), size=len(names))])
        if len(np.unique(y[at])) == 2:
            drawn.append(statistics(at))
    low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    return low, high


def _all_metrics(y: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    from sklearn.metrics import auc, average_precision_score, roc_curve

    called_fake = scores >= threshold
    real_right, fake_right = np.mean(~called_fake[y == REAL]), np.mean(called_fake[y == FAKE])
    fpr, tpr, _ = roc_curve(y, scores, drop_intermediate=False)
    return np.array(
        [
            np.mean(called_fake == (y == FAKE)),
            (real_right + fake_right) / 2,
            average_precision_score(y, scores),
            auc(fpr, tpr),
            _equal_error_rate(fpr, 1 - tpr),
            tpr[fpr <= 0.05].max(),
        ]
    )


def _equal_error_rate(fpr: np.ndarray, fnr: np.ndarray) -> float:
    """Where the two error rates cross, linearly between the points of the ROC curve."""
    after = int(np.argmax(fpr >= fnr))
    if after == 0:
        return float(fpr[0])
    gap = (fnr - fpr)[[after - 1, after]]
    weight = gap[0] / (gap[0] - gap[1])
    return float(fpr[after - 1] + weight * (fpr[after] - fpr[after - 1]))
