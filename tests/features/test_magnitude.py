"""The magnitude spectrum as a vector: truth by mathematics."""

from __future__ import annotations

import numpy as np
import pytest

from spectral_detect import FeatureSpec, extract_features
from spectral_detect.errors import FeatureError
from spectral_detect.explain.feature_layout import feature_layout
from spectral_detect.features.feature_groups import MAGNITUDE_FLOOR

SPEC = FeatureSpec.preset("magnitude")


def test_a_wave_stands_at_its_frequency() -> None:
    x = np.arange(32)
    image = 128 + 60 * np.cos(2 * np.pi * 5 * x / 32)[None, :] + np.zeros((32, 1))
    luma = extract_features(image, SPEC).reshape(3, 32, 17)[0]
    assert luma[0, 5] == pytest.approx(np.log(60 * 32 / 2), abs=1e-4)
    rest = luma.copy()
    rest[0, [0, 5]] = -np.inf
    assert rest.max() < np.log(MAGNITUDE_FLOOR) + 0.1


def test_it_is_the_transform_of_each_channel(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = extract_features(image, SPEC, is_ycc=True)
    planes = np.moveaxis(image.astype(float), 2, 0)
    expected = np.log(np.abs(np.fft.rfft2(planes)) / 32 + MAGNITUDE_FLOOR)
    assert found == pytest.approx(expected.ravel(), abs=1e-3)


def test_a_larger_image_is_the_mean_of_its_blocks(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (70, 101), dtype=np.uint8)
    blocks = [image[y : y + 32, x : x + 32] for y in (0, 32) for x in (0, 32, 64)]
    each = np.stack([extract_features(block, SPEC) for block in blocks])
    assert extract_features(image, SPEC) == pytest.approx(each.mean(axis=0), abs=1e-3)


def test_every_size_gives_one_length(rng: np.random.Generator) -> None:
    lengths = {len(extract_features(rng.integers(0, 256, s, dtype=np.uint8), SPEC)) for s in ((32, 32), (300, 500, 3))}
    assert lengths == {3 * 32 * 17} == {sum(SPEC.group_sizes or ())}
    with pytest.raises(FeatureError, match="at least 32"):
        extract_features(np.zeros((31, 40), np.uint8), SPEC)


def test_its_frequencies_are_known() -> None:
    (group,) = feature_layout(SPEC, 3 * 32 * 17)
    assert group.frequencies is not None
    assert group.frequencies[[0, 16, 17, 16 * 17 + 16]] == pytest.approx([0, 0.5, 1 / 32, np.hypot(0.5, 0.5)])
