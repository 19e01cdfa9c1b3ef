"""Fit by scikit-learn, calibrate, choose a threshold: from a data set to a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spectral_detect.classifiers import (
    DISTANCE_QUANTILE,
    MANY,
    Classifier,
    ClassifierName,
    Experience,
    Fitted,
    KMeans,
    LogisticRegression,
    Model,
    Svm,
    group_kernel,
    sigmoid,
    split_groups,
)
from spectral_detect.dataset import Dataset, folds, require_both_classes
from spectral_detect.errors import DatasetError
from spectral_detect.metrics import evaluate_scores
from spectral_detect.records import FAKE, REAL
from spectral_detect.spec import FeatureSpec

SVM_C = 10.0  # the matched protocol is flat from 3 up
LOGREG_C = 1.0
PAPER_SVM_C, PAPER_SVM_GAMMA = 6.37, 0.86  # the notebooks of cc-hpc-itwm/DeepFakeDetection
MAX_TILE_VECTORS = 4000  # every scan pays for them; half as many lose 0.2 points in the matched protocol
HALF_MAX = 60_000.0
N_FOLDS = 5
N_REFERENCE = 8
MIN_FOR_CALIBRATION = 10  # of each class; with fewer a fitted sigmoid is noise
SKLEARN_TOLERANCE = 1e-9
N_CHECKED = 100  # vectors, against scikit-learn


def fit_classifier(
    X: np.ndarray,
    y: np.ndarray,
    classifier: ClassifierName,
    *,
    group_sizes: Sequence[int] | None = None,
    paper_settings: bool = False,
    seed: int = 0,
) -> Fitted:
    """Fit one classifier, uncalibrated.

    Parameters
    ----------
    X, y : (n_vectors, n_features) and (n_vectors,) of REAL and FAKE; k-means only names its clusters by y, and takes
        y = -1 for unlabelled vectors.
    group_sizes : features of each group, each of which gets a kernel of its own; default one group.
    paper_settings : no standardisation, SVC(C=6.37, gamma=0.86), liblinear logistic regression.
    """
    X = np.asarray(X, dtype=np.float64)
    mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if not paper_settings:
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
    return Fitted(mean, scale, _fit_svm(Z, y, sizes, paper_settings))


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Decision values and distances of the samples that some fold held out, by classifiers that did not see them."""

    y: np.ndarray
    values: np.ndarray
    groups: np.ndarray
    distances: np.ndarray = field(default_factory=lambda: np.empty(0))
    is_edited: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))


def train_model(
    dataset: Dataset,
    spec: FeatureSpec,
    classifier: ClassifierName = "svm",
    *,
    paper_settings: bool = False,
    max_tile_vectors: int = MAX_TILE_VECTORS,
    seed: int = 0,
) -> Model:
    """Fit a classifier, calibrate its score and choose its threshold on out-of-fold decision values.

    Parameters
    ----------
    dataset : features of `spec`, labelled with both classes, or, for k-means alone, without any label.
    paper_settings : as Durall et al.: no standardisation, SVC(C=6.37, gamma=0.86), liblinear logistic regression, and
        the classifier's own decision boundary as the threshold.
    max_tile_vectors : of images cut into tiles, train on no more tiles than that: the same number of each image.
    seed : of the folds, of that choice and of k-means; the same seed gives the same model.

    Raises
    ------
    DatasetError : fewer than `dataset.MIN_PER_CLASS` of a class, or one file in both classes.

    Notes
    -----
    With at least 10 samples of each class the sigmoid is Platt's (1999), fitted with his smoothed targets; otherwise,
    or when the out-of-fold values do not rank better than chance, slope = 1 / (mean |decision value|), offset = 0.
    The threshold is the score at which the two error rates are equal out of fold. Where groups are too few for folds,
    or nothing is labelled, it is the classifier's own boundary, and `Model.metrics` is empty.
    """
    is_labelled = bool((dataset.y >= 0).all())
    if is_labelled:
        require_both_classes(dataset)
    elif classifier != "kmeans":
        raise DatasetError(f"{classifier} learns from labels; only kmeans does without")

    def fit(part: Dataset) -> Fitted:
        X, y = training_vectors(part, max_tile_vectors, seed)
        return fit_classifier(X, y, classifier, group_sizes=spec.group_sizes, paper_settings=paper_settings, seed=seed)

    fitted = fit(dataset)
    held_out = _held_out(dataset, fit, seed) if is_labelled else None
    sample = held_out or OutOfFold(dataset.y, fitted.decision_values(dataset.features), dataset.groups)
    slope, offset = _calibrate(sample, may_fit=held_out is not None)
    scores = sigmoid(slope * sample.values + offset)
    threshold = float(sigmoid(np.array(offset)))
    metrics: dict[str, Any] = {}
    if held_out is not None:
        if not paper_settings:
            threshold = equal_error_threshold(sample.y, scores)
        metrics = evaluate_scores(sample.y, scores, threshold, sample.groups, seed=seed)
    return Model(
        spec=spec,
        classifier=fitted.classifier,
        mean=fitted.mean,
        scale=fitted.scale,
        slope=slope,
        offset=offset,
        threshold=threshold,
        training={"classifier": classifier, "paper_settings": paper_settings, "seed": seed, **_counts(dataset)},
        metrics=metrics,
        experience=_experience(dataset, held_out) if held_out else None,
        reference=_some_vectors(dataset),
    )


