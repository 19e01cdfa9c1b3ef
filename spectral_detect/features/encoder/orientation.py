"""Turn pixels as they are displayed, by the orientation that EXIF or TIFF tells."""

from __future__ import annotations

import numpy as np

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


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return an image, (H, W) or (H, W, C), as its orientation of EXIF says that it is displayed."""
    exchanged, mirrored_columns, mirrored_rows = TURNS[orientation]
    turned = pixels.swapaxes(0, 1) if exchanged else pixels
    turned = turned[:, ::-1] if mirrored_columns else turned
    return turned[::-1] if mirrored_rows else turned
