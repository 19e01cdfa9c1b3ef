"""Evaluation numbers on cases that can be worked out by hand, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_detect.metrics import METRICS, bootstrap_interval, evaluate_scores


def test_four_scores_by_hand() -> None:
    y = np.array([0, 0, 1, 1])
    result = evaluate_scores(y, np.array([0.1, 0.6, 0.4, 0.9]), 0.5, np.arange(4))
    assert result["confusion"] == {"real": {"real": 1, "fake": 1}, "fake": {"real": 1, "fake": 1}}
    assert result["accuracy"] == result["balanced_accuracy"] == 0.5
    assert result["auroc"] == 0.75
    assert result["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert result["eer"] == 0.5
    assert result["tpr_at_fpr_5"] == 0.5
    assert (result["n_real"], result["n_fake"], result["n_groups"], result["threshold"]) == (2, 2, 4, 0.5)


def test_a_score_at_the_threshold_is_fake() -> None:
    result = evaluate_scores(np.array([0, 1]), np.array([0.5, 0.5]), 0.5, np.arange(2))
    assert result["confusion"]["real"] == {"real": 0, "fake": 1}
    assert result["confusion"]["fake"] == {"real": 0, "fake": 1}


def test_perfect_and_useless_scores() -> None:
    y = np.repeat([0, 1], 50)
    perfect = evaluate_scores(y, y.astype(float), 0.5, np.arange(100))
    assert [perfect[m] for m in METRICS] == [1, 1, 1, 1, 0, 1]
    assert all(perfect[f"{m}_ci"] == [perfect[m]] * 2 for m in METRICS)
    useless = evaluate_scores(y, np.ones(100), 0.5, np.arange(100))
    assert useless["auroc"] == useless["eer"] == useless["balanced_accuracy"] == 0.5
    assert useless["tpr_at_fpr_5"] == 0


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**16))
def test_intervals_hold_their_estimates_and_the_equal_error_rate_lies_on_the_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], 40))
    scores = rng.normal(size=80) + y
    result = evaluate_scores(y, scores, 0.5, np.arange(80))
    for name in METRICS:
        low, high = result[f"{name}_ci"]
        assert 0 <= low <= result[name] <= high <= 1
    errors = np.array([[np.mean(scores[y == 0] >= t), np.mean(scores[y == 1] < t)] for t in [*scores, np.inf]])
    assert errors.min(axis=1).max() - 1e-9 <= result["eer"] <= errors.max(axis=1).min() + 1e-9


def test_groups_are_drawn_together() -> None:
    """Ten copies of each sample say no more than one: the interval stays as wide as that of the originals."""
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], 30)
    right = rng.random(60) < 0.7
    copies = np.repeat(np.arange(60), 10)

    def width(groups: np.ndarray) -> float:
        low, high = bootstrap_interval(lambda at: np.array([right[copies[at]].mean()]), y[copies], groups, 0)
        return float(high[0] - low[0])

    assert width(copies) == pytest.approx(4 * np.sqrt(0.7 * 0.3 / 60), rel=0.25)
    assert width(np.arange(600)) < 0.5 * width(copies)


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(2)
    y, scores = np.repeat([0, 1], 20), rng.random(40)
    first, again, other = (evaluate_scores(y, scores, 0.5, np.arange(40), seed=s) for s in (1, 1, 2))
    assert first == again
    assert first["auroc_ci"] != other["auroc_ci"]


def test_one_class_is_no_evaluation() -> None:
    with pytest.raises(ValueError, match="needs real and fake"):
        evaluate_scores(np.zeros(5, int), np.ones(5), 0.5, np.arange(5))
