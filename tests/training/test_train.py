"""Fitting against scikit-learn, calibration, thresholds."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, REAL, train_model
from spectral_detect.errors import DatasetError
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.train import equal_error_threshold, false_alarm_threshold, fit_classifier


@pytest.mark.parametrize(
    ("name", "paper", "reference"),
    [
        ("svm", False, make_pipeline(StandardScaler(), SVC(C=10, gamma="scale"))),
        ("svm", True, SVC(C=6.37, gamma=0.86)),
        ("logreg", False, make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))),
        ("logreg", True, LogisticRegression(solver="liblinear", max_iter=10_000)),
    ],
)
def test_decision_values_are_those_of_scikit_learn(name: str, paper: bool, reference: object) -> None:
    data, new = gaussian_data(), gaussian_data(seed=1).features
    fitted = fit_classifier(data.features, data.y, name, paper_settings=paper)
    expected = reference.fit(data.features, data.y).decision_function(new)
    np.testing.assert_allclose(fitted.decision_values(new), expected, rtol=1e-9, atol=1e-9)


def test_kmeans_clusters_without_labels_and_names_by_them() -> None:
    data = gaussian_data(shift=4.0)
    fitted = fit_classifier(data.features, data.y, "kmeans")
    assert np.mean((fitted.decision_values(data.features) > 0) == data.y) > 0.95
    turned = fit_classifier(data.features, 1 - data.y, "kmeans")
    np.testing.assert_allclose(turned.decision_values(data.features), -fitted.decision_values(data.features), atol=1e-9)
    Z = StandardScaler().fit_transform(data.features)
    same = KMeans(2, n_init=10, random_state=0).fit_predict(Z) == (fitted.decision_values(data.features) > 0)
    assert same.all() or not same.any()


def test_unlabelled_kmeans_calls_more_at_high_frequencies_fake() -> None:
    data = gaussian_data(shift=4.0, labelled=False)
    model = train_model(data, SPEC, "kmeans")
    called_fake = model.scores(data.features) >= model.threshold
    assert data.features[called_fake][:, -3:].mean() > data.features[~called_fake][:, -3:].mean()
    assert model.training["n_unlabelled"] == 60
    assert model.metrics == {}
    with pytest.raises(DatasetError, match="svm learns from labels; only kmeans does without"):
        train_model(data, SPEC, "svm")


@pytest.mark.parametrize("name", ["svm", "logreg", "kmeans"])
def test_scores_are_probabilities_of_the_right_side(name: str) -> None:
    model = train_model(gaussian_data(200, shift=2.0), SPEC, name)
    new = gaussian_data(200, shift=2.0, seed=7)
    scores = model.scores(new.features)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.mean((scores >= model.threshold) == new.y) > 0.9
    assert scores[new.y == FAKE].mean() > 0.8
    assert model.metrics["balanced_accuracy"] > 0.9
    order = np.argsort(model.decision_values(new.features))
    assert (np.diff(scores[order]) >= 0).all()


def test_the_score_of_an_image_does_not_depend_on_its_company() -> None:
    model = train_model(gaussian_data(), SPEC)
    new = gaussian_data(seed=5).features
    together = model.scores(new)
    np.testing.assert_array_equal(together, np.concatenate([model.scores(row[None]) for row in new]))


@pytest.mark.parametrize("name", ["svm", "logreg", "kmeans"])
def test_scores_of_single_precision_are_those_of_double_to_its_rounding(name: str) -> None:
    data = gaussian_data()
    model = train_model(data, SPEC, name)
    single = model.scores(data.features.astype(np.float32))
    np.testing.assert_allclose(single, model.scores(data.features), atol=1e-5)
    whole = data.features.astype(int)
    np.testing.assert_array_equal(model.scores(whole), model.scores(whole.astype(float)))


def test_paper_settings_keep_the_classifiers_own_boundary() -> None:
    data = gaussian_data(shift=3.0)
    model = train_model(data, SPEC, "logreg", paper_settings=True)
    called = model.scores(data.features) >= model.threshold
    np.testing.assert_array_equal(called, model.decision_values(data.features) >= 0)
    assert not model.mean.any()
    assert (model.scale == 1).all()


def test_the_same_seed_gives_the_same_model() -> None:
    first, again = (train_model(gaussian_data(), SPEC, seed=3) for _ in range(2))
    X = gaussian_data(seed=9).features
    np.testing.assert_array_equal(first.scores(X), again.scores(X))
    assert first.metrics == again.metrics
    assert first.threshold == again.threshold


def test_one_group_per_class_is_trained_but_not_cross_validated() -> None:
    data = gaussian_data(40, shift=3.0)
    alone = Dataset(data.features, data.y, data.y, data.samples, ())
    model = train_model(alone, SPEC)
    assert model.metrics == {}
    assert model.threshold == pytest.approx(0.5)


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
        threshold, promise = false_alarm_threshold(rng.random(n), n, target)
        rates.append(1 - threshold)  # of scores spread evenly over 0 to 1
        inside.append(promise["interval"][0] <= rates[-1] <= promise["interval"][1])
    assert promise["expected"] <= target
    assert np.mean(rates) == pytest.approx(promise["expected"], rel=0.15)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


def test_a_rate_too_low_for_the_reals_names_the_number_needed() -> None:
    for target, needed in ((0.05, 19), (0.01, 99), (0.001, 999)):
        false_alarm_threshold(np.linspace(0, 1, needed), needed, target)
        with pytest.raises(
            DatasetError, match=f"needs at least {needed} independent real images; there are {needed - 1}"
        ):
            false_alarm_threshold(np.linspace(0, 1, needed - 1), needed - 1, target)
    with pytest.raises(DatasetError, match="needs labelled images in at least two groups"):
        train_model(gaussian_data(labelled=False), SPEC, "kmeans", target_fpr=0.1)


def test_a_target_makes_the_threshold() -> None:
    strict, equal = (train_model(gaussian_data(200), SPEC, target_fpr=target) for target in (0.05, None))
    assert strict.training["false_alarms"]["target"] == 0.05
    assert strict.threshold > equal.threshold
    assert strict.metrics["confusion"]["real"]["fake"] <= 0.05 * 100 < equal.metrics["confusion"]["real"]["fake"]


def test_a_model_is_applied_without_scikit_learn() -> None:
    code = (
        "import sys, spectral_detect.scanning.images, spectral_detect.detector.model_file as m; "
        "model = m.load_model('photographs'); model.scores(model.reference); "
        "assert not [n for n in sys.modules if n.split('.')[0] in ('sklearn', 'click', 'torch', 'matplotlib')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
