"""Tell how the pixels of a file were compressed: by which family of codecs, how much of them was lost, in what form.

A generator's traces are weaker than those of a lossy codec, so that a model can judge only what was coded like the
images that it has seen.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import PIL.Image

from spectral_detect.media.quantizers.av1 import avif_loss
from spectral_detect.media.quantizers.hevc import heic_quality
from spectral_detect.media.quantizers.iso_items import shown_item
from spectral_detect.media.quantizers.tiff_strips import first_strip, jpeg_in_tiff
from spectral_detect.media.quantizers.vp8 import vp8_quality

LOSSLESS, PALETTE = "lossless", "palette"
FULL_BITS = 8

# TIFF 6.0 (1992), section 3, and the registry of libtiff (tiff.h)
TIFF_COMPRESSION, TIFF_PREDICTOR, TIFF_PLANES = 259, 317, 284
TIFF_METHODS = {
    1: "none", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate",
    34925: "LZMA", 50000: "Zstandard",
}  # fmt: skip
TIFF_LOSSY = {
    6: "JPEG in TIFF", 7: "JPEG in TIFF", 34712: "JPEG 2000", 34887: "LERC", 34892: "JPEG in TIFF", 50001: "WebP",
    50002: "JPEG XL",
}  # fmt: skip

PNG_HEADER_END, PNG_INTERLACED = 26, 28  # where bit depth and colour type end, and where the order of rows is
OS2_HEADER_BYTES = 12  # of a bitmap of 1987, whose numbers are shorter
BMP_COMPRESSIONS = {0: "", 1: ", RLE", 2: ", RLE", 3: ", bit fields", 6: ", bit fields"}
RIFF_HEADER_BYTES, ANIMATION_BYTES = 12, 16  # before the chunks of a file, and of a frame
MOST_CHUNKS = 1000  # before the first frame stand a few
MOST_BOXES = 16  # a picture of many parts has one configuration for all of them
ISO_CHROMA = {0: None, 1: "4:2:0", 2: "4:2:2", 3: "4:4:4"}


@dataclass(frozen=True)
class Coding:
    """How the pixels of a file were compressed.

    Attributes
    ----------
    family : str
        "lossless", or the lossy coding: "JPEG", "JPEG in TIFF", "WebP", "AVIF", "HEVC", "palette" (256 colours or
        less), or the codec of a video, such as "H.264".
    quality : int or None
        1 to 100, the higher the less is lost, on the scale of the family: libjpeg's, libwebp's, or for AVIF and HEIC
        the share of the quantiser's range that was not used; None if the file does not tell.
    bits : int
        Bits of a channel as stored.
    has_alpha : bool
        Whether the file stores transparency.
    chroma : str or None
        Subsampling of the chroma, such as "4:2:0"; None if there is no chroma plane.
    method : str
        How the pixels are stored where a format has several ways that lose nothing, such as "deflate" or "32 bit".
    """

    family: str
    quality: int | None = None
    bits: int = FULL_BITS
    has_alpha: bool = False
    chroma: str | None = None
    method: str = ""

    @property
    def is_lossy(self) -> bool:
        """Tell whether pixels were lost."""
        return self.family != LOSSLESS

    @property
    def kind(self) -> str:
        """The part that a model must have seen, such as "JPEG", "lossless" or "lossless, 16 bit"."""
        deep = self.bits if self.bits > FULL_BITS else None
        return self.family if deep is None else f"{self.family}, {deep} bit"

    @property
    def title(self) -> str:
        """The coding in words, such as "JPEG, quality 75, 4:2:0"."""
        parts = [self.kind]
        parts += [] if self.quality is None else [f"quality {self.quality}"]
        parts += [self.chroma] if self.chroma else []
        return ", ".join([*parts, *(["with alpha"] if self.has_alpha else [])])


UNCOMPRESSED = Coding(LOSSLESS)


def still_coding(picture: PIL.Image.Image, content: bytes, image_format: str) -> Coding:
    """Return the coding of an opened still; of a JPEG all but quality and chroma, which its header's reader knows.

    A header that cannot be read costs the quality only.

    Parameters
    ----------
    picture : PIL.Image.Image
        The opened file.
    content : bytes
        The whole file.
    image_format : str
        Name of the file format.
    """
    coding = READERS.get(image_format, _by_mode)(picture, content)
    if image_format not in QUANTIZERS:
        return coding
    try:
        return QUANTIZERS[image_format](coding, picture, content)
    except Exception:  # hostile bytes, or a header of a kind that is not read: the quality is not known
        return coding


def _by_mode(picture: PIL.Image.Image, content: bytes) -> Coding:
    """Return the coding of a format that loses nothing, unless its pixels are few levels or a palette."""
    mode = picture.mode
    if mode in ("1", "P", "PA"):
        return Coding(PALETTE, bits=1 if mode == "1" else FULL_BITS, has_alpha=_has_alpha(picture))
    return Coding(LOSSLESS, bits=_bits_of(mode), has_alpha=_has_alpha(picture))


def _has_alpha(picture: PIL.Image.Image) -> bool:
    return picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info


def _bits_of(mode: str) -> int:
    return 32 if mode in ("I", "F") else 16 if mode.startswith("I;16") else FULL_BITS


def _png(picture: PIL.Image.Image, content: bytes) -> Coding:
    bits, colour_type = content[PNG_HEADER_END - 2 : PNG_HEADER_END]
    family = PALETTE if colour_type == 3 or bits < FULL_BITS else LOSSLESS
    method = "interlaced" if content[PNG_INTERLACED] else ""
    return Coding(family, bits=bits, has_alpha=_has_alpha(picture), method=method)


def _bmp(picture: PIL.Image.Image, content: bytes) -> Coding:
    """Read how many bits a pixel takes in the file, which may be more than its channels have."""
    is_short = content[14] == OS2_HEADER_BYTES
    pixel_bits, compression = struct.unpack("<HI", content[28:34]) if not is_short else (content[24], 0)
    method = f"{pixel_bits} bit{BMP_COMPRESSIONS.get(compression, ', compressed')}"
    return replace(_by_mode(picture, content), method=method)


def _gif(picture: PIL.Image.Image, content: bytes) -> Coding:
    return Coding(PALETTE, has_alpha=_has_alpha(picture))


def _tiff(picture: PIL.Image.Image, content: bytes) -> Coding:
    return tiff_coding(getattr(picture, "tag_v2", {}), _by_mode(picture, content))


def tiff_coding(tags: Any, coding: Coding) -> Coding:
    """Return the coding of a TIFF image.

    Parameters
    ----------
    tags : mapping of int to object
        Those of its directory.
    coding : Coding
        What the kind of its pixels alone tells; its bits count where the tags do not say.
    """
    code = tags.get(TIFF_COMPRESSION, 1)
    bits = max((b for b in _numbers(tags.get(258)) if 0 < b <= 64), default=coding.bits)
    family = TIFF_LOSSY.get(code, PALETTE if bits < FULL_BITS else coding.family)
    method = TIFF_METHODS.get(code, str(code))
    method += "" if tags.get(TIFF_PREDICTOR, 1) == 1 else f", predictor {tags[TIFF_PREDICTOR]}"
    method += ", planes apart" if tags.get(TIFF_PLANES, 1) == 2 else ""
    return Coding(family, bits=bits, has_alpha=coding.has_alpha, method=method)


def _numbers(value: Any) -> tuple[int, ...]:
    found = value if isinstance(value, tuple) else (value,)
    return tuple(v for v in found if isinstance(v, int))


def _webp(picture: PIL.Image.Image, content: bytes) -> Coding:
    kind, _ = webp_frame(content)
    if kind == b"VP8L":
        return Coding(LOSSLESS, has_alpha=_has_alpha(picture))
    return Coding("WebP", has_alpha=_has_alpha(picture), chroma="4:2:0")


def webp_frame(content: bytes) -> tuple[bytes, bytes]:
    """Return the type and the content of the chunk that holds a WebP file's pixels, of an animation its first frame's.

    Two empty texts if there is none.
    """
    for kind, body in riff_chunks(content):
        parts = riff_chunks(bytes(RIFF_HEADER_BYTES) + body[ANIMATION_BYTES:]) if kind == b"ANMF" else [(kind, body)]
        for part, pixels in parts:
            if part in (b"VP8 ", b"VP8L"):
                return part, pixels
    return b"", b""


def riff_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and the content of each chunk of a WebP file (RFC 9649)."""
    at = RIFF_HEADER_BYTES
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(content):
            return
        kind, size = content[at : at + 4], int(struct.unpack("<I", content[at + 4 : at + 8])[0])
        yield kind, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _avif(picture: PIL.Image.Image, content: bytes) -> Coding:
    """Read the first AV1 configuration of an image with chroma (AV1-ISOBMFF, 2.3.3), else the first."""
    configurations = _iso_boxes_named(content, b"av1C", 4)
    if not configurations:
        return Coding("AVIF", has_alpha=_has_alpha(picture))
    best = next((c for c in configurations if not c[2] & 0x10), configurations[0])
    return _of_av1(best, has_alpha=_has_alpha(picture))


