"""The kinds of sound files that public collections of test images hold, made here: none is refused or misread."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Run
from spectral_detect.media.images import decode
from spectral_detect.sources.formats import FORMATS, is_animation

SIDE = 32
RGB = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
GRAY = RGB[..., 0]
ALPHA = np.where(np.arange(SIDE) < SIDE // 2, 128, 255).astype(np.uint8) * np.ones((SIDE, 1), np.uint8)


def saved(pixels: np.ndarray, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, image_format, **options)
    return stream.getvalue()


# --------------------------------------------------------------------------------------------------------------- PNG


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png_with(extra: bytes) -> bytes:
    content = saved(RGB, "PNG")
    at = content.index(b"IDAT") - 4
    return content[:at] + extra + content[at:]


PNG = {
    "text over 1 MB": png_with(chunk(b"tEXt", b"prompt\0" + b"a cat " * 200_000)),
    "compressed text over 1 MB": png_with(chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"a cat " * 200_000))),
    "profile over 1 MB": png_with(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2_000_000)))),
    "text with a bad checksum": png_with(chunk(b"tEXt", b"Comment\0hello", 0)),
    "short pHYs": png_with(chunk(b"pHYs", b"\0")),
    "cut in an empty end of the data": saved(RGB, "PNG")[:-12] + b"\0\0\x76\x4eIDAT",
    "cut before its end mark": saved(RGB, "PNG")[:-12],
}

# --------------------------------------------------------------------------------------------------------------- BMP


def bitmap(bits: int, rows: bytes, *, compression: int = 0, masks: bytes = b"", height: int = SIDE) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, height, 1, bits, compression, len(rows), 0, 0, 0, 0) + masks
    palette = b"".join(bytes((k, k, 255 - k, 0)) for k in range(1 << bits)) if bits <= 8 else b""
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + header + palette + rows


def five_six_five() -> bytes:
    red, green, blue = (RGB[::-1, :, k].astype("<u2") >> shift for k, shift in enumerate((3, 2, 3)))
    return bitmap(
        16, (red << 11 | green << 5 | blue).tobytes(), compression=3, masks=struct.pack("<III", 63488, 2016, 31)
    )


def coloured(indices: np.ndarray) -> np.ndarray:
    """The pixels of a palette's indices, for the palette of `bitmap`."""
    return np.stack([255 - indices, indices, indices], axis=-1).astype(np.uint8)


# of five rows from below: one run; empty; a jump into the row after next; then stored pixels and a run beyond the edge
RUNS = {8: b"\x20\7\0\0" + b"\0\0" + b"\0\2\4\2" + b"\0\3\1\2\3\0" + b"\x3f\5" + b"\0\1"}
RUNS[4] = b"\x20\x77\0\0" + b"\0\0" + b"\0\2\4\2" + b"\0\3\x12\x30" + b"\x3f\x55" + b"\0\1"


def run_pixels() -> np.ndarray:
    indices = np.zeros((SIDE, SIDE), int)
    indices[0], indices[4, 4:7], indices[4, 7:] = 7, (1, 2, 3), 5
    return coloured(indices[::-1])


BMP = {
    "8-bit runs": (bitmap(8, RUNS[8], compression=1), run_pixels()),
    "4-bit runs": (bitmap(4, RUNS[4], compression=2), run_pixels()),
    "32 bits": (saved(np.dstack([RGB, ALPHA]), "BMP"), RGB),
    "from above": (bitmap(24, RGB[..., ::-1].tobytes(), height=-SIDE), RGB),
    "reserved bytes": (saved(RGB, "BMP")[:6] + b"mark" + saved(RGB, "BMP")[10:], RGB),
}

# -------------------------------------------------------------------------------------------------------------- TIFF


def tiff(
    planes: Sequence[np.ndarray], photometric: int, *, is_apart: bool = False, bits: int = 8, extra: int | None = None
) -> bytes:
    """An uncompressed TIFF of rows of bytes, with all channels together or each in a plane of its own."""
    stored = [plane.tobytes() for plane in planes] if is_apart else [np.stack(planes, axis=-1).tobytes()]
    n, sizes = len(planes), [len(piece) for piece in stored]
    numbers: dict[int, Sequence[int]] = {256: [SIDE], 257: [SIDE], 258: [bits] * n, 259: [1], 262: [photometric]}
    numbers |= {273: sizes, 277: [n], 278: [SIDE], 279: sizes, 284: [2 if is_apart else 1]}
    numbers |= {} if extra is None else {338: [extra]}
    lists = 8 + 2 + 12 * len(numbers) + 4
    start = lists + sum(4 * len(values) for values in numbers.values())
    numbers[273] = [start + sum(sizes[:k]) for k in range(len(sizes))]
    entries, tail = b"", b""
    for tag, values in numbers.items():
        packed = struct.pack(f"<{len(values)}L", *values)
        place = packed if len(values) == 1 else struct.pack("<L", lists + len(tail))
        entries += struct.pack("<HHL", tag, 4, len(values)) + place
        tail += packed
    head = struct.pack("<2sHLH", b"II", 42, 8, len(numbers)) + entries + bytes(4)
    return (head + tail).ljust(start, b"\0") + b"".join(stored)


