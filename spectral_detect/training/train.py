"""Fit by scikit-learn, calibrate, choose a threshold: from a data set to a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spectral_detect.detector.calibration import fit_calibration, fixed_calibration
from spectral_detect.detector.classifiers import (
    Classifier,
    ClassifierName,
    Fitted,
    KMeans,
    LogisticRegression,
    Svm,
    feature_group_kernel,
    split_features,
)
from spectral_detect.detector.experience import Experience
from spectral_detect.detector.metrics import evaluate_scores
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.edits import WANG_QUALITIES
from spectral_detect.records import FAKE, REAL
from spectral_detect.training.dataset import Dataset, folds, require_both_classes

SVM_C = 10.0  # the matched protocol is flat from 3 up
LOGREG_C = 1.0
PAPER_SVM_C, PAPER_SVM_GAMMA = 6.37, 0.86  # the notebooks of cc-hpc-itwm/DeepFakeDetection
MAX_TILE_VECTORS = 4000  # every scan pays for them; half as many lose 0.2 points in the matched protocol
OFTEN = 0.5  # augmented so often, a model has seen enough JPEGs of any quality to judge them
HALF_MAX = 60_000.0
N_FOLDS = 5
N_REFERENCE = 8
DISTANCE_QUANTILE = 0.99
MANY = 100  # images, of which such a quantile can be taken; of fewer the limit is twice the largest distance
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
    target_fpr: float | None = None,
    max_tile_vectors: int = MAX_TILE_VECTORS,
    seed: int = 0,
) -> Model:
    """Fit a classifier, calibrate its score and choose its threshold on out-of-fold decision values.

    Parameters
    ----------
    dataset : features of `spec`, labelled with both classes, or, for k-means alone, without any label.
    paper_settings : as Durall et al.: no standardisation, SVC(C=6.37, gamma=0.86), liblinear logistic regression, and
        the classifier's own decision boundary as the threshold.
    target_fpr : the threshold is for this rate of false alarms, see `false_alarm_threshold`, instead of equal errors.
    max_tile_vectors : of images cut into tiles, train on no more tiles than that: the same number of each image.
    seed : of the folds, of that choice and of k-means; the same seed gives the same model.

    Raises
    ------
    DatasetError : fewer than `dataset.MIN_PER_CLASS` of a class, one file in both classes, or too few reals for
        `target_fpr`.

    Notes
    -----
    The score is calibrated, see `fit_calibration`, and the threshold by default the score at which the two error rates
    are equal, both on out-of-fold values. Where groups are too few for folds, or nothing is labelled, the threshold is
    the classifier's own boundary, and `Model.metrics` is empty.
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
    if target_fpr is not None and held_out is None:
        raise DatasetError("a rate of false alarms needs labelled images in at least two groups of each class")
    facts: dict[str, Any] = {"classifier": classifier, "paper_settings": paper_settings, "seed": seed}
    metrics: dict[str, Any] = {}
    if held_out is None:
        calibration = fixed_calibration(fitted.decision_values(dataset.features))
    else:
        calibration = fit_calibration(held_out.y, held_out.values, held_out.groups)
    threshold = float(calibration.scores(np.zeros(1))[0])
    if held_out is not None:
        scores = calibration.scores(held_out.values)
        if target_fpr is not None:
            is_real = held_out.y == REAL
            threshold, facts["false_alarms"] = false_alarm_threshold(
                scores[is_real], len(np.unique(held_out.groups[is_real])), target_fpr
            )
        elif not paper_settings:
            threshold = equal_error_threshold(held_out.y, scores)
        metrics = evaluate_scores(held_out.y, scores, threshold, held_out.groups, seed=seed)
    return Model(
        spec=spec,
        classifier=fitted.classifier,
        mean=fitted.mean,
        scale=fitted.scale,
        calibration=calibration,
        threshold=threshold,
        training=facts | _counts(dataset),
        metrics=metrics,
        experience=_experience(dataset, held_out) if held_out else None,
        reference=_some_vectors(dataset),
    )


