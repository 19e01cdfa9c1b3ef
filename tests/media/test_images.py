"""Finding and decoding stills."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from conftest import EXAMPLES, texture
from spectral_detect.errors import ImageReadError
from spectral_detect.media.images import decode
from spectral_detect.sources.formats import FORMATS, SIGNATURE_BYTES, has_image_signature
from spectral_detect.sources.location import Location
from spectral_detect.sources.pillow import quiet_pillow
from spectral_detect.sources.reading import read_file


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


@pytest.fixture
def rgb(rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(texture(rng, 48), (0, 0), 2)


# ---------------------------------------------------------------------------------------------------------- decoding


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_gives_its_own_luma(rgb: np.ndarray, quality: int, subsampling: int) -> None:
    content = encoded(Image.fromarray(rgb), "JPEG", quality=quality, subsampling=subsampling)
    image = decode(content)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(image.pixels, expected)
    assert (image.format, image.width, image.height, image.warnings) == ("JPEG", 48, 48, ())


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF", "WEBP", "AVIF", "GIF"])
def test_every_format_decodes(rgb: np.ndarray, image_format: str) -> None:
    options = {"lossless": True} if image_format == "WEBP" else {"quality": 100} if image_format == "AVIF" else {}
    image = decode(encoded(Image.fromarray(rgb), image_format, **options))
    assert image.format == image_format
    assert image.pixels.shape == rgb.shape
    if image_format not in ("GIF", "AVIF"):  # these two lose something
        np.testing.assert_array_equal(image.pixels, rgb)
    assert np.abs(image.pixels.astype(int) - rgb).mean() < 8


def test_heic_decodes_with_the_extra(rgb: np.ndarray) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(rgb)).save(stream, quality=100)
    assert decode(stream.getvalue()).pixels.shape == rgb.shape


def test_alpha_is_dropped_and_palettes_are_looked_up(rgb: np.ndarray) -> None:
    opaque = Image.fromarray(rgb)
    veiled = opaque.copy()
    veiled.putalpha(7)
    np.testing.assert_array_equal(decode(encoded(veiled, "PNG")).pixels, rgb)
    palette = opaque.quantize(64)
    np.testing.assert_array_equal(decode(encoded(palette, "PNG")).pixels, np.asarray(palette.convert("RGB")))
    gray = opaque.convert("L")
    np.testing.assert_array_equal(decode(encoded(gray.convert("LA"), "PNG")).pixels, np.asarray(gray))
    bilevel = decode(encoded(opaque.convert("1"), "PNG")).pixels
    assert set(np.unique(bilevel)) == {0, 255}


def test_cmyk_is_converted(rgb: np.ndarray) -> None:
    image = decode(encoded(Image.fromarray(rgb).convert("CMYK"), "JPEG", quality=95))
    assert image.pixels.shape == rgb.shape
    assert np.abs(image.pixels.astype(int) - rgb).mean() < 8


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_stay_sixteen_bits(rng: np.random.Generator, suffix: str) -> None:
    deep = rng.integers(0, 2**16, (40, 50, 3), dtype=np.uint16)
    for pixels in (deep, deep[..., 0], np.dstack([deep, deep[..., :1]])):
        bgr = np.ascontiguousarray(pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]] if pixels.ndim == 3 else pixels)
        decoded = decode(cv2.imencode(suffix, bgr)[1].tobytes())
        assert decoded.pixels.dtype == np.uint16
        np.testing.assert_array_equal(decoded.pixels, pixels[..., :3] if pixels.ndim == 3 else pixels)


def test_exif_turns_the_displayed_size_but_not_the_pixels(rgb: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = rgb[:32]
    image = decode(encoded(Image.fromarray(wide), "JPEG", exif=exif))
    assert (image.width, image.height) == (32, 48)
    assert image.pixels.shape == (32, 48)


def test_of_an_animation_the_first_frame_with_a_warning(rgb: np.ndarray) -> None:
    frames = [Image.fromarray(np.roll(rgb, k, axis=0)) for k in (0, 9)]
    for image_format, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})):
        image = decode(encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **options))
        several = "pages" if image_format == "TIFF" else "frames"
        assert image.warnings == (f"several {several}: only the first is judged",)
        if image_format != "GIF":
            np.testing.assert_array_equal(image.pixels, rgb)


def test_a_constant_image_is_known() -> None:
    assert decode(encoded(Image.new("RGB", (20, 20), (9, 80, 7)), "PNG")).is_constant
    almost = Image.new("RGB", (20, 20), (9, 80, 7))
    almost.putpixel((3, 3), (9, 81, 7))
    assert not decode(encoded(almost, "PNG")).is_constant


def test_a_large_image_is_refused_before_decoding() -> None:
    bomb = encoded(Image.new("1", (30_000, 30_000)), "PNG")
    assert len(bomb) < 200_000
    with pytest.raises(ImageReadError, match="30000x30000 pixels, more than the limit of 120000000; see `max_pixels`"):
        decode(bomb)
    with pytest.raises(ImageReadError, match="limit of 100"):
        decode(encoded(Image.new("L", (11, 11)), "PNG"), max_pixels=100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello, I am a text", "not an image in a known format"),
        (b"\xff\xd8\xff\xe0 no more than a beginning", "not an image in a known format|damaged"),
        (b"", "the file is empty; copy it again"),
    ],
)
def test_what_is_no_image_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ImageReadError, match=message):
        decode(content)


@pytest.mark.parametrize("image_format", [name for name in FORMATS if name not in ("JPEG", "HEIF", "AVIF")])
def test_half_a_file_is_refused(rgb: np.ndarray, image_format: str) -> None:
    content = encoded(Image.fromarray(rgb), image_format)
    with pytest.raises(ImageReadError, match=r"incomplete|truncated; of such a file"):
        decode(content[: len(content) // 2])


def test_pillows_own_limit_is_restored() -> None:
    limit = Image.MAX_IMAGE_PIXELS
    decode(encoded(Image.new("L", (20, 20)), "PNG"))
    assert limit == Image.MAX_IMAGE_PIXELS is not None


# ----------------------------------------------------------------------------------------------------------- reading


def test_reading_hashes_what_it_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    read = read_file(Location(str(path)))
    assert read.content == b"abc"
    assert read.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert read.mtime_ns == path.stat().st_mtime_ns


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, message in (
        ("missing", "No such file"),
        ("a\0b", "no file can have this name"),
        ("pipe", "not a regular file"),
        ("loop", "symbolic link"),
        (".", "not a regular file|Is a directory"),
    ):
        with pytest.raises(ImageReadError, match=message):
            read_file(Location(str(tmp_path / name)))


def test_signatures() -> None:
    for path in sorted(EXAMPLES.rglob("*.png"))[:3]:
        assert has_image_signature(path.read_bytes()[:SIGNATURE_BYTES])
    for start in (
        b"",
        b"B",
        b"BMW is a maker",
        b"GIF of the day",
        b"RIFF\x00\x00\x00\x00WAVE",
        b"\x00" * 32,
        b"%PDF-1.7",
    ):
        assert not has_image_signature(start)


def test_a_file_that_ends_early_is_none_the_better_for_a_setting_of_the_program_around(
    monkeypatch: pytest.MonkeyPatch, rgb: np.ndarray
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ImageReadError, match="truncated"):
        decode(encoded(Image.fromarray(rgb), "PNG")[:-200])
    large = encoded(Image.fromarray(np.tile(rgb, (4, 4, 1))), "JPEG", quality=95)
    part = decode(large[: len(large) // 2])
    assert len(part.pixels) < 192
    assert "truncated: only the upper" in part.warnings[0]
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_threads_leave_the_settings_of_pillow_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12345)
    content = encoded(Image.new("L", (64, 64)), "PNG")
    started, go_on = Event(), Event()

    def slowly() -> None:
        with quiet_pillow():
            started.set()
            go_on.wait(10)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(slowly)
        assert started.wait(10)
        second = pool.submit(decode, content)
        assert not second.done()
        go_on.set()
        first.result()
        second.result()
    assert Image.MAX_IMAGE_PIXELS == 12345
