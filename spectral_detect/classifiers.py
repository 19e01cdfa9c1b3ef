"""Fit, calibrate, score: SVM, logistic regression, k-means.

scikit-learn fits; what is kept are plain arrays, which NumPy alone applies, so that scanning does not import
scikit-learn and a model outlives its versions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from spectral_detect.dataset import Dataset, folds, require_both_classes
from spectral_detect.errors import DatasetError
from spectral_detect.features import FeatureSpec
from spectral_detect.metrics import evaluate_scores
from spectral_detect.records import FAKE, REAL

ClassifierName = Literal["svm", "logreg", "kmeans"]

SVM_C = 10.0  # the matched protocol is flat from 3 up
LOGREG_C = 1.0
PAPER_SVM_C, PAPER_SVM_GAMMA = 6.37, 0.86  # the notebooks of cc-hpc-itwm/DeepFakeDetection
N_FOLDS = 5
N_REFERENCE = 8
MIN_FOR_CALIBRATION = 10  # of each class; with fewer a fitted sigmoid is noise
SKLEARN_TOLERANCE = 1e-9


class Classifier(Protocol):
    """A fitted classifier as plain arrays."""

    kind: ClassVar[ClassifierName]

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """(n_samples, n_features) standardised -> (n_samples,) raw margin, positive on the fake side."""
        ...


@dataclass(frozen=True, eq=False)
class Svm:
    """Support vector machine with a radial basis function kernel, f(x) = sum_i a_i exp(-gamma |x - s_i|^2) + b."""

    kind: ClassVar[ClassifierName] = "svm"
    support_vectors: np.ndarray  # (n_support, n_features)
    dual_coef: np.ndarray  # (n_support,)
    intercept: float
    gamma: float

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        return np.array([self._decision_value(x) for x in X])

    def _decision_value(self, x: np.ndarray) -> float:
        # one sample at a time, so that a score does not depend on what else is in the batch
        squared_distance = self._squared_norms - 2 * (self.support_vectors @ x) + x @ x
        return float(self.dual_coef @ np.exp(-self.gamma * squared_distance)) + self.intercept

    @cached_property
    def _squared_norms(self) -> np.ndarray:
        return np.asarray(np.square(self.support_vectors).sum(axis=1))


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """f(x) = w.x + b, the log odds of fake."""

    kind: ClassVar[ClassifierName] = "logreg"
    weights: np.ndarray  # (n_features,)
    intercept: float

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        return np.array([float(self.weights @ x) + self.intercept for x in X])


@dataclass(frozen=True, eq=False)
class KMeans:
    """f(x) = |x - c_real| - |x - c_fake|, positive nearer to the centre of the cluster that is called fake."""

    kind: ClassVar[ClassifierName] = "kmeans"
    centres: np.ndarray  # (2, n_features): REAL, FAKE

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        to_real, to_fake = (np.linalg.norm(X - self.centres[label], axis=1) for label in (REAL, FAKE))
        return np.asarray(to_real - to_fake)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained detector: everything that turns features into a score and a verdict.

    Attributes
    ----------
    spec : the features it was trained on, the only ones that it may be given.
    mean, scale : (n_features,) standardisation, X -> (X - mean) / scale.
    slope, offset : score = 1 / (1 + exp(-(slope * decision_value + offset))), slope > 0.
    threshold : a score at or above it is fake.
    training : what it was trained on (counts, groups, hash of the file hashes, settings).
    metrics : the cross-validated estimate made at training.
    reference : (n, n_features) a few training vectors; the file stores their scores, and loading checks them.
    name, sha256 : of the file it was loaded from; empty before it is saved.
    """

    spec: FeatureSpec
    classifier: Classifier
    mean: np.ndarray
    scale: np.ndarray
    slope: float
    offset: float
    threshold: float
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    reference: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    card: str = ""
    created: str = ""
    libraries: dict[str, str] = field(default_factory=dict)
    name: str = ""
    sha256: str = ""

    @property
    def is_guess(self) -> bool:
        """Trained without labels: which of its two clusters is called fake is a guess."""
        return bool(self.training.get("n_unlabelled"))

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """(n_samples, n_features) -> (n_samples,) raw margin."""
        return Fitted(self.mean, self.scale, self.classifier).decision_values(X)

    def scores(self, X: np.ndarray) -> np.ndarray:
        """(n_samples, n_features) -> (n_samples,) in [0, 1], higher is more fake."""
        return sigmoid(self.slope * self.decision_values(X) + self.offset)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


# ---------------------------------------------------------------------------------------------------------- fitting


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier with the standardisation of what it takes, X -> (X - mean) / scale."""

    mean: np.ndarray
    scale: np.ndarray
    classifier: Classifier

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """(n_samples, n_features) -> (n_samples,) raw margin."""
        return self.classifier.decision_values((np.asarray(X, dtype=np.float64) - self.mean) / self.scale)


def fit_classifier(
    X: np.ndarray, y: np.ndarray, classifier: ClassifierName, *, paper_settings: bool = False, seed: int = 0
) -> Fitted:
    """Fit one classifier, uncalibrated.

    Parameters
    ----------
    X, y : (n_samples, n_features) and (n_samples,) of REAL and FAKE; k-means only names its clusters by y, and takes
        y = -1 for unlabelled samples.
    paper_settings : no standardisation, SVC(C=6.37, gamma=0.86), liblinear logistic regression.
    """
    X = np.asarray(X, dtype=np.float64)
    mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if not paper_settings:
        mean, scale = X.mean(axis=0), X.std(axis=0)
        scale[scale < 1e-12] = 1.0
    Z = (X - mean) / scale
    if classifier == "kmeans":
        return Fitted(mean, scale, _fit_kmeans(Z, y, X, seed))
    return Fitted(mean, scale, (_fit_svm if classifier == "svm" else _fit_logreg)(Z, y, paper_settings))


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Decision values of the samples that some fold held out, by classifiers that did not see them."""

    y: np.ndarray
    values: np.ndarray
    groups: np.ndarray


