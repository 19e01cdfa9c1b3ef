"""Which files are images or videos: by their first bytes, or by their names."""

from __future__ import annotations

import os
from contextlib import suppress

import PIL.Image
from PIL import (  # noqa: F401  (registers the formats, so that Pillow need not load all of its plugins)
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

with suppress(ImportError):  # the extra "heif"
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)

FORMATS = tuple(
    name for name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "GIF", "HEIF") if name in PIL.Image.OPEN
)
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".gif", ".heic", ".heif")
)
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv .asf .flv .f4v .ts .mts .m2ts .vob .ogv .3gp .3g2 .mxf".split()
)
SIGNATURE_BYTES = 32


def has_image_signature(start: bytes) -> bool:
    """Return whether the first bytes of a file are those of one of `FORMATS`."""
    if start[:2] == b"BM" and start[6:10] != bytes(4):
        return False  # two letters begin many a text; a bitmap has four zero bytes there
    accepts = (PIL.Image.OPEN[name][1] for name in FORMATS)
    return any(accept is not None and accept(start) is True for accept in accepts)


def has_video_suffix(path: str) -> bool:
    """Return whether a file is named like a video."""
    return os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES
