"""Describe the images that a model has seen, so that it can tell when it is asked about others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np

from spectral_detect.media.coding import Coding
from spectral_detect.text import range_text, short_repr

OF_STILLS = "HEVC of stills"  # the same codec is called H.265 in videos
N_DIRECTIONS = 8  # twenty or fifty refuse no more
LEAST_VARIANCE = 1e-3  # of standardised features
SIZE_TOLERANCE = 1.25  # sides up to this factor larger or smaller than those seen count as seen
QUALITY_TOLERANCE = 5
MIN_OF_CODING = 5  # images of a class
MOSTLY_PORTRAITS = 0.8  # share of the training images from which on a model judges portraits alone
HIDDEN_BY_JPEG = frozenset(("lossless", "JPEG", "JPEG in TIFF"))
APART = (101, 0)

Qualities = tuple[int, int] | None  # lowest and highest; None if the files did not tell


@dataclass(frozen=True)
class Experience:
    """Describe the images that a model has seen, so that it can tell when it is asked about others.

    Attributes
    ----------
    min_side_px, max_side_px : int
        Least and greatest shorter side of its training images, in pixels; the least of which it has seen enough, where
        that was measured.
    refusal_rate : float
        Share of images of the training sources that is expected to lie farther, measured on images held out in
        cross-validation.
    codings : mapping of str to (int, int) or None
        `Coding.kind` that both classes of its training images have -> lowest and highest quality of both, None where
        files do not tell it.
    portrait_share : float
        Share of its training images that show a large face, in the class that has fewer.
    """

    min_side_px: int
    max_side_px: int
    refusal_rate: float
    codings: Mapping[str, Qualities]
    portrait_share: float = 0.0

    @property
    def needs_portrait(self) -> bool:
        """Tell whether the model has seen hardly anything but portraits, and so judges nothing else."""
        return self.portrait_share >= MOSTLY_PORTRAITS

    @property
    def least_side_px(self) -> int:
        """Return the least shorter side, in pixels, that counts as seen."""
        return ceil(self.min_side_px / SIZE_TOLERANCE)

    @property
    def most_side_px(self) -> int:
        """Return the greatest."""
        return floor(self.max_side_px * SIZE_TOLERANCE)

    @property
    def sides_text(self) -> str:
        """Return the shorter sides that the model has seen, and those that it judges, in words."""
        seen = range_text(self.min_side_px, self.max_side_px)
        return f"{seen} pixels (so it judges {range_text(self.least_side_px, self.most_side_px)})"

    def covers(self, width: int, height: int) -> bool:
        """Tell whether the model has seen images of about such a size, in pixels."""
        return self.least_side_px <= min(width, height) <= self.most_side_px

    def objections(
        self, width: int, height: int, coding: Coding | None, distance: float, *, is_portrait: bool | None = None
    ) -> list[str]:
        """Return the reasons why an image lies outside, in words; empty if it does not.

        Parameters
        ----------
        width, height : int
            In pixels, as displayed.
        coding : Coding or None
            How it was compressed; None if nothing is known.
        distance : float
            See `Model.distance`.
        is_portrait : bool or None
            See `face_detection.is_portrait`; None if nobody looked.
        """
        found = []
        if not self.covers(width, height):
            sides = range_text(self.least_side_px, self.most_side_px)
            found.append(f"{width}x{height} pixels (it judges a shorter side of {sides})")
        if coding is not None and not self.has_seen(coding):
            found.append(f"coded as {coding.title} (seen: {self.codings_text})")
        if distance > 1:
            found.append(f"features unlike those of its training images ({distance:.2f} times the limit)")
        if self.needs_portrait and is_portrait is False:
            found.append(f"no large face found ({100 * self.portrait_share:.0f} % of its training images show one)")
        return found

    def has_seen(self, coding: Coding) -> bool:
        """Tell whether the model has seen images of such a coding, and of about such a quality."""
        if coding.kind not in self.codings:
            return False
        qualities = self.codings[coding.kind]
        if qualities is None or coding.quality is None:
            return True
        low, high = qualities
        return low - QUALITY_TOLERANCE <= coding.quality <= high + QUALITY_TOLERANCE

    @property
    def codings_text(self) -> str:
        """The codings in words."""
        words = []
        for kind, qualities in self.codings.items():
            name = OF_STILLS if kind == "HEVC" else kind
            words.append(name if qualities is None else f"{name}, quality {range_text(*qualities)}")
        return "; ".join(words) or "no coding in both classes"


@dataclass(frozen=True, eq=False)
class OutsiderCheck:
    """Tell images of other kinds, such as drawings among photographs, from those that a model was made for.

    Attributes
    ----------
    kinds : str
        What those others are, for people.
    weights : (n_features,) array
        Of the standardised features, cut off at +-`limit`; tiles count by their mean.
    mean, scale : (n_features,) array
        Standardisation, x -> (x - mean) / scale: that of the model, or of the one that it has the check from.
    intercept, limit, threshold : float
        An image is an outsider if weights . features + intercept is above the threshold.
    found : float
        Share of outsiders that it finds, on groups of them that it was not fitted on.
    """

    kinds: str
    weights: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    intercept: float
    limit: float
    threshold: float
    found: float
    __repr__ = short_repr

    def value(self, image: np.ndarray) -> float:
        """Return the decision value of an image, (n_features,) or (n_tiles, n_features)."""
        standardised = (mean_of_tiles(image) - self.mean) / self.scale
        return float(np.clip(standardised, -self.limit, self.limit) @ self.weights + self.intercept)

    def is_outsider(self, image: np.ndarray) -> bool:
        """Tell whether an image is more like the outsiders."""
        return self.value(image) > self.threshold


@dataclass(frozen=True, eq=False)
class FeatureCloud:
    """Describe where the features of a model's training images lie: a Gaussian with few directions of its own.

    Attributes
    ----------
    mean, scale : (n_features,) array
        Standardisation, x -> (x - mean) / scale.
    directions : (n_directions, n_features) array
        Principal components, of length 1.
    variances : (n_directions,) array
        The variance along each.
    variance_of_rest : float
        That along any other direction.
    limits : (2,) array
        The greatest of each of `distances` at which an image still counts as like them.

    References
    ----------
    Tipping and Bishop, "Probabilistic principal component analysis", 1999, equations 4 and 7.
    """

    mean: np.ndarray
    scale: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    variance_of_rest: float
    __repr__ = short_repr
    limits: np.ndarray = field(default_factory=lambda: np.ones(2))

    @classmethod
    def of_images(cls, features: Iterable[np.ndarray]) -> FeatureCloud:
        """Fit the cloud of images, each (n_features,) or (n_tiles, n_features): of tiles, the mean counts."""
        images = np.stack([mean_of_tiles(image) for image in features])
        mean, scale = images.mean(axis=0), images.std(axis=0)
        scale[scale < 1e-12] = 1.0
        standardised = (images - mean) / scale
        n = min(N_DIRECTIONS, len(images) // 4, images.shape[1] - 1)
        singular, directions = _principal(standardised, n)
        n_free = max(1, len(images) - 1)
        variances = singular**2 / n_free
        rest = float(np.square(standardised).sum() / n_free - variances.sum()) / (images.shape[1] - n)
        return cls(mean, scale, directions, np.maximum(variances, LEAST_VARIANCE), max(rest, LEAST_VARIANCE))

    def position(self, image: np.ndarray) -> np.ndarray:
        """Return the (n_directions,) position of an image along the directions, in deviations of each."""
        x = (mean_of_tiles(image) - self.mean) / self.scale
        return np.asarray(self.directions @ x / np.sqrt(self.variances))

    def distances(self, image: np.ndarray) -> np.ndarray:
        """Return two squared distances of an image from the training images, each (2,) per feature.

        The mean square of its standardised features, which noise and gray copies raise most, and the Mahalanobis
        distance, which other content raises most.
        """
        x = (mean_of_tiles(image) - self.mean) / self.scale
        along = self.directions @ x
        rest = max(0.0, float(x @ x - along @ along))
        mahalanobis = float((along**2 / self.variances).sum()) + rest / self.variance_of_rest
        return np.array([x @ x, mahalanobis]) / len(x)

    def distance(self, image: np.ndarray) -> float:
        """Return the greater of both distances, each as a multiple of its limit."""
        return float((self.distances(image) / self.limits).max())


def _principal(X: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n greatest singular values of (n_samples, n_features), and the directions that go with them."""
    import scipy.sparse.linalg

    if n < 1:
        return np.empty(0), np.empty((0, X.shape[1]))
    if not X.any():
        return np.zeros(n), np.eye(n, X.shape[1])
    start = np.random.default_rng(0).standard_normal(min(X.shape))  # ones would be orthogonal to all: the mean is 0
    _, singular, directions = scipy.sparse.linalg.svds(X, n, v0=start)
    return np.asarray(singular), np.asarray(directions)


