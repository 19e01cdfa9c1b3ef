"""Evaluation numbers on cases that can be worked out by hand, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
)

from spectral_detect.detector.calibration_metrics import cllr, log_odds
from spectral_detect.detector.metric_values import METRICS
from spectral_detect.detector.metrics import (
    REALS_NEEDED,
    Curves,
    evaluate_scores,
    least_auroc,
    predictive_values,
)


def test_four_scores_by_hand() -> None:
    y = np.array([0, 0, 1, 1])
    result = evaluate_scores(y, np.array([0.1, 0.6, 0.4, 0.9]), 0.5, np.arange(4)).to_dict()
    assert result["confusion"] == {"real": {"real": 1, "fake": 1}, "fake": {"real": 1, "fake": 1}}
    assert result["accuracy"] == result["balanced_accuracy"] == 0.5
    assert result["auroc"] == 0.75
    assert result["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert result["eer"] == 0.5
    assert result["real_accuracy"] == result["fake_accuracy"] == 0.5
    assert result["oracle_accuracy"] == 0.75
    assert result["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert result["ece"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)
    assert (result["n_real"], result["n_fake"], result["n_groups"], result["threshold"]) == (2, 2, 4, 0.5)


def test_a_threshold_beyond_all_scores_agrees_with_its_confusion() -> None:
    y, scores = np.repeat([0, 1], [30, 10]), np.linspace(0.1, 0.4, 40)
    none = evaluate_scores(y, scores, 0.5, np.arange(40)).to_dict()
    assert none["confusion"] == {"real": {"real": 30, "fake": 0}, "fake": {"real": 10, "fake": 0}}
    assert (none["accuracy"], none["real_accuracy"], none["fake_accuracy"]) == (0.75, 1.0, 0.0)
    everything = evaluate_scores(y, scores, 0.05, np.arange(40)).to_dict()
    assert (everything["accuracy"], everything["real_accuracy"], everything["fake_accuracy"]) == (0.25, 0.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=12), st.floats(0, 1))
def test_the_accuracy_is_that_of_the_confusion(scores: list[float], threshold: float) -> None:
    y = np.arange(len(scores)) % 2
    columns = Curves(y, np.array(scores)).metrics(np.ones((1, len(y))), threshold)[0][0]
    right = (np.array(scores) >= threshold) == y
    assert columns[METRICS.index("accuracy")] == pytest.approx(np.mean(right))
    assert columns[METRICS.index("fake_accuracy")] == pytest.approx(np.mean(right[y == 1]))


def test_the_least_auroc_puts_few_samples_apart_with_the_probability_that_is_asked_for() -> None:
    """One of each class lie apart with the probability of the AUROC; at 1/2, all orders are equally probable."""
    assert least_auroc(1, 1) == pytest.approx(0.025)
    auroc = least_auroc(3, 4)
    t = auroc / (1 - auroc)
    rng = np.random.default_rng(0)
    lower, upper = rng.random((200_000, 3)), rng.random((200_000, 4)) ** (1 / t)
    assert np.mean(lower.max(axis=1) < upper.min(axis=1)) == pytest.approx(0.025, abs=0.002)


def test_no_error_among_few_groups_is_not_none_among_all() -> None:
    y = np.repeat([0, 1], 12)
    few = evaluate_scores(y, y.astype(float), 0.5, np.repeat(np.arange(8), 3)).to_dict()  # four groups of each class
    assert few["real_accuracy_ci"] == few["balanced_accuracy_ci"] == pytest.approx([0.025**0.25, 1])
    wrong = evaluate_scores(y, 1 - y.astype(float), 0.5, np.arange(24)).to_dict()
    none_right = pytest.approx([0, 1 - 0.025 ** (1 / 12)])  # as far from 0 as no error is from 1
    assert wrong["accuracy_ci"] == wrong["fake_accuracy_ci"] == none_right
    assert wrong["eer"] == 1.0 and wrong["eer_ci"] == pytest.approx([0.025 ** (1 / 12), 1])


def test_a_class_of_one_group_tells_nothing_of_others() -> None:
    rng = np.random.default_rng(0)
    y, groups = np.repeat([0, 1], 40), np.r_[np.zeros(40, int), 1 + np.arange(40)]
    found = evaluate_scores(y, np.clip(0.3 + 0.2 * y + 0.2 * rng.normal(size=80), 0, 1), 0.5, groups)
    assert found.n_fewest_groups == 1
    for name in ("real_accuracy", "balanced_accuracy", "auroc", "ece", "tpr_at_fpr_5"):
        estimate = found.estimates[name]
        assert estimate is not None and (estimate.low, estimate.high) == (0, 1)
    assert found.cllr.high == pytest.approx(cllr(y, np.where(y == 1, -30.0, 30.0), np.full((1, 80), 1 / 80))[0])
    assert 0.3 < found.fake_accuracy.low < found.fake_accuracy.high < 0.9  # of forty groups


def test_a_score_at_the_threshold_is_fake() -> None:
    result = evaluate_scores(np.array([0, 1]), np.array([0.5, 0.5]), 0.5, np.arange(2)).to_dict()
    assert result["confusion"]["real"] == {"real": 0, "fake": 1}
    assert result["confusion"]["fake"] == {"real": 0, "fake": 1}


def test_perfect_and_useless_scores() -> None:
    y = np.repeat([0, 1], 50)
    perfect = evaluate_scores(y, y.astype(float), 0.5, np.arange(100)).to_dict()
    measured = [m for m in METRICS if perfect[m] is not None]
    assert set(METRICS) - set(measured) == {"tpr_at_fpr_1"}
    errors = ("eer", "ece", "brier", "cllr", "cllr_min")
    assert [perfect[m] for m in measured] == pytest.approx([float(m not in errors) for m in measured], abs=1e-9)
    least = 0.025 ** (1 / 50)  # of 50 groups of each class, none of which has an error
    exact = ("ece", "brier", "cllr", "cllr_min")
    assert all(perfect[f"{m}_ci"] == pytest.approx([perfect[m]] * 2, abs=1e-9) for m in exact)
    assert perfect["eer_ci"] == pytest.approx([0, 1 - least])
    rates = (m for m in measured if m not in (*errors, "auroc"))
    assert all(perfect[f"{m}_ci"] == pytest.approx([least, 1]) for m in rates)
    assert perfect["auroc_ci"] == pytest.approx([least_auroc(50, 50), 1])
    useless = evaluate_scores(y, np.ones(100), 0.5, np.arange(100)).to_dict()
    assert useless["auroc"] == useless["eer"] == useless["balanced_accuracy"] == 0.5
    assert useless["tpr_at_fpr_5"] == 0
    assert useless["cllr_min"] == pytest.approx(1)  # bits: what a ratio of 1 costs
    assert useless["ece"] == useless["brier"] == 0.5


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**16))
def test_intervals_hold_their_estimates_and_the_equal_error_rate_lies_on_the_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], 40))
    scores = 1 / (1 + np.exp(-rng.normal(size=80) - y))
    result = evaluate_scores(y, scores, 0.5, np.arange(80)).to_dict()
    for name in set(METRICS) - {"tpr_at_fpr_1"}:
        low, high = result[f"{name}_ci"]
        assert 0 <= low <= result[name] <= high
        assert high <= 1 or name in ("brier", "cllr")  # these scores are no probabilities
    errors = np.array([[np.mean(scores[y == 0] >= t), np.mean(scores[y == 1] < t)] for t in [*scores, np.inf]])
    assert errors.min(axis=1).max() - 1e-9 <= result["eer"] <= errors.max(axis=1).min() + 1e-9


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**16), digits=st.integers(1, 6))
def test_curves_are_those_of_scikit_learn(seed: int, digits: int) -> None:
    """With ties, too; its weights are the counts of a resample."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], (30, 50)))
    scores = np.round(1 / (1 + np.exp(-rng.normal(size=80) - y)), digits)
    weights = rng.integers(0, 4, 80).astype(float)
    for w in (np.ones(80), weights):
        row = dict(zip(METRICS, Curves(y, scores).metrics(w[None], 0.5)[0][0], strict=True))
        assert row["auroc"] == pytest.approx(roc_auc_score(y, scores, sample_weight=w))
        assert row["average_precision"] == pytest.approx(average_precision_score(y, scores, sample_weight=w))
        assert row["accuracy"] == pytest.approx(accuracy_score(y, scores >= 0.5, sample_weight=w))
        assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, scores >= 0.5, sample_weight=w))
        halves = w / np.where(y == 1, w[y == 1].sum(), w[y == 0].sum())
        assert row["brier"] == pytest.approx(brier_score_loss(y, scores, sample_weight=halves))
        clipped = 1 / (1 + np.exp(-log_odds(scores)))
        assert row["cllr"] == pytest.approx(
            log_loss(y, clipped, sample_weight=halves) / np.log(2), rel=1e-4
        )  # it rounds
        best = IsotonicRegression(out_of_bounds="clip").fit(scores, y, sample_weight=halves).predict(scores)
        least = log_loss(y, best, sample_weight=halves) / np.log(2)
        assert row["cllr_min"] == pytest.approx(least, abs=1e-6)


