"""One radial profile of all kinds of features: what `explain` shows beside those of the training images."""

from __future__ import annotations

import numpy as np

from spectral_detect.features.extract import extract_features
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.reduced import middle, reduced
from spectral_detect.features.spec import FeatureSpec

N_BINS = 64
MOST_PX = 1024  # a side; of a larger image the middle
SPEC = FeatureSpec.preset("azimuthal", n_bins=N_BINS)
FREQUENCIES = np.linspace(0, np.sqrt(0.5), N_BINS)  # cycles per pixel


def least_px_of(spec: FeatureSpec) -> int:
    """Return the shorter side from which on images of such features have a profile."""
    return max(spec.min_size_px, SPEC.min_size_px)


def common_profile(image: np.ndarray, spec: FeatureSpec, *, is_ycc: bool = False) -> np.ndarray:
    """Return (64,), the radial profile of an image's luma, on the scale of the preset "azimuthal".

    Parameters
    ----------
    image : (H, W) or (H, W, 3) array
        As `extract_features` takes it.
    spec : FeatureSpec
        If its features are of a reduced image, so is the profile: of the first of its scales.
    is_ycc : bool
        The three channels are luma, Cb and Cr.

    Raises
    ------
    FeatureError
        If the image is too small.
    """
    seen = reduced(image, spec.scales[0]) if spec.scales else image
    return np.asarray(extract_features(middle(gray_of(seen, is_ycc=is_ycc), MOST_PX), SPEC))


def gray_of(image: np.ndarray, *, is_ycc: bool = False) -> np.ndarray:
    """Return the (H, W) gray of an image as features see it: the luma of luma, Cb and Cr; else OpenCV's."""
    if image.ndim == 2:
        return image
    return np.ascontiguousarray(image[..., 0]) if is_ycc else np.asarray(numpy_backend().rgb_to_gray(image))
