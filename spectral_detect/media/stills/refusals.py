"""Say why a file that cannot be decoded is refused: its format, its kind, the reason, and what to do about it."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any, NamedTuple

import PIL.Image
from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2

from spectral_detect.errors import ImageReadError
from spectral_detect.media.coding import TIFF_COMPRESSION, TIFF_LOSSY, TIFF_METHODS
from spectral_detect.media.stills.announced_size import announced_size
from spectral_detect.sources.formats import FORMATS

INTACT_COPY, AS_PNG = "get an intact copy", "convert it to PNG"
AS_16_BIT = "convert to 8 or 16 bit"
HEIF_MISSING = "HEIC: install the extra that reads it, pip install 'spectral-detect[heif]'"
HEIF_BRANDS = frozenset(
    (
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
        b"hevm",
        b"hevs",
        b"mif1",
        b"mif2",
        b"msf1",
        b"avci",
        b"j2ki",
    )
)
AVIF_BRANDS = frozenset((b"avif", b"avis"))
AVIF_MOST_PIXELS, AVIF_LONGEST_SIDE = 2**28, 2**15  # limits of libavif

OTHER_FORMATS = {
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL", b"8BPS": "Photoshop", b"\x76\x2f\x31\x01": "OpenEXR", b"#?RADIANCE": "Radiance HDR",
    b"%PDF": "PDF", b"<svg": "SVG", b"\0\0\1\0": "ICO", b"qoif": "QOI", b"DDS ": "DDS", b"II\xbc\x01": "JPEG XR",
    b"P5\n": "PGM", b"P6\n": "PPM", b"SIMPLE  =": "FITS", b"icns": "ICNS", b"gimp xcf": "GIMP",
}  # fmt: skip

TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLES, TIFF_SAMPLE_FORMAT = 258, 262, 277, 339
TIFF_PIECES = ((273, 279), (324, 325))  # offsets and sizes of strips, of tiles
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
    describe = {"TIFF": _of_tiff, "BMP": _of_bmp, "JPEG": _of_jpeg, "AVIF": _of_avif}.get(name, _unsupported_nowhere)
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
        return _format_of_iso(content)
    if content[:2] == b"BM" and content[6:10] != bytes(4):
        return None  # two letters begin many a text
    for name in FORMATS:
        accept = PIL.Image.OPEN[name][1]
        if accept is not None and accept(content[:16]) is True:
            return name
    return None


def _format_of_iso(content: bytes) -> str | None:
    """Return the format of an ISO container by its brands, the major one first (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(content[:4], "big"), 256)
    major, others = content[8:12], {content[at : at + 4] for at in range(16, end, 4)}
    if major in AVIF_BRANDS or (major in (b"mif1", b"msf1") and others & AVIF_BRANDS):
        return "AVIF"
    return "HEIF" if major in HEIF_BRANDS else None


def _of_no_known_format(content: bytes) -> ImageReadError:
    known = ", ".join(FORMATS)
    for start, name in OTHER_FORMATS.items():
        if content.startswith(start):
            return ImageReadError(f"{name} is not a format that is read ({known})", remedy=AS_PNG)
    if (
        content[4:8] == b"ftyp"
        or (content[:4] == b"RIFF" and content[8:12] == b"AVI ")
        or content[:4] == b"\x1aE\xdf\xa3"
    ):
        return ImageReadError("a video, or another file of the like, and no still image", remedy="judge it as a video")
    return ImageReadError(f"not an image in a known format ({known})")


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
    return " ".join(str(error).split()) or type(error).__name__


def _unsupported_nowhere(content: bytes, reason: str) -> ImageReadError | None:
    return None


# -------------------------------------------------------------------------------------------------------------- TIFF


def _of_tiff(content: bytes, reason: str) -> ImageReadError | None:
    tags = _tiff_tags(content)
    code = tags.get(TIFF_COMPRESSION, 1)
    method = TIFF_LOSSY.get(code) or TIFF_METHODS.get(code) or str(code)
    if code not in COMPRESSION_INFO:
        return ImageReadError(f"TIFF: the compression {method} is not supported", remedy=AS_PNG)
    if _tiff_end(tags) > len(content):
        return ImageReadError("TIFF: incomplete: the file ends before its pixels do", remedy=INTACT_COPY)
    if reason.startswith("decoder error") and code not in TIFF_METHODS:
        problem = f"TIFF: {method}: damaged, or of a kind that is not supported ({reason})"
        return ImageReadError(problem, remedy=f"{INTACT_COPY}, or {AS_PNG}")
    if not reason.startswith(TIFF_UNSUPPORTED):
        return None
    kind = tiff_kind(tags)
    why = "has no defined gray" if "float" in kind or "complex" in kind else "is not supported"
    return ImageReadError(f"TIFF: {kind} {why}", remedy=AS_16_BIT)


def _tiff_tags(content: bytes) -> dict[int, Any]:
    stream = BytesIO(content)
    tags = ImageFileDirectory_v2(stream.read(16 if content[2:4] in (b"+\0", b"\0+") else 8))
    stream.seek(tags.next)
    tags.load(stream)
    return dict(tags)


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


# --------------------------------------------------------------------------------------------------- BMP, JPEG, AVIF


def _of_bmp(content: bytes, reason: str) -> ImageReadError | None:
    header, bits, compression = _bmp_header(content)
    if reason.startswith("Unsupported BMP pixel depth") and 0 < bits <= 64:
        return ImageReadError(f"BMP: {bits} bits a pixel are not supported", remedy=AS_PNG)
    if reason.startswith("Unsupported BMP header type") and header in OS2_HEADERS:
        return ImageReadError(f"BMP: the header of OS/2, of {header} bytes, is not supported", remedy=AS_PNG)
    named = _bmp_compression(header, bits, compression)
    if reason.startswith("Unsupported BMP bitfields") and named is None:
        return ImageReadError(f"BMP: these masks of {bits} bits a pixel are not supported", remedy=AS_PNG)
    if reason.startswith(("Unsupported BMP bitfields", "Unsupported BMP compression")):
        return ImageReadError(f"BMP: {named or f'compression {compression}'} is not supported", remedy=AS_PNG)
    if compression in (1, 2) and reason == "not enough image data" and content.rstrip(b"\0").endswith(b"\1"):
        return ImageReadError("BMP: run-length coding that leaves pixels out is not supported", remedy=AS_PNG)
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


def _of_avif(content: bytes, reason: str) -> ImageReadError | None:
    size = announced_size(content)
    if size is None or (size[0] * size[1] <= AVIF_MOST_PIXELS and max(size) <= AVIF_LONGEST_SIDE):
        return None
    return ImageReadError(
        f"AVIF: {size[0]}x{size[1]} pixels, more than its decoder takes ({AVIF_MOST_PIXELS})", remedy=AS_PNG
    )
