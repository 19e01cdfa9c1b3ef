"""The azimuthal average, by mathematics."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_detect.errors import FeatureError
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spectrum import (
    CACHE_BYTES,
    MAX_FREQUENCY,
    Centre,
    apply_rings,
    azimuthal_average,
    power_spectrum,
    resampling_operator,
    ring_operator,
)

SHAPES = [(64, 64), (63, 63), (64, 63), (63, 64), (32, 200), (200, 31), (2, 2), (1, 8), (8, 1), (1, 1)]
sizes = st.integers(1, 40)


def profile_of(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return azimuthal_average(power_spectrum(image), image.shape[-1])


def brute_force(image: np.ndarray) -> np.ndarray:
    """The definition, over the full spectrum, ring by ring."""
    power = np.abs(np.fft.fft2(image)) ** 2 / image.size
    radius = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, image.shape), indexing="ij"))
    ring = np.rint(radius * max(image.shape)).astype(int)
    return np.array([power[ring == k].mean() for k in np.unique(ring)])


@pytest.mark.parametrize("shape", SHAPES)
def test_an_impulse_gives_a_flat_profile(shape: tuple[int, int]) -> None:
    image = np.zeros(shape)
    image[shape[0] // 3, shape[1] // 2] = 5.0
    profile, frequency = profile_of(image)
    np.testing.assert_allclose(profile, 25.0 / image.size, rtol=1e-12)
    assert frequency[0] == 0.0
    assert frequency[-1] <= MAX_FREQUENCY


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definition_over_the_full_spectrum(shape: tuple[int, int], rng: np.random.Generator) -> None:
    image = rng.normal(size=shape)
    np.testing.assert_allclose(profile_of(image)[0], brute_force(image), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint64", "float16"])
@pytest.mark.parametrize("centre", ["zero_frequency", "array_centre"])
def test_integers_and_half_precision_are_averaged_in_double(
    dtype: str, centre: Centre, rng: np.random.Generator
) -> None:
    power = rng.integers(0, 100, (3, 16, 9)).astype(dtype)
    profile, frequency = azimuthal_average(power, 16, centre=centre)
    expected, expected_frequency = azimuthal_average(power.astype(np.float64), 16, centre=centre)
    assert profile.dtype == np.float64
    assert profile.mean() > 0.5
    np.testing.assert_array_equal(profile, expected)
    np.testing.assert_array_equal(frequency, expected_frequency)


@pytest.mark.parametrize(("cycles_y", "cycles_x"), [(0, 9), (9, 0), (7, 3), (32, 32), (0, 32)])
def test_a_cosine_peaks_in_the_ring_of_its_frequency(cycles_y: int, cycles_x: int) -> None:
    n = 64
    y, x = np.mgrid[:n, :n]
    profile, frequency = profile_of(np.cos(2 * np.pi * (cycles_y * y + cycles_x * x) / n))
    peak = int(np.argmax(profile))
    assert abs(frequency[peak] - np.hypot(cycles_y, cycles_x) / n) <= 1 / n
    others = np.delete(profile, peak)
    assert others.max() < 1e-20 * profile[peak]


@settings(deadline=None, max_examples=50)
@given(height=sizes, width=sizes, shift=st.tuples(sizes, sizes), seed=st.integers(0, 2**16))
def test_turns_mirrors_and_circular_shifts_change_nothing(
    height: int, width: int, shift: tuple[int, int], seed: int
) -> None:
    image = np.random.default_rng(seed).normal(size=(height, width))
    expected = profile_of(image)[0]
    for other in (np.rot90(image), image[::-1], image[:, ::-1], np.roll(image, shift, (0, 1))):
        np.testing.assert_allclose(profile_of(np.ascontiguousarray(other))[0], expected, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(height=sizes, width=sizes, seed=st.integers(0, 2**16))
def test_parseval(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(height, width))
    profile, _ = profile_of(image)
    n_pixels = ring_operator((height, width), None, "zero_frequency", "float64", numpy_backend()).n_pixels
    assert n_pixels.sum() == height * width
    assert np.sum(profile * n_pixels) == pytest.approx(np.sum(image**2), rel=1e-9)


def test_white_noise_has_its_variance_at_every_size(rng: np.random.Generator) -> None:
    for shape in ((64, 64), (256, 128)):
        profile, frequency = profile_of(rng.normal(scale=3.0, size=(20, *shape)))
        middle = (frequency > 0.1) & (frequency < 0.5)
        np.testing.assert_allclose(profile.mean(axis=0)[middle], 9.0, rtol=0.25)


def test_images_of_all_sizes_share_one_axis() -> None:
    for n in (64, 100, 250):
        _, x = np.mgrid[:n, : 2 * n]
        profile, frequency = profile_of(np.cos(2 * np.pi * 0.3 * x))
        assert frequency[np.argmax(profile)] == pytest.approx(0.3, abs=1.0 / n)


def test_a_batch_is_its_images(rng: np.random.Generator) -> None:
    images = rng.normal(size=(2, 3, 20, 30))
    together, _ = profile_of(images)
    assert together.shape[:2] == (2, 3)
    np.testing.assert_allclose(together[1, 2], profile_of(images[1, 2])[0], rtol=1e-12)


def test_wide_rings_average_narrow_ones(rng: np.random.Generator) -> None:
    power = power_spectrum(rng.normal(size=(100, 100)))
    profile, frequency = azimuthal_average(power, 100, ring_width=0.05)
    assert len(profile) == round(MAX_FREQUENCY / 0.05) + 1
    np.testing.assert_allclose(frequency[1:-1], 0.05 * np.arange(1, len(frequency) - 1), atol=0.006)


def authors_average(image: np.ndarray) -> np.ndarray:
    """The published steps, spelled out: rings about (N - 1)/2 of the shifted spectrum, first and last dropped."""
    spectrum = np.fft.fftshift(np.fft.fft2(image)) + 1e-8
    y, x = np.indices(image.shape)
    ring = np.hypot(x - (image.shape[1] - 1) / 2, y - (image.shape[0] - 1) / 2).astype(int)
    level = 20 * np.log(np.abs(spectrum))
    return np.array([level[ring == k].mean() for k in np.unique(ring)[1:-1]])


@pytest.mark.parametrize("shape", [(64, 64), (63, 63), (40, 64), (33, 20)])
def test_the_array_centre_is_the_published_average(shape: tuple[int, int], rng: np.random.Generator) -> None:
    image = rng.uniform(0, 255, shape)
    level = 20 * np.log(np.abs(scipy.fft.rfft2(image) + 1e-8))
    profile, _ = azimuthal_average(level, shape[1], centre="array_centre")
    np.testing.assert_allclose(profile, authors_average(image), rtol=1e-11)


def test_the_array_centre_is_half_a_pixel_off(rng: np.random.Generator) -> None:
    image = rng.uniform(0, 255, (64, 64))
    turned = np.ascontiguousarray(np.rot90(image))
    profiles = [azimuthal_average(power_spectrum(i), 64, centre="array_centre")[0] for i in (image, turned)]
    assert np.abs(profiles[0] / profiles[1] - 1).max() > 1e-3


def test_a_width_that_does_not_belong_is_refused() -> None:
    with pytest.raises(FeatureError, match="33 columns does not belong to an image 70 pixels wide"):
        azimuthal_average(np.ones((64, 33)), 70)


def test_no_ring_is_left_of_a_tiny_image_without_first_and_last() -> None:
    with pytest.raises(FeatureError, match="2x2 pixels has no ring left"):
        azimuthal_average(np.ones((2, 2)), 2, centre="array_centre")


def test_resampling_reproduces_a_cubic() -> None:
    backend = numpy_backend()
    frequency = ring_operator((60, 60), None, "zero_frequency", "float64", backend).frequency
    operator = resampling_operator((60, 60), None, "zero_frequency", 300, "float64", backend)
    bins = np.clip(np.linspace(0, MAX_FREQUENCY, 300), frequency[1], frequency[-1])
    np.testing.assert_allclose(operator @ (1 + frequency - 4 * frequency**3), 1 + bins - 4 * bins**3, atol=1e-12)
    np.testing.assert_allclose(operator.sum(axis=1), 1.0, atol=1e-12)
    assert not operator[:, 0].any()  # the zero frequency takes no part


@given(st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None)
def test_rings_of_a_quarter_are_those_of_the_half(height: int, width: int) -> None:
    image = np.random.default_rng(height * 100 + width).normal(size=(height, width))
    backend = numpy_backend()
    expected, frequency = azimuthal_average(power_spectrum(image), width)
    rings = ring_operator((height, width), None, "zero_frequency", "float64", backend, quarter=True)
    found = apply_rings(rings, backend.cross_power(backend.dft(image), backend.dft(image), width))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(rings.frequency, frequency, rtol=1e-12)
    assert rings.n_pixels.sum() == height * width


def test_operators_are_cached_within_a_bound() -> None:
    first = ring_operator((50, 50), None, "zero_frequency", "float32", numpy_backend())
    assert ring_operator((50, 50), None, "zero_frequency", "float32", numpy_backend()) is first
    assert 0 < first.nbytes < CACHE_BYTES
    cache = ring_operator.cache
    assert cache.maxsize == CACHE_BYTES
    assert cache.currsize <= cache.maxsize
