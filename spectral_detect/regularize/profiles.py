"""Measure radial profiles of images of one size; the mean profile of camera images is the spectral loss's target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.errors import DatasetError, FeatureError
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spectrum import MAX_FREQUENCY, azimuthal_average, power_spectrum

MIN_REALS = 50  # with fewer the deviation of a ring is a guess
ROUNDING_POWER = 1 / (12 * 255**2)  # at every frequency: the noise of rounding pixels from 0 to 1 to 8 bits
LEAST_SD = 1e-6  # of a log profile over the images, in natural logarithms
AT_ONCE = 256  # images in memory in double precision
TOLERANCE = 1e-3  # beyond 0 and 1, where an interpolation overshoots
UPPER_QUARTER = 0.75 * MAX_FREQUENCY  # cycles per pixel; frequencies reach to the corner of the spectrum
GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class RealProfile:
    """Describe the radial profiles of camera images of one size; `mean_profile` computes this.

    Attributes
    ----------
    shape : tuple of int
        (H, W) of the images.
    n_images : int
        Number of images.
    frequency : array (n_rings,)
        Cycles per pixel, without the zero frequency.
    mean_log, sd_log : array (n_rings,)
        Mean and standard deviation of the log profile, see `log_profiles`.
    mean_ratio : array (n_rings,)
        Mean of AI / AI_0, where AI_0 is the power of the zero frequency.
    """

    shape: tuple[int, int]
    n_images: int
    frequency: np.ndarray
    mean_log: np.ndarray
    sd_log: np.ndarray
    mean_ratio: np.ndarray


def radial_profiles(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average the power of each gray image azimuthally.

    Parameters
    ----------
    images : array (N, H, W, 3) or (N, H, W)
        uint8, or floating from 0 to 1.

    Returns
    -------
    profiles : array (N, n_rings)
        From the zero frequency on, for gray images on the scale 0 to 1, in double precision.
    frequency : array (n_rings,)
        Cycles per pixel.
    """
    parts = []
    for start in range(0, len(images), AT_ONCE):
        part = np.asarray(images[start : start + AT_ONCE], dtype=np.float64)
        gray = part @ np.array(GRAY) if part.ndim == 4 else part
        scale = 255.0 if images.dtype == np.uint8 else 1.0
        profile, frequency = azimuthal_average(power_spectrum(gray / scale), gray.shape[-1], backend=numpy_backend())
        parts.append(profile)
    return np.concatenate(parts), frequency


def mean_profile(images: np.ndarray) -> RealProfile:
    """Compute mean and deviation of the profiles of camera images.

    Parameters
    ----------
    images : array (N, H, W, 3) or (N, H, W)
        As for `radial_profiles`; at least `MIN_REALS`.

    Raises
    ------
    DatasetError
        There are fewer images, or their profiles are all the same.
    FeatureError
        The array has another shape, or values outside 0 to 1.
    """
    check_images(images)
    if len(images) < MIN_REALS:
        raise DatasetError(f"{len(images)} images: a mean profile needs at least {MIN_REALS}", remedy="add images")
    profiles, frequency = radial_profiles(images)
    logs = log_profiles(profiles)
    if logs.std(axis=0).max() < LEAST_SD:
        raise DatasetError(
            f"{len(images)} images whose spectra do not differ: copies of one, or of one colour each",
            remedy="give camera images of different things",
        )
    ratio = profiles[:, 1:] / np.maximum(profiles[:, :1], ROUNDING_POWER)
    return RealProfile(
        tuple(images.shape[1:3]), len(images), frequency[1:], logs.mean(axis=0), logs.std(axis=0), ratio.mean(axis=0)
    )


def check_images(images: object) -> None:
    """Refuse what is no array of images on a scale that is known: `FeatureError`."""
    if not isinstance(images, np.ndarray):
        kind = type(images).__name__
        raise FeatureError(f"a {kind}: expected an array (N, H, W, 3) or (N, H, W)", remedy="`.numpy()` makes one")
    if images.ndim - (images.shape[-1:] == (3,)) != 3:
        swap = "`.transpose(0, 2, 3, 1)` of (N, 3, H, W)" if images.ndim == 4 and images.shape[1] == 3 else ""
        raise FeatureError(f"shape {images.shape}: expected an array (N, H, W, 3) or (N, H, W)", remedy=swap)
    if images.dtype == np.uint8 or not len(images):
        return
    if images.dtype.kind != "f" or not (images.min() >= -TOLERANCE and images.max() <= 1 + TOLERANCE):
        raise FeatureError(f"values of {images.dtype} that are not uint8 nor all from 0 to 1: bring them there first")


def log_profiles(profiles: np.ndarray) -> np.ndarray:
    """Return ln(AI + noise of rounding) without the zero frequency: (N, n_rings) -> (N, n_rings - 1).

    A power that falls to zero ends in that noise once the image is saved. Without it the logarithm, and its gradient,
    have no bound.
    """
    return np.asarray(np.log(profiles[:, 1:] + ROUNDING_POWER))
