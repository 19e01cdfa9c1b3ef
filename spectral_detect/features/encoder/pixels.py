"""Prepare an image for an encoder: reduce it, cut the squares that the network sees, and scale their channels."""

from __future__ import annotations

import numpy as np

from spectral_detect.features.encoder.settings import Encoder
from spectral_detect.features.numpy_backend import as_rgb
from spectral_detect.features.reduced import reduced
from spectral_detect.orientation import upright


def squares(image: np.ndarray, encoder: Encoder, *, is_ycc: bool = False, orientation: int = 1) -> np.ndarray:
    """Return what the network sees of an image.

    Parameters
    ----------
    image : (H, W) or (H, W, 3) array
        Gray or RGB, as `extract_features` takes it.
    is_ycc : bool
        The three channels are luma, Cb and Cr.
    orientation : int
        That of EXIF, 1 to 8: a network knows up from down.

    Returns
    -------
    (n_tiles, 3, crop, crop) float32 array
    """
    shorter = min(image.shape[:2])
    small = reduced(image, shorter if encoder.side is None else min(shorter, encoder.side))
    side = min(encoder.crop, *small.shape[:2])
    corners = _corners((small.shape[0], small.shape[1]), side, encoder.tiles)
    crops = [_enlarged(as_rgb(small[y : y + side, x : x + side], is_ycc), encoder.crop) for y, x in corners]
    batch = np.stack([upright(crop, orientation) for crop in crops]).astype(np.float32) / np.float32(255)
    mean, deviation = (np.array(values, np.float32) for values in (encoder.mean, encoder.deviation))
    return np.ascontiguousarray(((batch - mean) / deviation).transpose(0, 3, 1, 2))


def _corners(shape: tuple[int, int], side: int, tiles: int) -> list[tuple[int, int]]:
    """Return the upper left corner (row, column) of each square."""
    bottom, right = (length - side for length in shape)
    middle = (bottom // 2, right // 2)
    return [middle] if tiles == 1 else [middle, (0, 0), (0, right), (bottom, 0), (bottom, right)]


def _enlarged(crop: np.ndarray, side: int) -> np.ndarray:
    """Return a square at the size that the network takes, if the image was too small for it."""
    import cv2

    if len(crop) == side:
        return crop
    return np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_LINEAR))
