"""A part of an image lies where it is displayed, whatever the orientation."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from spectral_detect.errors import ImageReadError
from spectral_detect.media.images import DecodedImage, decode
from spectral_detect.media.region import Region, as_displayed, as_stored
from spectral_detect.orientation import upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_makes_of_it(orientation: int, rng: np.random.Generator) -> None:
    stored = rng.integers(0, 256, (6, 10, 3), np.uint8)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(upright(stored, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_lies_at_the_same_pixels(orientation: int, rng: np.random.Generator) -> None:
    stored = rng.integers(0, 256, (20, 30), np.uint8)
    x, y, width, height = box = (4, 7, 5, 9)
    left, top, columns, rows = as_displayed(box, (30, 20), orientation)
    shown = upright(stored, orientation)[top : top + rows, left : left + columns]
    np.testing.assert_array_equal(shown, upright(stored[y : y + height, x : x + width], orientation))
    assert as_stored((left, top, columns, rows), (30, 20), orientation) == box


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_begins_on_the_grid_of_blocks(orientation: int, rng: np.random.Generator) -> None:
    stored = rng.integers(0, 256, (64, 96), np.uint8)
    width, height = upright(stored, orientation).shape[::-1]
    image = DecodedImage(stored, width, height, "JPEG", orientation=orientation)
    part, where = Region(19, 21, 30, 20).crop(image)
    shown = upright(stored, orientation)
    np.testing.assert_array_equal(
        upright(part.pixels, orientation), shown[where.y : where.y + where.height, where.x : where.x + where.width]
    )
    assert (part.width, part.height) == (where.width, where.height)
    assert 30 <= where.width < 38 and 20 <= where.height < 28
    left, top, _, _ = as_stored(where.box, (96, 64), orientation)
    assert left % 8 == top % 8 == 0


@pytest.mark.parametrize("box", [(90, 0, 16, 16), (0, 60, 16, 16), (200, 200, 8, 8)])
def test_a_part_outside_is_refused(box: tuple[int, int, int, int]) -> None:
    image = DecodedImage(np.zeros((64, 96), np.uint8), 96, 64, "PNG")
    with pytest.raises(ImageReadError, match="does not lie within 96x64 pixels; give x,y,width,height"):
        Region(*box).crop(image)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])  # Pillow turns a TIFF by itself
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_has_its_own_share_of_transparent_pixels(orientation: int, image_format: str) -> None:
    pixels = np.zeros((64, 80, 4), np.uint8)
    pixels[:, :40, 3] = 255
    stream = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    told = {"exif": exif} if image_format == "PNG" else {"tiffinfo": {0x0112: orientation}}
    Image.fromarray(pixels).save(stream, image_format, **told)
    image = decode(stream.getvalue())
    assert image.hidden is not None and image.hidden.tolist() == (pixels[..., 3] < 255).tolist()
    assert len(image.warnings) == 1
    shares = []
    width, height = image.width // 2, image.height // 2
    for x, y in ((0, 0), (width, 0), (0, height), (width, height)):
        part, _ = Region(x, y, width, height).crop(image)
        assert part.transparent_share == upright(image.hidden, orientation)[y : y + height, x : x + width].mean()
        assert len(part.warnings) == (part.transparent_share > 0)
        shares.append(part.transparent_share)
    assert sorted(shares) == [0, 0, 1, 1]