def _of_av1(configuration: bytes, *, has_alpha: bool) -> Coding:
    flags = configuration[2]
    bits = FULL_BITS if not flags & 0x40 else 12 if flags & 0x20 else 10
    chroma = None if flags & 0x10 else {0: "4:4:4", 8: "4:2:2", 12: "4:2:0"}.get(flags & 0x0C)
    return Coding("AVIF", bits=bits, has_alpha=has_alpha, chroma=chroma)


def _heif(picture: PIL.Image.Image, content: bytes) -> Coding:
    """Read the first HEVC configuration (ISO/IEC 14496-15, 8.3.3.1)."""
    configurations = _iso_boxes_named(content, b"hvcC", 23)
    if not configurations:
        return Coding("HEVC", has_alpha=_has_alpha(picture))
    return _of_hevc(configurations[0], has_alpha=_has_alpha(picture))


def _of_hevc(configuration: bytes, *, has_alpha: bool) -> Coding:
    chroma, bits = ISO_CHROMA[configuration[16] & 3], FULL_BITS + (configuration[17] & 7)
    return Coding("HEVC", bits=bits, has_alpha=has_alpha, chroma=chroma)


def _iso_boxes_named(content: bytes, name: bytes, n_bytes: int) -> list[bytes]:
    """Return the first bytes of each box of a type, wherever it stands."""
    found: list[bytes] = []
    at = content.find(name)
    while at >= 0 and len(found) < MOST_BOXES:
        found.append(content[at + len(name) : at + len(name) + n_bytes])
        at = content.find(name, at + 1)
    return [box for box in found if len(box) == n_bytes]


