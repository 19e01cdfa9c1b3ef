"""Features through a backend whose arrays refuse to leave their device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spectral_detect import FeatureSpec, extract_features
from spectral_detect.features.backend import TILES_AT_ONCE
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spec import PRESETS
from strict_arrays import StrictArray, strict_backend, to_host

ON_A_DEVICE = sorted(name for name, spec in PRESETS.items() if not spec.scales)


@pytest.mark.parametrize("name", ON_A_DEVICE)
@pytest.mark.parametrize("shape", [(2, 40, 50), (2, 140, 152, 3)])
def test_no_array_leaves_its_device(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    device = strict_backend(tiles_at_once=TILES_AT_ONCE)
    cpu = replace(numpy_backend(), dft=numpy_backend().rfft2)  # to have every digit
    image = rng.integers(0, 256, shape, np.uint8)
    spec = FeatureSpec.preset(name)
    for is_ycc in (False, True)[: len(shape) - 2]:
        there = extract_features(device.xp.asarray(image), spec, is_ycc=is_ycc, backend=device)
        assert isinstance(there, StrictArray)
        np.testing.assert_array_equal(to_host(there), extract_features(image, spec, is_ycc=is_ycc, backend=cpu))


@pytest.mark.parametrize("kind", ["uint16", "float32", "float64"])
def test_other_types_agree_on_a_device(kind: str, rng: np.random.Generator) -> None:
    device = strict_backend()
    image = (rng.integers(0, 256, (140, 152, 3)) * (257 if kind == "uint16" else 1)).astype(kind)
    for name in ON_A_DEVICE:
        there = to_host(extract_features(device.xp.asarray(image), FeatureSpec.preset(name), backend=device))
        here = extract_features(image, FeatureSpec.preset(name))
        np.testing.assert_allclose(there, here, atol=1e-4 * np.abs(here).max())


def test_the_strict_arrays_would_notice() -> None:
    device = strict_backend()
    there = device.xp.asarray(np.ones(3))
    mistakes = (
        lambda: np.log(there),
        lambda: np.asarray(there),
        lambda: there + np.ones(3),
        lambda: np.ones(3) * there,
        lambda: device.xp.log(np.ones(3)),
        lambda: list(there),
        lambda: there[np.arange(2)],
        lambda: device.xp.fft,
    )
    for mistake in mistakes:
        with pytest.raises((TypeError, IndexError, AttributeError)):
            mistake()
