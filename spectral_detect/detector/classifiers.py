"""Apply fitted classifiers, held as plain arrays, with NumPy alone.

Scanning does not import scikit-learn, and a model outlives its versions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from spectral_detect.lazy import cached_property
from spectral_detect.records import FAKE, REAL
from spectral_detect.text import short_repr

ClassifierName = Literal["svm", "logreg", "ridge", "perceptron", "kmeans"]
ROWS_AT_ONCE = 64  # rows of a kernel; they stay in a core's cache from one step to the next


class Classifier(Protocol):
    """Describe a fitted classifier, held as plain arrays."""

    kind: ClassVar[ClassifierName]

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """Return (n_vectors,) raw margins, positive on the fake side, of standardised (n_vectors, n_features)."""
        ...


@dataclass(frozen=True, eq=False)
class Svm:
    """Apply a support vector machine, f(x) = sum_i a_i k(x, s_i) + b, with `feature_group_kernel` as k."""

    kind: ClassVar[ClassifierName] = "svm"
    support_vectors: np.ndarray  # (n_support, n_features)
    dual_coef: np.ndarray  # (n_support,)
    intercept: float
    gamma: np.ndarray  # (n_feature_groups,)
    group_sizes: np.ndarray  # (n_feature_groups,), number of features of each; the name is part of model files
    __repr__ = short_repr

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """Return f(x), (n_vectors,)."""
        kernel = feature_group_kernel(
            self._feature_groups(X.dtype.name), split_features(X, self.group_sizes), self.gamma
        )
        return np.asarray(self.dual_coef @ kernel + self.intercept)

    def _feature_groups(self, dtype: str) -> list[FeatureGroup]:
        """Return the support vectors by feature group, in the precision of the vectors they are compared with."""
        if dtype not in self._split:
            self._split[dtype] = split_features(self.support_vectors.astype(dtype, copy=False), self.group_sizes)
        return self._split[dtype]

    @cached_property
    def _split(self) -> dict[str, list[FeatureGroup]]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be computed again, so that half as many bytes go to a worker."""
        return {name: value for name, value in vars(self).items() if name != "_split"}


FeatureGroup = tuple[np.ndarray, np.ndarray]  # (n, n_features) of one feature group, and the squared norms of its rows


def split_features(X: np.ndarray, group_sizes: np.ndarray) -> list[FeatureGroup]:
    """Split (n, n_features) into the features of each feature group, with the squared norms of their rows."""
    ends = [int(end) for end in np.cumsum(group_sizes)]
    parts = [np.ascontiguousarray(X[:, start:end]) for start, end in pairwise((0, *ends))]
    return [(part, np.square(part).sum(axis=1)) for part in parts]


def feature_group_kernel(A: list[FeatureGroup], B: list[FeatureGroup], gamma: np.ndarray) -> np.ndarray:
    """Return (n, m), the mean over feature groups g of exp(-gamma_g |a_g - b_g|^2).

    One radial basis function per feature group, so that a group of many numbers does not drown one of few.

    Parameters
    ----------
    A, B : list of FeatureGroup
        n and m vectors, see `split_features`.
    gamma : (n_feature_groups,) array
        Inverse squared width of each function.
    """
    total = np.zeros((len(B[0][0]), len(A[0][0])), A[0][0].dtype)
    for (a, norm_a), (b, norm_b), gamma_g in zip(A, B, gamma.tolist(), strict=True):
        a_offset, b_scaled, b_offset = gamma_g * norm_a, 2 * gamma_g * b, gamma_g * norm_b[:, None]
        for start in range(0, len(b), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            exponent = b_scaled[part] @ a.T
            exponent -= a_offset
            exponent -= b_offset[part]
            total[part] += np.exp(exponent, out=exponent)
    total /= len(gamma)
    return np.asarray(total.T)


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """Apply logistic regression, f(x) = w.x + b, the log odds of fake."""

    kind: ClassVar[ClassifierName] = "logreg"
    weights: np.ndarray  # (n_features,)
    intercept: float
    __repr__ = short_repr

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """Return f(x), (n_vectors,)."""
        return np.asarray(X @ self.weights + self.intercept)


@dataclass(frozen=True, eq=False)
class Ridge:
    """Apply linear regression to -1 for real and 1 for fake, f(x) = w.x + b, of features cut off at +-`limit`.

    One feature that lies far out, as in an image of another kind, so cannot decide alone.
    """

    kind: ClassVar[ClassifierName] = "ridge"
    weights: np.ndarray  # (n_features,)
    intercept: float
    limit: float
    __repr__ = short_repr

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """Return f(x), (n_vectors,)."""
        return np.asarray(np.clip(X, -self.limit, self.limit) @ self.weights + self.intercept)


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Apply a perceptron of one hidden layer, f(x) = sum_k v_k max(0, w_k.x + c_k) + b, the log odds of fake.

    Features are cut off at +-`limit`, as in `Ridge`.
    """

    kind: ClassVar[ClassifierName] = "perceptron"
    hidden_weights: np.ndarray  # (n_features, n_hidden)
    hidden_offsets: np.ndarray  # (n_hidden,)
    weights: np.ndarray  # (n_hidden,)
    intercept: float
    limit: float
    __repr__ = short_repr

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """Return f(x), (n_vectors,)."""
        units = np.clip(X, -self.limit, self.limit) @ self.hidden_weights + self.hidden_offsets
        return np.asarray(np.maximum(units, 0, out=units) @ self.weights + self.intercept)


@dataclass(frozen=True, eq=False)
class KMeans:
    """Compare distances to two cluster centres, f(x) = |x - c_real| - |x - c_fake|.

    It is positive nearer to the centre of the cluster that is called fake.
    """

    kind: ClassVar[ClassifierName] = "kmeans"
    centres: np.ndarray  # (2, n_features): REAL, FAKE
    __repr__ = short_repr

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """Return f(x), (n_vectors,)."""
        to_real, to_fake = (np.linalg.norm(X - self.centres[label], axis=1) for label in (REAL, FAKE))
        return np.asarray(to_real - to_fake)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Hold a classifier with the standardisation of the features that it takes, X -> (X - mean) / scale.

    Attributes
    ----------
    mean, scale : (n_features,) array
        Standardisation.
    classifier : Classifier
        Takes standardised features.
    """

    mean: np.ndarray
    scale: np.ndarray
    classifier: Classifier
    __repr__ = short_repr

    def decision_values(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """Return the (n_samples,) raw margins of images, each (n_features,) or (n_tiles, n_features).

        The margin of an image in tiles is the mean over its tiles. One image at a time, so that its score does not
        depend on the others in the batch; in the precision of its features.
        """
        return np.array([self._decision_value(image) for image in features])

    def tile_values(self, image: np.ndarray) -> np.ndarray:
        """Return the (n_tiles,) raw margins of an image's tiles; that of an image without tiles is one."""
        tiles = np.atleast_2d(image)
        precision = np.result_type(tiles, np.float32)  # a kernel in single precision takes half the time
        return self.classifier.decision_values(((tiles - self.mean) / self.scale).astype(precision))

    def _decision_value(self, image: np.ndarray) -> float:
        return float(self.tile_values(image).mean())
