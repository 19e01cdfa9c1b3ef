"""Fitted classifiers as plain arrays, applied by NumPy alone, and the model that holds one.

Scanning does not import scikit-learn, and a model outlives its versions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from spectral_detect.calibration import Calibration
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.header import VIDEO_FORMAT, Metadata
from spectral_detect.records import FAKE, REAL

ClassifierName = Literal["svm", "logreg", "kmeans"]
AT_ONCE = 64  # rows of a kernel; they stay in a core's cache from one step to the next
SIZE_TOLERANCE = 1.25  # a size class: sides up to a quarter larger, or as much smaller, than those seen
QUALITY_TOLERANCE = 5


class Classifier(Protocol):
    """A fitted classifier as plain arrays."""

    kind: ClassVar[ClassifierName]

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        """(n_vectors, n_features) standardised -> (n_vectors,) raw margin, positive on the fake side."""
        ...


@dataclass(frozen=True, eq=False)
class Svm:
    """Support vector machine, f(x) = sum_i a_i k(x, s_i) + b, with `group_kernel` as k."""

    kind: ClassVar[ClassifierName] = "svm"
    support_vectors: np.ndarray  # (n_support, n_features)
    dual_coef: np.ndarray  # (n_support,)
    intercept: float
    gamma: np.ndarray  # (n_groups,)
    group_sizes: np.ndarray  # (n_groups,), features of each group

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        kernel = group_kernel(self._groups(X.dtype.name), split_groups(X, self.group_sizes), self.gamma)
        return np.asarray(self.dual_coef @ kernel + self.intercept)

    def _groups(self, dtype: str) -> list[Group]:
        """Of the support vectors, in the precision of what is compared with them."""
        if dtype not in self._split:
            self._split[dtype] = split_groups(self.support_vectors.astype(dtype, copy=False), self.group_sizes)
        return self._split[dtype]

    @cached_property
    def _split(self) -> dict[str, list[Group]]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what is found anew, so that half as much goes to a worker."""
        return {name: value for name, value in vars(self).items() if name != "_split"}


Group = tuple[np.ndarray, np.ndarray]  # (n, n_features) of one group and the squared norms of its rows


def split_groups(X: np.ndarray, group_sizes: np.ndarray) -> list[Group]:
    """(n, n_features) -> the features of each group with the squared norms of their rows."""
    ends = [int(end) for end in np.cumsum(group_sizes)]
    parts = [np.ascontiguousarray(X[:, start:end]) for start, end in pairwise((0, *ends))]
    return [(part, np.square(part).sum(axis=1)) for part in parts]


