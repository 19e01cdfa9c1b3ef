"""What a table says of its column `accuracy`, and what is kept of a training's warnings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_clips import write_clip
from PIL import Image

from conftest import EXAMPLES, MODELS, Run
from spectral_detect import load_model

pytestmark = pytest.mark.usefixtures("in_this_process")

PHOTOGRAPHS = EXAMPLES.parent / "models" / "photographs.pkl"
OWN_IMAGES = "accuracy: of {} in cross-validation on its own training images (95 % interval); expect less on others"


def biased_folders(folder: Path) -> tuple[Path, Path]:
    """Make photographs of one size and the same of another, all of one coding: the size alone tells them apart."""
    sides = {"real": 256, "fake": 240}
    for name, side in sides.items():
        (folder / name).mkdir()
        for path in sorted((EXAMPLES / name).glob("*.png")):
            with Image.open(path) as picture:
                picture.convert("RGB").crop((0, 0, side, side)).save(folder / name / path.name)
    return folder / "real", folder / "fake"


def test_a_model_keeps_the_warning_that_metadata_tell_its_classes_apart(tmp_path: Path, run: Run) -> None:
    real, fake = biased_folders(tmp_path)
    model = tmp_path / "m.pkl"
    assert run("train", "--real", real, "--fake", fake, "--output", model).exit_code == 0
    (warning,) = load_model(model).training["warnings"]
    assert "metadata alone reach an AUROC of 1.000" in warning
    assert str(tmp_path) not in warning
    assert f"warned         {warning}" in run("models", model).stdout
    table = run("scan", real, "--model", model).stdout
    own_images = OWN_IMAGES.format("m")
    page = tmp_path / "r.html"
    run("scan", real, "--model", model, "--report", page, "--output", tmp_path / "o.csv")
    assert "metadata alone reach an AUROC of 1.000" in page.read_text("utf-8")
    assert f"\n{own_images}, much less: its training warned of that (spectral-detect models MODEL)\n" in table


def test_a_table_says_of_which_images_its_accuracy_is(run: Run, tmp_path: Path) -> None:
    lines = run("scan", EXAMPLES / "real", "--model", PHOTOGRAPHS).stdout.splitlines()
    assert lines[-2] == OWN_IMAGES.format("photographs")
    assert all(" 95-98 %  " in line for line in lines[1:13] if not line.startswith("inconclusive"))
    assert lines[-1].startswith("12 images: ")
    of_world, of_png, _ = run("scan", EXAMPLES / "real").stdout.splitlines()[-3:]
    right = (
        "accuracy: how often such verdicts of world were right, on {} coded alike that it had not seen, "
        "half of them fake"
    )
    assert (of_world, of_png) == (
        right.format("files"),
        "(a lossless file made from a JPEG or a frame of a video: as those)",
    )
    assert of_png in run("video", EXAMPLES / "fake", "--frames", 4).stdout
    clip = write_clip(tmp_path / "c.mp4", [EXAMPLES / "fake" / "Aqua.png"] * 8, "libx264", "yuv420p")
    of_clip = run("video", clip, "--frames", 4).stdout
    assert right.format("frames") in of_clip and "a lossless file" not in of_clip


def test_what_all_undecided_images_share_stands_once_below_their_table(tmp_path: Path, run: Run) -> None:
    table = run("scan", EXAMPLES / "real").stdout
    shared = "the model world errs too often at scores between 0.140 and 0.902"
    assert table.count(shared) == 1
    assert f"\nin brackets, unless the row says why: {shared}\n" in table
    assert "in brackets" not in run("scan", EXAMPLES / "real" / "Picture_0B_by_freespace.png").stdout
    rows = run("scan", EXAMPLES / "real", "--format", "jsonl").stdout
    assert rows.count(shared) == rows.count('"inconclusive"') > 1


def test_of_few_images_and_of_none_with_labels_no_accuracy_is_claimed(tmp_path: Path, run: Run) -> None:
    folders = {}
    for label in ("real", "fake"):
        folders[label] = tmp_path / label
        folders[label].mkdir()
        for path in sorted((EXAMPLES / label).glob("*.png"))[:6]:
            (folders[label] / path.name).write_bytes(path.read_bytes())
    few, clusters = tmp_path / "few.pkl", tmp_path / "clusters.pkl"
    said = run("train", "--real", folders["real"], "--fake", folders["fake"], "--output", few, "--allow-useless").stdout
    assert "scores               not calibrated: they rank, and are no probabilities" in said
    page = ("--report", tmp_path / "r.html")
    table = run("scan", folders["real"], "--model", few, *page).stdout
    assert "\nthe scores of few are not calibrated: they rank" in table
    assert "scores are not calibrated: they rank images, and are no probabilities." in page[1].read_text("utf-8")
    options = ("--classifier", "kmeans", "--features", "azimuthal", "--output", clusters)
    assert run("train", "--unlabelled", tmp_path, *options).exit_code == 0
    table = run("scan", folders["real"], "--model", clusters).stdout
    assert "\naccuracy: not known of clusters, as it was trained without labels\n" in table


def test_a_fused_model_keeps_the_warning_that_its_parts_knew_the_images(tmp_path: Path, run: Run) -> None:
    folders = "--real", EXAMPLES / "real", "--fake", EXAMPLES / "fake"
    parts = [tmp_path / f"{features}.pkl" for features in ("azimuthal", "durall")]
    for part in parts:
        assert run("train", *folders, "--features", part.stem, "--output", part).exit_code == 0
    assert run("fuse", *parts, *folders, "--output", tmp_path / "both.pkl").exit_code == 0
    warnings = load_model(tmp_path / "both.pkl").training_warnings
    lookalikes = "11 pairs of images, one real and one fake, look the same; an estimate of accuracy"
    assert any(warning.startswith(lookalikes) for warning in load_model(parts[0]).training_warnings)
    assert not any("Aqua" in warning for warning in warnings)
    for part in parts:
        known = f"24 of 24 images were in the training of the model {part.stem}"
        assert known in [warning.partition(":")[0] for warning in warnings]


def test_a_video_without_a_verdict_has_no_accuracy(tmp_path: Path, run: Run) -> None:
    for name, paths in (("fake", sorted((EXAMPLES / "fake").glob("*.png"))), ("few", [EXAMPLES / "real" / "Aqua.png"])):
        (tmp_path / name).mkdir()
        for path in paths:
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
        result = run("video", tmp_path / name, "--format", "jsonl")
        (record,) = map(json.loads, result.stdout.splitlines())
        assert (record["verdict_right"] is None) == (record["verdict"] == "inconclusive")
        assert record["such_files"].startswith("lossless: decided")
        assert record["verdict"] == {"fake": "fake", "few": record["verdict"]}[name]
        table = run("video", tmp_path / name).stdout.splitlines()[1]
        shown = "-" if record["verdict_right"] is None else f"{100 * record['verdict_right']:.1f} %"
        assert f"  {shown}  {tmp_path}" in table


def test_a_summary_counts_files_that_say_that_ai_made_them(run: Run) -> None:
    summary = run("scan", EXAMPLES.parent / "everyday").stdout.splitlines()[-1]
    assert summary.endswith("; made by AI as the file itself says: 1")


def test_one_class_name_is_not_taken_for_two(run: Run) -> None:
    result = run("train", "--class-names", "clean", "--output", "x.pkl")
    assert result.exit_code == 2
    assert "--class-names takes two names, not 'clean' alone" in result.stderr


def test_at_another_threshold_no_accuracy_is_known(run: Run) -> None:
    for model in (MODELS / "photographs.pkl", "world"):
        said = run("scan", EXAMPLES / "real" / "Garden.png", "--model", model, "--threshold", 0.05, "--jobs", 0).stdout
        row = said.splitlines()[1].split()
        assert (row[0], row[2]) == ("fake", "-")
        assert "accuracy: not known, as --threshold replaced that of " in said
