"""Mean spectra of folders: a wave is a pair of peaks at its frequency, and nothing is resampled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spectral_detect.errors import DatasetError, FeatureError
from spectral_detect.folders.reading import find_folders
from spectral_detect.folders.spectra import centred, common_side, high_passed, log_spectrum, mean_spectra
from spectral_detect.parallel.work import Work
from spectral_detect.sources.location import Location

pytestmark = pytest.mark.usefixtures("in_this_process")

HERE = Work(0)


def ignore(_path: str, _reason: str) -> None: ...


@pytest.mark.parametrize("side", [16, 17])
def test_the_whole_spectrum_comes_back_from_its_half(side: int, rng: np.random.Generator) -> None:
    image = rng.normal(size=(side, side))
    whole = np.fft.fftshift(np.abs(np.fft.fft2(image)))
    np.testing.assert_allclose(centred(np.abs(np.fft.rfft2(image))), whole, atol=1e-9)


@pytest.mark.parametrize("high_pass", ["median", "laplacian"])
def test_a_wave_is_two_peaks_at_its_frequency(high_pass: str) -> None:
    y, x = np.mgrid[:200, :300]
    wave = (128 + 60 * np.cos(2 * np.pi * (0.25 * y + 0.375 * x))).astype(np.float32)
    level = centred(log_spectrum(wave, 64, high_pass))  # type: ignore[arg-type]
    highest = np.argwhere(level >= np.sort(level, axis=None)[-2]) - 32
    assert highest.tolist() == [[-16, -24], [16, 24]]


def test_the_median_filter_keeps_a_single_pixel_and_drops_a_slope() -> None:
    slope = np.tile(np.arange(20, dtype=np.float32), (20, 1))
    assert not high_passed(slope, "median")[1:-1, 1:-1].any()
    slope[10, 10] += 50
    residual = high_passed(slope, "median")[1:-1, 1:-1]
    assert residual[9, 9] == 50 and np.count_nonzero(residual) == 1


def test_doubled_pixels_have_no_highest_frequency(labelled_folder: Path) -> None:
    places = [Location(str(labelled_folder / name)) for name in ("real", "fake")]
    real, fake = mean_spectra(find_folders(places), 64, "laplacian", HERE, on_failure=ignore)
    assert (real.n_images, fake.n_images) == (12, 12)
    assert real.level.shape == (64, 64)
    assert fake.level[0].mean() < real.level[0].mean() - 2  # row 0: 0.5 cycles per pixel from row to row
    assert fake.level[:, 0].mean() < real.level[:, 0].mean() - 2


def test_images_of_different_sizes_meet_in_the_largest_square_that_fits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (300, 200)), ("b.png", (100, 70)), ("c.png", (65, 900))):
        Image.fromarray(rng.integers(0, 256, size[::-1], dtype=np.uint8)).save(tmp_path / name)
    folders = find_folders([Location(str(tmp_path))])
    side, smallest = common_side(folders, HERE, on_failure=ignore)
    assert side == 64 and smallest.endswith("c.png")
    failures: list[str] = []
    (spectrum,) = mean_spectra(folders, 128, "median", HERE, on_failure=lambda _, reason: failures.append(reason))
    assert spectrum.n_images == 1 and len(failures) == 2 and "smaller than the 128x128" in failures[0]
    with pytest.raises(DatasetError, match="no usable image"):
        mean_spectra(folders, 512, "median", HERE, on_failure=ignore)
    Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).save(tmp_path / "icon.png")
    assert common_side(find_folders([Location(str(tmp_path))]), HERE, on_failure=ignore)[0] == 64
    with pytest.raises(FeatureError, match="20x10 pixels"):
        log_spectrum(np.zeros((10, 20), np.float32), 16)
