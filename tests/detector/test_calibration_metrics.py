"""Scores as probabilities: on data whose probabilities are known, and intervals against their definition."""

from __future__ import annotations

import numpy as np
import pytest

from spectral_detect.detector.calibration_metrics import log_odds, reliability
from spectral_detect.detector.metric_values import METRICS
from spectral_detect.detector.metrics import Curves


def estimates(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """The metrics of `evaluate_scores` without their intervals, which take a thousand times as long."""
    columns, _ = Curves(y, scores).metrics(np.ones((1, len(y))), 0.5)
    return dict(zip(METRICS, columns[0].tolist(), strict=True))


def test_calibrated_scores_have_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    y = (rng.random(20_000) < scores).astype(int)
    good = estimates(y, scores)
    assert good["ece"] < 0.02
    assert good["cllr"] - good["cllr_min"] < 0.01
    sure = estimates(y, 1 / (1 + np.exp(-3 * log_odds(scores))))
    assert sure["auroc"] == pytest.approx(good["auroc"])
    assert sure["ece"] > 0.1
    assert sure["cllr_min"] == pytest.approx(good["cllr_min"])
    assert sure["cllr"] > good["cllr"] + 0.1


@pytest.mark.parametrize(("n_reals", "n_fakes"), [(6, 0), (5, 1), (3, 3), (1, 4), (0, 2)])
def test_the_interval_of_a_bin_is_jeffreys(n_reals: int, n_fakes: int) -> None:
    """Its ends leave 2.5 % of the posterior on either side; the prior of a share p is flat in t where p = sin(t)^2."""
    n_of_class = 20
    y = np.repeat([0, 1], n_of_class)
    scores = np.where(y == 1, 0.95, 0.05)
    scores[:n_reals] = scores[n_of_class : n_of_class + n_fakes] = 0.45
    (point,) = [p for p in reliability(y, scores, np.arange(len(y))) if p.mean_score == pytest.approx(0.45)]
    share = np.sin((np.arange(100_000) + 0.5) / 100_000 * np.pi / 2) ** 2
    posterior = share**n_fakes * (1 - share) ** n_reals
    posterior /= posterior.sum()
    assert point.n == n_reals + n_fakes
    assert point.fake_share == pytest.approx(n_fakes / point.n)
    # the grid's step is 1e-5 of its length; a prior flat in the share would miss by 0.003 to 0.15
    assert posterior[share <= point.low].sum() == pytest.approx(0.025, abs=1e-4)
    assert posterior[share >= point.high].sum() == pytest.approx(0.025, abs=1e-4)
