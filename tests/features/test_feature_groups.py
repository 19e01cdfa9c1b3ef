"""The groups of features: gains that can be derived, tiles, colour."""

from __future__ import annotations

import numpy as np
import pytest

from spectral_detect import FeatureSpec, extract_features
from spectral_detect.features.extract import tile_corners
from spectral_detect.features.feature_groups import (
    FEATURE_GROUPS,
    POWER_FLOOR,
    Tiles,
    cosine_transform,
    strips,
    windowed_fourier_transform,
)
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spec import FEATURE_GROUP_SIZES, PRESETS, UNCUT_GROUPS

RESIDUAL = FeatureSpec.preset("residual")


def tiles(planes: np.ndarray, **changes: object) -> Tiles:
    """Of images (N, C, H, W)."""
    return Tiles(
        np.ascontiguousarray(planes.swapaxes(0, 1), np.float32),
        FeatureSpec.preset("residual", **changes),
        numpy_backend(),
    )


@pytest.fixture
def noisy(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(128, 20, (4, 3, 64, 64))


def test_every_group_gives_as_many_numbers_as_the_spec_says(noisy: np.ndarray) -> None:
    assert {*FEATURE_GROUPS, *UNCUT_GROUPS, "encoder"} == set(FEATURE_GROUP_SIZES)
    for name, group in FEATURE_GROUPS.items():
        assert group(tiles(noisy)).shape == (4, FEATURE_GROUP_SIZES[name] or 100)
    assert sum(RESIDUAL.group_sizes or ()) == 472
    assert RESIDUAL.needs_colour
    assert not PRESETS["azimuthal"].needs_colour


def test_the_block_transform_is_the_orthonormal_dct() -> None:
    """A cosine of the basis gives one coefficient, and energy is kept."""
    transform = cosine_transform()
    np.testing.assert_allclose(transform @ transform.T, np.eye(8), atol=1e-12)
    x = np.arange(8)
    wave = np.outer(np.cos(np.pi * (2 * x + 1) * 3 / 16), np.cos(np.pi * (2 * x + 1) * 5 / 16))
    coefficients = transform @ wave @ transform.T
    assert abs(coefficients[3, 5]) == pytest.approx(np.sqrt((wave**2).sum()))
    coefficients[3, 5] = 0
    np.testing.assert_allclose(coefficients, 0, atol=1e-12)


def test_blocks_follow_the_grid_and_drop_the_rest() -> None:
    image = np.arange(20 * 27).reshape(1, 20, 27)
    found = strips(image, 8)
    assert found.shape == (1, 2, 8, 24)
    np.testing.assert_array_equal(found[0, 1, :, 16:], image[0, 8:16, 16:24])


def test_a_patch_has_the_power_of_its_fourier_transform_under_a_window(rng: np.random.Generator) -> None:
    """Against the FFT: (u, v) and (u, -v) averaged."""
    patch = rng.normal(128, 20, (16, 16))
    window = np.outer(*2 * [np.hanning(18)[1:-1]])
    window /= np.sqrt(np.mean(window**2))
    power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2 / 256
    frequency = np.arange(9)
    folded = (power[np.ix_(frequency, frequency)] + power[np.ix_(frequency, -frequency)]) / 2
    found = tiles(patch[None, None], precision="float64").patch_levels
    np.testing.assert_allclose(found.reshape(9, 9), np.log(folded + POWER_FLOOR), atol=1e-4)
    waves = windowed_fourier_transform() / (window.diagonal() ** 0.5)
    norms = np.sqrt(np.square(waves).sum(axis=1))
    np.testing.assert_allclose(waves @ waves.T, np.diag(norms**2), atol=1e-12)  # orthogonal


def test_small_tiles_have_overlapping_patches_and_large_ones_every_other_row() -> None:
    counts = {side: tiles(np.zeros((1, 1, side, side))).patch_levels.shape[1] for side in (16, 32, 64, 128)}
    assert counts == {16: 1, 32: 9, 64: 16, 128: 32}


def test_white_noise_has_a_flat_block_spectrum_and_the_peakedness_of_a_normal_distribution(noisy: np.ndarray) -> None:
    assert np.abs(FEATURE_GROUPS["block_spectrum"](tiles(noisy))).max() < 0.35
    # E|x| of a normal distribution is sqrt(2 / pi) of its standard deviation
    peakedness = FEATURE_GROUPS["block_peakedness"](tiles(noisy)).mean()
    assert peakedness == pytest.approx(np.log(np.sqrt(np.pi / 2)), abs=0.02)


def test_coherence_is_one_for_equal_planes_minus_one_for_opposite_and_nought_for_independent(noisy: np.ndarray) -> None:
    noisy[:, 1] = noisy[:, 0]
    noisy[:, 2] = 255 - noisy[:, 0]
    same, opposite, also = np.split(FEATURE_GROUPS["coherence"](tiles(noisy)), 3, axis=1)
    np.testing.assert_allclose(same, 1, atol=0.01)
    np.testing.assert_allclose(opposite, -1, atol=0.01)
    np.testing.assert_allclose(also, -1, atol=0.01)
    independent = np.random.default_rng(1).normal(128, 20, (4, 3, 64, 64))
    assert np.abs(FEATURE_GROUPS["coherence"](tiles(independent))[:, 3:33].mean()) < 0.02


def test_a_pattern_of_period_two_stands_out_in_patches_and_blocks(noisy: np.ndarray) -> None:
    checkered = noisy.copy()
    checkered[:, 0] += 20 * (-1) ** np.add.outer(np.arange(64), np.arange(64))
    for name, at in (("patch_spectrum", 80), ("block_spectrum", 62)):
        rise = FEATURE_GROUPS[name](tiles(checkered)) - FEATURE_GROUPS[name](tiles(noisy))
        assert (rise.argmax(axis=1) == at).all(), name  # (1/2, 1/2), and the highest cosine


def test_contrast_and_brightness_drop_out(noisy: np.ndarray) -> None:
    for name in ("block_spectrum", "chroma_profile", "patch_spectrum", "coherence"):
        expected = FEATURE_GROUPS[name](tiles(noisy))
        np.testing.assert_allclose(FEATURE_GROUPS[name](tiles(0.5 * noisy + 40)), expected, atol=0.02, err_msg=name)


def test_the_profile_of_chroma_is_that_of_its_noise(noisy: np.ndarray) -> None:
    """White noise under a Laplacian has the same profile in each plane; ten times the amplitude is ln 100 more."""
    louder = noisy.copy()
    louder[:, 2] = 128 + 10 * (noisy[:, 2] - 128)
    cb, cr = np.split(FEATURE_GROUPS["chroma_profile"](tiles(noisy)), 2, axis=1)
    same, louder_cr = np.split(FEATURE_GROUPS["chroma_profile"](tiles(louder)), 2, axis=1)
    np.testing.assert_array_equal(same, cb)
    np.testing.assert_allclose(louder_cr, cr + np.log(100), atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "n_tiles", "seen"), [((512, 512), 16, 64), ((640, 700), 25, 48), ((1024, 1024), 64, 32)]
)
def test_colour_is_seen_in_the_middle_of_large_tiles(
    shape: tuple[int, int], n_tiles: int, seen: int, rng: np.random.Generator
) -> None:
    ycc = rng.integers(0, 256, (*shape, 3), np.uint8)
    expected = extract_features(ycc, RESIDUAL, is_ycc=True)
    assert len(expected) == n_tiles
    margin = (128 - seen) // 2
    is_seen = np.zeros(shape, bool)
    for y, x in tile_corners(shape, RESIDUAL)[1]:
        is_seen[y + margin : y + 128 - margin, x + margin : x + 128 - margin] = True
    for where, changes in ((~is_seen, False), (is_seen, True)):
        other = ycc.copy()
        other[where, 1:] = 128
        features = extract_features(other, RESIDUAL, is_ycc=True)
        colour, rest = features[:, 100:265], np.delete(features, np.s_[100:265], axis=1)
        np.testing.assert_array_equal(rest, np.delete(expected, np.s_[100:265], axis=1))
        difference = np.abs(colour - expected[:, 100:265]).mean(axis=1)
        assert (difference > 0.1).all() if changes else (difference == 0).all()


