"""Fitting against scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gaussian import gaussian_data
from spectral_detect import FAKE, REAL
from spectral_detect.training.fit import fit_classifier, training_vectors


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


def test_ridge_is_weighted_linear_regression_of_clipped_features() -> None:
    data, rng = gaussian_data(), np.random.default_rng(0)
    X, weights = np.stack(data.features), rng.uniform(0.5, 2, len(data.y))
    X[0] *= 1000  # cut off
    fitted = fit_classifier(X, data.y, "ridge", weights=weights)
    Z = np.clip(StandardScaler().fit_transform(X), -4, 4)
    middle, target = np.average(Z, axis=0, weights=weights), np.where(data.y == 1, 1.0, -1.0)
    centred = Z - middle
    scatter = centred.T @ (weights[:, None] * centred) + 0.03 * weights.sum() * np.eye(Z.shape[1])
    w = np.linalg.solve(scatter, centred.T @ (weights * (target - np.average(target, weights=weights))))
    expected = centred @ w + np.average(target, weights=weights)
    np.testing.assert_allclose(fitted.decision_values(X), expected, rtol=1e-7, atol=1e-9)
    far = X[1:2] + 1e9
    assert fitted.decision_values(far)[0] == fitted.decision_values(10 * far)[0]


def test_a_perceptron_learns_what_no_line_can_tell(rng: np.random.Generator) -> None:
    X = rng.uniform(-1, 1, (3000, 4))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    fitted = fit_classifier(X, y, "perceptron")
    new = rng.uniform(-1, 1, (1000, 4))
    right = np.mean((fitted.decision_values(new) > 0) == (new[:, 0] * new[:, 1] > 0))
    assert right > 0.9
    line = fit_classifier(X, y, "ridge")
    assert np.mean((line.decision_values(new) > 0) == (new[:, 0] * new[:, 1] > 0)) < 0.6
    again = fit_classifier(X, y, "perceptron")
    np.testing.assert_array_equal(again.decision_values(new), fitted.decision_values(new))
    assert (fit_classifier(X, y, "perceptron", seed=1).decision_values(new) != fitted.decision_values(new)).any()


def test_vectors_of_no_weight_teach_a_perceptron_nothing(rng: np.random.Generator) -> None:
    X = rng.normal(size=(400, 3))
    y = (X[:, 0] > 0).astype(int)
    turned = np.concatenate([y[:200], 1 - y[200:]])
    fitted = fit_classifier(X, turned, "perceptron", weights=np.repeat([1.0, 0.0], 200))
    assert np.mean((fitted.decision_values(X) > 0) == y) > 0.95


def test_kmeans_clusters_without_labels_and_names_by_them() -> None:
    data = gaussian_data(shift=4.0)
    fitted = fit_classifier(data.features, data.y, "kmeans")
    assert np.mean((fitted.decision_values(data.features) > 0) == data.y) > 0.95
    turned = fit_classifier(data.features, 1 - data.y, "kmeans")
    np.testing.assert_allclose(turned.decision_values(data.features), -fitted.decision_values(data.features), atol=1e-9)
    Z = StandardScaler().fit_transform(data.features)
    same = KMeans(2, n_init=10, random_state=0).fit_predict(Z) == (fitted.decision_values(data.features) > 0)
    assert same.all() or not same.any()


def test_kmeans_may_give_an_odd_image_a_cluster_of_its_own() -> None:
    """Its distance to its own centre is 0, of which scikit-learn's has no right digit."""
    for seed in range(10):
        X = np.array(gaussian_data(14, seed=seed).features)
        X[0] += 1e4
        values = fit_classifier(X, np.full(14, -1), "kmeans").decision_values(X)
        assert (np.sign(values) != np.sign(values[0])).sum() == 13


def test_of_many_images_in_tiles_the_rare_class_is_taken_first() -> None:
    y = np.repeat([REAL, FAKE], [8, 400])
    data = gaussian_data(408)
    tiles = [np.repeat(row[None], 3, axis=0) for row in data.features]
    _, labels, _ = training_vectors(replace(data, features=tiles, y=y), 100, seed=0)
    assert (np.sum(labels == REAL), len(labels)) == (8, 100)
