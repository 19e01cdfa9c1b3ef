"""A PNG of 16 bits gives the samples that were written, whatever else the file says about showing them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from spectral_detect.errors import ImageReadError
from spectral_detect.media.images import decode

NOISE = np.random.default_rng(3).integers(0, 2**16, (37, 50, 4), dtype=np.uint16)
PIXELS = {0: NOISE[..., 0], 2: NOISE[..., :3], 4: NOISE[..., :2], 6: NOISE}  # by PNG's colour type
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7

Chunks = list[tuple[bytes, bytes]]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(colour_type: int, *, before: Chunks | None = None, is_interlaced: bool = False) -> bytes:
    """A PNG without filters, with chunks of any kind before its data."""
    pixels = PIXELS[colour_type]
    passes = [pixels[y::dy, x::dx] for x, y, dx, dy in PASSES] if is_interlaced else [pixels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for part in passes for row in part)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour_type, 0, 0, is_interlaced)
    parts = [(b"IHDR", header), *(before or []), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def colours_of(colour_type: int) -> np.ndarray:
    return NOISE[..., 0] if colour_type in (0, 4) else NOISE[..., :3]


@pytest.mark.parametrize("colour_type", PIXELS)
@pytest.mark.parametrize("is_interlaced", [False, True])
def test_sixteen_bits_are_what_was_written(colour_type: int, is_interlaced: bool) -> None:
    image = decode(png_of(colour_type, is_interlaced=is_interlaced))
    np.testing.assert_array_equal(image.pixels, colours_of(colour_type))
    assert image.metadata is not None
    assert image.metadata.coding.kind == "lossless, 16 bit"
    assert image.metadata.coding.has_alpha == (colour_type >= 4)
    assert image.metadata.is_gray == (colour_type in (0, 4))


def test_filters_are_undone() -> None:
    smooth = cv2.GaussianBlur(NOISE, (0, 0), 3)  # so that the encoder chooses among all filters
    for pixels in (smooth, smooth[..., :3], smooth[..., 0]):
        content = cv2.imencode(".png", np.ascontiguousarray(pixels))[1].tobytes()
        expected = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0]]
        np.testing.assert_array_equal(decode(content).pixels, expected)


ORIENTED = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
TOLD: dict[str, Chunks] = {
    "gamma": [(b"gAMA", struct.pack(">I", 100000)), (b"sBIT", b"\x0c\x0c\x0c\x0c")],
    "chromaticities": [(b"cHRM", struct.pack(">8I", *([30000] * 8)))],
    "background": [(b"bKGD", struct.pack(">3H", 1, 2, 3))],
    "animation": [(b"acTL", struct.pack(">II", 1, 0)), (b"fcTL", struct.pack(">5IHHBB", 0, 50, 37, 0, 0, 1, 1, 0, 0))],
}


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("colour_type", [2, 6])
def test_how_to_show_a_file_does_not_change_its_pixels(name: str, colour_type: int) -> None:
    image = decode(png_of(colour_type, before=TOLD[name]))
    np.testing.assert_array_equal(image.pixels, NOISE[..., :3])


@pytest.mark.parametrize("colour_type", PIXELS)
def test_the_orientation_turns_the_size_alone(colour_type: int) -> None:
    image = decode(png_of(colour_type, before=[(b"eXIf", ORIENTED)]))
    np.testing.assert_array_equal(image.pixels, colours_of(colour_type))
    assert (image.width, image.height) == (37, 50)


def test_a_transparent_colour_is_a_colour() -> None:
    for colour_type, n_values in ((0, 1), (2, 3)):
        told = NOISE[0, 0, :n_values].astype(">u2").tobytes()
        image = decode(png_of(colour_type, before=[(b"tRNS", told)]))
        np.testing.assert_array_equal(image.pixels, colours_of(colour_type))
        assert image.metadata is not None
        assert image.metadata.coding.has_alpha


@pytest.mark.parametrize("colour_type", PIXELS)
def test_half_a_file_is_refused(colour_type: int) -> None:
    content = png_of(colour_type)
    with pytest.raises(ImageReadError, match=r"truncated|damaged"):
        decode(content[: len(content) // 2])


def test_the_high_bytes_are_those_of_eight_bits() -> None:
    stream = BytesIO(png_of(2))
    with Image.open(stream) as picture:
        np.testing.assert_array_equal(decode(stream.getvalue()).pixels >> 8, np.asarray(picture))