def _experience(dataset: Dataset, held_out: OutOfFold) -> Experience:
    """From the images as they are, where they are among the samples; a blurred copy is no reason to accept anything."""
    sides = [min(s.width, s.height) for s in dataset.samples if s.width and s.height]
    found = [s.metadata.nearest_quality if s.metadata else None for s in dataset.samples]
    qualities = [quality for quality in found if quality is not None]
    if any(edit and edit.name == "wang" and (edit.strength or 0) >= OFTEN for edit in dataset.edits):
        qualities += WANG_QUALITIES
    distances = held_out.distances[held_out.is_edited == held_out.is_edited.min()]
    limit = np.quantile(distances, DISTANCE_QUANTILE) if len(distances) >= MANY else 2 * distances.max()
    return Experience(
        min_side_px=min(sides, default=0),
        max_side_px=max(sides, default=0),
        max_distance=float(limit),
        refusal_rate=float((np.sum(distances > limit) + 1) / (len(distances) + 1)),
        jpeg_qualities=(min(qualities), max(qualities)) if qualities else None,
        has_seen_others=None in found,
    )


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
        "n_frames": sum(sample.frame is not None for sample in dataset.samples),
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
    groups = split_features(Z, group_sizes)
    gamma = np.array([PAPER_SVM_GAMMA if paper_settings else 1 / max(g.shape[1] * g.var(), 1e-12) for g, _ in groups])
    if len(groups) == 1:  # scikit-learn computes this kernel as it goes, for any number of vectors
        seen, svc = Z, SVC(C=C, gamma=float(gamma[0]))
    else:
        seen, svc = feature_group_kernel(groups, groups, gamma), SVC(C=C, kernel="precomputed")
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


def equal_error_threshold(y: np.ndarray, scores: np.ndarray) -> float:
    """Threshold at which the rates of missed fakes and of false alarms are nearest; midway between two scores."""
    from sklearn.metrics import roc_curve

    false_alarms, hits, thresholds = roc_curve(y, scores, drop_intermediate=False)
    best = int(np.argmin(np.abs(false_alarms - (1 - hits))))
    if best == 0:
        return float(np.nextafter(scores.max(), 2.0))
    below = scores[scores < thresholds[best]]
    return float((thresholds[best] + below.max()) / 2 if len(below) else thresholds[best])


def false_alarm_threshold(scores: np.ndarray, n_independent: int, target: float) -> tuple[float, dict[str, Any]]:
    """Threshold at which no more than `target` of the reals are expected to be called fake.

    Parameters
    ----------
    scores : (n_reals,) out of fold.
    n_independent : groups among them.

    Returns
    -------
    The threshold, and `target`, `expected`, `interval` (95 %) and `n_real` of the rate.

    Raises
    ------
    DatasetError : fewer than 1 / target - 1 groups of reals.

    Notes
    -----
    With k = floor(target (n + 1)), the rate of scores above the k-th largest of n exchangeable reals is distributed as
    Beta(k, n + 1 - k), whose mean is k / (n + 1): split conformal prediction; Vovk, "Conditional validity of inductive
    conformal predictors", 2012, proposition 2a.
    """
    from scipy.stats import beta

    n = n_independent
    k = int(target * (n + 1) + 1e-9)
    if k < 1:
        needed = math.ceil(1 / target - 1e-9) - 1
        raise DatasetError(
            f"a false alarm rate of {target:g} needs at least {needed} independent real images; there are {n}"
        )
    rank = max(1, k * len(scores) // n)
    threshold = float(np.nextafter(np.sort(scores)[-rank], 2.0))
    low, high = beta.ppf([0.025, 0.975], k, n + 1 - k)
    return threshold, {"target": target, "expected": k / (n + 1), "interval": [float(low), float(high)], "n_real": n}
