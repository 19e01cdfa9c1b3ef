"""Options that contradict one another or say nothing, and files in two places: refused with a remedy, never ignored."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_clips import write_clip
from PIL import Image

from conftest import EXAMPLES, MODELS, Run
from spectral_detect import load_model

pytestmark = pytest.mark.usefixtures("in_this_process")

REAL, FAKE = EXAMPLES / "real", EXAMPLES / "fake"
BOTH = ("--real", REAL, "--fake", FAKE)
PHOTOGRAPHS = MODELS / "photographs.pkl"


@pytest.fixture(scope="module")
def one_size(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without bins: it takes images of 256 pixels alone."""
    model = tmp_path_factory.mktemp("models") / "one_size.pkl"
    assert run("train", *BOTH, "--features", "durall", "--bins", "none", "-o", model).exit_code == 0
    return model


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Twelve images of noise of 128 pixels."""
    rng = np.random.default_rng(0)
    (tmp_path / "small").mkdir()
    for k in range(12):
        Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)).save(tmp_path / "small" / f"{k}.png")
    return tmp_path / "small"


def refused(run: Run, message: str, *arguments: object) -> None:
    result = run(*arguments)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split()), result.output


def test_what_a_model_of_one_size_cannot_do_is_said_at_once(run: Run, one_size: Path, small: Path) -> None:
    for command in (("scan", REAL), ("explain", REAL / "Aqua.png"), ("evaluate", *BOTH)):
        arguments = (
            (command[0], one_size, *command[1:]) if command[0] == "evaluate" else (*command, "--model", one_size)
        )
        refused(run, "takes images of one size, without bins, which --stability changes", *arguments, "--stability")
    named = ("evaluate", one_size, "--real", small, "--fake", shutil.copytree(small, small.parent / "fake"))
    refused(run, "the model was trained on images of one other size", *named)
    refused(
        run, "give a number: --bins", "train", *BOTH, "--outsiders", small, "--features", "durall", "--bins", "none",
        "-o", small.parent / "m.pkl",
    )  # fmt: skip


def test_an_image_has_one_place_in_training(run: Run, tmp_path: Path) -> None:
    output = ("-o", tmp_path / "m.pkl", "--features", "azimuthal")
    refused(run, "is a training image and an outsider too", "train", *BOTH, "--outsiders", FAKE, *output)
    few = ("train", "--unlabelled", REAL / "Aqua.png", "--classifier", "kmeans", *output)
    refused(run, "one image is no two clusters; name more images", *few)
    paper = ("train", *BOTH, "--features", "durall", "--paper-settings", "--classifier", "ridge", *output[:2])
    refused(run, "--paper-settings go with --classifier svm, logreg", *paper)


def test_a_central_square_is_no_face(run: Run, tmp_path: Path) -> None:
    """A model that has learned from cut frames does not ask for faces where it has seen none."""
    for folder in (REAL, FAKE):
        (tmp_path / folder.name).mkdir()
        for path in sorted(folder.glob("*.png"))[:6]:
            first = Image.open(path).convert("RGB")
            target = tmp_path / folder.name / f"{path.stem}.webp"
            first.save(target, save_all=True, append_images=[first.rotate(90)], lossless=True)
    model = tmp_path / "m.pkl"
    folders = ("--real", tmp_path / "real", "--fake", tmp_path / "fake")
    trained = run("train", *folders, "--features", "azimuthal", "--crop", "centre", "--allow-useless", "-o", model)
    assert trained.exit_code == 0, trained.output
    experience = load_model(model).experience
    assert experience is not None and experience.portrait_share < 0.5


def test_explain_says_where_it_cannot_write(run: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spectral_detect", "explain", str(FAKE / "Aqua.png"), "--model", str(PHOTOGRAPHS)]
    for kind in ("text", "json"):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*command, "--jobs", "0", "--format", kind], stdout=full, stderr=subprocess.PIPE, text=True
            )
        assert done.returncode == 2 and "standard output cannot be written" in done.stderr
    named = ("explain", FAKE / "Aqua.png", "--model", PHOTOGRAPHS, "--output", tmp_path / "x.txt", "--format", "json")
    refused(run, "the suffix of --output says what is written", *named)


def test_only_own_drawings_are_drawn_again(run: Run, tmp_path: Path) -> None:
    for name, content in (
        ("a.pdf", b"%PDF-1.4 a thesis"),
        ("b.svg", b"<?xml version='1.0'?><svg/>"),
        ("c.png", b"notes"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(
            run, "is no picture that spectral-detect has drawn", "plot", "profiles", REAL, FAKE, "-o", tmp_path / name
        )
        assert (tmp_path / name).read_bytes() == content
    for name in ("d.pdf", "d.svg", "d.png"):
        for _ in range(2):
            assert run("plot", "profiles", REAL, FAKE, "-o", tmp_path / name).exit_code == 0


def test_scores_of_both_classes_come_from_two_files(run: Run, tmp_path: Path) -> None:
    scores = tmp_path / "scan.csv"
    assert run("scan", FAKE, "--model", PHOTOGRAPHS, "-o", scores).exit_code == 0
    refused(run, "are of real and of fake images", "plot", "scores", "--real", scores, "--fake", scores)


def test_camera_images_that_no_generator_needs_are_refused(run: Run, tmp_path: Path) -> None:
    for label, folder in (("real", REAL), ("fake", FAKE)):
        shutil.copytree(folder, tmp_path / "generators" / "one" / label)
    refused(run, "leave --real out", "matrix", tmp_path / "generators", "--real", REAL)


def test_a_matched_copy_holds_no_picture_twice(run: Run, tmp_path: Path) -> None:
    for folder in (REAL, FAKE):
        shutil.copytree(folder, tmp_path / folder.name)
    Image.open(REAL / "Aqua.png").save(tmp_path / "fake" / "again.png", compress_level=1)
    Image.open(REAL / "Garden.png").save(tmp_path / "real" / "again.png", compress_level=1)
    folders = ("--real", tmp_path / "real", "--fake", tmp_path / "fake")
    result = run("audit", *folders, "--fix", tmp_path / "copy")
    assert result.exit_code == 0 and "CONTRADICTORY" not in result.stdout, result.output
    dropped = (tmp_path / "copy" / "dropped.csv").read_text()
    assert (dropped.count("in both classes"), dropped.count("exact copy")) == (2, 1)
    first = Image.open(REAL / "Aqua.png").convert("RGB")
    first.save(tmp_path / "real" / "moving.webp", save_all=True, append_images=[first.rotate(90)])
    refused(run, "moving.webp is a video or an animation: leave it out", "audit", *folders, "--fix", tmp_path / "other")


def test_a_constant_image_hides_no_likelihood_ratios(run: Run, tmp_path: Path) -> None:
    shutil.copytree(REAL, tmp_path / "real")
    Image.new("RGB", (256, 256), "navy").save(tmp_path / "real" / "navy.png")
    folders = ("--real", tmp_path / "real", "--fake", FAKE)
    assert (
        run("evaluate", PHOTOGRAPHS, *folders, "--scores", tmp_path / "s.csv", "--plot", tmp_path / "e.svg").exit_code
        == 0
    )
    drawn = run("plot", "scores", tmp_path / "s.csv", "--kind", "tippett", "-o", tmp_path / "t.svg")
    assert drawn.exit_code == 0
    for name in ("e.svg", "t.svg"):
        drawn_text = (tmp_path / name).read_text()
        assert "Tippett" in drawn_text and "not calibrated" not in drawn_text


def test_compare_warns_of_transparency_as_train_does(run: Run, tmp_path: Path) -> None:
    shutil.copytree(REAL, tmp_path / "real")
    clear = Image.open(REAL / "Aqua.png").convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "real" / "clear.png")
    result = run(
        "compare", "--real", tmp_path / "real", "--fake", FAKE, "--features", "azimuthal", "--classifier", "ridge"
    )
    assert "pixels are transparent in 1 image, the first: " in result.stderr


def test_options_for_frames_are_refused_where_no_file_is_a_video(run: Run, tmp_path: Path) -> None:
    for command in (
        ("train", *BOTH, "-o", tmp_path / "m.pkl"),
        ("compare", *BOTH),
        ("evaluate", PHOTOGRAPHS, *BOTH),
        ("evaluate", PHOTOGRAPHS, "--by", EXAMPLES, "--real", REAL),
        ("fuse", PHOTOGRAPHS, MODELS / "faces.pkl", *BOTH, "-o", tmp_path / "m.pkl"),
    ):
        refused(run, "are for videos, and none of these files is one", *command, "--crop", "centre")
    refused(run, "are for videos", "evaluate", PHOTOGRAPHS, *BOTH, "--frames", 5)
    (tmp_path / "fake").mkdir()
    write_clip(tmp_path / "fake" / "clip.mkv", sorted(FAKE.glob("*.png"))[:5])
    result = run("evaluate", PHOTOGRAPHS, "--real", REAL, "--fake", tmp_path / "fake", "--crop", "centre")
    assert result.exit_code == 0
    assert "warning: --crop cuts frames of videos; 12 images are taken whole" in result.stderr
