"""Fitted classifiers as plain arrays, applied by NumPy alone, and the model that holds one.

Scanning does not import scikit-learn, and a model outlives its versions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from spectral_detect.features import FeatureSpec
from spectral_detect.records import FAKE, REAL

ClassifierName = Literal["svm", "logreg", "kmeans"]


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
class Fitted:
    """A classifier with the standardisation of what it takes, X -> (X - mean) / scale."""

    mean: np.ndarray
    scale: np.ndarray
    classifier: Classifier

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """(n_samples, n_features) -> (n_samples,) raw margin."""
        return self.classifier.decision_values((np.asarray(X, dtype=np.float64) - self.mean) / self.scale)


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
