"""Compare the thumbnail that stands in EXIF with the picture: editors often leave the old one."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image

LEAST_CORRELATION = 0.7  # of the gray values, at the size of the thumbnail
DARK = 24  # of 255: a thumbnail of another shape than the picture has black bars
LEAST_SIDE, MOST_PIXELS = 16, 2**20
LEAST_CONTRAST = 4.0  # standard deviation of the gray values; a flat picture correlates with nothing


def gray_thumbnail(thumbnail: bytes) -> np.ndarray | None:
    """Return the gray values of a thumbnail without its black bars; None if it cannot be read or shows nothing."""
    try:
        with PIL.Image.open(BytesIO(thumbnail), formats=("JPEG",)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return None
            gray = np.asarray(picture.convert("L"))
    except Exception:  # hostile bytes may make a decoder raise anything
        return None
    for axis in (1, 0):
        lit = np.flatnonzero(gray.max(axis=axis, initial=0) > DARK)
        gray = gray.take(range(lit[0], lit[-1] + 1), axis=1 - axis) if len(lit) else gray[:0]
    is_useful = min(gray.shape, default=0) >= LEAST_SIDE and gray.std() >= LEAST_CONTRAST
    return gray if is_useful else None


def correlation(thumbnail: np.ndarray, luma: np.ndarray) -> float:
    """Return how well a thumbnail agrees with the picture, -1 to 1: the best of its turns by a quarter.

    Parameters
    ----------
    thumbnail : (h, w) array
        uint8.
    luma : (H, W) array
        uint8.
    """
    return max(_correlation(np.rot90(thumbnail, turns), luma) for turns in range(4))


def _correlation(thumbnail: np.ndarray, luma: np.ndarray) -> float:
    import cv2

    height, width = thumbnail.shape
    part = _of_shape(luma, width / height)
    reduced = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).astype(np.float64)
    if reduced.std() < LEAST_CONTRAST:
        return 1.0
    return float(np.corrcoef(thumbnail.ravel(), reduced.ravel())[0, 1])


def _of_shape(luma: np.ndarray, shape: float) -> np.ndarray:
    """Return the central part of a picture that has this ratio of width to height."""
    height, width = luma.shape
    wide, high = min(width, max(round(height * shape), 1)), min(height, max(round(width / shape), 1))
    top, left = (height - high) // 2, (width - wide) // 2
    return np.ascontiguousarray(luma[top : top + high, left : left + wide])