def _webp_quantizer(coding: Coding, picture: PIL.Image.Image, content: bytes) -> Coding:
    return replace(coding, quality=vp8_quality(webp_frame(content)[1])) if coding.is_lossy else coding


def _avif_quantizer(coding: Coding, picture: PIL.Image.Image, content: bytes) -> Coding:
    item = shown_item(content)
    coding, loss = _of_av1(item.properties[b"av1C"], has_alpha=coding.has_alpha), avif_loss(item)
    if loss.is_lossless:
        return replace(coding, family=LOSSLESS, chroma=None)
    return replace(coding, quality=loss.quality)


def _heif_quantizer(coding: Coding, picture: PIL.Image.Image, content: bytes) -> Coding:
    item = shown_item(content)
    coding = _of_hevc(item.properties[b"hvcC"], has_alpha=coding.has_alpha)
    return replace(coding, quality=heic_quality(item))


def _tiff_quantizer(coding: Coding, picture: PIL.Image.Image, content: bytes) -> Coding:
    tags: Any = getattr(picture, "tag_v2", {})
    if coding.family == "WebP":
        strip = first_strip(tags, content)
        return _webp_quantizer(replace(_webp(picture, strip), method=coding.method), picture, strip)
    if coding.family != "JPEG in TIFF":
        return coding
    quality, chroma = jpeg_in_tiff(tags, content)
    return replace(coding, quality=quality, chroma=chroma)


QUANTIZERS = {"WEBP": _webp_quantizer, "AVIF": _avif_quantizer, "HEIF": _heif_quantizer, "TIFF": _tiff_quantizer}

READERS = {
    "JPEG": lambda picture, content: Coding("CMYK JPEG" if picture.mode == "CMYK" else "JPEG"),
    "PNG": _png,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIF": _heif,
}

# FFmpeg's names of codecs
VIDEO_CODECS = {
    "h264": "H.264", "hevc": "H.265", "vvc": "H.266", "vp8": "VP8", "vp9": "VP9", "av1": "AV1", "mpeg4": "MPEG-4",
    "mpeg1video": "MPEG-1", "mpeg2video": "MPEG-2", "mjpeg": "Motion JPEG", "prores": "ProRes", "dnxhd": "DNxHD",
    "theora": "Theora", "vc1": "VC-1", "h263": "H.263", "flv1": "Sorenson H.263", "dvvideo": "DV",
    "jpeg2000": "JPEG 2000",
    **dict.fromkeys(
        (
            "ffv1", "huffyuv", "ffvhuff", "rawvideo", "v210", "v410", "r210", "png", "utvideo", "qtrle", "magicyuv",
            "lagarith", "zmbv",
        ),
        LOSSLESS,
    ),
}  # fmt: skip
SUBSAMPLING = re.compile(r"(?:yuv[aj]?|nv)(4[0-4]{2}|12|16|24)")
SHARED_PLANES = {"12": "420", "16": "422", "24": "444"}  # NV12 and its kin keep both chroma planes in one


def video_coding(codec: str, pixel_format: str, bits: int = FULL_BITS) -> Coding:
    """Return the coding of the frames of a video file.

    Parameters
    ----------
    codec, pixel_format : str
        FFmpeg's names of them, such as "h264" and "yuv420p".
    bits : int
        Bits of a channel.
    """
    family = VIDEO_CODECS.get(codec, codec)
    match = SUBSAMPLING.match(pixel_format)
    digits = SHARED_PLANES.get(match[1], match[1]) if match else ""
    return Coding(family, bits=bits, chroma=None if family == LOSSLESS else ":".join(digits) or None)
