"""Split a decision value into what each feature adds to it; the parts sum to it exactly.

Everything is measured from the mean of the training vectors, which standardisation makes zero (a vector of zeros for a
model without standardisation): its decision value is the start, and each feature adds what sets it apart from there.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np

from spectral_detect.detector.classifiers import Classifier, KMeans, LogisticRegression, Perceptron, Ridge, Svm
from spectral_detect.detector.model import Model
from spectral_detect.records import FAKE, REAL

METHODS = {
    "svm": "kernels of the groups add exactly; within a group, integrated gradients in closed form "
    "(Sundararajan et al. 2017) along the straight path from the mean training vector",
    "ridge": "weight times feature, cut off as the classifier does; exact",
    "perceptron": "integrated gradients in closed form (Sundararajan et al. 2017) along the straight path from the "
    "mean training vector; exact",
    "logreg": "weight times feature; exact",
    "kmeans": "each feature's difference of squared distances, divided by the sum of both distances; exact",
}


def contributions(model: Model, features: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the start and the (n_features,) contributions of an image, the mean over its tiles.

    Parameters
    ----------
    model : Model
        Whose decision value, in double precision, is the start plus the sum of all contributions.
    features : (n_features,) or (n_tiles, n_features) array
        As `extract_features` returns it.
    """
    tiles = np.atleast_2d(np.asarray(model.inputs(features), dtype=np.float64))
    start, parts = of_vectors(model.classifier, (tiles - model.mean) / model.scale)
    return start, np.asarray(parts.mean(axis=0))


def of_vectors(classifier: Classifier, Z: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the start and the (n, n_features) contributions to the decision values of standardised vectors Z."""
    if isinstance(classifier, LogisticRegression):
        return classifier.intercept, Z * classifier.weights
    if isinstance(classifier, Ridge):
        return classifier.intercept, np.clip(Z, -classifier.limit, classifier.limit) * classifier.weights
    if isinstance(classifier, KMeans):
        return 0.0, _of_distances(classifier, Z)
    if isinstance(classifier, Perceptron):
        start = float(classifier.decision_values(np.zeros((1, Z.shape[1])))[0])
        return start, _of_units(classifier, np.clip(Z, -classifier.limit, classifier.limit))
    assert isinstance(classifier, Svm)
    start = float(classifier.decision_values(np.zeros((1, Z.shape[1])))[0])
    return start, _of_kernels(classifier, Z)


def _of_distances(classifier: KMeans, Z: np.ndarray) -> np.ndarray:
    """Return the parts of |z - c_real| - |z - c_fake| = (|z - c_real|^2 - |z - c_fake|^2) / (the sum of both)."""
    to_real, to_fake = (np.square(Z - classifier.centres[label]) for label in (REAL, FAKE))
    total = np.sqrt(to_real.sum(axis=1)) + np.sqrt(to_fake.sum(axis=1))
    return np.asarray((to_real - to_fake) / np.maximum(total, np.finfo(float).tiny)[:, None])


def _of_units(classifier: Perceptron, Z: np.ndarray) -> np.ndarray:
    """Return the (n, n_features) integrated gradients of f(z) = sum_k v_k max(0, w_k.z + c_k) + b from 0 to z.

    Notes
    -----
    Along t z, t from 0 to 1, unit k has the slope w_k.z on the part p_k of the path on which t w_k.z + c_k > 0, and
    none on the rest, so that IG_j = z_j sum_k v_k w_kj p_k.
    """
    rise, offsets = Z @ classifier.hidden_weights, classifier.hidden_offsets
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = np.clip(np.nan_to_num(-offsets / rise), 0, 1)
    active = np.where(rise > 0, 1 - crossing, np.where(rise < 0, crossing, offsets > 0))
    return np.asarray(Z * ((active * classifier.weights) @ classifier.hidden_weights.T))


def _of_kernels(classifier: Svm, Z: np.ndarray) -> np.ndarray:
    ends = pairwise(accumulate(map(int, classifier.group_sizes), initial=0))
    parts = [
        _integrated_gradients(Z[:, start:end], classifier.support_vectors[:, start:end], classifier.dual_coef, gamma)
        for (start, end), gamma in zip(ends, classifier.gamma.tolist(), strict=True)
    ]
    return np.concatenate(parts, axis=1) / len(classifier.gamma)


def _integrated_gradients(Z: np.ndarray, support: np.ndarray, dual: np.ndarray, gamma: float) -> np.ndarray:
    """Return the (n, n_features) integrated gradients of f(z) = sum_i a_i exp(-gamma |z - s_i|^2) from 0 to z.

    Notes
    -----
    IG_j = z_j int_0^1 df/dz_j(t z) dt. Along t z the exponent is -A (t - m)^2 - c, with A = gamma |z|^2,
    m = z.s / |z|^2 and c = gamma (|s|^2 - (z.s)^2 / |z|^2), so that M0 = int k dt and M1 = int t k dt are error
    functions, and IG_j = -2 gamma z_j (z_j sum_i a_i M1_i - sum_i a_i s_ij M0_i). Along each z the parts sum to
    f(z) - f(0).

    References
    ----------
    Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017, equation 1 and proposition 1.
    """
    from scipy.special import erf

    squares = np.maximum(np.square(Z).sum(axis=1), np.finfo(float).tiny)[:, None]
    A, m = gamma * squares, Z @ support.T / squares
    left_over = gamma * (np.square(support).sum(axis=1) - m * m * squares)
    peak, root = np.exp(-np.maximum(left_over, 0.0)), np.sqrt(A)
    M0 = peak * np.sqrt(np.pi) / (2 * root) * (erf(root * (1 - m)) + erf(root * m))
    at_start, at_end = np.exp(-A * m * m), np.exp(-A * np.square(1 - m))
    M1 = m * M0 + peak / (2 * A) * (at_start - at_end)
    slope = Z * (M1 @ dual)[:, None] - (M0 * dual) @ support
    return np.asarray(-2 * gamma * Z * slope)