def mean_of_tiles(image: np.ndarray) -> np.ndarray:
    """Return the (n_features,) features of an image, of tiles their mean, in double precision."""
    return np.asarray(np.atleast_2d(np.asarray(image, dtype=np.float64)).mean(axis=0))


def codings_in_common(
    classes: Sequence[Iterable[Coding | None]], *, delivered_quality: int | None = None
) -> dict[str, Qualities]:
    """Return the kinds of coding that each class has, with the range of qualities that the classes share.

    What only one class has tells the classes apart: a model that learned from it must not judge by it.

    Parameters
    ----------
    classes : sequence of iterables of Coding
        Codings of the images of each class.
    delivered_quality : int or None
        The images went through a `Delivery` since, at this JPEG quality at most. It makes images that lost nothing and
        JPEGs of no lower quality alike: measured with the codings of the classes exchanged, 91 to 99 % stayed right.
        What WebP or AVIF lost, a JPEG does not hide (35 to 46 %), nor does it hide a JPEG of lower quality.
    """
    of_classes = [_qualities_by_kind(codings) for codings in classes]
    enough = [{kind for kind, found in of.items() if len(found) >= MIN_OF_CODING} for of in of_classes]
    common = {kind: [_told(of[kind]) for of in of_classes] for kind in sorted(set.intersection(*enough))}
    seen = {kind: _shared_range(qualities) for kind, qualities in common.items()}
    if delivered_quality is not None:
        seen |= _made_alike([_hidden(of, delivered_quality) for of in of_classes])
    return {kind: qualities for kind, qualities in seen.items() if qualities != APART}