def _experience(dataset: Dataset, held_out: OutOfFold) -> Experience:
    """From the images as they are, where they are among the samples; a blurred copy is no reason to accept anything."""
    sides = [min(s.width, s.height) for s in dataset.samples if s.width and s.height]
    distances = held_out.distances[held_out.is_edited == held_out.is_edited.min()]
    limit = np.quantile(distances, DISTANCE_QUANTILE) if len(distances) >= MANY else 2 * distances.max()
    return Experience(min(sides, default=0), max(sides, default=0), float(limit))


def _n_files(dataset: Dataset, label: int) -> int:
    """Files, each of which may be there as several copies."""
    return len({sample.path for sample, y in zip(dataset.samples, dataset.y, strict=True) if y == label})


def _counts(dataset: Dataset) -> dict[str, Any]:
    """What a model was trained on: counts and a hash; no paths, which would tell on their owner."""
    return {
        "n_real": _n_files(dataset, REAL),
        "n_fake": _n_files(dataset, FAKE),
        "n_unlabelled": _n_files(dataset, -1),
        "n_groups": dataset.n_groups,
        "files_sha256": dataset.sha256,
        "augment": ", ".join(dict.fromkeys(edit.title if edit else "none" for edit in dataset.edits)),
        "copies": len(dataset.edits),
    }


