"""Which files are images or videos: by their first bytes, or by their names."""

from __future__ import annotations

import os
import re
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

from spectral_detect.sources.pillow import quiet_pillow

with suppress(ImportError):  # the extra "heif"
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)

FORMATS = tuple(
    name for name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "GIF", "HEIF") if name in PIL.Image.OPEN
)
RAW_SUFFIXES = frozenset(".arw .cr2 .cr3 .dng .nef .nrw .orf .pef .raf .rw2 .srw".split())
ANIMATED_FORMATS = tuple(name for name in ("GIF", "WEBP", "PNG", "AVIF") if name in FORMATS)
SUFFIXES = RAW_SUFFIXES | frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".gif", ".heic", ".heif")
)
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv .asf .flv .f4v .ts .mts .m2ts .vob .ogv .3gp .3g2 .mxf".split()
)
SOUND_SUFFIXES = frozenset(
    ".3ga .aac .aax .f4a .flac .m4a .m4b .m4p .m4r .mka .mks .mp3 .oga .ogg .opus .spx .wav .weba .wma".split()
)
# of ISO base media files: stills are no videos, whatever is installed to read them
SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ")
STILL_BRANDS = (
    *b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1 miaf MiHE MiHB avci avcs avif avis tmap".split(),
    *(b"jp2 ", b"jpx ", b"jpm ", b"crx "),
)
MOVIE_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip")
SIGNATURE_BYTES = 32

# cameras' raw files: found as images, so that they become errors and are not passed over; those that begin like TIFF,
# such as NEF, ARW and DNG, are told by their tags
RAW_STARTS = {
    "RAF": re.compile(rb"FUJIFILMCCD-RAW", re.DOTALL),
    "CR3": re.compile(rb".{4}ftypcrx ", re.DOTALL),
    "CR2": re.compile(rb"II\*\0\x10\0\0\0CR\x02", re.DOTALL),
    "CRW": re.compile(rb"(?:II|MM).{4}HEAPCCDR", re.DOTALL),
    "ORF": re.compile(rb"II(?:RO|RS)..\0\0|MMOR\0\0", re.DOTALL),
    "RW2": re.compile(rb"IIU\0", re.DOTALL),
    "MRW": re.compile(rb"\0MRM", re.DOTALL),
    "X3F": re.compile(rb"FOVb.\0.\0", re.DOTALL),
}


def raw_format(start: bytes) -> str | None:
    """Return the name of a camera's raw format whose files begin with these bytes, or None."""
    return next((name for name, pattern in RAW_STARTS.items() if pattern.match(start)), None)


def has_image_signature(start: bytes) -> bool:
    """Return whether the first bytes of a file are those of one of `FORMATS`, or of a camera's raw file."""
    if raw_format(start) is not None:
        return True
    if is_false_bitmap(start):
        return False
    accepts = (PIL.Image.OPEN[name][1] for name in FORMATS)
    return any(accept is not None and accept(start) is True for accept in accepts)


def is_false_bitmap(start: bytes) -> bool:
    """Return whether a file begins with the two letters of a bitmap, as many a text does, and is none.

    A bitmap has zeros in its two reserved fields, or at least in the length of its header, which is short.
    """
    return start[:2] == b"BM" and start[6:10] != bytes(4) and start[15:18] != bytes(3)


def has_video_suffix(path: str) -> bool:
    """Return whether a file is named like a video."""
    return os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES


def has_video_signature(start: bytes) -> bool:
    """Return whether the first bytes of a file are those of a container of videos; one of sound alone may begin so."""
    if start[4:8] == b"ftyp":
        return start[8:12] not in SOUND_BRANDS + STILL_BRANDS
    is_container = start[:4] in (b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\1\xba", b"\0\0\1\xb3", b"\x30\x26\xb2\x75")
    is_theora = start[:4] == b"OggS" and start[28:32] == b"\x80the"
    return is_container or is_theora or start[4:8] in MOVIE_BOXES or (start[:4] == b"RIFF" and start[8:12] == b"AVI ")


def begins_like_video(path: str) -> bool:
    """Return whether the first bytes of a local file are those of a video, and its name not that of sound."""
    if os.path.splitext(path)[1].lower() in SOUND_SUFFIXES:
        return False
    try:
        if not os.path.isfile(path):  # a pipe would wait
            return False
        with open(path, "rb") as stream:
            return has_video_signature(stream.read(SIGNATURE_BYTES))
    except OSError:
        return False


def is_video_file(path: str) -> bool:
    """Return whether a local file is a video, by its name or by its first bytes."""
    return has_video_suffix(path) or begins_like_video(path)


def holds_video(path: str) -> bool:
    """Return whether a local file is a video: by its first bytes, or by its name if they are not those of an image."""
    return begins_like_video(path) or (has_video_suffix(path) and not begins_like_image(path))


def begins_like_image(path: str) -> bool:
    """Return whether the first bytes of a local file are those of an image."""
    try:
        with open(path, "rb") as stream:
            return has_image_signature(stream.read(SIGNATURE_BYTES))
    except OSError:
        return False


def is_animation(path: str) -> bool:
    """Return whether a local file is an image of several frames that are shown one after the other.

    The pages of a TIFF and the views of a multi-picture JPEG are none.
    """
    start = b""
    try:
        if not os.path.isfile(path):  # a pipe would wait
            return False
        with open(path, "rb") as stream:
            start = stream.read(SIGNATURE_BYTES)
        if not _may_be_animated(start):
            return False
        with quiet_pillow(), PIL.Image.open(path, formats=ANIMATED_FORMATS) as picture:
            first = int(bool(getattr(picture, "default_image", False)))  # an APNG's still for other programs
            return bool(getattr(picture, "is_animated", False)) and picture.n_frames > 1 + first
    except Exception:  # what is wrong with a file is said where it is read
        return _is_named_animated(start)


def _may_be_animated(start: bytes) -> bool:
    """Return whether it is worth while to open a file; most images in a folder of frames are told from their start."""
    return _is_named_animated(start) or start[:4] in (b"GIF8", b"\x89PNG")


def _is_named_animated(start: bytes) -> bool:
    is_webp = start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X" and len(start) > 20 and bool(start[20] & 2)
    return is_webp or start[4:12] == b"ftypavis"
