"""TIFF files with more than 8 bits a channel give the array that was written, or an error that names their kind."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from conftest import EXAMPLES, SHARED, needs_shared
from spectral_detect.errors import ImageReadError
from spectral_detect.media.images import DecodedImage, decode
from spectral_detect.media.tiff.directories import read_directories
from spectral_detect.media.tiff.layout import deep_layout
from spectral_detect.media.tiff.samples import DeepPixels, read_samples

HEIGHT, WIDTH = 45, 61  # no multiple of a strip or a tile
NOISE = np.random.default_rng(7).integers(0, 2**16, (HEIGHT, WIDTH, 5), dtype=np.uint16)
RGB, RGBA, GRAY, GRAY_ALPHA = NOISE[..., :3], NOISE[..., :4], NOISE[..., 0], NOISE[..., :2]
TWELVE = np.maximum(GRAY >> 4, 4095 * (GRAY > 65000)).astype(np.uint16)
FAULTS = SHARED / "faults"


def written(pixels: np.ndarray, **options: Any) -> bytes:
    """A TIFF file; planes apart are given as (H, W, n) too."""
    stream = BytesIO()
    if options.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, -1, 0)
    bigtiff, byteorder = options.pop("bigtiff", False), options.pop("byteorder", "<")
    with tifffile.TiffWriter(stream, bigtiff=bigtiff, byteorder=byteorder) as writer:
        writer.write(np.ascontiguousarray(pixels), metadata=None, **options)
    return stream.getvalue()


def decoded(pixels: np.ndarray, **options: Any) -> DecodedImage:
    return decode(written(pixels, **options))


def deep_pixels(content: bytes) -> DeepPixels:
    layout = deep_layout(read_directories(content)[0])
    assert layout is not None
    return read_samples(content, layout)


def tag(number: int, *values: int, kind: int = 3) -> dict[str, Any]:
    return {"extratags": [(number, kind, len(values), values if len(values) > 1 else values[0], True)]}


# ------------------------------------------------------------------------------------------ the array that was written

CODES: list[dict[str, Any]] = [
    {},
    {"compression": "lzw"},
    {"compression": "deflate"},
    {"compression": "adobe_deflate"},
    {"compression": "packbits"},
    {"compression": "lzma"},
    {"compression": "zstd"},
    {"compression": "lzw", "predictor": True},
    {"compression": "deflate", "predictor": True},
    {"compression": "zstd", "predictor": True},
]
ARRANGED: list[dict[str, Any]] = [
    {},
    {"rowsperstrip": 7},
    {"rowsperstrip": 1},
    {"tile": (16, 32)},
    {"tile": (64, 64)},
    {"byteorder": ">"},
    {"bigtiff": True},
    {"bigtiff": True, "byteorder": ">", "tile": (32, 16)},
]


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("arranged", ARRANGED, ids=str)
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_colour_is_what_was_written(code: dict[str, Any], arranged: dict[str, Any], planes: Any) -> None:
    image = decoded(RGB, photometric="rgb", planarconfig=planes, **code, **arranged)
    np.testing.assert_array_equal(image.pixels, RGB)
    assert (image.width, image.height, image.format, image.warnings) == (WIDTH, HEIGHT, "TIFF", ())
    assert image.metadata is not None
    assert image.metadata.coding.title == "lossless, 16 bit"
    assert image.metadata.coding.method.endswith("planes apart") == (planes == "separate")
    assert not image.metadata.is_gray


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("arranged", ARRANGED, ids=str)
def test_gray_is_what_was_written(code: dict[str, Any], arranged: dict[str, Any]) -> None:
    image = decoded(GRAY, photometric="minisblack", **code, **arranged)
    np.testing.assert_array_equal(image.pixels, GRAY)
    assert image.metadata is not None
    assert image.metadata.is_gray


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("colours", [1, 3])
def test_alpha_is_dropped(planes: Any, colours: int) -> None:
    pixels, photometric = (GRAY_ALPHA, "minisblack") if colours == 1 else (RGBA, "rgb")
    for kind, has_alpha in (("unassalpha", True), ("unspecified", False)):
        image = decoded(pixels, photometric=photometric, planarconfig=planes, extrasamples=(kind,), compression="lzw")
        np.testing.assert_array_equal(image.pixels, GRAY if colours == 1 else RGB)
        assert image.metadata is not None
        assert (image.metadata.coding.has_alpha, image.metadata.is_gray) == (has_alpha, colours == 1)


def test_more_channels_than_colours_are_left_alone() -> None:
    for planes in ("contig", "separate"):
        image = decoded(NOISE, photometric="rgb", planarconfig=planes, extrasamples=("unassalpha", "unspecified"))
        np.testing.assert_array_equal(image.pixels, RGB)


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_associated_alpha_is_undone(planes: Any) -> None:
    alpha = RGBA[..., 3:] | 4096  # not so little that the colours are lost
    multiplied = np.rint(RGB.astype(float) * alpha / 65535).astype(np.uint16)
    content = written(
        np.dstack([multiplied, alpha]), photometric="rgb", extrasamples=("assocalpha",), planarconfig=planes
    )
    difference = decode(content).pixels.astype(int) - RGB
    assert np.abs(difference).max() <= 65535 / 4096
    half = np.full((4, 4, 4), 32768, np.uint16)
    half[..., 3] = [0, 16384, 32768, 65535]
    image = decoded(half, photometric="rgb", extrasamples=("assocalpha",), planarconfig=planes)
    assert image.pixels[0, :, 0].tolist() == [32768, 65535, 65535, 32768]  # as Pillow leaves 8 bit at 0, and clips


def test_the_share_of_transparent_pixels_is_known() -> None:
    for planes in ("contig", "separate"):
        pixels = RGBA.copy()
        pixels[..., 3] = 65535
        pixels[:9, :, 3] = 65534
        options: dict[str, Any] = {"photometric": "rgb", "planarconfig": planes, "extrasamples": ("unassalpha",)}
        content = written(pixels, **options)
        hidden = deep_pixels(content).hidden
        assert hidden is not None and hidden[:9].all() and not hidden[9:].any()
        assert decode(content).transparent_share == 9 / HEIGHT
        assert deep_pixels(written(RGB, photometric="rgb", planarconfig=planes)).hidden is None


def test_associated_alpha_of_gray_is_undone() -> None:
    gray_alpha = np.dstack([np.full((16, 16), 10000, np.uint16), np.full((16, 16), 32768, np.uint16)])
    image = decoded(gray_alpha, photometric="minisblack", extrasamples=("assocalpha",))
    assert image.pixels.shape == (16, 16)
    assert np.unique(image.pixels).tolist() == [20000]


@pytest.mark.parametrize("options", [{}, {"compression": "lzw"}, {"byteorder": ">"}], ids=str)
def test_white_may_be_zero(options: dict[str, Any]) -> None:
    np.testing.assert_array_equal(decoded(GRAY, photometric="miniswhite", **options).pixels, 65535 - GRAY)


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 4}], ids=str)
def test_packed_bits_are_stretched_to_sixteen(bits: int, options: dict[str, Any]) -> None:
    for pixels, photometric in ((GRAY >> 16 - bits, "minisblack"), (RGB >> 16 - bits, "rgb")):
        image = decoded(pixels, photometric=photometric, bitspersample=bits, **options)
        np.testing.assert_array_equal(image.pixels, np.rint(pixels * (65535 / (2**bits - 1))))
        assert image.metadata is not None
        assert image.metadata.coding.kind == f"lossless, {bits} bit"


def test_packed_bits_are_the_same_in_any_byte_order() -> None:
    content = bytearray(written(GRAY >> 4, photometric="minisblack", bitspersample=12, byteorder=">"))
    little = written(GRAY >> 4, photometric="minisblack", bitspersample=12)
    content[-45 * 92 :] = little[-45 * 92 :]  # rows of 61 values of 12 bits; tifffile packs them wrongly here
    np.testing.assert_array_equal(decode(bytes(content)).pixels, decode(little).pixels)


def test_several_pages_are_said() -> None:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for pixels in (RGB, RGB[::-1]):
            writer.write(pixels, photometric="rgb", metadata=None)
    image = decode(stream.getvalue())
    assert image.warnings == ("several pages: only the first is judged",)
    np.testing.assert_array_equal(image.pixels, RGB)


# ----------------------------------------------------------------------------------------------------- the orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [GRAY, GRAY_ALPHA, RGB, RGBA], ids=["gray", "gray+alpha", "rgb", "rgba"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("code", [None, "lzw"])
def test_the_orientation_turns_the_size_alone(orientation: int, pixels: np.ndarray, bits: int, code: Any) -> None:
    pixels = pixels if bits == 16 else (pixels >> 8).astype(np.uint8)
    n_samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    photometric = "rgb" if n_samples > 2 else "minisblack"
    extra = {"extrasamples": ("unassalpha",)} if n_samples in (2, 4) else {}
    image = decoded(pixels, photometric=photometric, compression=code, **extra, **tag(274, orientation))
    expected = pixels[..., 0] if n_samples == 2 else pixels[..., :3] if n_samples == 4 else pixels
    np.testing.assert_array_equal(image.pixels, expected)
    assert (image.width, image.height) == ((HEIGHT, WIDTH) if orientation > 4 else (WIDTH, HEIGHT))


# ----------------------------------------------------------------------------------------------------------- the scale


def test_twelve_bits_in_sixteen_are_said() -> None:
    image = decoded(TWELVE, photometric="minisblack")
    assert len(image.warnings) == 1
    assert image.warnings[0].startswith("no pixel is brighter than 4095 of 65535")
    np.testing.assert_array_equal(image.pixels, TWELVE)
    assert decoded(GRAY >> 1, photometric="minisblack").warnings == ()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15])
def test_a_file_may_tell_its_scale(bits: int) -> None:
    pixels = GRAY >> 16 - bits
    image = decoded(pixels, photometric="minisblack", **tag(281, 2**bits - 1))
    np.testing.assert_array_equal(image.pixels, np.rint(pixels * (65535 / (2**bits - 1))))
    assert image.warnings == ()


def test_the_largest_value_may_be_a_statistic() -> None:
    for told in (3870, 4095):
        np.testing.assert_array_equal(decoded(GRAY, photometric="minisblack", **tag(281, told)).pixels, GRAY)
    assert decoded(GRAY >> 4, photometric="minisblack", **tag(281, 4094)).warnings != ()


def test_sixteen_bits_that_may_be_fewer_are_said_of_png_too() -> None:
    stream = BytesIO()
    Image.fromarray(TWELVE).save(stream, "PNG")
    assert "no pixel is brighter than 4095" in decode(stream.getvalue()).warnings[0]


# ----------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("depth", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1, 255, 65535])
def test_a_float_has_no_scale(depth: Any, scale: int) -> None:
    for pixels, photometric in ((GRAY, "minisblack"), (RGB, "rgb")):
        with pytest.raises(
            ImageReadError, match=rf"^TIFF, {8 * depth().itemsize}-bit float.*convert it to 8 or 16 bit"
        ):
            decoded((pixels / 65536 * scale).astype(depth), photometric=photometric)


REFUSED: list[tuple[np.ndarray, dict[str, Any], str]] = [
    (GRAY.astype(np.uint32), {"photometric": "minisblack"}, "TIFF, 32-bit whole-number pixels have no defined gray"),
    (GRAY.astype(np.int16), {"photometric": "minisblack"}, "TIFF, 16-bit signed"),
    (GRAY.astype(np.int8), {"photometric": "minisblack"}, "TIFF, 8-bit signed"),
    (GRAY.astype(np.complex64), {"photometric": "minisblack"}, "TIFF, 64-bit complex"),
    (RGBA, {"photometric": "separated"}, "TIFF, 16-bit CMYK"),
    (RGB, {"photometric": "cielab"}, "TIFF, 16-bit Lab"),
    ((RGB >> 8).astype(np.uint8), {"photometric": "cielab"}, "TIFF, 8-bit Lab"),
    (RGB, {"photometric": "ycbcr"}, "TIFF, 16-bit YCbCr"),
    (GRAY, {"photometric": "palette", "colormap": np.zeros((3, 2**16), np.uint16)}, "TIFF, 16-bit palette"),
    (NOISE, {"photometric": "minisblack", "planarconfig": "contig"}, "TIFF, 16 bit, 5 channels for gray"),
    (np.dstack([NOISE, NOISE]), {"photometric": "rgb"}, "TIFF, 16 bit, 10 channels for RGB"),
    (GRAY, {"compression": "jpeg2000"}, "TIFF, 16 bit with JPEG 2000 inside"),
    (RGB, {"photometric": "rgb", "compression": "jpegxl"}, "TIFF, 16 bit with JPEG XL inside"),
    (GRAY, {"compression": "packbits", "predictor": True}, "TIFF, 16 bit with predictor 2"),
    (GRAY_ALPHA, {"photometric": "miniswhite", "extrasamples": ("assocalpha",)}, "TIFF, 16 bit, 2 channels for gray"),
]


@pytest.mark.parametrize(("pixels", "options", "message"), REFUSED, ids=[case[2] for case in REFUSED])
def test_other_kinds_are_named(pixels: np.ndarray, options: dict[str, Any], message: str) -> None:
    content = written(pixels, **options)
    with pytest.raises(ImageReadError, match=f"^{message}") as caught:
        decode(content)
    assert caught.value.remedy


def test_half_a_file_is_refused() -> None:
    for options in ({}, {"compression": "deflate"}, {"compression": "lzw", "tile": (16, 16)}, {"rowsperstrip": 4}):
        content = written(RGB, photometric="rgb", **options)
        for end in (len(content) // 2, len(content) - 30):
            with pytest.raises(ImageReadError, match="damaged or incomplete"):
                decode(content[:end])


def test_damaged_strips_are_refused() -> None:
    for code in ("lzw", "deflate"):  # the others have no sum to check
        content = bytearray(written(RGB, photometric="rgb", compression=code, predictor=code == "lzw"))
        middle = len(content) // 2
        content[middle : middle + 400] = bytes(400)
        with pytest.raises(ImageReadError, match="damaged or incomplete"):
            decode(bytes(content))


def test_a_large_image_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageReadError, match=f"{WIDTH}x{HEIGHT} pixels, more than the limit of 100"):
        decode(written(RGB, photometric="rgb"), max_pixels=100)


def test_a_tile_much_larger_than_its_image_is_refused() -> None:
    content = bytearray(written(RGB, photometric="rgb", compression="deflate", tile=(16, 16)))
    with tifffile.TiffFile(BytesIO(bytes(content))) as tiff:
        for name in ("TileWidth", "TileLength"):
            content[(offset := tiff.pages[0].tags[name].valueoffset) : offset + 2] = b"\xf0\xff"
    with pytest.raises(ImageReadError, match=r"damaged.*tiles of"):
        decode(bytes(content))


# ----------------------------------------------------------------------------------------- files that showed the fault


@needs_shared
def test_planes_apart_are_read_alike_each_time() -> None:
    chunky = decode((FAULTS / "deep_tiff" / "real_Garden_chunky.tif").read_bytes()).pixels
    apart = [decode((FAULTS / "deep_tiff" / "real_Garden_planar_deflate.tif").read_bytes()).pixels for _ in range(3)]
    for pixels in apart:
        np.testing.assert_array_equal(pixels, chunky)


@needs_shared
@pytest.mark.parametrize("name", sorted(path.name for path in (FAULTS / "deep_tiff").glob("*.tif")))
def test_shared_files_are_what_tifffile_reads(name: str) -> None:
    path = FAULTS / "deep_tiff" / name
    if "f32" in name:
        with pytest.raises(ImageReadError, match=r"^TIFF, 32-bit float"):
            decode(path.read_bytes())
        return
    image = decode(path.read_bytes())
    stored = tifffile.imread(path)
    stored = np.moveaxis(stored, 0, -1) if stored.shape[0] == 3 else stored
    if "assoc" in name:
        colours, alpha = stored[..., :3].astype(np.int64), stored[..., 3:].astype(np.int64)
        stored = np.minimum((colours * 65535 + alpha // 2) // np.maximum(alpha, 1), 65535)
    np.testing.assert_array_equal(image.pixels, stored)
    assert (image.width, image.height) == ((256, 192) if "orient6" in name else (stored.shape[1], stored.shape[0]))


@needs_shared
def test_a_float_in_colour_is_named() -> None:
    with pytest.raises(ImageReadError, match=r"^TIFF, 32-bit float"):
        decode((FAULTS / "errors" / "rgb_f32.tif").read_bytes())


def test_a_deep_copy_of_an_example_is_as_the_example(tmp_path: Path) -> None:
    example = np.asarray(Image.open(sorted((EXAMPLES / "real").glob("*.png"))[0]).convert("RGB"))
    for planes in ("contig", "separate"):
        image = decoded(example.astype(np.uint16) * 257, photometric="rgb", planarconfig=planes, compression="deflate")
        np.testing.assert_array_equal(image.pixels // 257, example)
