"""Make a small copy of a picture from its pixels, so that nothing else of the file goes along."""

from __future__ import annotations

from io import BytesIO

import PIL.Image
import PIL.ImageOps

from spectral_detect.media.edits import as_rgb
from spectral_detect.media.images import decode
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.silence import libraries_silenced
from spectral_detect.sources.pillow import quiet_pillow

QUALITY = 70
MOST_PIXELS = 40_000_000  # that are decoded in full for a thumbnail: one of 108 million takes 4 GB
JPEG_START = b"\xff\xd8\xff"


def thumbnail(content: bytes, side_px: int, limits: Limits) -> bytes | None:
    """Return a JPEG of at most `side_px` pixels a side, as displayed and without metadata; None if it fails.

    Parameters
    ----------
    content : bytes
        The whole file; one that has been decoded before in a process that was allowed to crash.
    side_px : int
        Longest side in pixels.
    limits : Limits
        A picture of more pixels is not decoded.
    """
    try:
        picture = _reduced_jpeg(content, side_px, limits) or _reduced(content, side_px, limits)
    except Exception:  # hostile metadata may make Pillow raise anything; a missing thumbnail is no failure
        return None
    stream = BytesIO()
    PIL.Image.frombytes(picture.mode, picture.size, picture.tobytes()).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def _reduced_jpeg(content: bytes, side_px: int, limits: Limits) -> PIL.Image.Image | None:
    """Reduce a JPEG while it is decoded, ten times as fast; None if it is something else."""
    if not content.startswith(JPEG_START):
        return None
    with quiet_pillow(), libraries_silenced(), PIL.Image.open(BytesIO(content), formats=("JPEG",)) as image:
        if image.width * image.height > limits.max_pixels:
            return None
        image.draft("RGB", (2 * side_px, 2 * side_px))
        small = image.convert("L" if image.mode == "L" else "RGB")
        small.thumbnail((side_px, side_px))
        return PIL.ImageOps.exif_transpose(small)


def _reduced(content: bytes, side_px: int, limits: Limits) -> PIL.Image.Image:
    image = decode(content, max_pixels=min(limits.max_pixels, MOST_PIXELS), colour=True)
    small = PIL.Image.fromarray(as_rgb(image.pixels, image.is_ycc))
    small.thumbnail((side_px, side_px), PIL.Image.Resampling.BOX)
    small.getexif()[0x0112] = image.orientation
    return PIL.ImageOps.exif_transpose(small)
