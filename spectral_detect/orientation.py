"""Turn pixels as they are displayed, and back, by the orientation that EXIF or TIFF tells."""

from __future__ import annotations

import numpy as np

UPRIGHT = 1
TURNS = {  # orientation of EXIF -> whether to exchange rows and columns, then to mirror columns, and rows
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def sound_orientation(told: object) -> int:
    """Return what a file tells as its orientation; upright if that is none."""
    return int(told) if isinstance(told, int | float) and told in TURNS else UPRIGHT


def displayed_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Return the width and height at which an image of this stored size is displayed."""
    exchanged, _, _ = TURNS[orientation]
    return (height, width) if exchanged else (width, height)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return an image, (H, W) or (H, W, C), as its orientation of EXIF says that it is displayed."""
    exchanged, mirrored_columns, mirrored_rows = TURNS[orientation]
    turned = pixels.swapaxes(0, 1) if exchanged else pixels
    turned = turned[:, ::-1] if mirrored_columns else turned
    return turned[::-1] if mirrored_rows else turned


def as_stored(displayed: np.ndarray, orientation: int) -> np.ndarray:
    """Undo `upright`."""
    exchanged, mirrored_columns, mirrored_rows = TURNS[orientation]
    turned = displayed[::-1] if mirrored_rows else displayed
    turned = turned[:, ::-1] if mirrored_columns else turned
    return turned.swapaxes(0, 1) if exchanged else turned