def _hidden(found: Mapping[str, Sequence[int | None]], quality: int) -> dict[str, list[int | None]]:
    """Return the codings of a class that a JPEG of this quality hides."""
    kinds = (kind for kind in found if kind.split(",")[0] in HIDDEN_BY_JPEG)
    kept = {kind: [q for q in found[kind] if q is None or q >= quality - QUALITY_TOLERANCE] for kind in kinds}
    return {kind: qualities for kind, qualities in kept.items() if qualities}


def _made_alike(of_classes: Sequence[Mapping[str, Sequence[int | None]]]) -> dict[str, Qualities]:
    """Return all kinds of any class, if each class has enough images of them together."""
    if any(sum(map(len, of.values())) < MIN_OF_CODING for of in of_classes):
        return {}
    told = {
        kind: [q for of in of_classes for q in _told(of.get(kind, ()))] for kind in sorted(set().union(*of_classes))
    }
    return {kind: (min(found), max(found)) if found else None for kind, found in told.items()}


def _qualities_by_kind(codings: Iterable[Coding | None]) -> dict[str, list[int | None]]:
    found: dict[str, list[int | None]] = {}
    for coding in codings:
        if coding is not None:
            found.setdefault(coding.kind, []).append(coding.quality)
    return found


def _told(qualities: Iterable[int | None]) -> list[int]:
    return [quality for quality in qualities if quality is not None]


def _shared_range(classes: Sequence[Sequence[int]]) -> Qualities:
    """Return the range of qualities that all classes have, up to the tolerance; `APART` if there is none."""
    if not all(classes):
        return None
    low, high = max(map(min, classes)), min(map(max, classes))
    if low <= high:
        return low, high
    return (high, low) if low - high <= QUALITY_TOLERANCE else APART