def test_a_rate_that_the_reals_cannot_show_is_refused() -> None:
    for name, needed in REALS_NEEDED.items():
        for n_real, is_given in ((needed - 1, False), (needed, True)):
            y = np.repeat([0, 1], (n_real, 5))
            result = evaluate_scores(y, y.astype(float), 0.5, np.arange(len(y))).to_dict()
            assert (result[name] is not None) == (result[f"{name}_ci"] is not None) == is_given


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(2)
    y, scores = np.repeat([0, 1], 20), rng.random(40)
    first, again, other = (evaluate_scores(y, scores, 0.5, np.arange(40), seed=s).to_dict() for s in (1, 1, 2))
    assert first == again
    assert first["auroc_ci"] != other["auroc_ci"]


def test_one_class_is_no_evaluation() -> None:
    with pytest.raises(ValueError, match="needs real and fake"):
        evaluate_scores(np.zeros(5, int), np.ones(5), 0.5, np.arange(5))


@pytest.mark.parametrize("called_fake", [(0, 20), (1, 17)], ids=["no false alarm", "some of either error"])
def test_predictive_values_are_those_of_jeffreys_posterior(called_fake: tuple[int, int]) -> None:
    """Medians and intervals against the two-dimensional integral over both rates.

    Jeffreys' prior of a rate p is flat in t where p = sin(t)^2. Ten reals and twenty fakes are so few that the prior
    counts: the medians under one flat in p would have 24 to 40 % of the posterior below them.
    """
    n_real, n_fake, prevalence = 10, 20, 0.2
    alarms, hits = called_fake
    confusion = {"real": {"fake": alarms, "real": n_real - alarms}, "fake": {"fake": hits, "real": n_fake - hits}}
    found = predictive_values(confusion, n_real, n_fake, prevalence)
    angle = (np.arange(2000) + 0.5) / 2000 * np.pi / 2
    rate = np.sin(angle) ** 2

    def density(k: int, n: int) -> np.ndarray:
        likelihood = rate**k * (1 - rate) ** (n - k)
        return np.asarray(likelihood / likelihood.sum())

    for name, called, right, wrong in (("ppv", "fake", "fake", "real"), ("npv", "real", "real", "fake")):
        share = {"fake": prevalence, "real": 1 - prevalence}
        n = {"fake": n_fake, "real": n_real}
        good, bad = share[right] * rate[:, None], share[wrong] * rate[None, :]
        weight = np.outer(density(confusion[right][called], n[right]), density(confusion[wrong][called], n[wrong]))
        estimate = getattr(found, name)
        below = [weight[good <= q * (good + bad)].sum() for q in (estimate.low, estimate.value, estimate.high)]
        # a quantile p of 100 000 draws has the standard error sqrt(p (1 - p) / 100 000): 0.0016 and 0.0005; five times
        assert below[1] == pytest.approx(0.5, abs=0.008)
        assert [below[0], below[2]] == pytest.approx([0.025, 0.975], abs=0.0025)


def test_a_perfect_value_whose_last_digits_differ_has_an_exact_interval_as_well() -> None:
    """Weights of groups add up to one but for rounding."""
    y, groups = np.repeat([0, 1], 12), np.tile(np.arange(12), 2)
    scores = np.where(y == 1, 0.9, 0.1) + np.linspace(0, 0.05, 24)
    found = evaluate_scores(y, scores, 0.5, groups)
    for estimate in (found.auroc, found.average_precision, found.balanced_accuracy):
        assert estimate.value == pytest.approx(1.0)
        assert estimate.low < 0.95
