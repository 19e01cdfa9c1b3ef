"""Keep the spectra of many camera images, with the transformation that whitens them: what generated ones should match.

Free of torch: the worker processes that read images import this module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np

from spectral_detect.errors import DatasetError, FeatureError
from spectral_detect.features.extract import extract_features
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.regularize.choices import ComparedPer, ProfileNormalisation, SpectralDistance, SpectralFeatures
from spectral_detect.regularize.profiles import MIN_REALS, check_images, log_profiles, radial_profiles

AT_ONCE = 256  # images in memory with all that their features need
RIDGE = 3e-3  # added to the variance in each direction, of features of unit variance
LEAST_VARIANCE = 1e-6  # of features of unit variance; below, a direction holds rounding errors
DISTRIBUTIONS: tuple[SpectralDistance, ...] = ("energy", "mmd", "discriminator")


@dataclass(frozen=True, eq=False)
class RealBank:
    """Hold the spectra of camera images of one size; `real_bank` computes them.

    Attributes
    ----------
    shape : tuple of int
        (H, W) of the images.
    features : {"profile", "azimuthal", "residual"}
        What the vectors are: log profiles, or the features of that preset.
    vectors : array (n_images, n_features)
        A row for each image, in single precision.
    mean : array (n_features,)
        Their mean.
    whitening : array (n_features, n_directions)
        Times it, the vectors less their mean have about unit variance in all directions.
    """

    shape: tuple[int, int]
    features: SpectralFeatures
    vectors: np.ndarray
    mean: np.ndarray
    whitening: np.ndarray


def check_loss(
    features: str = "profile",
    normalisation: str = "log",
    distance: str = "bce",
    per: str = "batch",
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> None:
    """Refuse a spectral loss that does not exist: `FeatureError`."""
    if features not in get_args(SpectralFeatures):
        raise FeatureError(f"features {features!r}: it is one of {', '.join(get_args(SpectralFeatures))}")
    if normalisation not in get_args(ProfileNormalisation) or distance not in get_args(SpectralDistance):
        choices = f"{', '.join(get_args(ProfileNormalisation))} and {', '.join(get_args(SpectralDistance))}"
        raise FeatureError(f"normalisation {normalisation!r}, distance {distance!r}: there are {choices}")
    if normalisation == "paper" and features != "profile":
        raise FeatureError(f"features {features!r} are logarithms: they go with normalisation 'log'")
    if normalisation == "paper" and distance != "bce":
        raise FeatureError(f"distance {distance!r} is between log profiles: it goes with normalisation 'log'")
    if per not in get_args(ComparedPer):
        raise FeatureError(f"per {per!r}: it is one of {', '.join(get_args(ComparedPer))}")
    if per == "image" and distance in DISTRIBUTIONS:
        raise FeatureError(f"distance {distance!r} is between distributions: it goes with per 'batch'")
    black, white = value_range
    if not (math.isfinite(black) and math.isfinite(white) and black < white):
        raise FeatureError(f"value_range {value_range!r}: give the values of black and of white, such as (-1, 1)")


def needs_bank(features: SpectralFeatures, distance: SpectralDistance) -> bool:
    """Tell whether a loss compares with a bank; the mean profile is enough for the others."""
    return features != "profile" or distance in DISTRIBUTIONS


def real_bank(images: np.ndarray, features: SpectralFeatures) -> RealBank:
    """Compute the spectra of camera images.

    Parameters
    ----------
    images : array (N, H, W, 3) or (N, H, W)
        uint8, or floating from 0 to 1; at least `MIN_REALS`.
    features : {"profile", "azimuthal", "residual"}
        What to compute of each.

    Raises
    ------
    DatasetError
        There are fewer images, or their features are all the same.
    FeatureError
        The array has another shape, or values outside 0 to 1, or the images are too small.
    """
    check_images(images)
    if len(images) < MIN_REALS:
        raise DatasetError(f"{len(images)} images: a bank needs at least {MIN_REALS}", remedy="add images")
    vectors = spectral_vectors(images, features)
    whitening = whitening_of(vectors)
    if not whitening.shape[1]:
        raise DatasetError(
            f"{len(images)} images whose {features!r} features do not differ",
            remedy="give camera images of various things",
        )
    return RealBank(
        tuple(images.shape[1:3]),
        features,
        vectors.astype(np.float32),
        vectors.mean(axis=0),
        whitening,
    )


def spectral_vectors(images: np.ndarray, features: SpectralFeatures) -> np.ndarray:
    """Return (N, n_features) of images as `real_bank` takes them, in double precision."""
    if features == "profile":
        return log_profiles(radial_profiles(images)[0])
    spec, parts = FeatureSpec.preset(features), []
    for start in range(0, len(images), AT_ONCE):
        part = np.ascontiguousarray(images[start : start + AT_ONCE])
        if part.dtype != np.uint8:
            part = np.rint(np.clip(part, 0, 1) * 255).astype(np.uint8)  # as a file has them
        found = np.asarray(extract_features(part, spec), dtype=np.float64)
        parts.append(found.mean(axis=1) if spec.gives_tiles else found)
    return np.concatenate(parts)


def whitening_of(vectors: np.ndarray) -> np.ndarray:
    """Return the (n_features, n_directions) matrix that gives (N, n_features) vectors unit variance, regularised.

    Notes
    -----
    With the correlation matrix C = V L V^T of the features and their standard deviations s it is
    diag(1/s) V (L + ridge)^(-1/2). A logistic regression on some thousand standardised vectors does not see directions
    whose variance lies below the ridge; without the ridge the noise in them would drown all others.
    """
    sd = vectors.std(axis=0)
    scale = np.where(sd > 1e-6, sd, np.inf)  # a feature that never changes takes no part
    Z = (vectors - vectors.mean(axis=0)) / scale
    variance, directions = np.linalg.eigh(Z.T @ Z / len(Z))
    kept = variance > LEAST_VARIANCE
    return np.asarray(directions[:, kept] / np.sqrt(variance[kept] + RIDGE) / scale[:, None])
