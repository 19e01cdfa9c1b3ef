"""Thresholds of equal errors, and of a rate of false alarms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import MODELS
from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, REAL, load_model, save_model, train_model
from spectral_detect.errors import DatasetError
from spectral_detect.records import ABOVE_ALL, BELOW_ALL
from spectral_detect.scanning.doubts import called
from spectral_detect.training.thresholds import equal_error_threshold, false_alarm_threshold, undecided_range
from spectral_detect.training.track_records import verdicts_of


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
        threshold, rate = false_alarm_threshold(rng.random(n), np.arange(n), target)
        rates.append(1 - threshold)  # of scores spread evenly over 0 to 1
        inside.append(rate.interval[0] <= rates[-1] <= rate.interval[1])
    assert rate.expected <= target
    assert np.mean(rates) == pytest.approx(rate.expected, rel=0.15)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


def test_a_rate_too_low_for_the_reals_names_the_number_needed() -> None:
    for target, needed in ((0.05, 19), (0.01, 99), (0.001, 999)):
        false_alarm_threshold(np.linspace(0, 1, needed), np.arange(needed), target)
        with pytest.raises(
            DatasetError, match=f"needs at least {needed} independent real images; there are {needed - 1}"
        ):
            false_alarm_threshold(np.linspace(0, 1, needed - 1), np.arange(needed - 1), target)
    with pytest.raises(DatasetError, match="need labelled images in at least two groups"):
        train_model(gaussian_data(labelled=False), SPEC, "kmeans", target_fpr=0.1)


@pytest.mark.parametrize("sizes", [[300, *[1] * 19], [1] * 19 + [40], [10] * 20, [1, 2, 3, 4] * 5])
def test_groups_of_any_size_keep_the_promise_of_a_false_alarm_threshold(sizes: list[int]) -> None:
    """Cameras differ from one another more than the images of one: a long video is no more than one of them."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    elsewhere = rng.normal(size=4000) + rng.normal(size=4000)  # a score of an image of a new camera each
    rates = []
    for _ in range(400):
        scores = rng.normal(size=len(sizes))[groups] + rng.normal(size=len(groups))
        threshold, rate = false_alarm_threshold(scores, groups, 0.1)
        rates.append(np.mean(elsewhere >= threshold))
        assert rate.expected <= 0.1
    assert np.mean(rates) <= 0.105


def test_a_score_of_one_may_lie_below_the_threshold() -> None:
    assert false_alarm_threshold(np.ones(19), np.arange(19), 0.05)[0] > 1


def test_undecided_scores_lie_between_those_that_err_too_often() -> None:
    y = np.repeat([REAL, FAKE], 100)
    scores = np.concatenate([np.linspace(0, 0.8, 100), np.linspace(0.2, 1, 100)])
    (low, high), (of_reals, of_fakes) = undecided_range(y, scores, np.arange(200), (0.02, 0.1), 0.5)
    assert np.sum(scores[y == REAL] >= high) == 1  # (1 + 1) / (100 + 1) is the most below 2 %
    assert np.sum(scores[y == FAKE] <= low) == 9
    assert (of_reals.expected, of_fakes.expected) == (pytest.approx(2 / 101), pytest.approx(10 / 101))
    apart, _ = undecided_range(y, np.where(y == FAKE, 0.9, 0.1), np.arange(200), (0.02, 0.1), 0.5)
    assert apart == (0.5, 0.5)  # every score decides, by the threshold


@pytest.mark.parametrize("errors", [(0.01, 0.1), (0.1, 0.01), (0.2, 0.01)])
def test_scores_that_hardly_overlap_keep_the_promised_rates_too(errors: tuple[float, float]) -> None:
    """Both kinds of errors are rarer than asked for at some score, but not at the threshold of equal errors."""
    rng = np.random.default_rng(1)
    y = np.repeat([REAL, FAKE], 2000)
    scores = 1 / (1 + np.exp(-rng.normal(np.where(y == FAKE, 2, -2))))
    threshold = equal_error_threshold(y, scores)
    (low, high), _ = undecided_range(y, scores, np.arange(4000), errors, threshold)
    assert low <= threshold <= high
    assert np.mean(scores[y == REAL] >= high) <= errors[0]
    assert np.mean(scores[y == FAKE] <= low) <= errors[1]


def test_limits_that_no_score_reaches_are_kept(tmp_path: Path) -> None:
    """Where a camera image scores 1 and a fake one 0, neither score decides: not in a scan, nor in the track record."""
    y, scores = np.repeat([REAL, FAKE], 10), np.repeat([0.2, 0.8], 10)
    scores[[0, 10]] = 1, 0
    undecided, _ = undecided_range(y, scores, np.arange(20), (0.05, 0.05), 0.5)
    assert undecided == (BELOW_ALL, ABOVE_ALL)
    assert verdicts_of(scores, undecided).tolist() == 20 * [-1]
    assert {called(score, 0.5, undecided) for score in scores.tolist()} == {"inconclusive"}
    model = replace(load_model(MODELS / "photographs.pkl"), undecided=undecided)
    save_model(model, tmp_path / "m.pkl")
    assert load_model(tmp_path / "m.pkl").undecided == undecided


@pytest.mark.parametrize("n", [10, 20, 60])
def test_few_groups_support_no_small_rate_of_wrong_verdicts_and_it_is_said(n: int) -> None:
    rng, rates = np.random.default_rng(0), []
    y = np.repeat([REAL, FAKE], n)
    for _ in range(400):
        scores = np.concatenate([rng.random(n) * 0.8, 0.2 + rng.random(n) * 0.8])
        (_, high), (of_reals, _) = undecided_range(y, scores, np.arange(2 * n), (0.02, 0.1), 0.5)
        rates.append(max(0.0, 1 - high / 0.8))
    assert of_reals.expected == pytest.approx(1 / (n + 1))
    assert np.mean(rates) == pytest.approx(of_reals.expected, rel=0.2)


@pytest.mark.parametrize("threshold", [0.05, 0.95])
def test_the_undecided_range_holds_the_threshold(threshold: float) -> None:
    y = np.repeat([REAL, FAKE], 100)
    scores = np.concatenate([np.linspace(0, 0.8, 100), np.linspace(0.2, 1, 100)])
    (low, high), _ = undecided_range(y, scores, np.arange(200), (0.1, 0.1), threshold)
    assert low < threshold <= high


def test_a_large_group_moves_the_undecided_range_as_little_as_a_small_one() -> None:
    y = np.repeat([REAL, FAKE], [102, 3])
    scores = np.concatenate([np.full(100, 0.5), [0.7, 0.9], [0.2, 0.95, 0.99]])
    groups = np.concatenate([np.zeros(100), [1, 2], [3, 4, 5]])
    (_, high), _ = undecided_range(y, scores, groups, (0.5, 0.25), 0.6)
    assert high == pytest.approx(0.7)  # one of three cameras scores more
