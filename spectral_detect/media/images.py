"""Read and check still images: the only home of decoding stills."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFile

from spectral_detect.errors import ImageReadError
from spectral_detect.media.header import GRAY_MODES, Metadata, read_metadata
from spectral_detect.sources.formats import FORMATS
from spectral_detect.sources.reading import read_file
from spectral_detect.sources.stores import locate

MAX_PIXELS = 120_000_000  # phones reach 108 million; one such image takes 4 GB and 20 s
EXIF_ORIENTATION = 0x0112
HEIF_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftyphevc")
GRAY_TOLERANCE = 8  # of 255
JPEG_FILL, MCU_ROWS = 128, 16  # libjpeg's gray for blocks that are missing; the most rows that are coded together


@dataclass(frozen=True)
class DecodedImage:
    """Pixels as the features take them, with what the header says.

    Attributes
    ----------
    pixels : (H, W) gray or (H, W, 3) RGB; uint8, uint16, or float32 on the scale 0 to 255. A JPEG gives its own luma
        plane, or with colour its own luma, Cb and Cr. Alpha is dropped and the EXIF orientation not applied.
    is_ycc : the three channels are luma, Cb and Cr.
    width, height : as displayed, after the EXIF orientation.
    warnings : what a reader of the verdict should know.
    metadata : what else the header says.
    """

    pixels: np.ndarray
    width: int
    height: int
    format: str
    warnings: tuple[str, ...] = ()
    is_ycc: bool = False
    metadata: Metadata | None = None

    @property
    def is_constant(self) -> bool:
        """All pixels alike."""
        first = self.pixels[0, 0]
        return bool((self.pixels[0] == first).all() and (self.pixels == first).all())


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS, colour: bool = False) -> DecodedImage:
    """Decode the first frame of an image file.

    Parameters
    ----------
    content : the whole file.
    max_pixels : an image whose header announces more is refused before it is decoded.
    colour : whether the chroma planes of a JPEG are wanted; other formats give what they hold.

    Raises
    ------
    ImageReadError : not an image, damaged, too large, or pixels of a kind that has no defined gray.
    """
    if not content:
        raise ImageReadError("the file is empty; copy it again from its source")
    try:
        with _quiet_pillow():
            try:
                return _decode_quietly(content, max_pixels, colour)
            except OSError as error:
                if "truncated" not in str(error):
                    raise
                return _decode_truncated(content, max_pixels, colour)
    except ImageReadError:
        raise
    except PIL.UnidentifiedImageError:
        if content[4:12] in HEIF_BRANDS and "HEIF" not in FORMATS:
            raise ImageReadError("HEIC: install the extra that reads it, pip install 'spectral-detect[heif]'") from None
        raise ImageReadError(f"not an image in a known format ({', '.join(FORMATS)})") from None
    except Exception as error:  # a decoder given hostile bytes may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageReadError(f"damaged or incomplete image ({reason}); get an intact copy") from None


def read_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, colour: bool = False) -> DecodedImage:
    """Read and decode one image file as a scan does; its `pixels` are what `extract_features` takes.

    Parameters
    ----------
    path : of a local file, or a URL.

    Raises
    ------
    ImageReadError : see `read_file` and `decode`.
    """
    return decode(read_file(locate(os.fspath(path))).content, max_pixels=max_pixels, colour=colour)


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Pillow's own limit is a process-wide constant with a warning; `max_pixels` takes its place."""
    limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():  # damaged metadata, which the verdict does not use
            warnings.simplefilter("ignore")
            yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = limit