def training_vectors(dataset: Dataset, max_tile_vectors: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n_vectors, n_features) and (n_vectors,): every tile of an image is a training vector with the image's label.

    Of images cut into tiles no more than `max_tile_vectors` are taken, as many of each image: which, the seed decides.
    """
    if dataset.features[0].ndim == 1:
        return np.stack(dataset.features), dataset.y
    rng = np.random.default_rng(seed)
    images = rng.permutation(len(dataset.y))[:max_tile_vectors]
    n_each = max(1, max_tile_vectors // len(images))
    parts = [dataset.features[k][rng.permutation(len(dataset.features[k]))[:n_each]] for k in images]
    return np.concatenate(parts), np.repeat(dataset.y[images], [len(part) for part in parts])


def _some_vectors(dataset: Dataset) -> np.ndarray:
    at = np.linspace(0, len(dataset.features) - 1, N_REFERENCE).astype(int)
    return np.array([np.atleast_2d(dataset.features[k])[0] for k in at], dtype=np.float64)


def _held_out(dataset: Dataset, fit: Callable[[Dataset], Fitted], seed: int) -> OutOfFold | None:
    """Decision values of each fold by a classifier fitted on the others; None where there are too few groups."""
    tests, values, distances = [], [], []
    for train, test in folds(dataset.y, dataset.groups, N_FOLDS, seed):
        fitted, held_out = fit(dataset.select(train)), dataset.select(test)
        tests.append(test)
        values.append(fitted.decision_values(held_out.features))
        distances += [fitted.distance(image) for image in held_out.features]
    if not tests or len(np.unique(dataset.y[np.concatenate(tests)])) < 2:
        return None
    at = np.concatenate(tests)
    is_edited = np.array([dataset.samples[k].edit is not None for k in at])
    return OutOfFold(dataset.y[at], np.concatenate(values), dataset.groups[at], np.array(distances), is_edited)


def _fit_svm(Z: np.ndarray, y: np.ndarray, group_sizes: np.ndarray, paper_settings: bool) -> Svm:
    from sklearn.svm import SVC

    C = PAPER_SVM_C if paper_settings else SVM_C
    groups = split_groups(Z, group_sizes)
    gamma = np.array([PAPER_SVM_GAMMA if paper_settings else 1 / max(g.shape[1] * g.var(), 1e-12) for g, _ in groups])
    if len(groups) == 1:  # scikit-learn computes this kernel as it goes, for any number of vectors
        seen, svc = Z, SVC(C=C, gamma=float(gamma[0]))
    else:
        seen, svc = group_kernel(groups, groups, gamma), SVC(C=C, kernel="precomputed")
    svc.fit(seen, y)
    fitted = Svm(Z[svc.support_], svc.dual_coef_[0], float(svc.intercept_[0]), gamma, group_sizes.astype(float))
    _check_against_sklearn(fitted, Z, svc.decision_function(seen))
    return fitted


def _fit_logreg(Z: np.ndarray, y: np.ndarray, paper_settings: bool) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

    solver = "liblinear" if paper_settings else "lbfgs"
    regression = SklearnLogisticRegression(C=LOGREG_C, solver=solver, max_iter=10_000).fit(Z, y)
    fitted = LogisticRegression(regression.coef_[0], float(regression.intercept_[0]))
    _check_against_sklearn(fitted, Z, regression.decision_function(Z))
    return fitted


def _fit_kmeans(Z: np.ndarray, y: np.ndarray, profile: np.ndarray, seed: int) -> KMeans:
    """Two clusters, found without labels.

    The cluster with the larger share of fakes is called fake. Without labels, the one whose mean profile has more in
    its highest quarter: a guess, since transposed convolutions add there but plain interpolation takes away.
    """
    import sklearn.cluster

    clusters = sklearn.cluster.KMeans(n_clusters=2, n_init=10, random_state=seed).fit(Z)
    members = [clusters.labels_ == cluster for cluster in (0, 1)]
    if (y < 0).any():
        evidence = [profile[m][:, -profile.shape[1] // 4 :].mean() for m in members]
    else:
        evidence = [float(np.mean(y[m] == FAKE)) for m in members]
    centres = clusters.cluster_centers_
    fitted = KMeans(centres if evidence[1] >= evidence[0] else centres[::-1])
    distances = clusters.transform(Z)
    _check_against_sklearn(fitted, Z, (distances[:, 0] - distances[:, 1]) * (1 if evidence[1] >= evidence[0] else -1))
    return fitted


def _check_against_sklearn(fitted: Classifier, Z: np.ndarray, expected: np.ndarray) -> None:
    some = np.linspace(0, len(Z) - 1, min(len(Z), N_CHECKED)).astype(int)
    off = np.abs(fitted.decision_values(Z[some]) - expected[some]).max() / max(1.0, np.abs(expected).max())
    if off > SKLEARN_TOLERANCE:
        raise ArithmeticError(f"{fitted.kind} differs from scikit-learn by {off:.1e}; please report this")


def _calibrate(sample: OutOfFold, *, may_fit: bool) -> tuple[float, float]:
    """Slope and offset of the sigmoid; Platt, "Probabilistic outputs for support vector machines", 1999."""
    unit = 1.0 / max(float(np.mean(np.abs(sample.values))), 1e-12)
    n_real, n_fake = np.sum(sample.y == REAL), np.sum(sample.y == FAKE)
    if not may_fit or min(n_real, n_fake) < MIN_FOR_CALIBRATION:
        return unit, 0.0
    from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

    target = np.where(sample.y == FAKE, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))
    # a soft target is a sample of each class with the target and its complement as weights
    platt = SklearnLogisticRegression(C=np.inf, max_iter=10_000).fit(
        np.tile(sample.values * unit, 2)[:, None],
        np.repeat([FAKE, REAL], len(target)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    slope, offset = float(platt.coef_[0, 0]) * unit, float(platt.intercept_[0])
    return (slope, offset) if slope > 0 else (unit, 0.0)


def equal_error_threshold(y: np.ndarray, scores: np.ndarray) -> float:
    """Threshold at which the rates of missed fakes and of false alarms are nearest; midway between two scores."""
    from sklearn.metrics import roc_curve

    false_alarms, hits, thresholds = roc_curve(y, scores, drop_intermediate=False)
    best = int(np.argmin(np.abs(false_alarms - (1 - hits))))
    if best == 0:
        return float(np.nextafter(scores.max(), 2.0))
    below = scores[scores < thresholds[best]]
    return float((thresholds[best] + below.max()) / 2 if len(below) else thresholds[best])
