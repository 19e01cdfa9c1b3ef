"""Read the facts in a file's header: all that may tell two classes apart without a look at the pixels."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import PIL.Image
import PIL.JpegImagePlugin

from spectral_detect.media.coding import LOSSLESS, UNCOMPRESSED, Coding, still_coding, tiff_coding
from spectral_detect.media.quantizers.jpeg_tables import libjpeg_quality
from spectral_detect.media.stills.jpeg_segments import ADOBE, COMMENT, DHT, JFIF, LAST_APP, SOS, jpeg_segments
from spectral_detect.media.tiff.layout import Layout

VIDEO_FORMAT = "VIDEO"  # for a frame of a video file
EXIF_SOFTWARE, EXIF_IFD = 0x0131, 0x8769
SUBSAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
LONGEST_TEXT = 80
STANDARD_CODE_LENGTHS = bytes.fromhex("0002010303020403050504040000017d")  # ITU-T T.81, table K.5: luma's AC codes


@dataclass(frozen=True)
class Metadata:
    """Hold the facts of an image file.

    Attributes
    ----------
    format : str
        Name of the file format.
    width, height : int
        In pixels, as displayed.
    coding : Coding
        How its pixels were compressed; of a JPEG with the quality whose luma table is nearest.
    jpeg_quality : int or None
        1 to 100 if the quantisation tables are exactly those of libjpeg at that quality, else None.
    is_progressive : bool
        A JPEG that stores the whole image in several scans.
    is_gray : bool
        One channel, or (if the pixels were looked at) three that show no colour.
    has_exif : bool
        Whether EXIF is there; in TIFF, whether its sub-directory is.
    software : str or None
        The program that the file names as its writer.
    layout : str
        The order of the parts of a JPEG or PNG file, or the size of a BMP's header: they differ from writer to writer.
    """

    format: str
    width: int
    height: int
    coding: Coding = UNCOMPRESSED
    jpeg_quality: int | None = None
    is_progressive: bool = False
    is_gray: bool = False
    has_exif: bool = False
    software: str | None = None
    layout: str = ""

    @property
    def quality(self) -> str:
        """Return the quality in words: a number, "custom" with the nearest number, or "none"."""
        if self.jpeg_quality is None and self.coding.quality is not None and "JPEG" in self.coding.family:
            return f"custom (about {self.coding.quality})"
        return "none" if self.jpeg_quality is None else str(self.jpeg_quality)


def read_metadata(
    picture: PIL.Image.Image, content: bytes, image_format: str, size: tuple[int, int], *, is_gray: bool
) -> Metadata:
    """Return the facts of an opened file; metadata that cannot be read count as absent.

    Parameters
    ----------
    picture : PIL.Image.Image
        The opened file.
    content : bytes
        The whole file.
    image_format : str
        Name of the file format.
    size : (int, int)
        Width and height as displayed.
    is_gray : bool
        Whether the file holds one channel.
    """
    exif = _exif(picture)
    coding = still_coding(picture, content, image_format)
    facts: dict[str, Any] = {
        "coding": coding,
        "is_gray": is_gray,
        "has_exif": EXIF_IFD in exif if image_format == "TIFF" else bool(exif),
        "software": _text(exif.get(EXIF_SOFTWARE) or picture.info.get("Software")),
        "layout": _layout(content, image_format),
    }
    if isinstance(picture, PIL.JpegImagePlugin.JpegImageFile):
        tables = tuple(tuple(table) for _, table in sorted(picture.quantization.items()))
        exact, nearest = libjpeg_quality(tables) if tables else (None, None)
        sampling = PIL.JpegImagePlugin.get_sampling(picture) if picture.layers == 3 else None
        facts |= {
            "jpeg_quality": exact,
            "coding": replace(
                coding, quality=nearest, chroma=None if sampling is None else SUBSAMPLINGS.get(sampling, "other")
            ),
            "is_progressive": "progressive" in picture.info,
        }
    return Metadata(image_format, *size, **facts)


def tiff_metadata(layout: Layout) -> Metadata:
    """Return the facts of a TIFF file with more than 8 bits a channel."""
    tags = layout.directory.tags
    coding = tiff_coding(tags, Coding(LOSSLESS, bits=layout.bits, has_alpha=layout.alpha is not None))
    return Metadata(
        "TIFF",
        *layout.displayed_size,
        coding=coding,
        is_gray=layout.n_colours == 1,
        has_exif=EXIF_IFD in tags,
        software=_text(tags.get(EXIF_SOFTWARE)),
    )


def _exif(picture: PIL.Image.Image) -> Mapping[int, object]:
    try:
        return dict(picture.getexif())
    except Exception:  # broken EXIF counts as absent
        return {}


def _text(value: object) -> str | None:
    return str(value).strip("\0 ")[:LONGEST_TEXT] or None if isinstance(value, str) else None


def _layout(content: bytes, image_format: str) -> str:
    try:
        if image_format == "JPEG":
            return _jpeg_parts(content)
        if image_format == "PNG":
            return _png_parts(content)
        if image_format == "BMP":
            return f"header of {struct.unpack('<I', content[14:18])[0]} bytes"
    except (struct.error, IndexError):  # the file ends in the middle
        return "torn"
    return ""


def _jpeg_parts(content: bytes) -> str:
    """Return the markers up to the first scan; "torn" without one.

    Comments and application data are left out: editors and cameras add them at will. "optimised" at the end: the
    Huffman codes are not the standard's.
    """
    parts: list[str] = []
    marker, codes = None, b""
    for marker, start, end in jpeg_segments(content):
        if not (JFIF <= marker <= LAST_APP or marker == COMMENT):
            parts.append(f"{marker:02X}")
        elif marker in (JFIF, ADOBE):
            parts.append(content[start : start + 5].decode("ascii", "replace").rstrip("\0"))  # their names
        codes += content[start:end] if marker == DHT else b""
    if marker != SOS:
        return "torn"
    return " ".join(parts if STANDARD_CODE_LENGTHS in codes else [*parts, "optimised"])


def _png_parts(content: bytes) -> str:
    """Return the chunks before the data, and the two bits of the zlib header that tell the effort of compression.

    The other bits follow from the number of pixels.
    """
    parts: list[str] = []
    at = 8
    while content[at + 4 : at + 8] != b"IDAT" and len(parts) < 100:
        parts.append(content[at + 4 : at + 8].decode("ascii", "replace"))
        at += 12 + int(struct.unpack(">I", content[at : at + 4])[0])
    return " ".join([*parts, f"effort {content[at + 9] >> 6}"])