def _decode_quietly(content: bytes, max_pixels: int, colour: bool) -> DecodedImage:
    with PIL.Image.open(BytesIO(content), formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > max_pixels:
            raise ImageReadError(f"{width}x{height} pixels, more than the limit of {max_pixels}; see --max-pixels")
        image_format = "JPEG" if picture.format == "MPO" else str(picture.format)  # a JPEG with other views behind it
        notes: tuple[str, ...] = ()
        if picture.format != "MPO" and getattr(picture, "is_animated", False):
            notes = ("several frames or pages: only the first is judged",)
        is_gray = picture.mode in GRAY_MODES  # before a draft changes it
        pixels = _pixels(picture, image_format, content, colour)
        width, height = (height, width) if _lies_on_its_side(picture) else (width, height)
        metadata = read_metadata(picture, content, image_format, (width, height), is_gray=is_gray)
        is_ycc = image_format == "JPEG" and picture.mode == "YCbCr"
        return DecodedImage(pixels, width, height, image_format, notes, is_ycc, metadata)


def _decode_truncated(content: bytes, max_pixels: int, colour: bool) -> DecodedImage:
    """The rows of a JPEG that are there: a file carved from a disk often ends early."""
    PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image = _decode_quietly(content, max_pixels, colour)
    finally:
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False
    if image.format != "JPEG" or not (image.is_ycc or image.pixels.ndim == 2) or _is_progressive(content):
        raise ImageReadError("truncated, and what is left gives no part of the image in full; get an intact copy")
    n_rows = len(image.pixels)
    decoded = np.flatnonzero((_luma(image) != JPEG_FILL).any(axis=1))
    n_intact = int(decoded[-1]) // MCU_ROWS * MCU_ROWS if len(decoded) else 0  # the row of the tear is left out
    if not n_intact:
        raise ImageReadError("truncated before its first rows; get an intact copy")
    note = f"truncated: only the upper {n_intact} of {n_rows} rows are there and were judged"
    return replace(image, pixels=image.pixels[:n_intact], warnings=(*image.warnings, note))


def _is_progressive(content: bytes) -> bool:
    """Each scan of a progressive JPEG refines the whole image: without the last ones all of it is blurred."""
    with PIL.Image.open(BytesIO(content), formats=FORMATS) as picture:
        return "progressive" in picture.info


def shows_no_colour(image: DecodedImage) -> bool:
    """Whether the channels are alike, up to `GRAY_TOLERANCE`, in every cell of a reduced copy."""
    import cv2

    if image.pixels.ndim == 2:
        return image.metadata is None or image.metadata.is_gray
    scale = 257 if image.pixels.dtype == np.uint16 else 1
    cells = cv2.resize(image.pixels.astype(np.float32) / scale, (32, 32), interpolation=cv2.INTER_AREA)
    if image.is_ycc:
        return bool(np.abs(cells[..., 1:] - 128).max() <= GRAY_TOLERANCE / 2)
    return bool(np.abs(np.diff(cells, axis=2)).max() <= GRAY_TOLERANCE)


def fingerprint(image: DecodedImage) -> int:
    """64 bits that stay nearly the same under recompression and resizing: the difference hash of an image.

    Each bit says whether one of 8x8 cells of the gray image is brighter than the next to its right.
    """
    import cv2

    cells = cv2.resize(_luma(image).astype(np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(cells[:, :-1] > cells[:, 1:]).tobytes(), "big")


def _luma(image: DecodedImage) -> np.ndarray:
    """(H, W): the gray or luma plane, of RGB the green one."""
    return image.pixels if image.pixels.ndim == 2 else image.pixels[..., 0 if image.is_ycc else 1]


def _lies_on_its_side(picture: PIL.Image.Image) -> bool:
    try:
        return picture.getexif().get(EXIF_ORIENTATION) in (5, 6, 7, 8)
    except Exception:  # broken metadata do not spoil sound pixels
        return False


def _pixels(picture: PIL.Image.Image, image_format: str, content: bytes, colour: bool) -> np.ndarray:
    mode = picture.mode
    if image_format == "JPEG" and mode in ("L", "RGB"):
        wanted = "L" if mode == "L" or not colour else "RGB" if _is_stored_as_rgb(picture) else "YCbCr"
        picture.draft(wanted, picture.size)  # for L, libjpeg leaves the chroma planes alone
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
        raise ImageReadError("32-bit whole-number pixels have no defined gray; convert the file to 8 or 16 bit")
    return np.asarray(picture if mode == "RGB" else picture.convert("RGB"))


def _is_stored_as_rgb(picture: PIL.Image.Image) -> bool:
    """A JPEG without a luma plane, as Adobe's marker or the names of its components say; libjpeg looks there too."""
    if "jfif" in picture.info:
        return False
    components = bytes(int(layer[0]) for layer in getattr(picture, "layer", ()))
    return bool(picture.info.get("adobe_transform", 0 if components == b"RGB" else 1) == 0)


def _is_deep_colour(picture: PIL.Image.Image) -> bool:
    """16-bit colour, or 16-bit gray with alpha, of which Pillow would keep 8 bits."""
    return picture.mode in ("RGB", "RGBA", "LA") and any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))


def _deep_colour(content: bytes) -> np.ndarray:
    import cv2

    bgr: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if bgr is None or bgr.dtype != np.uint16:
        raise ImageReadError("16-bit colour that cannot be decoded; convert the file to PNG")
    if bgr.ndim == 2:
        return np.asarray(bgr)
    return np.ascontiguousarray(bgr[..., 2::-1] if bgr.shape[2] >= 3 else bgr[..., 0])


def _finite(pixels: np.ndarray) -> np.ndarray:
    if not np.isfinite(pixels).all():
        raise ImageReadError("floating-point pixels that are not finite (NaN or infinity); repair or convert the file")
    return pixels.astype(np.float32, copy=False)
