"""Apply the classifiers of several generators, held as plain arrays, and refuse what is like none of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spectral_detect.detector.classifiers import feature_group_kernel, split_features
from spectral_detect.detector.experience import mean_of_tiles
from spectral_detect.text import short_repr

NamingKind = Literal["svm", "logreg"]
CAMERA = "camera"
NONE_OF_THESE = "none of these"


@dataclass(frozen=True)
class Named:
    """Say what an image is most like.

    Attributes
    ----------
    generator : str
        Name of a class, or `NONE_OF_THESE`.
    score : float or None
        How probable that class is among those of the model, each equally frequent; None if it is none of these.
    """

    generator: str
    score: float | None


@dataclass(frozen=True, eq=False)
class NamingReport:
    """Hold how well images held out were named; shares from 0 to 1.

    Attributes
    ----------
    n_files : tuple of int
        Files of each class that were trained on.
    n_groups : tuple of int
        Groups of each class.
    confusion : (n_classes, n_classes + 1) int array
        Images held out by their class and by what they were called, the last column being `NONE_OF_THESE`.
    open_set_auroc : mapping of str to float
        Generator -> how well its images are told from held-out images of the other classes by a naming that was trained
        without it, by the largest decision value; 0.5 is chance.
    open_set_refused : mapping of str to float
        Generator -> the share of its images that such a naming calls `NONE_OF_THESE`.
    """

    n_files: tuple[int, ...]
    n_groups: tuple[int, ...]
    confusion: np.ndarray
    open_set_auroc: Mapping[str, float]
    open_set_refused: Mapping[str, float]
    __repr__ = short_repr

    @property
    def recalls(self) -> np.ndarray:
        """Return (n_classes,) shares of the images of each class called by its name; NaN if none was held out."""
        counts = self.confusion.sum(axis=1)
        return np.where(counts, np.diag(self.confusion) / np.maximum(counts, 1), np.nan)

    @property
    def accuracy(self) -> float:
        """Return the mean of `recalls`: each class counts alike, and what is refused counts as wrong."""
        return float(np.nanmean(self.recalls))


@dataclass(frozen=True, eq=False)
class Naming:
    """Name the generator of an image by one classifier for each class, of it against the others.

    Attributes
    ----------
    names : tuple of str
        The classes: `CAMERA`, then the generators.
    kind : {"svm", "logreg"}
        Support vector machines with `feature_group_kernel`, or logistic regressions.
    mean, scale : (n_features,) array
        Standardisation, x -> (x - mean) / scale, of the mean over an image's tiles.
    coefficients : (n_classes, n_support) or (n_classes, n_features) array
        Of the support vectors, or of the features.
    intercepts : (n_classes,) array
        Added to each decision value.
    support_vectors : (n_support, n_features) array
        Those of all classes; none of logistic regressions.
    gamma, group_sizes : (n_feature_groups,) array
        As in `classifiers.Svm`.
    slope : float
        The probabilities are softmax(slope * decision values).
    limit : float
        An image whose largest decision value is below it is `NONE_OF_THESE`.
    report : NamingReport or None
        How well images held out were named; None before that was measured.
    """

    names: tuple[str, ...]
    kind: NamingKind
    mean: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray
    support_vectors: np.ndarray
    gamma: np.ndarray
    group_sizes: np.ndarray
    slope: float = 1.0
    limit: float = -math.inf
    report: NamingReport | None = None
    __repr__ = short_repr

    def name(self, image: np.ndarray) -> Named:
        """Return what an image is most like, given as `extract_features` returns it."""
        values = self.values(image)
        best = int(values.argmax())
        if values[best] < self.limit:
            return Named(NONE_OF_THESE, None)
        return Named(self.names[best], float(softmax(self.slope * values)[best]))

    def values(self, image: np.ndarray) -> np.ndarray:
        """Return the (n_classes,) decision values of an image, positive where it is more like that class."""
        return np.asarray(self.values_of(mean_of_tiles(image)[None])[0])

    def fits(self, n_features: int, group_sizes: Sequence[int]) -> bool:
        """Tell whether the arrays fit together, and take features of these groups."""
        n, n_support = len(self.names), len(self.support_vectors)
        return bool(
            self.mean.shape == self.scale.shape == (n_features,)
            and (self.scale > 0).all()
            and self.coefficients.shape == (n, n_support if self.kind == "svm" else n_features)
            and self.intercepts.shape == (n,)
            and self.support_vectors.shape == (n_support, n_features)
            and self.gamma.shape == (len(group_sizes),)
            and self.group_sizes.tolist() == list(group_sizes)
        )

    def values_of(self, X: np.ndarray) -> np.ndarray:
        """Return (n_images, n_classes) decision values of (n_images, n_features)."""
        Z = (X - self.mean) / self.scale
        if self.kind == "svm":
            seen, supports = (split_features(vectors, self.group_sizes) for vectors in (Z, self.support_vectors))
            Z = feature_group_kernel(seen, supports, self.gamma)
        return np.asarray(Z @ self.coefficients.T + self.intercepts)


def softmax(values: np.ndarray) -> np.ndarray:
    """Return exp(v) / sum(exp(v)) along the last axis, without overflow."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
