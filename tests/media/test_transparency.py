"""The share of transparent pixels, for every way in which a format says it."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import SHARED, needs_shared
from spectral_detect.media.images import decode
from spectral_detect.media.stills.transparency import percentage

SIDE = 32
QUARTER = np.zeros((SIDE, SIDE), bool)
QUARTER[: SIDE // 2, : SIDE // 2] = True


def saved(picture: Image.Image, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, image_format, **options)
    return stream.getvalue()


def veiled(mode: str, hidden_alpha: int) -> Image.Image:
    """Noise, a quarter of it with that alpha."""
    rgb = np.random.default_rng(0).integers(0, 250, (SIDE, SIDE, 3), dtype=np.uint8)
    picture = Image.fromarray(rgb).convert(mode.removesuffix("A"))
    picture.putalpha(Image.fromarray(np.where(QUARTER, hidden_alpha, 255).astype(np.uint8)))
    return picture


WITH_ALPHA: dict[str, tuple[str, str, dict[str, Any]]] = {
    "PNG RGBA": ("PNG", "RGBA", {}),
    "PNG LA": ("PNG", "LA", {}),
    "WebP": ("WEBP", "RGBA", {"lossless": True, "exact": True}),
    "TIFF RGBA": ("TIFF", "RGBA", {}),
    "TIFF LA": ("TIFF", "LA", {"compression": "tiff_lzw"}),
    "AVIF": ("AVIF", "RGBA", {"quality": 100}),
    "GIF": ("GIF", "RGBA", {}),
}


@pytest.mark.parametrize("name", WITH_ALPHA)
def test_alpha_below_full_is_counted(name: str) -> None:
    image_format, mode, options = WITH_ALPHA[name]
    image = decode(saved(veiled(mode, 0), image_format, **options))
    assert image.transparent_share == pytest.approx(0.25, abs=0.01)
    (warning,) = image.warnings
    share = percentage(image.transparent_share)
    assert warning == f"{share} of the pixels are transparent, in full or in part, and their stored colours count"
    if image_format != "GIF":  # has no half alpha
        assert decode(saved(veiled(mode, 100), image_format, **options)).transparent_share == pytest.approx(
            0.25, abs=0.01
        )
    opaque = decode(saved(veiled(mode, 255), image_format, **options))
    assert (opaque.transparent_share, opaque.warnings) == (0.0, ())


@pytest.mark.parametrize("alpha", [0, 128, 254])
def test_an_image_without_an_opaque_pixel_is_told_apart(alpha: int) -> None:
    picture = veiled("RGBA", 255)
    picture.putalpha(alpha)
    assert decode(saved(picture, "PNG")).warnings == (
        "no pixel is opaque: the stored colours count, which a viewer sees pale, or not at all",
    )
    picture.putpixel((0, 0), (1, 2, 3, 255))
    assert decode(saved(picture, "PNG")).warnings[0].startswith("99.9 % of the pixels are transparent")


def test_sixteen_bits_of_alpha_are_counted() -> None:
    cv2 = pytest.importorskip("cv2")
    deep = np.full((SIDE, SIDE, 4), 65535, np.uint16)
    deep[..., :3] = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE, 3))
    deep[QUARTER, 3] = 3000
    assert decode(cv2.imencode(".png", deep)[1].tobytes()).transparent_share == 0.25


def test_the_key_of_a_png_is_counted_at_any_depth() -> None:
    for bits in (1, 2, 4, 8):
        levels = np.where(QUARTER, 1, 0).astype(np.uint8)
        for key, share in ((1, 0.25), (0, 0.75)):
            assert decode(gray_png(levels, bits, key)).transparent_share == share
    rgb = np.array(veiled("RGB", 255).convert("RGB"))
    rgb[QUARTER] = (255, 1, 2)
    assert decode(saved(Image.fromarray(rgb), "PNG", transparency=(255, 1, 2))).transparent_share == 0.25
    assert decode(saved(Image.fromarray(rgb), "PNG", transparency=(255, 1, 3))).transparent_share == 0


def gray_png(levels: np.ndarray, bits: int, key: int) -> bytes:
    """A gray PNG of few bits with one transparent level."""
    places = np.array([(levels >> k) & 1 for k in range(bits - 1, -1, -1)]).transpose(1, 2, 0).reshape(SIDE, -1)
    rows = np.packbits(places.astype(np.uint8), axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, bits, 0, 0, 0, 0)), (b"tRNS", struct.pack(">H", key)))
    body = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in (*chunks, (b"IDAT", data), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.parametrize("key", [3, bytes((255, 255, 255, 9))])
def test_a_transparent_entry_of_a_palette_is_counted(key: int | bytes) -> None:
    indices = np.random.default_rng(0).integers(4, 60, (SIDE, SIDE), dtype=np.uint8)
    indices[QUARTER] = 3
    picture = Image.frombytes("P", (SIDE, SIDE), indices.tobytes())
    picture.putpalette(np.random.default_rng(1).integers(0, 256, 768, dtype=np.uint8).tobytes())
    image = decode(saved(picture, "PNG", transparency=key))
    assert image.transparent_share == 0.25


@pytest.mark.parametrize(("alpha", "share"), [(0, 0.0), (255, 0.0), (9, 1.0)])
def test_a_bitmap_whose_alpha_is_empty_is_opaque(alpha: int, share: float) -> None:
    pixels = np.full((SIDE, SIDE, 4), alpha, np.uint8)
    pixels[..., :3] = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3))
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 56, SIDE, SIDE, 1, 32, 3, pixels.nbytes, 0, 0, 0, 0) + masks
    content = b"BM" + struct.pack("<IHHI", 70 + pixels.nbytes, 0, 0, 70) + header + pixels.tobytes()
    assert decode(content).transparent_share == share


def test_a_percentage_is_never_rounded_to_none_or_all() -> None:
    shares = (0.0, 1e-6, 0.25, 0.123, 0.99999, 1.0)
    assert [percentage(share) for share in shares] == ["0 %", "0.1 %", "25 %", "12.3 %", "99.9 %", "100 %"]


@needs_shared
def test_three_quarters_of_the_shared_file_are_transparent() -> None:
    assert decode((SHARED / "faults" / "png" / "cutout.png").read_bytes()).transparent_share == pytest.approx(
        0.75, abs=0.01
    )