def group_kernel(A: list[Group], B: list[Group], gamma: np.ndarray) -> np.ndarray:
    """(n, m), the mean over groups g of exp(-gamma_g |a_g - b_g|^2).

    One radial basis function per group of features, so that a group of many numbers does not drown one of few.
    """
    total = np.zeros((len(B[0][0]), len(A[0][0])), A[0][0].dtype)
    for (a, norm_a), (b, norm_b), gamma_g in zip(A, B, gamma.tolist(), strict=True):
        a_offset, b_scaled, b_offset = gamma_g * norm_a, 2 * gamma_g * b, gamma_g * norm_b[:, None]
        for start in range(0, len(b), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            exponent = b_scaled[part] @ a.T
            exponent -= a_offset
            exponent -= b_offset[part]
            total[part] += np.exp(exponent, out=exponent)
    total /= len(gamma)
    return np.asarray(total.T)


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """f(x) = w.x + b, the log odds of fake."""

    kind: ClassVar[ClassifierName] = "logreg"
    weights: np.ndarray  # (n_features,)
    intercept: float

    def decision_values(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(X @ self.weights + self.intercept)


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

    def decision_values(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """(n_samples,) raw margins of images, each (n_features,) or (n_tiles, n_features): the mean over its tiles.

        One image at a time, so that its score does not depend on what else is in the batch; in the precision of its
        features.
        """
        return np.array([self._decision_value(image) for image in features])

    def distance(self, image: np.ndarray) -> float:
        """See `Model.distance`."""
        standardised = (np.atleast_2d(np.asarray(image, dtype=np.float64)).mean(axis=0) - self.mean) / self.scale
        return float(np.mean(standardised**2))

    def _decision_value(self, image: np.ndarray) -> float:
        tiles = np.atleast_2d(image)
        precision = np.result_type(tiles, np.float32)  # a kernel in single precision takes half the time
        return float(self.classifier.decision_values(((tiles - self.mean) / self.scale).astype(precision)).mean())


@dataclass(frozen=True)
class Experience:
    """What images a model has seen, so that it can tell when it is asked about others.

    Attributes
    ----------
    min_side_px, max_side_px : of the shorter sides of its training images.
    max_distance : an image whose `Model.distance` is greater is unlike them.
    refusal_rate : the share of images of the training sources that is expected to lie farther, by those that were
        held out in cross-validation.
    jpeg_qualities : (lowest, highest) of its training images; None where none was a JPEG.
    has_seen_others : whether any was not a JPEG.
    """

    min_side_px: int
    max_side_px: int
    max_distance: float
    refusal_rate: float
    jpeg_qualities: tuple[int, int] | None
    has_seen_others: bool

    def covers(self, width: int, height: int) -> bool:
        """Whether it has seen images of about such a size."""
        return self.min_side_px / SIZE_TOLERANCE <= min(width, height) <= self.max_side_px * SIZE_TOLERANCE

    def objections(self, width: int, height: int, metadata: Metadata | None, distance: float) -> list[str]:
        """Why an image lies outside, in words; empty where it does not."""
        found = []
        if not self.covers(width, height):
            sides = _range(self.min_side_px, self.max_side_px)
            found.append(f"{width}x{height} pixels (seen: a shorter side of {sides})")
        if metadata is not None and metadata.format != VIDEO_FORMAT:  # how a video was compressed only its pixels tell
            found += self._of_compression(metadata.nearest_quality)
        if distance > self.max_distance:
            times = distance / self.max_distance
            found.append(f"features unlike those of its training images ({times:.2f} times the limit)")
        return found

    def _of_compression(self, quality: int | None) -> list[str]:
        """`quality` of a JPEG, by its quantisation table; None for other formats."""
        if quality is None:
            return [] if self.has_seen_others else ["not a JPEG (seen: JPEGs only)"]
        if self.jpeg_qualities is None:
            return [f"a JPEG of quality {quality} (seen: no JPEG)"]
        low, high = self.jpeg_qualities
        if low - QUALITY_TOLERANCE <= quality <= high + QUALITY_TOLERANCE:
            return []
        return [f"JPEG quality {quality} (seen: {_range(low, high)})"]


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained detector: everything that turns features into a score and a verdict.

    Attributes
    ----------
    spec : the features it was trained on, the only ones that it may be given.
    mean, scale : (n_features,) standardisation, X -> (X - mean) / scale.
    calibration : what turns a decision value into the score.
    threshold : a score at or above it is fake.
    training : what it was trained on (counts, groups, hash of the file hashes, settings).
    metrics : the cross-validated estimate made at training.
    experience : what images it has seen; None where there were too few groups to tell.
    reference : (n, n_features) a few training vectors; the file stores their scores, and loading checks them.
    name, sha256 : of the file it was loaded from; empty before it is saved.
    """

    spec: FeatureSpec
    classifier: Classifier
    mean: np.ndarray
    scale: np.ndarray
    calibration: Calibration
    threshold: float
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    experience: Experience | None = None
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

    def decision_values(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """(n_samples,) raw margins of images, each given as `extract_features` returns it."""
        return Fitted(self.mean, self.scale, self.classifier).decision_values(features)

    def distance(self, features: np.ndarray) -> float:
        """How far an image lies from the training images: the mean square of its standardised features.

        Of an image cut into tiles, of the mean of its tiles' features.
        """
        return Fitted(self.mean, self.scale, self.classifier).distance(features)

    def scores(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """(n_samples,) in [0, 1], higher is more fake; of images, each given as `extract_features` returns it."""
        return self.calibration.scores(self.decision_values(features))
