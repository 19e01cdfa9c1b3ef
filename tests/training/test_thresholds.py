"""Thresholds of equal errors, and of a rate of false alarms."""

from __future__ import annotations

import numpy as np
import pytest

from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, REAL, train_model
from spectral_detect.errors import DatasetError
from spectral_detect.training.thresholds import equal_error_threshold, false_alarm_threshold, undecided_range


@pytest.mark.parametrize("n", [10, 20, 200])
def test_the_equal_error_threshold_balances_the_errors(n: int) -> None:
    rng = np.random.default_rng(n)
    y = np.repeat([REAL, FAKE], n // 2)
    scores = rng.normal(size=n) + y
    called = scores >= equal_error_threshold(y, scores)
    false_alarms, misses = np.mean(called[y == REAL]), np.mean(~called[y == FAKE])
    assert abs(false_alarms - misses) <= 2 / n
    assert equal_error_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.9])) == pytest.approx(0.4)


@pytest.mark.parametrize(("n", "target"), [(19, 0.05), (40, 0.1), (400, 0.05)])
def test_a_false_alarm_threshold_keeps_its_promise(n: int, target: float) -> None:
    """Over many draws of n reals, the rate on new ones has the mean and the interval that are stated."""
    rng = np.random.default_rng(0)
    rates, inside = [], []
    for _ in range(400):
        threshold, rate = false_alarm_threshold(rng.random(n), n, target)
        rates.append(1 - threshold)  # of scores spread evenly over 0 to 1
        inside.append(rate.interval[0] <= rates[-1] <= rate.interval[1])
    assert rate.expected <= target
    assert np.mean(rates) == pytest.approx(rate.expected, rel=0.15)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


def test_a_rate_too_low_for_the_reals_names_the_number_needed() -> None:
    for target, needed in ((0.05, 19), (0.01, 99), (0.001, 999)):
        false_alarm_threshold(np.linspace(0, 1, needed), needed, target)
        with pytest.raises(
            DatasetError, match=f"needs at least {needed} independent real images; there are {needed - 1}"
        ):
            false_alarm_threshold(np.linspace(0, 1, needed - 1), needed - 1, target)
    with pytest.raises(DatasetError, match="need labelled images in at least two groups"):
        train_model(gaussian_data(labelled=False), SPEC, "kmeans", target_fpr=0.1)


def test_undecided_scores_lie_between_those_that_err_too_often() -> None:
    y = np.repeat([REAL, FAKE], 100)
    scores = np.concatenate([np.linspace(0, 0.8, 100), np.linspace(0.2, 1, 100)])
    low, high = undecided_range(y, scores, np.arange(200), (0.02, 0.1))
    assert np.mean(scores[y == REAL] >= high) == pytest.approx(0.02, abs=0.01)
    assert np.mean(scores[y == FAKE] <= low) == pytest.approx(0.1, abs=0.01)
    apart = undecided_range(y, np.where(y == FAKE, 0.9, 0.1), np.arange(200), (0.02, 0.1))
    assert apart[0] == apart[1]


def test_a_large_group_moves_the_undecided_range_as_little_as_a_small_one() -> None:
    y = np.repeat([REAL, FAKE], [101, 2])
    scores = np.concatenate([np.full(100, 0.5), [0.9], [0.2, 0.99]])
    groups = np.concatenate([np.zeros(100), [1], [2, 3]])
    assert undecided_range(y, scores, groups, (0.4, 0.4))[1] == pytest.approx(0.9)  # one of two cameras scores 0.9
