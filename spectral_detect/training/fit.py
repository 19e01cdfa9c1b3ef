"""Fit a classifier by scikit-learn and keep it as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from spectral_detect.arguments import require_choice
from spectral_detect.detector.classifiers import (
    Classifier,
    ClassifierName,
    Fitted,
    KMeans,
    LogisticRegression,
    Ridge,
    Svm,
    feature_group_kernel,
    split_features,
)
from spectral_detect.errors import DatasetError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.records import FAKE
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.perceptron.fit import fit_perceptron
from spectral_detect.training.perceptron.onto import joined

MAX_TILE_VECTORS = 4000  # every scan pays for them; half as many lose 0.2 points in the matched protocol
WEIGHING = ("ridge", "perceptron")  # the classifiers for which files have weights
SVM_C = 10.0  # the matched protocol is flat from 3 up
LOGREG_C = 1.0
RIDGE_LAMBDA, RIDGE_LIMIT = 0.03, 4.0
PAPER_SVM_C, PAPER_SVM_GAMMA = 6.37, 0.86  # the notebooks of cc-hpc-itwm/DeepFakeDetection
HALF_MAX = 60_000.0
SKLEARN_TOLERANCE = 1e-9
N_CHECKED = 100  # vectors, against scikit-learn


def fit_dataset(
    dataset: Dataset,
    spec: FeatureSpec,
    classifier: ClassifierName,
    *,
    paper_settings: bool = False,
    most: int = MAX_TILE_VECTORS,
    base: Fitted | None = None,
    seed: int = 0,
) -> Fitted:
    """Do what `fit_classifier` does with the `training_vectors` of a data set.

    Raises
    ------
    DatasetError
        The files have weights, which the classifier does not know.
    """
    if (dataset.weights < 1).any() and classifier not in WEIGHING:
        raise DatasetError(
            f"files of a weight below 1 need the classifier {' or '.join(WEIGHING)}: for {classifier} all count alike"
        )
    X, y, weights = training_vectors(dataset, most, seed)
    sizes = spec.group_sizes
    return fit_classifier(
        X, y, classifier, group_sizes=sizes, weights=weights, paper_settings=paper_settings, base=base, seed=seed
    )


def training_vectors(dataset: Dataset, most: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (n_vectors, n_features), labels and weights: each tile of an image is a vector with the image's label.

    Both classes weigh alike, a group of a class as much as the root of its number of images, and all tiles of an image
    together as much as the image, however large it is.

    If images are cut into tiles, at most `most` are taken, equally many of each image, and of more images than that
    equally many of each class as far as it has them; the seed decides which.
    """
    if dataset.features[0].ndim == 1:
        return np.stack(dataset.features), dataset.y, _weights(dataset)
    rng = np.random.default_rng(seed)
    images = rng.permutation(balanced(dataset.y, most, seed))
    n_each = max(1, most // len(images))
    parts = [dataset.features[k][rng.permutation(len(dataset.features[k]))[:n_each]] for k in images]
    n_tiles = np.array([len(part) for part in parts])
    of_vector = np.repeat(images, n_tiles)
    weights = np.repeat(_weights(dataset)[images] / n_tiles * n_tiles.mean(), n_tiles)  # a large image counts no more
    return np.concatenate(parts), dataset.y[of_vector], weights


def balanced(c: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return the indices of all samples, or of at most so many, equally many of each class as far as it has them."""
    if len(c) <= most:
        return np.arange(len(c))
    order = np.random.default_rng(seed).permutation(len(c))
    turn = np.zeros(len(c), dtype=int)  # the how-manieth of its class each sample is
    for k in np.unique(c):
        of_class = order[c[order] == k]
        turn[of_class] = np.arange(len(of_class))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:most])


def _weights(dataset: Dataset) -> np.ndarray:
    """Return (n_images,), on average 1; files that count less in themselves are groups of their own here."""
    y, own = dataset.y, dataset.weights
    kinds = np.stack([y, dataset.groups, own < 1])
    _, of_image, counts = np.unique(kinds, axis=1, return_inverse=True, return_counts=True)
    weights = own / np.sqrt(counts[of_image.ravel()])
    total = {label: float(weights[y == label].sum()) for label in np.unique(y).tolist()}
    return np.asarray(weights / [total[label] for label in y.tolist()] * len(y) / len(total))


def fit_classifier(
    X: np.ndarray,
    y: np.ndarray,
    classifier: ClassifierName,
    *,
    group_sizes: Sequence[int] | None = None,
    weights: np.ndarray | None = None,
    paper_settings: bool = False,
    base: Fitted | None = None,
    seed: int = 0,
) -> Fitted:
    """Fit one classifier, uncalibrated.

    Parameters
    ----------
    X : np.ndarray
        (n_vectors, n_features).
    y : np.ndarray
        (n_vectors,) of REAL and FAKE; k-means only names its clusters by y, and takes y = -1 for unlabelled vectors.
    classifier : {"svm", "logreg", "ridge", "perceptron", "kmeans"}
        Kind of classifier.
    group_sizes : sequence of int, optional
        Number of features of each group; each group gets a kernel of its own. By default there is one group.
    weights : np.ndarray, optional
        (n_vectors,), how much each counts for ridge regression and a perceptron; by default all alike.
    paper_settings : bool
        Use no standardisation, SVC(C=6.37, gamma=0.86) and liblinear logistic regression, as Durall et al. do.
    base : Fitted, optional
        The perceptron that a perceptron goes on from, see `onto.joined`; its standardisation holds for both.
    seed : int
        Seed of k-means and of a perceptron.

    Raises
    ------
    OptionError
        There is no such classifier.
    DatasetError
        Some features are not finite.
    ArithmeticError
        The plain arrays do not give the decision values of scikit-learn.
    """
    require_choice("classifier", classifier, get_args(ClassifierName))
    X = np.asarray(X, dtype=np.float64)
    if not np.isfinite(X).all():
        raise DatasetError("some features are not finite (NaN or infinity)")
    mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if base is not None:
        mean, scale = base.mean, base.scale
    elif not paper_settings:
        mean, scale = X.mean(axis=0), X.std(axis=0)
        scale[scale < 1e-12] = 1.0
    Z = (X - mean) / scale
    sizes = np.array(group_sizes or [X.shape[1]])
    if len(sizes) > 1:
        Z = np.clip(Z, -HALF_MAX, HALF_MAX).astype(np.float16).astype(np.float64)  # a model file a quarter as large
    if classifier == "kmeans":
        return Fitted(mean, scale, _fit_kmeans(Z, y, X[:, : sizes[0]], seed))
    if classifier == "logreg":
        return Fitted(mean, scale, _fit_logreg(Z, y, paper_settings))
    counts = np.ones(len(Z)) if weights is None else weights
    if classifier == "ridge":
        return Fitted(mean, scale, fit_ridge(Z, y, counts))
    if classifier == "perceptron":
        perceptron = fit_perceptron(Z, y, counts, seed=seed)
        return Fitted(mean, scale, perceptron if base is None else joined(base.classifier, perceptron))
    return Fitted(mean, scale, _fit_svm(Z, y, sizes, paper_settings))


def _fit_svm(Z: np.ndarray, y: np.ndarray, group_sizes: np.ndarray, paper_settings: bool) -> Svm:
    from sklearn.svm import SVC

    C = PAPER_SVM_C if paper_settings else SVM_C
    parts = split_features(Z, group_sizes)
    gamma = np.array([PAPER_SVM_GAMMA if paper_settings else 1 / max(p.shape[1] * p.var(), 1e-12) for p, _ in parts])
    if len(parts) == 1:  # scikit-learn computes this kernel as it goes, for any number of vectors
        seen, svc = Z, SVC(C=C, gamma=float(gamma[0]))
    else:
        seen, svc = feature_group_kernel(parts, parts, gamma), SVC(C=C, kernel="precomputed")
    svc.fit(seen, y)
    fitted = Svm(Z[svc.support_], svc.dual_coef_[0], float(svc.intercept_[0]), gamma, group_sizes.astype(float))
    _check_against_sklearn(fitted, Z, svc.decision_function(seen))
    return fitted


def _fit_logreg(Z: np.ndarray, y: np.ndarray, paper_settings: bool) -> LogisticRegression:
    import sklearn.linear_model

    solver = "liblinear" if paper_settings else "lbfgs"
    regression = sklearn.linear_model.LogisticRegression(C=LOGREG_C, solver=solver, max_iter=10_000).fit(Z, y)
    fitted = LogisticRegression(regression.coef_[0], float(regression.intercept_[0]))
    _check_against_sklearn(fitted, Z, regression.decision_function(Z))
    return fitted


def fit_ridge(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Ridge:
    """Fit a ridge regression of (n_vectors, n_features) that are standardised already."""
    from sklearn.linear_model import Ridge as SklearnRidge

    clipped = np.clip(Z, -RIDGE_LIMIT, RIDGE_LIMIT)
    regression = SklearnRidge(alpha=RIDGE_LAMBDA * float(weights.sum()), solver="cholesky")
    regression.fit(clipped, np.where(y == FAKE, 1.0, -1.0), sample_weight=weights)
    fitted = Ridge(regression.coef_, float(regression.intercept_), RIDGE_LIMIT)
    _check_against_sklearn(fitted, Z, regression.predict(clipped))
    return fitted


def _fit_kmeans(Z: np.ndarray, y: np.ndarray, profile: np.ndarray, seed: int) -> KMeans:
    """Find two clusters without labels, and call one of them fake.

    With labels, it is the cluster with the larger share of fakes. Without labels, it is the cluster whose mean profile
    has more in its highest quarter: a guess, since transposed convolutions add there but plain interpolation takes
    away.
    """
    import sklearn.cluster
    from scipy.spatial.distance import cdist

    if len(Z) < 2:
        raise DatasetError("one image is no two clusters", remedy="name more images")
    clusters = sklearn.cluster.KMeans(n_clusters=2, n_init=10, random_state=seed).fit(Z)
    members = [clusters.labels_ == cluster for cluster in (0, 1)]
    if (y < 0).any():
        evidence = [profile[m][:, -profile.shape[1] // 4 :].mean() for m in members]
    else:
        evidence = [float(np.mean(y[m] == FAKE)) for m in members]
    order = [0, 1] if evidence[1] >= evidence[0] else [1, 0]
    fitted = KMeans(clusters.cluster_centers_[order])
    # by cdist, since `clusters.transform` loses eight digits where an image is a centre itself
    to_real, to_fake = cdist(Z, fitted.centres).T
    _check_against_sklearn(fitted, Z, to_real - to_fake)
    return fitted


def _check_against_sklearn(fitted: Classifier, Z: np.ndarray, expected: np.ndarray) -> None:
    some = np.linspace(0, len(Z) - 1, min(len(Z), N_CHECKED)).astype(int)
    off = np.abs(fitted.decision_values(Z[some]) - expected[some]).max() / max(1.0, np.abs(expected).max())
    if off > SKLEARN_TOLERANCE:
        raise ArithmeticError(f"{fitted.kind} differs from scikit-learn by {off:.1e}; please report this")
