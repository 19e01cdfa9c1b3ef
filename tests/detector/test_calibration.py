"""Decision values to probabilities: against the definitions, and on data whose probabilities are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from spectral_detect import FAKE, REAL
from spectral_detect.detector.calibration import Calibration, fit_calibration, sigmoid
from spectral_detect.detector.metric_values import METRICS
from spectral_detect.detector.metrics import Curves


def drawn(n_real: int, n_fake: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and values, normal around -1 and 1: the log likelihood ratio of a value is twice the value."""
    y = np.repeat([REAL, FAKE], [n_real, n_fake])
    return y, np.random.default_rng(seed).normal(size=len(y)) + 2 * y - 1


def estimates(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """The metrics of `evaluate_scores` without their intervals, which take a thousand times as long."""
    columns, _ = Curves(y, scores).metrics(np.ones((1, len(y))), 0.5)
    return dict(zip(METRICS, columns[0].tolist(), strict=True))


def test_the_sigmoid_is_platts() -> None:
    """At the most likely slope and offset both derivatives of the likelihood of his soft targets vanish."""
    y, values = drawn(50, 30)
    fitted = fit_calibration(y, values, np.arange(80))
    target = np.where(y == FAKE, 31 / 32, 1 / 52)
    excess = np.where(y == FAKE, 80 / 60, 80 / 100) * (target - fitted.scores(values))  # each class weighs half
    assert (fitted.kind, fitted.n_real, fitted.n_fake) == ("platt", 50, 30)
    assert fitted.slope > 0
    assert abs(excess.sum()) < 0.01
    assert abs((excess * values).sum()) < 0.01


def test_calibration_needs_ten_groups_of_each_class_and_a_right_order() -> None:
    y, values = drawn(9, 50)
    few = fit_calibration(y, values, np.arange(59))
    assert few.kind == "none"
    assert few.slope == pytest.approx(1 / np.abs(values).mean())
    assert few.log10_likelihood_ratio(0.9) is None
    y, values = drawn(50, 50)
    assert fit_calibration(y, values, np.arange(100) // 10).kind == "none"  # five groups of each class
    assert fit_calibration(y, -values, np.arange(100)).kind == "none"


@pytest.mark.parametrize(("n", "kind", "most"), [(60, "platt", 0.06), (1000, "isotonic", 0.03)])
def test_scores_are_the_known_probabilities_whatever_the_shares_of_the_classes(n: int, kind: str, most: float) -> None:
    for n_fake in (n, 3 * n):
        y, values = drawn(n, n_fake)
        fitted = fit_calibration(y, values, np.arange(len(y)))
        new_y, new = drawn(20_000, 20_000, seed=1)
        assert fitted.kind == kind
        assert np.mean(np.abs(fitted.scores(new) - sigmoid(2 * new))) < most
        measured = estimates(new_y, fitted.scores(new))
        assert measured["ece"] < most
        assert measured["cllr"] - measured["cllr_min"] < most


def test_isotonic_knots_are_the_pooled_blocks_and_keep_the_order() -> None:
    y, values = drawn(600, 600)
    fitted = fit_calibration(y, values, np.arange(1200))
    pooled = IsotonicRegression().fit(values, y).predict(fitted.values)
    np.testing.assert_allclose(sigmoid(fitted.log_odds), pooled, atol=0.08)
    grid = np.linspace(-9, 9, 1000)  # far beyond the knots as well
    assert (np.diff(fitted.scores(grid)) > 0).all()


def test_a_ratio_is_no_stronger_than_its_images() -> None:
    calibration = Calibration("platt", n_real=99, n_fake=9)
    assert calibration.log10_likelihood_ratio(1.0) == pytest.approx(2)
    assert calibration.log10_likelihood_ratio(0.0) == pytest.approx(-1)
    assert calibration.log10_likelihood_ratio(0.5) == pytest.approx(0)
    assert calibration.log10_likelihood_ratio(10 / 11) == pytest.approx(1)


@given(st.floats(-1e300, 1e300))
def test_any_decision_value_gives_a_score(value: float) -> None:
    for calibration in (Calibration(), Calibration(values=np.array([-1.0, 2.0]), log_odds=np.array([-3.0, 1.0]))):
        (score,) = calibration.scores(np.array([value]))
        assert 0 <= score <= 1


def test_sigmoid_of_anything_finite_is_finite() -> None:
    assert sigmoid(np.array([-1e308, -50.0, 0.0, 50.0, 1e308])).tolist() == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-12)
