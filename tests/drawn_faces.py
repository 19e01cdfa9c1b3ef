"""Frames with faces that the detector finds."""

from __future__ import annotations

import cv2
import numpy as np


def drawn_face(side: int) -> np.ndarray:
    """Light cheeks and nose, dark eyes, brows and mouth: what the cascade looks for."""
    face = np.full((side, side, 3), 120, np.uint8)
    for x, y, half_width, half_height, colour in (
        (0.5, 0.5, 0.36, 0.47, (225, 190, 165)),
        (0.35, 0.42, 0.11, 0.05, (90, 60, 50)),
        (0.65, 0.42, 0.11, 0.05, (90, 60, 50)),
        (0.35, 0.33, 0.12, 0.025, (70, 50, 40)),
        (0.65, 0.33, 0.12, 0.025, (70, 50, 40)),
        (0.5, 0.52, 0.035, 0.13, (240, 210, 190)),
        (0.5, 0.76, 0.14, 0.035, (130, 60, 60)),
    ):
        centre, axes = (int(x * side), int(y * side)), (int(half_width * side), int(half_height * side))
        cv2.ellipse(face, centre, axes, 0, 0, 360, colour, -1)
    return cv2.GaussianBlur(face, (0, 0), side / 50)


def frame_with_faces(*corners_and_sides: tuple[int, int, int]) -> np.ndarray:
    frame = np.full((720, 1280, 3), 120, np.uint8)
    for x, y, side in corners_and_sides:
        frame[y : y + side, x : x + side] = drawn_face(side)
    return frame
