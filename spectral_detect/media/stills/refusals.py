"""Say why a file that cannot be decoded is refused: its format, its kind, the reason, and what to do about it."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any, NamedTuple

import PIL.Image
from PIL.TiffImagePlugin import COMPRESSION_INFO

from spectral_detect.errors import ImageReadError
from spectral_detect.media.coding import TIFF_COMPRESSION, TIFF_LOSSY, TIFF_METHODS, TIFF_PLANES
from spectral_detect.media.stills.iso_refusals import format_of_iso, of_avif, of_heif, of_minimised
from spectral_detect.media.stills.remedies import AS_16_BIT, AS_PNG, AS_VIDEO, EITHER, INTACT_COPY, NO_IMAGE, OUT_OF_PDF
from spectral_detect.media.tiff.directories import directory_at
from spectral_detect.sources.formats import FORMATS, is_false_bitmap

HEIF_MISSING = "HEIC: install the extra that reads it, pip install '.[heif]' in the checkout"

OTHER_FORMATS = {
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL", b"8BPS": "Photoshop", b"\x76\x2f\x31\x01": "OpenEXR", b"#?RADIANCE": "Radiance HDR",
    b"%PDF": "PDF", b"<svg": "SVG", b"\0\0\1\0": "ICO", b"qoif": "QOI", b"DDS ": "DDS", b"II\xbc\x01": "JPEG XR",
    b"P5\n": "PGM", b"P6\n": "PPM", b"SIMPLE  =": "FITS", b"icns": "ICNS", b"gimp xcf": "GIMP",
}  # fmt: skip

TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLES, TIFF_SAMPLE_FORMAT = 258, 262, 277, 339
TIFF_PIECES = ((273, 279), (324, 325))  # offsets and sizes of strips, of tiles
TIFF_TILE_WIDTH, TIFF_TILE_OFFSETS, TIFF_SUBSAMPLING, TIFF_YCBCR = 322, 324, 530, 6
TIFF_KINDS = {
    0: "gray", 1: "gray", 2: "RGB", 3: "palette", 4: "transparency mask", 5: "CMYK", 6: "YCbCr", 8: "CIELAB",
    9: "ICCLAB", 10: "ITULAB", 32803: "colour filter array", 32844: "LogL", 32845: "LogLuv", 34892: "linear raw",
}  # fmt: skip
TIFF_NUMBERS = {2: "signed ", 3: "float ", 5: "complex ", 6: "complex "}
TIFF_UNSUPPORTED = ("unknown pixel mode", "unknown data organization", "Invalid value for samples", "Windows Media")

BMP_COMPRESSIONS = {4: "JPEG inside", 5: "PNG inside", 6: "alpha by masks", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
OS2_HEADERS = range(16, 65)
OS2_COMPRESSIONS = {3: "Huffman coding (OS/2)", 4: "24-bit run-length coding (OS/2)"}

JPEG_KINDS = {
    0xC3: "lossless", **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"), 0xCB: "lossless",
    **dict.fromkeys((0xC9, 0xCA), "arithmetic-coded"), 0xF7: "JPEG-LS",
}  # fmt: skip
JPEG_FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7))


def refusal(content: bytes, error: Exception) -> ImageReadError:
    """Return the error for a file that made a decoder raise `error`."""
    name = format_of(content)
    if name is None:
        return _of_no_known_format(content)
    if name not in FORMATS:
        return ImageReadError(HEIF_MISSING)
    reason = _reason(name, content) if isinstance(error, PIL.UnidentifiedImageError) else _in_words(error)
    describe = {"TIFF": _of_tiff, "BMP": _of_bmp, "JPEG": _of_jpeg, "AVIF": of_avif, "HEIF": of_heif}.get(
        name, _unsupported_nowhere
    )
    try:
        unsupported = describe(content, reason)
    except Exception:  # what cannot even be described is damaged
        unsupported = None
    return unsupported or ImageReadError(f"{name}: damaged or incomplete image ({reason})", remedy=INTACT_COPY)


def too_large(size: tuple[int, int], max_pixels: int) -> ImageReadError:
    """Return the error for an image whose header announces too many pixels."""
    return ImageReadError(f"{size[0]}x{size[1]} pixels, more than the limit of {max_pixels}", remedy="see `max_pixels`")


def format_of(content: bytes) -> str | None:
    """Return the name of the format whose signature a file has; None if it has that of none that we read."""
    if content[4:8] == b"ftyp":
        return format_of_iso(content)
    if is_false_bitmap(content[:32]):
        return None
    for name in FORMATS:
        accept = PIL.Image.OPEN[name][1]
        if accept is not None and accept(content[:16]) is True:
            return name
    return None


def _of_no_known_format(content: bytes) -> ImageReadError:
    if content[12:16] == b"IHDR":  # an editor of texts or a transfer as text spoils only the signature
        return ImageReadError("PNG: its signature is damaged", remedy=INTACT_COPY)
    if content.startswith(b"\xff\xd8"):
        return ImageReadError("JPEG: damaged: no segment follows its start", remedy=INTACT_COPY)
    known = ", ".join(FORMATS)
    for start, name in OTHER_FORMATS.items():
        if content.startswith(start):
            return ImageReadError(
                f"{name} is not a format that is read ({known})", remedy=OUT_OF_PDF if name == "PDF" else AS_PNG
            )
    if (minimised := of_minimised(content)) is not None:
        return minimised
    if (
        content[4:8] == b"ftyp"
        or (content[:4] == b"RIFF" and content[8:12] == b"AVI ")
        or content[:4] == b"\x1aE\xdf\xa3"
    ):
        return ImageReadError("a video or a similar file, not a still image", remedy=AS_VIDEO)
    return ImageReadError(f"not an image in a known format ({known})", remedy=NO_IMAGE)


def _reason(name: str, content: bytes) -> str:
    """Return why the decoder of a format does not open a file, which `PIL.Image.open` keeps to itself."""
    try:
        PIL.Image.OPEN[name][0](BytesIO(content), "")
    except Exception as error:  # hostile bytes may make a decoder raise anything
        return _in_words(error)
    return "its header"


def _in_words(error: Exception) -> str:
    inner = error.args[0] if error.args else None  # Pillow wraps what went wrong while it read a header
    if isinstance(inner, Exception) or isinstance(error, struct.error | IndexError | KeyError):
        return "damaged header"
    if str(error) == "not identified by this driver":
        return "its header tells no size, or no known kind of pixels"
    return " ".join(str(error).split()) or type(error).__name__


def _unsupported_nowhere(content: bytes, reason: str) -> ImageReadError | None:
    return None


# -------------------------------------------------------------------------------------------------------------- TIFF


def _of_tiff(content: bytes, reason: str) -> ImageReadError | None:
    tags = dict(directory_at(content))
    code = tags.get(TIFF_COMPRESSION, 1)
    method = TIFF_LOSSY.get(code) or TIFF_METHODS.get(code) or str(code)
    if code not in COMPRESSION_INFO:
        return ImageReadError(f"TIFF: the compression {method} is not supported", remedy=AS_PNG)
    if not tags:
        return ImageReadError("TIFF: incomplete: the file ends before its first directory", remedy=INTACT_COPY)
    if not _has_pieces(tags):
        return ImageReadError("TIFF: no pixels belong to its first directory", remedy=INTACT_COPY)
    if _tiff_end(tags) > len(content):
        return ImageReadError("TIFF: incomplete: the file ends before its pixels do", remedy=INTACT_COPY)
    if (layout := _unread_layout(tags, code)) is not None:
        return ImageReadError(f"TIFF: {layout} not supported", remedy=AS_PNG)
    if reason.startswith("decoder error") and code not in TIFF_METHODS:
        problem = f"TIFF: {method}: damaged, or of a kind that is not supported ({reason})"
        return ImageReadError(problem, remedy=EITHER)
    if not reason.startswith(TIFF_UNSUPPORTED):
        return None
    kind = tiff_kind(tags)
    why = "has no defined gray" if "float" in kind or "complex" in kind else "is not supported"
    return ImageReadError(f"TIFF: {kind} {why}", remedy=AS_16_BIT)


def _has_pieces(tags: dict[int, Any]) -> bool:
    return any(offsets in tags for offsets, _ in TIFF_PIECES)


def _unread_layout(tags: dict[int, Any], code: int) -> str | None:
    """Return what Pillow does not read of files that are otherwise sound, in words; None if there is nothing."""
    if TIFF_TILE_WIDTH in tags and TIFF_TILE_OFFSETS not in tags:
        return "tiles that are listed as strips are"
    if tags.get(TIFF_PLANES) == 2 and tags.get(TIFF_SAMPLES) == 2:
        return "gray and alpha in separate planes are"
    if tags.get(TIFF_PHOTOMETRIC) != TIFF_YCBCR or code in TIFF_LOSSY:
        return None
    if tags.get(TIFF_PLANES) == 2:
        return "YCbCr in separate planes is"
    return "YCbCr with fewer chroma samples is" if tags.get(TIFF_SUBSAMPLING, (2, 2)) != (1, 1) else None


def _tiff_end(tags: dict[int, Any]) -> int:
    """Return the byte after the last of the pixels of a TIFF file."""
    ends = [0]
    for offsets, sizes in TIFF_PIECES:
        pieces = zip(_several(tags.get(offsets, 0)), _several(tags.get(sizes, 0)), strict=False)
        ends += [start + size for start, size in pieces]
    return max(ends)


def tiff_kind(tags: dict[int, Any]) -> str:
    """Return the kind of the pixels of a TIFF file in words, such as "32-bit float RGB"."""
    bits, numbers = (_several(tags.get(tag, 1)) for tag in (TIFF_BITS, TIFF_SAMPLE_FORMAT))
    depth = str(bits[0]) if len(set(bits)) == 1 else "-".join(map(str, bits[:8]))
    photometric = tags.get(TIFF_PHOTOMETRIC, 0)
    colour = TIFF_KINDS.get(photometric, f"photometric {photometric}")
    n_samples = tags.get(TIFF_SAMPLES, 1)
    usual = {"gray": 1, "palette": 1, "CMYK": 4}.get(colour, 3)
    extra = "" if n_samples == usual else f" of {n_samples} samples a pixel"
    return f"{depth}-bit {TIFF_NUMBERS.get(numbers[0], '')}{colour}{extra}"


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) and value else (value,)


# --------------------------------------------------------------------------------------------------------- BMP, JPEG


def _of_bmp(content: bytes, reason: str) -> ImageReadError | None:
    header, bits, compression = _bmp_header(content)
    named = _bmp_compression(header, bits, compression)
    if named is not None and reason.startswith("Unsupported BMP"):
        return ImageReadError(f"BMP: {named} is not supported", remedy=AS_PNG)
    if reason.startswith("Unsupported BMP pixel depth") and 0 < bits <= 64:
        return ImageReadError(f"BMP: {bits} bits a pixel are not supported", remedy=AS_PNG)
    if reason.startswith("Unsupported BMP header type") and header in OS2_HEADERS:
        return ImageReadError(f"BMP: the header of OS/2, of {header} bytes, is not supported", remedy=AS_PNG)
    if reason.startswith("Unsupported BMP bitfields"):
        return ImageReadError(f"BMP: these masks of {bits} bits a pixel are not supported", remedy=AS_PNG)
    if reason.startswith("Unsupported BMP compression"):
        return ImageReadError(f"BMP: compression {compression} is not supported", remedy=AS_PNG)
    if reason == "invalid palette size":
        return ImageReadError("BMP: a palette of more than 256 colours is not supported", remedy=AS_PNG)
    return None


def _bmp_compression(header: int, bits: int, compression: int) -> str | None:
    is_os2 = header == 64 or (compression == 3 and bits == 1)
    return (OS2_COMPRESSIONS if is_os2 else BMP_COMPRESSIONS).get(compression)


class _BmpHeader(NamedTuple):
    n_bytes: int
    bits: int
    compression: int


def _bmp_header(content: bytes) -> _BmpHeader:
    (n_bytes,) = struct.unpack_from("<I", content, 14)
    if n_bytes == 12:
        return _BmpHeader(n_bytes, struct.unpack_from("<H", content, 24)[0], 0)
    bits = struct.unpack_from("<H", content, 28)[0]
    return _BmpHeader(n_bytes, bits, struct.unpack_from("<I", content, 30)[0] if n_bytes > 16 else 0)


def _of_jpeg(content: bytes, reason: str) -> ImageReadError | None:
    marker, bits, n_channels = _jpeg_frame(content)
    if marker in JPEG_KINDS:
        return ImageReadError(f"JPEG: {JPEG_KINDS[marker]} files are not supported", remedy=AS_PNG)
    if bits != 8:
        return ImageReadError(f"JPEG: {bits} bits a channel are not supported", remedy="convert it to 8 bit or to PNG")
    if n_channels not in (1, 3, 4):
        return ImageReadError(f"JPEG: {n_channels} channels are not supported", remedy=AS_PNG)
    return None


def _jpeg_frame(content: bytes) -> tuple[int, int, int]:
    """Return the marker of the first frame, its bits and its channels; IndexError or struct.error if there is none."""
    at = 2
    while True:
        at = content.index(b"\xff", at)
        marker = content[at + 1]
        if marker in JPEG_FRAMES:
            return marker, content[at + 4], content[at + 9]
        is_standalone = marker in (0, 1, 0xFF) or 0xD0 <= marker <= 0xD8
        at += (1 if marker == 0xFF else 2) if is_standalone else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
