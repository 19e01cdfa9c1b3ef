"""Measure how much of a picture is transparent: features see the hidden colours, a viewer does not."""

from __future__ import annotations

import numpy as np
import PIL.Image

from spectral_detect.media.coding import FULL_BITS

ALPHA_BANDS = ("A", "a")
OPAQUE = 255
N_INDICES = 256


def hidden_pixels(picture: PIL.Image.Image, pixels: np.ndarray, bits: int) -> np.ndarray | None:
    """Return (H, W) bool, which pixels have an alpha below full; None if none has.

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
        alpha = np.asarray(picture.getchannel(picture.getbands()[-1]))
        is_unused = picture.format == "BMP" and not alpha.any()
        return None if is_unused else _unless_empty(alpha < OPAQUE)
    key = picture.info.get("transparency")
    if key is None:
        return None
    if picture.mode == "P":
        return _unless_empty(_are_hidden(key)[np.asarray(picture)])
    if picture.mode == "L" and bits < FULL_BITS:
        key = key * OPAQUE // (2**bits - 1)  # the file has it on the scale of its own few bits
    return _unless_empty((pixels == np.asarray(key)).reshape(*pixels.shape[:2], -1).all(axis=2))


def _are_hidden(key: int | bytes) -> np.ndarray:
    """Return (256,) bool of a palette's indices; a key is one index, or the alpha of the first."""
    hidden = [key] if isinstance(key, int) else [index for index, alpha in enumerate(key) if alpha < OPAQUE]
    return np.isin(np.arange(N_INDICES), hidden)


def _unless_empty(mask: np.ndarray) -> np.ndarray | None:
    return mask if mask.any() else None


def transparency_notes(share: float) -> tuple[str, ...]:
    """Return what to say of an image of which such a share of the pixels is transparent."""
    if share == 1:
        return ("no pixel is opaque: the stored colours count, which a viewer sees pale, or not at all",)
    if not share:
        return ()
    return (f"{percentage(share)} of the pixels are transparent, in full or in part, and their stored colours count",)


def percentage(share: float) -> str:
    """Return a share in words; what is there is never 0 %, and what is not all never 100 %."""
    percent = min(max(100 * share, 0.1), 99.9) if 0 < share < 1 else 100 * share
    return f"{percent:.1f} %".replace(".0 %", " %")
