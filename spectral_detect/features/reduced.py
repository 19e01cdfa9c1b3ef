"""Reduce images to a fixed size, at which all images are compared, whatever size they were delivered in."""

from __future__ import annotations

import numpy as np

LEAST_HALVED = (
    4  # times the size aimed at: at the last step at least two pixels become one, so that none stays as it is
)


def reduced(image: np.ndarray, shorter_side_px: int) -> np.ndarray:
    """Return the image with its shorter side reduced to so many pixels, each the mean of the area it covers, in 8 bit.

    A platform that reduces a photograph shifts each trace of its making to another frequency in cycles per pixel, but
    not in cycles per image: reduced again to a fixed size, both copies show it in the same place.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
        uint8, uint16 (divided by 257) or floating on the scale 0 to 255.
    shorter_side_px : int
        An image that is no larger keeps its size.

    Notes
    -----
    Large images are halved first, which takes a fifth of the time; the means stay means, rounded once more.
    """
    import cv2

    height, width = image.shape[:2]
    factor = shorter_side_px / min(height, width)
    if factor < 1:
        size = max(shorter_side_px, round(width * factor)), max(shorter_side_px, round(height * factor))
        image = np.asarray(cv2.resize(halved(image, shorter_side_px), size, interpolation=cv2.INTER_AREA))
    return in_8_bit(image)


def halved(image: np.ndarray, shorter_side_px: int) -> np.ndarray:
    """Return the image halved as often as it may be before it is reduced to so many pixels."""
    import cv2

    while min(image.shape[:2]) >= LEAST_HALVED * shorter_side_px:
        even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        image = np.asarray(cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return image


def middle(image: np.ndarray, most_px: int) -> np.ndarray:
    """Return the middle of an image, of at most so many pixels a side, cut along the blocks of a JPEG."""
    top, left = (max(0, length - most_px) // 2 // 8 * 8 for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + most_px, left : left + most_px])


def in_8_bit(image: np.ndarray) -> np.ndarray:
    """Return the image as uint8; one that is such is returned itself."""
    if image.dtype == np.uint8:
        return image
    scale = 1 / 257 if image.dtype == np.uint16 else 1.0
    return np.asarray(np.clip(np.rint(image * np.float32(scale)), 0, 255), dtype=np.uint8)
