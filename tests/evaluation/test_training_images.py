"""Images that a model was trained on are known again when it is evaluated: the numbers flatter it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run, save_unchecked, texture
from gaussian import SPEC, gaussian_data
from spectral_detect import load_model, save_model, train_model
from spectral_detect.detector.memory.files import MARK_DIGITS, MAX_MARKS, TRAINING_IMAGE, is_marked, marks_of
from spectral_detect.detector.memory.summary import are_same
from spectral_detect.errors import ModelFileError

pytestmark = pytest.mark.usefixtures("in_this_process")

HERE = ("--jobs", "0")  # a worker takes a second to start
HASHES = [sha256(bytes([k])).hexdigest() for k in range(200)]


@pytest.fixture
def own(run: Run, labelled_folder: Path) -> Path:
    assert run("train", *folders_of(labelled_folder), "--output", labelled_folder / "own.pkl", *HERE).exit_code == 0
    return labelled_folder / "own.pkl"


def folders_of(folder: Path) -> tuple[object, ...]:
    return "--real", folder / "real", "--fake", folder / "fake"


def others(folder: Path, *, with_copies_of: Path | None = None) -> Path:
    """Return a folder with twelve images of each class that no model has seen, and copies of three that one has."""
    rng = np.random.default_rng(77)
    for label in ("real", "fake"):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(texture(rng, doubled=label == "fake")).save(folder / label / f"new{number:02d}.png")
    for number in range(3 if with_copies_of else 0):
        shutil.copy(with_copies_of / "fake" / f"{number:02d}.png", folder / "fake")  # type: ignore[operator]
    return folder


def test_an_evaluation_on_the_training_images_warns(run: Run, own: Path, tmp_path: Path) -> None:
    said = run("evaluate", own, *folders_of(own.parent), *HERE, "--report", tmp_path / "r.html")
    warning = "24 of 24 images were in the training of the model own: these numbers flatter it"
    assert f"warning: {warning}\n" in said.stderr
    assert warning in (tmp_path / "r.html").read_text()


def test_only_the_images_of_the_training_are_counted(run: Run, own: Path, tmp_path: Path) -> None:
    unseen = run("evaluate", own, *folders_of(others(tmp_path / "a")), *HERE, "--json")
    assert "flatter" not in unseen.stderr and json.loads(unseen.stdout)["n_trained_on"] == 0
    some = run("evaluate", own, *folders_of(others(tmp_path / "b", with_copies_of=own.parent)), *HERE, "--json")
    assert "warning: 3 of 27 images were in the training of the model own:" in some.stderr
    assert json.loads(some.stdout)["n_trained_on"] == 3


def test_each_generator_is_counted_once(run: Run, own: Path) -> None:
    (own.parent / "by").mkdir()
    shutil.copytree(own.parent / "fake", own.parent / "by" / "one")
    said = run("evaluate", own, "--by", own.parent / "by", "--real", own.parent / "real", *HERE)
    assert "24 of 24 images were in the training" in said.stderr


def test_a_file_of_before_there_were_marks_tells_by_the_positions_of_its_images(run: Run, own: Path) -> None:
    save_model(replace(load_model(own), file_marks=np.empty(0)), own.parent / "old.pkl")
    old = load_model(own.parent / "old.pkl")
    assert not len(old.file_marks) and not old.knows_its_files
    said = run("evaluate", own.parent / "old.pkl", *folders_of(own.parent), *HERE)
    assert "at least 24 of 24 images were in the training of the model old:" in said.stderr


def test_the_marks_are_few_bytes_and_know_their_files() -> None:
    marks = marks_of([*HASHES, None, HASHES[0]])
    assert len(marks) == len(HASHES) and (np.diff(marks) > 0).all()
    assert all(is_marked(digest, marks) for digest in HASHES)
    assert not is_marked("f" * 64, marks) and not is_marked(None, marks) and not is_marked("0" * 64, np.empty(0))
    neighbour = f"{int(HASHES[4][:MARK_DIGITS], 16) + 1:0{MARK_DIGITS}x}".ljust(64, "0")
    assert not is_marked(neighbour, marks)
    assert len(marks_of(f"{k:0{MARK_DIGITS}x}" for k in range(MAX_MARKS + 5))) == MAX_MARKS


def test_marks_survive_the_file_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    model = replace(train_model(gaussian_data(), SPEC), file_marks=marks_of(["f" * 64, *HASHES]))
    save_model(model, tmp_path / "m.pkl")
    np.testing.assert_array_equal(load_model(tmp_path / "m.pkl").file_marks, model.file_marks)
    for wrong in (model.file_marks[::-1], model.file_marks + 0.5, -model.file_marks[::-1], model.file_marks[None]):
        save_unchecked(replace(model, file_marks=wrong), tmp_path / "m.pkl")
        with pytest.raises(ModelFileError, match="what it knows of its training files is not valid"):
            load_model(tmp_path / "m.pkl")


def test_a_fused_model_knows_the_files_of_its_parts() -> None:
    model = train_model(gaussian_data(), SPEC)
    part = replace(model, file_marks=marks_of(HASHES[:1]), summary=None)
    whole = replace(model, file_marks=marks_of(HASHES[1:2]), summary=None, cloud=None, parts=(part, part))
    assert [whole.was_trained_on(digest, None) for digest in HASHES[:3]] == [True, True, False]
    assert whole.knows_its_files
    assert not replace(whole, parts=(part, replace(part, file_marks=np.empty(0)))).knows_its_files


def test_a_scan_knows_a_copy_of_a_training_image_by_its_features(tmp_path: Path, run: Run) -> None:
    model = tmp_path / "m.pkl"
    manifest = EXAMPLES / "manifest.csv"
    assert run("train", "--manifest", manifest, "--features", "azimuthal", "--output", model).exit_code == 0
    with Image.open(EXAMPLES / "real" / "Aqua.png") as picture:
        picture.convert("RGB").save(tmp_path / "copy.png", compress_level=1)  # other bytes, the same pixels
        picture.convert("RGB").crop((8, 8, 256, 256)).save(tmp_path / "part.png")
    rows = run("scan", tmp_path / "copy.png", tmp_path / "part.png", "--model", model, "--format", "jsonl").stdout
    assert [TRAINING_IMAGE in row for row in rows.splitlines()] == [True, False]


def test_the_positions_held_are_looked_through_as_one_by_one() -> None:
    summary = load_model("world").summary
    assert summary is not None
    steps = np.random.default_rng(0).normal(size=(200, 8)) * 0.004
    for at in summary.positions[:200] + steps:
        assert summary.holds(at) == bool(are_same(summary.positions, at).any())
    assert summary.holds(summary.positions[7])
    assert not replace(summary, positions=np.empty((len(summary.labels), 0))).holds(np.empty(0))