def test_a_gray_image_has_no_chroma(rng: np.random.Generator) -> None:
    gray = rng.integers(0, 256, (64, 64), np.uint8)
    features = extract_features(gray, RESIDUAL)
    rgb = np.repeat(gray[..., None], 3, axis=2)
    np.testing.assert_allclose(features, extract_features(rgb, RESIDUAL), atol=1e-4)
    assert features.shape == (4, 472)
    chroma, coherence = features[:, 100:166].reshape(4, 2, 33), features[:, 166:265]
    np.testing.assert_allclose(chroma, chroma[:, :1, :1] + np.zeros((2, 33)), atol=1e-4)
    assert (chroma < -10).all()
    np.testing.assert_allclose(coherence, 0, atol=1e-6)


def test_ycc_is_what_rgb_becomes(rng: np.random.Generator) -> None:
    import cv2

    rgb = rng.integers(0, 256, (64, 96, 3), np.uint8)
    ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    for name in ("residual", "azimuthal"):
        spec = FeatureSpec.preset(name)
        # OpenCV's two ways to luma differ in the rounding of a few pixels
        np.testing.assert_allclose(extract_features(ycc, spec, is_ycc=True), extract_features(rgb, spec), atol=0.01)


@pytest.mark.parametrize(
    ("shape", "side", "n_tiles"),
    [
        ((16, 16), 16, 1),
        ((32, 32), 32, 1),
        ((64, 200), 32, 12),
        ((128, 128), 32, 16),
        ((256, 256), 64, 16),
        ((300, 300), 64, 16),
        ((1024, 1024), 128, 64),
        ((3000, 4000), 128, 64),
    ],
)
def test_tiles_lie_inside_on_the_grid_of_jpeg(shape: tuple[int, int], side: int, n_tiles: int) -> None:
    found, corners = tile_corners(shape, RESIDUAL)
    assert (found, len(corners), len(set(corners))) == (side, n_tiles, n_tiles)
    assert all(y % 8 == x % 8 == 0 and 0 <= y <= shape[0] - side and 0 <= x <= shape[1] - side for y, x in corners)
    reach = [max(c[k] for c in corners) + side for k in (0, 1)]
    assert all(full - 8 < end <= full or n_tiles == 1 for full, end in zip(shape, reach, strict=True))


def test_each_tile_is_its_own_image(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (2, 130, 150, 3), np.uint8)
    together = extract_features(image, RESIDUAL)
    side, corners = tile_corners((130, 150), RESIDUAL)
    assert together.shape == (2, len(corners), 472)
    alone = FeatureSpec.preset("residual", tiles_per_side=None)
    for k, (y, x) in enumerate(corners):
        expected = extract_features(image[1, y : y + side, x : x + side], alone)
        np.testing.assert_allclose(together[1, k], expected, atol=2e-4)