CHANNELS = [RGB[..., k].copy() for k in range(3)]
NIBBLES = GRAY[:, ::2] >> 4 << 4 | GRAY[:, 1::2] >> 4

TIFF = {
    "one plane, white is zero": (tiff([255 - GRAY], 0, is_apart=True), GRAY),
    "one plane, four bits": (tiff([NIBBLES], 1, is_apart=True, bits=4), GRAY >> 4 << 4 | GRAY >> 4),
    "colours in planes": (tiff(CHANNELS, 2, is_apart=True), RGB),
    "colours together": (tiff(CHANNELS, 2), RGB),
    "gray and its alpha": (tiff([GRAY, ALPHA], 1, extra=2), GRAY),
    "LZW": (saved(RGB, "TIFF", compression="tiff_lzw"), RGB),
}

# -------------------------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("name", PNG)
def test_what_is_beside_the_picture_of_a_png_is_no_reason_to_refuse_it(name: str) -> None:
    np.testing.assert_array_equal(decode(PNG[name]).pixels, RGB)


@pytest.mark.parametrize("name", [*BMP, *TIFF])
def test_bitmaps_and_tiffs_give_their_pixels(name: str) -> None:
    content, pixels = (BMP | TIFF)[name]
    np.testing.assert_array_equal(decode(content).pixels, pixels)


def test_a_picture_of_runs_is_refused_by_its_size_before_it_is_written_out() -> None:
    content = bytearray(BMP["8-bit runs"][0])
    struct.pack_into("<ii", content, 18, 2**30, 2**30)
    with pytest.raises(Exception, match="1073741824x1073741824 pixels, more than the limit"):
        decode(bytes(content))


def test_gray_that_was_multiplied_by_its_alpha_is_divided_by_it() -> None:
    multiplied = np.round(GRAY.astype(float) * ALPHA / 255).astype(np.uint8)
    image = decode(tiff([multiplied, ALPHA], 1, extra=1))
    assert image.transparent_share == 0.5
    assert np.abs(image.pixels.astype(int) - GRAY).max() <= 2


def test_a_page_that_leads_to_itself_is_one_page() -> None:
    content = bytearray(tiff([255 - GRAY], 0, is_apart=True))
    struct.pack_into("<L", content, 10 + 12 * struct.unpack_from("<H", content, 8)[0], 8)
    image = decode(bytes(content))
    np.testing.assert_array_equal(image.pixels, GRAY)
    assert image.warnings == ()


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_the_first_frame_of_an_animation_is_judged_and_the_rest_told(tmp_path: Path, image_format: str) -> None:
    frames = [Image.fromarray(np.roll(RGB, 5 * k, axis=0)) for k in range(3)]
    path = tmp_path / "animation"
    frames[0].save(path, image_format, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    image = decode(path.read_bytes())
    assert is_animation(str(path))
    assert "several frames: only the first is judged" in image.warnings
    if image_format in ("PNG", "WEBP"):
        np.testing.assert_array_equal(image.pixels, RGB)


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_transparency_is_told_and_changes_no_colour(image_format: str) -> None:
    image = decode(saved(np.dstack([RGB, ALPHA]), image_format, lossless=True))
    assert image.transparent_share == 0.5
    if image_format != "AVIF":
        np.testing.assert_array_equal(image.pixels, RGB)


def test_a_folder_of_all_of_them_is_scanned_without_an_error(tmp_path: Path, run: Run) -> None:
    contents = [*PNG.values(), *(content for content, _ in (BMP | TIFF).values()), five_six_five()]
    contents += [saved(RGB, name) for name in FORMATS]
    for k, content in enumerate(contents):
        (tmp_path / f"{k:02d}").write_bytes(content)
    result = run("scan", tmp_path, "--format", "jsonl", "--jobs", 0)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["error"] for row in rows] == [None] * len(contents)
    assert "error" not in result.stderr
