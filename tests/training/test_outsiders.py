"""A model may learn which images it is not made for, and calls them inconclusive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run, save_unchecked
from gaussian import SPEC, gaussian_data
from spectral_detect import Model, load_model, save_model, train_model
from spectral_detect.errors import DatasetError, ModelFileError
from spectral_detect.explain.advice import next_steps
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.scanning.judge import Judge
from spectral_detect.sources.location import Location
from spectral_detect.training.outsiders import MIN_GROUPS, Outsiders

pytestmark = pytest.mark.usefixtures("in_this_process")


def moved(n: int, by: float, seed: int) -> Outsiders:
    """Vectors like those of the classes, but for the first of twelve numbers."""
    data = gaussian_data(n, seed=seed)
    files = tuple(replace(sample, sha256=f"{k:x>64}") for k, sample in enumerate(data.samples))
    return Outsiders(replace(data, features=data.features + np.eye(12)[0] * by, samples=files), "drawings")


@pytest.fixture(scope="module")
def model() -> Model:
    return train_model(gaussian_data(400), SPEC, "ridge", outsiders=moved(200, by=6.0, seed=1))


def test_few_insiders_are_refused_and_most_outsiders_found(model: Model) -> None:
    assert model.outsiders is not None
    assert model.outsiders.found > 0.95
    refused = [model.outsider(image) for image in gaussian_data(400, seed=2).features]
    assert sum(map(bool, refused)) <= 0.03 * 400
    found = [model.outsider(image) for image in moved(200, by=6.0, seed=3).images.features]
    assert sum(text == "it looks like drawings" for text in found) > 0.95 * 200


def test_outsiders_that_are_like_the_others_are_hardly_found() -> None:
    check = train_model(gaussian_data(400), SPEC, "ridge", outsiders=moved(200, by=0.0, seed=1)).outsiders
    assert check is not None
    assert check.found < 0.1


def test_an_outsider_is_inconclusive_and_the_record_says_why(model: Model) -> None:
    seen = replace(model, experience=replace(model.experience, min_side_px=1, max_side_px=10**4), name="m")
    here = moved(200, by=9.0, seed=3).images.features[0]
    record = Judge(seen)([Extraction(Location("a.png"), width=300, height=300, features=here)])
    assert (record.verdict, record.reason) == ("inconclusive", "outside experience")
    assert record.warnings[0].endswith("it looks like drawings")
    assert any("no photograph" in step for step in next_steps(record, record.warnings))


def test_too_few_groups_of_outsiders_are_refused() -> None:
    few = moved(200, by=6.0, seed=1)
    few = Outsiders(replace(few.images, groups=np.arange(200) % (MIN_GROUPS - 1)), few.kinds)
    with pytest.raises(DatasetError, match="9 groups of images of other kinds; 10 are the least"):
        train_model(gaussian_data(400), SPEC, "ridge", outsiders=few)


def test_a_model_file_keeps_the_check(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m.pkl")
    kept = load_model(tmp_path / "m.pkl").outsiders
    assert kept is not None
    assert model.outsiders is not None
    assert kept.weights == pytest.approx(model.outsiders.weights, abs=0)
    assert (kept.kinds, kept.threshold, kept.found) == ("drawings", model.outsiders.threshold, model.outsiders.found)
    save_unchecked(replace(model, outsiders=replace(model.outsiders, found=2.0)), tmp_path / "damaged.pkl")
    with pytest.raises(ModelFileError, match="other kinds of images"):
        load_model(tmp_path / "damaged.pkl")


def test_the_command_learns_outsiders_from_folders(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    for k in range(12):
        Image.fromarray(rng.integers(0, 256, (256, 256, 3), np.uint8)).save(tmp_path / "noise" / f"{k}.png")
    folders = ("--real", EXAMPLES / "real", "--fake", EXAMPLES / "fake", "--outsiders", tmp_path / "noise")
    trained = run("train", *folders, "--output", tmp_path / "m.pkl", "--allow-useless")
    assert trained.exit_code == 0
    assert "outsiders            12 files; 100.0 % of those held out are found" in trained.stdout
    assert "not made for   those of noise: finds 100 %" in run("models", tmp_path / "m.pkl").stdout
    scanned = run("scan", tmp_path / "noise" / "3.png", "--model", tmp_path / "m.pkl").stdout
    assert "it looks like those of noise" in scanned
    monkeypatch.chdir(tmp_path / "noise")
    (tmp_path / "noise" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    here = run("train", *folders[:-1], ".", "--output", tmp_path / "here.pkl", "--allow-useless")
    assert (here.exit_code, "broken.png: " in here.stderr) == (1, True)
    assert "not made for   those of noise: finds" in run("models", tmp_path / "here.pkl").stdout
