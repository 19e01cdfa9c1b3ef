"""The coding of a file is what its writer was told: family, loss, depth, alpha, chroma."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import SHARED, needs_shared
from spectral_detect.media.coding import OS2_HEADER_BYTES, Coding, video_coding
from spectral_detect.media.images import decode

NOISE = np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8)
RGB = Image.fromarray(NOISE)
GRAY = RGB.convert("L")
DEEP = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 251)


def coding_of(image: Image.Image, image_format: str, **options: Any) -> Coding:
    stream = BytesIO()
    image.save(stream, image_format, **options)
    metadata = decode(stream.getvalue()).metadata
    assert metadata is not None
    return metadata.coding


LOSSLESS = {
    "PNG": (RGB, "PNG", {}),
    "gray PNG": (GRAY, "PNG", {}),
    "BMP": (RGB, "BMP", {}),
    "WebP": (RGB, "WEBP", {"lossless": True}),
    "WebP with alpha": (RGB.convert("RGBA"), "WEBP", {"lossless": True, "exact": True}),
    "TIFF": (RGB, "TIFF", {}),
    "TIFF, LZW": (RGB, "TIFF", {"compression": "tiff_lzw"}),
    "TIFF, deflate": (RGB, "TIFF", {"compression": "tiff_adobe_deflate"}),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_what_loses_nothing_is_of_one_kind(name: str) -> None:
    image, image_format, options = LOSSLESS[name]
    coding = coding_of(image, image_format, **options)
    assert (coding.kind, coding.is_lossy, coding.quality, coding.bits) == ("lossless", False, None, 8)


LOSSY = {
    "JPEG": (RGB, "JPEG", {"quality": 83, "subsampling": 1}, "JPEG, quality 83, 4:2:2"),
    "gray JPEG": (GRAY, "JPEG", {"quality": 40}, "JPEG, quality 40"),
    "CMYK JPEG": (RGB.convert("CMYK"), "JPEG", {"quality": 75}, "CMYK JPEG, quality 75"),
    "WebP": (RGB, "WEBP", {"quality": 80}, "WebP, quality 80, 4:2:0"),
    "WebP with alpha": (RGB.convert("RGBA"), "WEBP", {"quality": 80}, "WebP, quality 80, 4:2:0"),
    "AVIF": (RGB, "AVIF", {"quality": 60}, "AVIF, 4:2:0"),
    "AVIF 4:4:4": (RGB, "AVIF", {"quality": 60, "subsampling": "4:4:4"}, "AVIF, 4:4:4"),
    "GIF": (RGB, "GIF", {}, "palette"),
    "PNG of 256 colours": (RGB.quantize(), "PNG", {}, "palette"),
    "PNG of 1 bit": (RGB.convert("1"), "PNG", {}, "palette"),
    "BMP of 256 colours": (RGB.quantize(), "BMP", {}, "palette"),
    "TIFF of 256 colours": (RGB.quantize(), "TIFF", {}, "palette"),
    "JPEG in TIFF": (RGB, "TIFF", {"compression": "jpeg"}, "JPEG in TIFF, quality 75"),
    "16 bit": (DEEP, "PNG", {}, "lossless, 16 bit"),
    "16 bit TIFF": (DEEP, "TIFF", {}, "lossless, 16 bit"),
}


@pytest.mark.parametrize("name", LOSSY)
def test_other_codings_are_named(name: str) -> None:
    image, image_format, options, title = LOSSY[name]
    found = coding_of(image, image_format, **options).title
    found = re.sub(r"^AVIF, quality \d+", "AVIF", found)  # each version of an encoder has its own scale
    assert found.replace(", with alpha", "").startswith(title)


def test_transparency_is_a_fact() -> None:
    cut_out = RGB.copy()
    cut_out.putalpha(GRAY)
    for image_format in ("PNG", "WEBP", "TIFF", "AVIF"):
        assert coding_of(cut_out, image_format).has_alpha, image_format
        assert not coding_of(RGB, image_format).has_alpha, image_format


def test_heic_is_hevc() -> None:
    pytest.importorskip("pillow_heif")
    coding = coding_of(RGB, "HEIF", quality=50)
    assert (coding.kind, coding.is_lossy, coding.chroma) == ("HEVC", True, "4:2:0")


def test_pixels_of_bitmaps_are_told_apart() -> None:
    assert [coding_of(RGB.convert(m), "BMP").method for m in ("RGB", "RGBA", "P")] == ["24 bit", "32 bit", "8 bit"]
    header = b"BM" + struct.pack("<IIIIHHHH", 38, 0, 26, OS2_HEADER_BYTES, 2, 2, 1, 24) + bytes(16)
    metadata = decode(header).metadata
    assert metadata is not None
    assert (metadata.coding.method, metadata.layout) == ("24 bit", "header of 12 bytes")


def test_rows_of_png_in_another_order_are_told_apart() -> None:
    stream = BytesIO()
    RGB.crop((0, 0, 1, 1)).save(stream, "PNG")  # of one pixel the data are the same in any order
    content = bytearray(stream.getvalue())
    for order, method in ((0, ""), (1, "interlaced")):
        content[28] = order
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        metadata = decode(bytes(content)).metadata
        assert metadata is not None
        assert metadata.coding.method == method


def test_methods_of_tiff_are_told_apart() -> None:
    methods = {coding_of(RGB, "TIFF", compression=c).method for c in ("raw", "tiff_lzw", "tiff_deflate", "packbits")}
    assert methods == {"none", "LZW", "deflate", "PackBits"}


@pytest.mark.parametrize(
    ("codec", "pixels", "bits", "title"),
    [
        ("h264", "yuv420p", 8, "H.264, 4:2:0"),
        ("h264", "yuvj420p", 8, "H.264, 4:2:0"),
        ("hevc", "yuv422p10le", 10, "H.265, 10 bit, 4:2:2"),
        ("mpeg4", "nv12", 8, "MPEG-4, 4:2:0"),
        ("ffv1", "yuv420p", 8, "lossless"),
        ("vp9", "gbrp", 8, "VP9"),
        ("cinepak", "rgb24", 8, "cinepak"),
    ],
)
def test_a_codec_is_a_coding(codec: str, pixels: str, bits: int, title: str) -> None:
    assert video_coding(codec, pixels, bits).title == title


@needs_shared
@pytest.mark.parametrize(
    ("pattern", "kind"),
    [("webp80_*", "WebP"), ("avif75_*", "AVIF"), ("tiffjpeg75_*", "JPEG in TIFF"), ("webplossless_*", "lossless")],
)
def test_files_that_showed_the_fault(pattern: str, kind: str) -> None:
    files = sorted((SHARED / "faults" / "coding").glob(pattern))
    assert files
    for file in files:
        metadata = decode(file.read_bytes()).metadata
        assert metadata is not None
        assert metadata.coding.kind == kind
