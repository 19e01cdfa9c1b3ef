"""A model that has seen portraits alone judges nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from drawn_faces import drawn_face
from spectral_detect import FeatureSpec, Model, load_model, save_model, scan, train_model
from spectral_detect.report.models import card_text
from spectral_detect.training.dataset import read_dataset
from spectral_detect.training.labelled_files import files_in_folders

pytestmark = pytest.mark.usefixtures("in_this_process")

SIDE = 160


def write(path: Path, content: np.ndarray, rng: np.random.Generator, noise: float) -> Path:
    """Write gray content with noise: that of fakes is smoother."""
    noisy = content + rng.normal(0, noise, content.shape)
    path.parent.mkdir(exist_ok=True)
    PIL.Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path)
    return path


def portrait() -> np.ndarray:
    return np.pad(drawn_face(SIDE - 32)[..., 0], 16, constant_values=120).astype(np.float64)


def mirrored_halves() -> np.ndarray:
    """The same patches in another order: no face, and nearly the same spectrum."""
    return np.roll(portrait(), SIDE // 2, axis=(0, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("portraits"), np.random.default_rng(0)
    for k in range(12):
        write(folder / "real" / f"{k}.png", portrait(), rng, 6)
        write(folder / "fake" / f"{k}.png", portrait(), rng, 3)
        write(folder / "mixed" / f"{k}.png", portrait() if k % 2 else mirrored_halves(), rng, 6)
    return folder


def trained(folder: Path, real: str) -> Model:
    spec = FeatureSpec.preset("azimuthal")
    return train_model(read_dataset(files_in_folders(folder / real, folder / "fake"), spec), spec)


def test_what_is_no_portrait_is_outside_the_experience_of_portraits(folder: Path, tmp_path: Path) -> None:
    model = trained(folder, "real")
    assert model.experience is not None
    assert model.experience.portrait_share >= 0.9
    save_model(model, tmp_path / "portraits.pkl")
    model = load_model(tmp_path / "portraits.pkl")
    assert "% show a large face" in card_text(model)
    rng = np.random.default_rng(1)
    paths = [write(tmp_path / "seen.png", portrait(), rng, 6), write(tmp_path / "other.png", mirrored_halves(), rng, 6)]
    seen, other = scan(map(str, paths), model)
    assert seen.verdict == "real"
    assert other.verdict == "inconclusive"
    assert "no large face found" in other.warnings[-1]


def test_a_model_that_has_seen_other_content_does_not_ask_for_faces(folder: Path, tmp_path: Path) -> None:
    model = trained(folder, "mixed")
    assert model.experience is not None
    assert 0.3 < model.experience.portrait_share < 0.7
    (other,) = scan([str(write(tmp_path / "a.png", mirrored_halves(), np.random.default_rng(1), 6))], model)
    assert not any("face" in warning for warning in other.warnings)


def test_the_share_counts_in_the_expected_refusals(folder: Path) -> None:
    spec = FeatureSpec.preset("azimuthal")
    dataset = read_dataset(files_in_folders(folder / "real", folder / "fake"), spec)
    hidden = replace(dataset.samples[0], is_portrait=False)
    fewer = replace(dataset, samples=(hidden, *dataset.samples[1:]))
    rates = [train_model(d, spec).experience for d in (dataset, fewer)]
    assert rates[0] is not None
    assert rates[1] is not None
    assert rates[1].refusal_rate == pytest.approx(rates[0].refusal_rate + 1 / 25)