def train_model(
    dataset: Dataset,
    spec: FeatureSpec,
    classifier: ClassifierName = "svm",
    *,
    paper_settings: bool = False,
    seed: int = 0,
) -> Model:
    """Fit a classifier, calibrate its score and choose its threshold on out-of-fold decision values.

    Parameters
    ----------
    dataset : features of `spec`, labelled with both classes, or, for k-means alone, without any label.
    paper_settings : as Durall et al.: no standardisation, SVC(C=6.37, gamma=0.86), liblinear logistic regression, and
        the classifier's own decision boundary as the threshold.
    seed : of the folds and of k-means; the same seed gives the same model.

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

    fit = partial(fit_classifier, classifier=classifier, paper_settings=paper_settings, seed=seed)
    fitted = fit(dataset.X, dataset.y)
    held_out = _held_out(dataset, fit, seed) if is_labelled else None
    sample = held_out or OutOfFold(dataset.y, fitted.decision_values(dataset.X), dataset.groups)
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
        reference=dataset.X[np.linspace(0, len(dataset.X) - 1, N_REFERENCE).astype(int)].astype(np.float64),
    )


def _counts(dataset: Dataset) -> dict[str, Any]:
    """What a model was trained on: counts and a hash; no paths, which would tell on their owner."""
    return {
        "n_real": dataset.n_real,
        "n_fake": dataset.n_fake,
        "n_unlabelled": int(np.sum(dataset.y < 0)),
        "n_groups": dataset.n_groups,
        "files_sha256": dataset.sha256,
    }


def _held_out(dataset: Dataset, fit: Callable[[np.ndarray, np.ndarray], Fitted], seed: int) -> OutOfFold | None:
    """Decision values of each fold by a classifier fitted on the others; None where there are too few groups."""
    tests, values = [], []
    for train, test in folds(dataset.y, dataset.groups, N_FOLDS, seed):
        tests.append(test)
        values.append(fit(dataset.X[train], dataset.y[train]).decision_values(dataset.X[test]))
    if not tests or len(np.unique(dataset.y[np.concatenate(tests)])) < 2:
        return None
    at = np.concatenate(tests)
    return OutOfFold(dataset.y[at], np.concatenate(values), dataset.groups[at])


def _fit_svm(Z: np.ndarray, y: np.ndarray, paper_settings: bool) -> Svm:
    from sklearn.svm import SVC

    gamma = PAPER_SVM_GAMMA if paper_settings else 1.0 / max(Z.shape[1] * Z.var(), 1e-12)
    svc = SVC(C=PAPER_SVM_C if paper_settings else SVM_C, gamma=gamma).fit(Z, y)
    fitted = Svm(svc.support_vectors_, svc.dual_coef_[0], float(svc.intercept_[0]), float(gamma))
    _check_against_sklearn(fitted, Z, svc.decision_function(Z))
    return fitted


def _fit_logreg(Z: np.ndarray, y: np.ndarray, paper_settings: bool) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

    solver = "liblinear" if paper_settings else "lbfgs"
    regression = SklearnLogisticRegression(C=LOGREG_C, solver=solver, max_iter=10_000).fit(Z, y)
    fitted = LogisticRegression(regression.coef_[0], float(regression.intercept_[0]))
    _check_against_sklearn(fitted, Z, regression.decision_function(Z))
    return fitted


def _fit_kmeans(Z: np.ndarray, y: np.ndarray, X: np.ndarray, seed: int) -> KMeans:
    """Two clusters, found without labels.

    The cluster with the larger share of fakes is called fake. Without labels, the one whose mean profile has more in
    its highest quarter: a guess, since transposed convolutions add there but plain interpolation takes away.
    """
    import sklearn.cluster

    clusters = sklearn.cluster.KMeans(n_clusters=2, n_init=10, random_state=seed).fit(Z)
    members = [clusters.labels_ == cluster for cluster in (0, 1)]
    if (y < 0).any():
        evidence = [X[m][:, -X.shape[1] // 4 :].mean() for m in members]
    else:
        evidence = [float(np.mean(y[m] == FAKE)) for m in members]
    centres = clusters.cluster_centers_
    fitted = KMeans(centres if evidence[1] >= evidence[0] else centres[::-1])
    distances = clusters.transform(Z)
    _check_against_sklearn(fitted, Z, (distances[:, 0] - distances[:, 1]) * (1 if evidence[1] >= evidence[0] else -1))
    return fitted


def _check_against_sklearn(fitted: Classifier, Z: np.ndarray, expected: np.ndarray) -> None:
    off = np.abs(fitted.decision_values(Z) - expected).max() / max(1.0, np.abs(expected).max())
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
