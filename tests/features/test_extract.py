"""Feature vectors: the published rows, precision, invariances, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import SHARED, needs_shared
from spectral_detect import FeatureSpec, extract_features
from spectral_detect.errors import FeatureError
from spectral_detect.features.extract import cut_stack, stack_features
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spec import PRESETS
from spectral_detect.media.images import decode

PRECISION = 1e-4  # of float32 features, in nepers of log power


@needs_shared
def test_durall_gives_the_published_rows() -> None:
    with np.load(SHARED / "data/features/celeba_durall_80.npz") as published:
        rows = published["X"][published["y"] == 1]
    spec = FeatureSpec.preset("durall", n_bins=80)
    paths = sorted((SHARED / "data/celeba/fake_dcgan").iterdir())
    assert len(paths) == 600
    for path in paths:
        features = extract_features(decode(path.read_bytes()).pixels, spec)
        assert np.abs(rows - features).max(axis=1).min() < 1e-6, path.name


def photograph(rng: np.random.Generator, height: int = 120, width: int = 160) -> np.ndarray:
    """Noise with the falling spectrum of a photograph, 8 bit."""
    spectrum = np.fft.rfft2(rng.normal(size=(height, width)))
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    smooth = np.fft.irfft2(spectrum / (radius + 0.01), (height, width))
    return np.clip(np.rint(128 + 40 * smooth / smooth.std()), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (65, 63), (120, 160), (512, 512)])
def test_single_precision_is_enough(shape: tuple[int, int], rng: np.random.Generator) -> None:
    image = photograph(rng, *shape)
    fast = extract_features(image, FeatureSpec.preset("azimuthal"))
    exact = extract_features(image, FeatureSpec.preset("azimuthal", precision="float64"))
    assert fast.dtype == np.float32
    assert exact.dtype == np.float64
    np.testing.assert_allclose(fast, exact, atol=PRECISION)


@pytest.mark.parametrize("scale", ["log_of_mean", "mean_of_log"])
def test_turns_mirrors_gain_and_offset_change_nothing(scale: str, rng: np.random.Generator) -> None:
    image = photograph(rng, 96, 130).astype(np.float64)
    spec = FeatureSpec.preset("azimuthal", precision="float64", scale=scale)
    expected = extract_features(image, spec)
    others = [np.rot90(image), image[::-1], image[:, ::-1], 0.5 * image, image + 30]
    for other in others:
        np.testing.assert_allclose(extract_features(np.ascontiguousarray(other), spec), expected, atol=2e-3)
    assert np.ptp(expected) > 1


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(16, 60),
    width=st.integers(16, 60),
    n_bins=st.sampled_from([None, 8, 80, 300]),
    name=st.sampled_from(sorted(PRESETS)),
    shape=st.sampled_from([(), (3,)]),
    seed=st.integers(0, 2**16),
)
def test_any_image_gives_finite_features_of_the_promised_length(
    height: int, width: int, n_bins: int | None, name: str, shape: tuple[int, ...], seed: int
) -> None:
    spec = FeatureSpec.preset(name, n_bins=n_bins or (100 if name in ("residual", "world") else None))
    sides = max(height, spec.min_size_px), max(width, spec.min_size_px)
    image = np.random.default_rng(seed).integers(0, 256, (*sides, *shape), dtype=np.uint8)
    before = image.copy()
    features = extract_features(image, spec)
    assert np.isfinite(features).all()
    assert features.ndim == (2 if spec.gives_tiles else 1)
    assert spec.group_sizes is None or features.shape[-1] == sum(spec.group_sizes)
    np.testing.assert_array_equal(image, before)


def test_a_batch_is_its_images(rng: np.random.Generator) -> None:
    for images in (rng.integers(0, 256, (4, 40, 50), np.uint8), rng.integers(0, 256, (4, 40, 50, 3), np.uint8)):
        together = extract_features(images)
        assert together.shape == (4, 300)
        np.testing.assert_allclose(together[2], extract_features(images[2]), atol=1e-5)


def test_gray_is_opencvs_and_sixteen_bits_are_divided_by_257(rng: np.random.Generator) -> None:
    import cv2

    rgb = rng.integers(0, 256, (40, 40, 3), np.uint8)
    np.testing.assert_array_equal(extract_features(rgb), extract_features(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)))
    gray = rgb[..., 0]
    deep = gray.astype(np.uint16) * 257
    np.testing.assert_allclose(extract_features(deep), extract_features(gray), atol=1e-5)
    double = extract_features(rgb.astype(np.float64), FeatureSpec.preset("durall"))
    np.testing.assert_allclose(double, extract_features(rgb, FeatureSpec.preset("durall")), atol=0.02)


def test_repeated_pixels_stand_out(rng: np.random.Generator) -> None:
    """Nearest-neighbour up-sampling by 2 has a zero of its response at half a cycle per pixel."""
    small = rng.integers(0, 256, (64, 64), np.uint8)
    doubled = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    native = rng.integers(0, 256, (128, 128), np.uint8)
    corner = slice(-10, None)
    difference = extract_features(doubled)[corner].mean() - extract_features(native)[corner].mean()
    assert difference < -2


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((15, 99), np.uint8), r"99x15 pixels: the features 'azimuthal' need at least 16"),
        (np.zeros((3, 5, 3), np.uint8), r"5x3 pixels"),
        (np.zeros(99, np.uint8), r"shape \(99,\)"),
        (np.zeros((1, 2, 3, 40, 40), np.uint8), r"shape \(1, 2, 3, 40, 40\)"),
        (np.zeros((40, 40), np.int32), "array of int32"),
        (np.zeros((40, 40), bool), "array of bool"),
        (np.full((40, 40), np.nan), "not finite"),
        (np.full((40, 40, 3), np.inf, np.float32), "not finite"),
        (np.zeros((0, 40, 40), np.uint8), r"shape \(0, 40, 40\): it holds no image"),
        (np.zeros((0, 40, 40, 3), np.uint8), "it holds no image"),
        (np.zeros((64, 64, 4), np.uint8), r"\(64, 64, 4\): RGBA; .* drop the alpha channel: `image\[..., :3\]`"),
        (np.zeros((2, 64, 64, 4), np.uint8), "RGBA"),
        (np.zeros((64, 64, 2), np.uint8), "gray and alpha"),
        (np.zeros((2, 64, 64, 1), np.uint8), r"gray with an axis too many.*`image\[..., 0\]`"),
        ("x.png", "a str: expected an array; `read_image` reads a file"),
    ],
)
def test_what_is_no_image_is_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        extract_features(image)


def test_a_constant_image_still_gives_numbers() -> None:
    for name in PRESETS:
        assert np.isfinite(extract_features(np.full((32, 32), 7, np.uint8), FeatureSpec.preset(name))).all()


@pytest.mark.parametrize("name", sorted(name for name, spec in PRESETS.items() if not spec.scales))
@pytest.mark.parametrize("shape", [(40, 50), (300, 152, 3)])
def test_features_in_two_halves_are_the_same(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    image, spec = rng.integers(0, 256, shape, np.uint8), FeatureSpec.preset(name)
    for is_ycc in (False, True)[: len(shape) - 1]:
        stack = cut_stack(image, spec, is_ycc=is_ycc)
        vectors = stack_features(stack, spec, numpy_backend())
        expected = extract_features(image, spec, is_ycc=is_ycc)
        np.testing.assert_array_equal(vectors.reshape(expected.shape), expected)
    if len(shape) == 3 and not spec.needs_colour:
        assert stack.tiles.ndim == 3
