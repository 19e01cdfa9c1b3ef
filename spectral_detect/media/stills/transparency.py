"""Measure how much of a picture is transparent: features see the hidden colours, a viewer does not."""

from __future__ import annotations

import numpy as np
import PIL.Image

from spectral_detect.media.coding import FULL_BITS

ALPHA_BANDS = ("A", "a")
OPAQUE = 255


def transparent_share(picture: PIL.Image.Image, pixels: np.ndarray, bits: int) -> float:
    """Return the share of the pixels whose alpha is below full, 0 to 1.

    A bitmap (BMP) whose alpha is zero everywhere has none: many programs leave that byte empty.

    Parameters
    ----------
    picture : PIL.Image.Image
        The opened file, whose pixels were read.
    pixels : (H, W) or (H, W, 3) array
        Its pixels as judged, for formats that declare one colour transparent.
    bits : int
        Bits of a channel as stored.
    """
    if picture.getbands()[-1] in ALPHA_BANDS:
        counts = picture.getchannel(picture.getbands()[-1]).histogram()
        is_unused = picture.format == "BMP" and counts[0] == sum(counts)
        return 0.0 if is_unused else 1 - counts[OPAQUE] / sum(counts)
    key = picture.info.get("transparency")
    if key is None:
        return 0.0
    if picture.mode == "P":
        return _share_of_indices(picture.histogram(), key)
    if picture.mode == "L" and bits < FULL_BITS:
        key = key * OPAQUE // (2**bits - 1)  # the file has it on the scale of its own few bits
    return float((pixels == np.asarray(key)).reshape(*pixels.shape[:2], -1).all(axis=2).mean())


def _share_of_indices(counts: list[int], key: int | bytes) -> float:
    """Return the share of a palette's indices that are not opaque; a key is one index, or the alpha of the first."""
    hidden = [key] if isinstance(key, int) else [index for index, alpha in enumerate(key) if alpha < OPAQUE]
    return sum(counts[index] for index in hidden if index < len(counts)) / sum(counts)


def percentage(share: float) -> str:
    """Return a share in words; what is there is never 0 %, and what is not all never 100 %."""
    percent = min(max(100 * share, 0.1), 99.9) if 0 < share < 1 else 100 * share
    return f"{percent:.1f} %".replace(".0 %", " %")
