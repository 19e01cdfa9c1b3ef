"""Turn an opened still into an array: each kind of pixels (gray, 16 bit, alpha, palette) has its way."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import PIL.PngImagePlugin

from spectral_detect.errors import ImageReadError
from spectral_detect.orientation import UPRIGHT, as_stored, sound_orientation

EXIF_ORIENTATION = 0x0112
LOW_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}  # raw modes of Pillow
GRAY_MODES = frozenset(("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L"))


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
        uint8 or uint16; alpha is dropped, and no orientation applied.

    Raises
    ------
    ImageReadError
        If the kind of pixels has no defined gray.
    """
    mode = picture.mode
    if image_format == "JPEG" and mode in ("L", "RGB"):
        wanted = "L" if mode == "L" or not colour else "RGB" if _is_stored_as_rgb(picture) else "YCbCr"
        picture.draft(wanted, picture.size)  # for L, libjpeg skips the chroma planes
        return np.asarray(picture)
    if (deep := _deep_mode(picture)) is not None:
        return _deep_png(picture, content, deep)
    if image_format == "TIFF":
        return _as_stored(picture)
    return _gray_or_rgb(picture)


def orientation_of(picture: PIL.Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; upright if nothing sound tells it."""
    try:
        return sound_orientation(picture.getexif().get(EXIF_ORIENTATION))
    except Exception:  # the pixels may be sound although the metadata are broken
        return UPRIGHT


def holds_gray(picture: PIL.Image.Image) -> bool:
    """Tell whether a picture that is not yet loaded holds one channel, alpha not counted."""
    return picture.mode in GRAY_MODES or _deep_mode(picture) == "LA;16B"


def _gray_or_rgb(picture: PIL.Image.Image) -> np.ndarray:
    """Return the pixels that Pillow reads in full."""
    mode = picture.mode
    if mode in ("L", "I;16"):
        return np.asarray(picture)
    if mode in ("1", "LA", "La"):  # Pillow undoes a multiplication by alpha only on the way to gray with alpha
        return np.asarray((picture.convert("LA") if mode == "La" else picture).convert("L"))
    if mode in ("I", "F"):
        raise ImageReadError(f"{picture.format}, 32-bit pixels without a scale", remedy="convert it to 8 or 16 bit")
    return np.asarray(picture if mode == "RGB" else picture.convert("RGB"))


def _as_stored(picture: PIL.Image.Image) -> np.ndarray:
    """Return the pixels of a TIFF as they are stored: Pillow turns them as the orientation says."""
    orientation = orientation_of(picture)  # Pillow forgets it
    return np.ascontiguousarray(as_stored(_gray_or_rgb(picture), orientation))


def _is_stored_as_rgb(picture: PIL.Image.Image) -> bool:
    """Tell whether a JPEG has no luma plane, by Adobe's marker or the names of its components, as libjpeg does."""
    if "jfif" in picture.info:
        return False
    components = bytes(int(layer[0]) for layer in getattr(picture, "layer", ()))
    return bool(picture.info.get("adobe_transform", 0 if components == b"RGB" else 1) == 0)


def _deep_mode(picture: PIL.Image.Image) -> str | None:
    """Return how a PNG that is not yet loaded stores 16-bit colour or 16-bit gray with alpha, or None."""
    if not isinstance(picture, PIL.PngImagePlugin.PngImageFile) or not picture.tile:
        return None
    mode = str(picture.tile[0].args)
    return mode if mode in LOW_BYTES else None


def _deep_png(picture: PIL.Image.Image, content: bytes, mode: str) -> np.ndarray:
    """Decode a PNG of whose 16 bits Pillow keeps 8: (H, W) gray or (H, W, 3) RGB uint16, without alpha.

    Pillow reads it twice: once the high byte of each channel, and once, as if the bytes stood the other way round, the
    low one. A pixel of gray and alpha has as many bytes as one of 8-bit RGBA, and is read as that.
    """
    with PIL.PngImagePlugin.PngImageFile(BytesIO(content)) as other:
        other.tile = [tile._replace(args=LOW_BYTES[mode]) for tile in other.tile]
        low = np.asarray(other)
    if mode == "LA;16B":
        high, low = low[..., 0], low[..., 1]
    else:
        high, low = np.asarray(picture)[..., :3], low[..., :3]
    deep: np.ndarray = high.astype(np.uint16) << 8 | low
    return deep
