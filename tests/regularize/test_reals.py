"""Camera images as squares of one size, their cache, and the loss that is made of them."""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regularize.conftest import natural
from spectral_detect import SpectralLoss
from spectral_detect.errors import DatasetError, FeatureError
from spectral_detect.regularize import reals as reals_module
from spectral_detect.regularize.bank import check_loss
from spectral_detect.regularize.choices import LossSettings
from spectral_detect.regularize.reals import CACHE, read_reals
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import FileContent

pytestmark = pytest.mark.usefixtures("in_this_process")

LOSSES = (("log", "bce"), ("log", "mse"), ("log", "l1"), ("paper", "bce"))


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty images of 24x20 pixels, each of one colour."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    images = tmp_path / "images"
    images.mkdir()
    for k in range(60):
        Image.fromarray(np.full((20, 24, 3), 4 * k, np.uint8)).save(images / f"{k:02d}.png")
    return images


def test_squares_are_cut_from_the_centre_and_averaged(tmp_path: Path) -> None:
    pixels = np.zeros((8, 20, 3), np.uint8)
    pixels[:, 6:14] = np.kron([[10, 200], [60, 90]], np.ones((4, 4)))[..., None]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    file = reals_module.FoundFile(Location(str(tmp_path / "a.png")))
    square = reals_module.read_square(file, 4)
    np.testing.assert_array_equal(square[..., 0], np.kron([[10, 200], [60, 90]], np.ones((2, 2))))  # type: ignore[index,call-overload]
    assert "smaller than the 16 asked for" in reals_module.read_square(file, 16)  # type: ignore[operator]


def test_gray_images_become_three_channels(folder: Path) -> None:
    Image.fromarray(np.full((20, 24), 90, np.uint8)).save(folder / "07.png")
    Image.fromarray(np.full((20, 24), 90 * 257, np.uint16)).save(folder / "08.png")
    images = read_reals(str(folder), 16)
    assert images.shape == (60, 16, 16, 3)
    assert (images[7:9] == 90).all()


def test_images_are_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_reals(str(folder), 16)
    assert first.shape == (60, 16, 16, 3)
    assert (first[7] == 28).all()
    assert list((folder / CACHE).glob("images-16-*.npy"))
    monkeypatch.setattr(reals_module, "_squares", None)
    np.testing.assert_array_equal(read_reals(str(folder), 16), first)


def test_a_changed_folder_is_read_anew(folder: Path) -> None:
    read_reals(str(folder), 16)
    Image.fromarray(np.full((20, 24, 3), 255, np.uint8)).save(folder / "07.png")
    assert (read_reals(str(folder), 16)[7] == 255).all()
    (folder / "07.png").unlink()
    assert len(read_reals(str(folder), 16)) == 59


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was read to be decoded, by its name."""
    counts: Counter[str] = Counter()
    read = reals_module.read_file

    def counting(location: Location) -> FileContent:
        counts[Path(location.path).name] += 1
        return read(location)

    monkeypatch.setattr(reals_module, "read_file", counting)
    return counts


@pytest.fixture
def photographs(folder: Path, rng: np.random.Generator) -> Path:
    """The same sixty files, now each with a picture."""
    for k, image in enumerate(natural(rng, 60, 20)):
        Image.fromarray((255 * image).astype(np.uint8)).save(folder / f"{k:02d}.png")
    return folder


@pytest.mark.parametrize("features", ["profile", "azimuthal"])
def test_a_loss_decodes_each_image_once(photographs: Path, features: Any, decoded: Counter[str]) -> None:
    first = SpectralLoss.from_folder(photographs, 16, n_images=55, features=features)
    assert first.reals.n_images == 55
    assert len(decoded) == decoded.total() == 55
    again = SpectralLoss.from_folder(photographs, 16, n_images=55, features=features)
    assert decoded.total() == 55
    np.testing.assert_array_equal(again.reals.mean_log, first.reals.mean_log)
    images = read_reals(str(photographs), 16, n_images=55)
    assert len(images) == 55
    assert len(read_reals(str(photographs), 16)) == 60


def test_a_loss_warns_once_of_the_images_that_it_leaves_out(photographs: Path) -> None:
    (photographs / "07.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    Image.new("RGB", (8, 8)).save(photographs / "08.png")
    with pytest.warns(UserWarning, match=r"^2 images not used, the first: .*07\.png: PNG: damaged") as warned:
        loss = SpectralLoss.from_folder(photographs, 16, features="azimuthal")
    assert len(warned) == 1
    assert loss.reals.n_images == 58


def test_a_loss_that_does_not_exist_reads_no_image(photographs: Path, decoded: Counter[str]) -> None:
    for settings in ({"features": "pixels"}, {"distance": "mmd", "per": "image"}, {"value_range": (1.0, 0.0)}):
        with pytest.raises(FeatureError):
            SpectralLoss.from_folder(photographs, 16, **settings)  # type: ignore[arg-type]
    assert not decoded


def test_the_checks_know_what_a_loss_is_by_default() -> None:
    defaults = inspect.signature(check_loss).parameters
    own = inspect.signature(SpectralLoss).parameters
    assert {name: own[name].default for name in defaults} == {n: p.default for n, p in defaults.items()}
    assert LossSettings.__annotations__.keys() == defaults.keys()


def test_a_damaged_cache_is_made_anew(folder: Path) -> None:
    read_reals(str(folder), 16)
    (cache,) = (folder / CACHE).iterdir()
    whole = cache.read_bytes()
    for damaged in (whole[:1000], b"", b"nothing"):
        cache.write_bytes(damaged)
        assert read_reals(str(folder), 16).shape == (60, 16, 16, 3)
        assert cache.read_bytes() == whole


def test_where_nothing_can_be_kept_beside_the_images_it_is_kept_at_home(folder: Path, tmp_path: Path) -> None:
    (folder / CACHE).write_text("in the way")
    read_reals(str(folder), 16)
    assert list((tmp_path / "home" / "spectral-detect").glob("images-16-*.npy"))
    (tmp_path / "home" / "spectral-detect").rename(tmp_path / "gone")
    (tmp_path / "home" / "spectral-detect").write_text("in the way too")
    assert len(read_reals(str(folder), 16)) == 60


def test_bad_files_are_named_and_the_rest_is_read(folder: Path) -> None:
    (folder / "07.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    Image.new("RGB", (8, 8)).save(folder / "08.png")
    failures: dict[str, str] = {}
    for _ in range(2):  # of a folder with bad files nothing is kept, so that they are named every time
        images = read_reals(str(folder), 16, on_failure=failures.__setitem__)
        assert len(images) == 58
        assert {Path(path).name for path in failures} == {"07.png", "08.png"}
        failures.clear()


def test_too_few_images_are_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds 0 images of at least 16x16 pixels; at least 50 are needed"):
        read_reals(str(tmp_path / "empty"), 16)
    with pytest.raises(DatasetError, match="0 images of at least 32x32 pixels, and 60 that could not be used"):
        read_reals(str(folder), 32)
    with pytest.raises(DatasetError, match="is not a folder"):
        read_reals(str(folder / "00.png"), 16)
    with pytest.raises(DatasetError, match="40 images: at least 50 are needed"):
        SpectralLoss.from_folder(folder, 16, n_images=40)


def test_reading_a_file_that_cannot_be_read_gives_the_reason(tmp_path: Path) -> None:
    assert "No such file" in reals_module.read_square(reals_module.FoundFile(Location(str(tmp_path / "none.png"))), 16)  # type: ignore[operator]
