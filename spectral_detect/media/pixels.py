"""Turn an opened still into an array: each kind of pixels (gray, 16 bit, floating, alpha, palette) has its way."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image

from spectral_detect.errors import ImageReadError


def read_pixels(picture: PIL.Image.Image, image_format: str, content: bytes, *, colour: bool) -> np.ndarray:
    """Return the pixels of an opened picture as `DecodedImage` holds them.

    Parameters
    ----------
    picture : PIL.Image.Image
        Not yet loaded. A JPEG's mode changes to that of the planes that are read.
    image_format : str
        Format of the file; "JPEG" for a multi-picture file as well.
    content : bytes
        The whole file, for kinds that Pillow does not decode in full.
    colour : bool
        Whether the chroma planes of a JPEG are wanted.

    Returns
    -------
    (H, W) or (H, W, 3) array
        uint8, uint16, or float32 on the scale 0 to 255; alpha is dropped.

    Raises
    ------
    ImageReadError
        If the kind of pixels has no defined gray, or values are not finite.
    """
    mode = picture.mode
    if image_format == "JPEG" and mode in ("L", "RGB"):
        wanted = "L" if mode == "L" or not colour else "RGB" if _is_stored_as_rgb(picture) else "YCbCr"
        picture.draft(wanted, picture.size)  # for L, libjpeg skips the chroma planes
        return np.asarray(picture)
    if _is_deep_colour(picture):
        return _deep_colour(content)
    if mode in ("L", "I;16"):
        return np.asarray(picture)
    if mode == "I;16B":
        return np.asarray(picture).astype(np.uint16)
    if mode in ("1", "LA", "La"):
        return np.asarray(picture.convert("L"))
    if mode == "F":
        return _finite(np.asarray(picture))
    if mode == "I":
        raise ImageReadError(
            "32-bit whole-number pixels have no defined gray", remedy="convert the file to 8 or 16 bit"
        )
    return np.asarray(picture if mode == "RGB" else picture.convert("RGB"))


def _is_stored_as_rgb(picture: PIL.Image.Image) -> bool:
    """Tell whether a JPEG has no luma plane, by Adobe's marker or the names of its components, as libjpeg does."""
    if "jfif" in picture.info:
        return False
    components = bytes(int(layer[0]) for layer in getattr(picture, "layer", ()))
    return bool(picture.info.get("adobe_transform", 0 if components == b"RGB" else 1) == 0)


def _is_deep_colour(picture: PIL.Image.Image) -> bool:
    """Tell whether a PNG or TIFF holds 16-bit colour, or 16-bit gray with alpha, of which Pillow would keep 8 bits."""
    if picture.format not in ("PNG", "TIFF"):
        return False  # "BGR;16" of a bitmap are 5, 6 and 5 bits
    return picture.mode in ("RGB", "RGBA", "LA") and any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))


def _deep_colour(content: bytes) -> np.ndarray:
    """Decode 16-bit pixels with OpenCV: (H, W) gray or (H, W, 3) RGB uint16, without alpha."""
    import cv2

    bgr: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if bgr is None or bgr.dtype != np.uint16:
        raise ImageReadError("16-bit colour that cannot be decoded", remedy="convert the file to PNG")
    if bgr.ndim == 2:
        return np.asarray(bgr)
    return np.ascontiguousarray(bgr[..., 2::-1] if bgr.shape[2] >= 3 else bgr[..., 0])


def _finite(pixels: np.ndarray) -> np.ndarray:
    """Return floating pixels as float32; raise `ImageReadError` if some are NaN or infinite."""
    if not np.isfinite(pixels).all():
        raise ImageReadError(
            "floating-point pixels that are not finite (NaN or infinity)", remedy="repair or convert the file"
        )
    return pixels.astype(np.float32, copy=False)
