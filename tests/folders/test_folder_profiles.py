"""Mean profiles of folders: white noise has the profile of its variance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spectral_detect.errors import DatasetError
from spectral_detect.features.spectrum import MAX_FREQUENCY
from spectral_detect.folders.profiles import PROFILES, FolderProfile, mean_profiles, profile_of
from spectral_detect.folders.reading import find_folders
from spectral_detect.parallel.work import Work
from spectral_detect.sources.location import Location

pytestmark = pytest.mark.usefixtures("in_this_process")

HERE = Work(0)


def noise_folder(folder: Path, rng: np.random.Generator, deviation: float, *, size: int = 64, n: int = 6) -> Location:
    folder.mkdir(parents=True)
    for k in range(n):
        pixels = np.clip(np.rint(rng.normal(128, deviation, (size, size))), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return Location(str(folder))


def drawn(*places: Location, features: str = "power") -> tuple[list[FolderProfile], list[tuple[str, str]]]:
    failures: list[tuple[str, str]] = []
    found = mean_profiles(
        find_folders(places), PROFILES[features], HERE, on_failure=lambda path, reason: failures.append((path, reason))
    )
    return found, failures


def test_the_profile_of_white_noise_is_the_logarithm_of_its_variance(tmp_path: Path, rng: np.random.Generator) -> None:
    places = noise_folder(tmp_path / "quiet", rng, 8), noise_folder(tmp_path / "loud", rng, 16, size=96)
    (quiet, loud), failures = drawn(*places)
    middle = slice(60, 280)  # the first and the last rings hold few frequencies
    assert np.abs(quiet.mean - np.log(8**2))[middle].mean() < 0.1
    assert np.abs(loud.mean - quiet.mean - np.log(4))[middle].mean() < 0.1
    assert (loud.distance_from(quiet)[middle] > 1).all()
    assert (quiet.name, quiet.n_images, failures) == ("quiet", 6, [])
    assert (quiet.sizes, loud.sizes) == ({(64, 64)}, {(96, 96)})


def test_mean_deviation_and_distance_are_those_of_the_bins() -> None:
    first = profile_of("a", np.array([[0.0, 1, 2], [2, 1, 4]]))
    second = profile_of("b", np.array([[3.0, 5, 3]]))
    assert first.mean.tolist() == [1, 1, 3] and first.sd.tolist() == [1, 0, 1]
    assert first.frequency.tolist() == [0, MAX_FREQUENCY / 2, MAX_FREQUENCY]
    np.testing.assert_equal(second.distance_from(first), [2, np.nan, 0])  # no deviation: no distance


def test_bad_files_are_told_and_the_rest_goes_on(tmp_path: Path, rng: np.random.Generator) -> None:
    place = noise_folder(tmp_path / "a", rng, 8)
    (tmp_path / "a" / "bad.png").write_bytes(b"nothing")
    Image.new("L", (64, 64), 7).save(tmp_path / "a" / "black.png")
    (profile,), failures = drawn(place)
    assert profile.n_images == 6 and np.isfinite(profile.mean).all()
    reasons = {Path(path).name: reason for path, reason in failures}
    assert set(reasons) == {"bad.png", "black.png"} and "constant image" in reasons["black.png"]


def test_a_folder_without_a_usable_image_is_an_error(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no image found"):
        find_folders([Location(str(tmp_path / "empty"))])
    Image.new("L", (64, 64), 7).save(tmp_path / "empty" / "black.png")
    with pytest.raises(DatasetError, match=r"no usable image in .*empty"):
        drawn(Location(str(tmp_path / "empty")))
    with pytest.raises(DatasetError, match="is a file"):
        find_folders([Location(str(tmp_path / "empty" / "black.png"))])


def test_folders_of_one_name_are_told_apart(tmp_path: Path, rng: np.random.Generator) -> None:
    places = [noise_folder(tmp_path / name, rng, 8, n=1) for name in ("x/real", "y/real", "fake")]
    assert [folder.name for folder in find_folders(places)] == ["x/real", "y/real", "fake"]
    assert [folder.name for folder in find_folders([places[2], places[2]])][1].endswith(" (2)")
