"""Find faces in frames; the only home of the cascade."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np

from spectral_detect.locks import ForkSafeLock
from spectral_detect.orientation import upright

FaceBox = tuple[int, int, int, int]
"""x, y, width, height in pixels of the full frame."""

DETECTION_SIDE = 560  # pixels: 23 to 57 ms for a frame of 1280x720, depending on its content; 640 took up to 73
SCALE_STEP, MIN_NEIGHBOURS, MIN_FACE = 1.2, 4, 24  # a smaller step costs twice as much
PORTRAIT_SIDE, PORTRAIT_STEP, PORTRAIT_NEIGHBOURS = 112, 1.1, 3
_TURNS = ForkSafeLock()
PORTRAIT_SHARE = 0.3  # of the shorter side: the least side of a face that makes an image a portrait


def detect_faces(rgb: np.ndarray) -> list[FaceBox]:
    """Find frontal faces in a frame.

    Parameters
    ----------
    rgb : (H, W, 3) or (H, W) uint8 array
        RGB or gray.

    Returns
    -------
    list of (int, int, int, int)
        x, y, width and height of each face in pixels of the frame, the largest first.

    Notes
    -----
    Viola and Jones' cascade, as OpenCV ships it (`haarcascade_frontalface_alt2`), on a copy whose longer side is at
    most `DETECTION_SIDE`. To use another detector, replace this function: nothing else knows which one it is, and a box
    may reach beyond the frame. Its boxes may be tighter or wider; `face_fraction` goes with them.
    """
    import cv2

    reduction = max(1.0, max(rgb.shape[:2]) / DETECTION_SIDE)
    size = (max(1, round(rgb.shape[1] / reduction)), max(1, round(rgb.shape[0] / reduction)))
    reduced: Any = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if reduction > 1 else rgb
    gray = reduced if reduced.ndim == 2 else cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY)
    found = _found("alt2", gray, SCALE_STEP, MIN_NEIGHBOURS, MIN_FACE)
    boxes = [to_box(np.asarray(box) * reduction) for box in found]
    return sorted(boxes, key=lambda box: (-area(box), box))


def is_portrait(luma: np.ndarray, orientation: int = 1) -> bool:
    """Tell whether an image shows a frontal face that is large in it: whether it may be a portrait.

    Parameters
    ----------
    luma : (H, W) uint8 or uint16 array
        As stored.
    orientation : int
        That of EXIF, 1 to 8: the cascade finds upright faces only.

    Notes
    -----
    The cascade of `detect_faces`, and OpenCV's `haarcascade_frontalface_default` where that finds none, on a copy whose
    longer side is at most `PORTRAIT_SIDE`, in 2 to 5 ms. They find a face in 89 to 100 % of the portraits of CelebA,
    Faces-HQ and FFHQ, real and generated, and in 1 % of 291 photographs of streets, cars, food and shops.
    """
    import cv2

    reduction = max(1.0, max(luma.shape) / PORTRAIT_SIDE)
    size = (max(1, round(luma.shape[1] / reduction)), max(1, round(luma.shape[0] / reduction)))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    gray = (small // 256).astype(np.uint8) if small.dtype == np.uint16 else small
    displayed: Any = np.ascontiguousarray(upright(gray, orientation))
    least = max(20, int(PORTRAIT_SHARE * min(displayed.shape)))  # the cascade's window has 20 pixels
    cascades = ("alt2", "default")
    return any(len(_found(name, displayed, PORTRAIT_STEP, PORTRAIT_NEIGHBOURS, least)) > 0 for name in cascades)


def _found(cascade: str, gray: Any, step: float, neighbours: int, least_px: int) -> Any:
    """Return the boxes that a cascade finds; threads take turns, as it keeps the image that it looks at."""
    with _TURNS:
        return _cascade(cascade).detectMultiScale(gray, step, neighbours, minSize=(least_px, least_px))


@lru_cache
def _cascade(name: str) -> Any:
    import cv2

    folder = os.path.join(os.path.dirname(cv2.__file__), "data")
    return cv2.CascadeClassifier(os.path.join(folder, f"haarcascade_frontalface_{name}.xml"))


def inner_box(box: FaceBox, fraction: float, frame_shape: tuple[int, ...]) -> FaceBox:
    """Return the central part of a box, within the frame.

    Parameters
    ----------
    box : (int, int, int, int)
        x, y, width and height in pixels.
    fraction : float
        Part of the width and of the height to keep, in (0, 1]; a third leaves out hair and background, as the authors
        do.
    frame_shape : tuple of int
        (H, W, ...) in pixels.
    """
    x, y, width, height = box
    left, inner_width = _middle(x, width, fraction, frame_shape[1])
    top, inner_height = _middle(y, height, fraction, frame_shape[0])
    return left, top, inner_width, inner_height


def _middle(start: int, length: int, fraction: float, limit: int) -> tuple[int, int]:
    """Return start and length, at least 1 pixel, of the central part of an interval, within 0 to `limit`."""
    inner = max(1, round(length * fraction))
    first = start + (length - inner) // 2
    low = min(max(first, 0), limit - 1)
    return low, max(1, min(first + inner, limit) - low)


def overlap(a: Any, b: Any) -> float:
    """Return intersection over union of two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return float(width * height / (area(a) + area(b) - width * height))


def area(box: Any) -> float:
    """Return the area of a box in square pixels."""
    return float(box[2] * box[3])


def to_box(numbers: np.ndarray) -> FaceBox:
    """Round four numbers to a box."""
    x, y, width, height = (round(float(number)) for number in numbers)
    return x, y, width, height
