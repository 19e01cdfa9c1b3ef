"""The power of a spectrum in the layouts that the backends use, against the full spectrum."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.fft

from spectral_detect.features.backend import half_cross_power, half_power
from spectral_detect.features.numpy_backend import numpy_backend, packed_cross_power, packed_power


def folded_power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The definition of `Backend.cross_power`, by the full spectrum."""
    height, width = a.shape[-2:]
    product = (np.fft.fft2(a) * np.fft.fft2(b).conj()).real / (height * width)
    mirrored = product[..., -np.arange(height) % height, :]
    return ((product + mirrored) / 2)[..., : height // 2 + 1, : width // 2 + 1]


@pytest.mark.parametrize("shape", [(16, 16), (17, 16), (16, 17), (17, 19), (31, 64), (2, 3, 24, 20), (3, 25, 21)])
def test_cross_power_of_either_layout_is_that_of_the_full_spectrum(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    expected = folded_power(a.astype(np.float64), b.astype(np.float64))
    packed_a, packed_b = (np.stack([cv2.dft(i) for i in x.reshape(-1, *shape[-2:])]).reshape(shape) for x in (a, b))
    tolerance = 1e-5 * np.abs(expected).max()
    half = half_cross_power(scipy.fft.rfft2(a), scipy.fft.rfft2(b), shape[-1])
    np.testing.assert_allclose(half, expected, atol=tolerance)
    np.testing.assert_allclose(packed_cross_power(packed_a, packed_b, shape[-1]), expected, atol=tolerance)
    backend = numpy_backend()
    of_itself = folded_power(a.astype(np.float64), a.astype(np.float64))
    found = [half_power(scipy.fft.rfft2(a), shape[-1]), packed_power(packed_a, shape[-1])]
    found.append(backend.power(backend.dft(a.copy()), shape[-1]))
    for power in found:
        np.testing.assert_allclose(power, of_itself, atol=1e-5 * of_itself.max())
    np.testing.assert_allclose(backend.cross_power(backend.dft(a), backend.dft(b), shape[-1]), expected, atol=tolerance)
