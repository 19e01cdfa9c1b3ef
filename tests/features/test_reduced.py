"""Images reduced to a fixed size, and their features."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES
from spectral_detect import FeatureSpec, extract_features
from spectral_detect.errors import FeatureError
from spectral_detect.features.backend import Backend
from spectral_detect.features.extract import MIDDLE_PX
from spectral_detect.features.natural_statistics import (
    chroma_cooccurrence,
    colour_cooccurrence,
    cooccurrence,
    normalised_luma,
    square_chroma_cooccurrence,
    square_colour_cooccurrence,
    square_cooccurrence,
)
from spectral_detect.features.numpy_backend import numpy_backend, rgb_to_ycc
from spectral_detect.features.reduced import middle, reduced

WORLD = FeatureSpec.preset("world")


def test_a_pixel_is_the_mean_of_the_area_that_it_covers(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (300, 400, 3), np.uint8)
    blocks = image[:, :399].reshape(100, 3, 133, 3, 3)
    np.testing.assert_allclose(reduced(image[:, :399], 100), np.rint(blocks.mean(axis=(1, 3))), atol=1)
    assert reduced(image, 100).shape == (100, 133, 3)
    assert reduced(image.transpose(1, 0, 2), 100).shape == (133, 100, 3)
    assert reduced(image, 300) is image
    assert reduced(image, 1000) is image


def test_halving_first_gives_nearly_the_same_means(rng: np.random.Generator) -> None:
    blurred = cv2.GaussianBlur(rng.integers(0, 256, (1211, 1633, 3), np.uint8), (0, 0), 9)
    at_once = cv2.resize(blurred, (302, 224), interpolation=cv2.INTER_AREA)
    assert reduced(blurred, 224).shape == at_once.shape
    assert np.abs(reduced(blurred, 224).astype(int) - at_once.astype(int)).mean() < 0.6
    gradient = np.broadcast_to(np.linspace(0, 255, 4000)[None], (4000, 4000)).astype(np.float32)
    means = np.linspace(0, 255, 4000).reshape(100, 40).mean(axis=1)
    np.testing.assert_allclose(reduced(gradient, 100)[0], means, atol=0.6)


@pytest.mark.parametrize("kind", ["uint16", "float32", "float64"])
def test_other_types_become_8_bit(kind: str, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (90, 120, 3), np.uint8)
    same = (image * (257.0 if kind == "uint16" else 1.0)).astype(kind)
    for side in (90, 45):
        found = reduced(same, side)
        assert found.dtype == np.uint8
        np.testing.assert_allclose(found.astype(int), reduced(image, side).astype(int), atol=1)


def test_features_of_reduced_images_follow_each_other(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (300, 420, 3), np.uint8)
    features = extract_features(image, WORLD)
    assert features.shape == (sum(WORLD.group_sizes or ()),) == (1602,)
    assert features.dtype == np.float32
    small = reduced(image, 224)
    of_tiles = FeatureSpec.preset("residual", groups=("coherence", "block_spectrum", "patch_spectrum"))
    np.testing.assert_allclose(features[:243], extract_features(small, of_tiles).mean(axis=0), rtol=1e-5, atol=1e-5)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(features[243:621], colour_cooccurrence(small), rtol=1e-5)
    np.testing.assert_allclose(features[621:855], chroma_cooccurrence(small), rtol=1e-5)
    np.testing.assert_allclose(features[855:1089], cooccurrence(luma), rtol=1e-5)
    smaller = cv2.cvtColor(reduced(small, 112), cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(features[1392:1461], normalised_luma(smaller), rtol=1e-5, atol=1e-6)
    batch = extract_features(np.stack([image, image[::-1]]), WORLD)
    np.testing.assert_array_equal(batch[0], features)
    gray = extract_features(image[..., 0], WORLD)
    assert gray.shape == features.shape


@pytest.mark.parametrize("shape", [(900, 1300, 3), (900, 1300), (230, 300, 3)])
def test_the_middle_is_looked_at_as_it_is(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, shape, np.uint8)
    features, seen = extract_features(image, WORLD), middle(image, MIDDLE_PX)
    assert seen.shape[:2] == ((448, 448) if shape[0] == 900 else (230, 300))
    luma, rgb = (seen, np.dstack([seen] * 3)) if seen.ndim == 2 else (cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), seen)
    np.testing.assert_allclose(features[1461:1500], square_cooccurrence(luma), rtol=1e-6)
    np.testing.assert_allclose(features[1500:1563], square_colour_cooccurrence(rgb), rtol=1e-6)
    np.testing.assert_allclose(features[1563:], square_chroma_cooccurrence(rgb), rtol=1e-6)
    deep = extract_features(image.astype(np.uint16) * 257, WORLD)
    np.testing.assert_array_equal(deep[1461:], features[1461:])
    one = replace(WORLD, groups=tuple(name for name in WORLD.groups if name != "square_cooccurrence"))
    np.testing.assert_array_equal(extract_features(image, one), np.delete(features, np.arange(1461, 1500)))


def test_the_middle_begins_on_the_grid_of_blocks() -> None:
    image = np.arange(100 * 90).reshape(100, 90)
    np.testing.assert_array_equal(middle(image, 64), image[16:80, 8:72])
    np.testing.assert_array_equal(middle(image, 95), image[:95])


def test_luma_and_chroma_of_a_file_give_nearly_the_features_of_its_rgb(rng: np.random.Generator) -> None:
    """However a file is decoded, the conversion must leave no trace in the reduced image."""
    blurred = cv2.GaussianBlur(rng.integers(0, 256, (600, 800, 3), np.uint8), (0, 0), 2)
    of_rgb, of_ycc = extract_features(blurred, WORLD), extract_features(rgb_to_ycc(blurred), WORLD, is_ycc=True)
    assert np.abs(of_rgb[243:1461] - of_ycc[243:1461]).max() < 0.02


def test_a_copy_that_was_reduced_before_keeps_most_of_its_features() -> None:
    """A platform reduces a photograph; its pixels change, its features of a fixed size hardly."""
    with Image.open(EXAMPLES / "real" / "Garden.png") as picture:
        large = np.asarray(picture.convert("RGB").resize((1024, 1024), Image.Resampling.BICUBIC))
    small = cv2.resize(large, (640, 640), interpolation=cv2.INTER_AREA)
    residual = FeatureSpec.preset("residual")

    def moved(spec: FeatureSpec) -> float:
        pair = [np.atleast_2d(extract_features(image, spec)).mean(axis=0) for image in (large, small)]
        return float(np.abs(pair[0] - pair[1]).mean())

    assert moved(WORLD) < moved(residual) / 5


def test_too_small_images_and_other_devices_are_refused() -> None:
    with pytest.raises(FeatureError, match="need at least 16 on the shorter side"):
        extract_features(np.zeros((15, 200), np.uint8), WORLD)
    cpu = numpy_backend()
    other = Backend(**{**vars(cpu), "name": "cupy"})
    with pytest.raises(FeatureError, match=r"computed on the CPU; `device=cpu`"):
        extract_features(np.zeros((200, 200), np.uint8), WORLD, backend=other)
