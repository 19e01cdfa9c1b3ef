"""`group` on the command line: formats, failures, hostile names, and the same result for any number of workers."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run
from spectral_detect.cli.evidence import group as command
from spectral_detect.grouping import images
from spectral_detect.media.images import decode


def numbers(text: str) -> dict[str, int | None]:
    return {Path(row["path"]).stem: row["cluster"] for row in map(json.loads, text.splitlines())}


def test_two_pipelines_become_two_clusters(labelled_folder: Path, run: Run) -> None:
    result = run("group", labelled_folder, "--format", "jsonl", "--jobs", 0)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 24 and set(rows[0]) >= {"path", "sha256", "cluster", "probability"}
    found = {
        name: {r["cluster"] for r in rows if Path(r["path"]).parent.name == name} - {-1} for name in ("real", "fake")
    }
    assert found["real"] and found["fake"] and not found["real"] & found["fake"]


def test_each_format_says_the_same_for_any_number_of_workers(labelled_folder: Path, out: Path, run: Run) -> None:
    outputs = []
    for jobs in (1, 2):
        for suffix in ("csv", "jsonl", "txt"):
            output = out / f"{jobs}.{suffix}"
            result = run("group", labelled_folder, "--output", output, "--jobs", jobs)
            assert result.exit_code == 0 and result.stdout == "" and f"{output}: 24 images: " in result.stderr
            outputs.append(output.read_text())
    assert outputs[:3] == outputs[3:]
    as_csv, as_jsonl, table = outputs[:3]
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    records = [json.loads(line) for line in as_jsonl.splitlines()]
    assert [(r["path"], int(r["cluster"])) for r in rows] == [(r["path"], r["cluster"]) for r in records]
    words = [line.split()[0] for line in table.splitlines()[1:25]]
    assert sorted(words) == sorted("alone" if r["cluster"] == -1 else str(r["cluster"]) for r in records)
    assert words == sorted(words, key=lambda word: (word == "alone", word))


def test_a_file_that_cannot_be_read_is_named_and_the_rest_goes_on(labelled_folder: Path, run: Run) -> None:
    alone = numbers(run("group", labelled_folder / "real", "--format", "jsonl", "--jobs", 0).stdout)
    (labelled_folder / "real" / "bad.png").write_bytes(b"no image")
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(labelled_folder / "real" / "flat.png")
    result = run("group", labelled_folder / "real", "--format", "jsonl", "--jobs", 0)
    assert result.exit_code == 1
    assert "bad.png: not an image" in result.stderr and "flat.png: constant image" in result.stderr
    assert numbers(result.stdout) == alone | {"bad": None, "flat": None}
    table = run("group", labelled_folder / "real", "--jobs", 0)
    assert table.exit_code == 1 and "2 failed" in table.stdout
    assert [line.split()[0] for line in table.stdout.splitlines()[-4:-2]] == ["failed", "failed"]


def test_one_image_and_none(tmp_path: Path, run: Run) -> None:
    result = run("group", EXAMPLES / "real" / "Aqua.png", "--jobs", 0)
    assert result.exit_code == 0 and "1 image: 0 clusters, 1 alone, 0 failed" in result.stdout
    assert "warning: 1 distinct image: two clusters of 5 are the least that can be told apart" in result.stderr
    drawn = run("group", EXAMPLES / "real" / "Aqua.png", "--jobs", 0, "--plot", tmp_path / "a.png")
    assert drawn.exit_code == 2 and "a picture needs at least 3 images" in drawn.stderr
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = run("group", tmp_path / "bad.png", "--jobs", 0)
    assert bad.exit_code == 1 and "1 image: 0 clusters, 0 alone, 1 failed" in bad.stdout
    (tmp_path / "empty").mkdir()
    empty = run("group", tmp_path / "empty")
    assert empty.exit_code == 2 and "no image found" in empty.stderr


def test_hostile_names_are_shown_and_written_safely(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in (b"\x1b[31mred.png", b"new\nline.png", b"\xff\xfe.png", b"=cmd.png"):
        shutil.copy(EXAMPLES / "real" / "Aqua.png", os.path.join(os.fsencode(folder), name))
    shown = run("group", folder, "--jobs", 0).stdout
    assert "\x1b" not in shown and r"new\nline.png" in shown and shown.count("\n") == 7
    rows = [json.loads(line) for line in run("group", folder, "--format", "jsonl", "--jobs", 0).stdout.splitlines()]
    assert {os.path.basename(os.fsencode(r["path"])) for r in rows} == set(os.listdir(os.fsencode(folder)))


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside that of the images."""
    return tmp_path_factory.mktemp("out")


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_the_picture_is_drawn_and_the_same_each_time(method: str, labelled_folder: Path, out: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    contents = []
    for name in ("a.png", "b.png"):
        options = ("--plot-method", method, "--plot", out / name, "--jobs", 0)
        result = run("group", labelled_folder, *options)
        assert result.exit_code == 0 and f"{name}: 24 images drawn" in result.stderr
        contents.append((out / name).read_bytes())
    assert contents[0] == contents[1] and decode(contents[0]).width > 500
    for suffix, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert run("group", labelled_folder, "--plot", out / f"c.{suffix}", "--jobs", 0).exit_code == 0
        assert (out / f"c.{suffix}").read_bytes().startswith(start)


def test_too_many_images_are_refused_before_any_is_read(
    labelled_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (command, images):
        monkeypatch.setattr(module, "MOST_IMAGES", 23)
    result = run("group", labelled_folder)
    assert result.exit_code == 2 and result.stdout == ""
    assert "more than 23 images" in result.stderr and "folder by folder, or a random sample" in result.stderr


def test_usage_is_checked(labelled_folder: Path, out: Path, run: Run) -> None:
    image = labelled_folder / "real" / "00.png"
    for arguments, message in (
        ((), "name files or folders to group, or --files-from"),
        ((labelled_folder, "--output", "a.xls"), "--output ends in .xls"),
        ((labelled_folder, "--output", image), "would be overwritten"),
        ((labelled_folder, "--output", out / "none" / "a.csv"), "cannot be written"),
        ((labelled_folder, "--plot", "a.jpg"), "end it in .png"),
        ((labelled_folder, "--plot", labelled_folder / "a.png"), "whose images are read"),
        (
            (labelled_folder, "--plot", out / "a.svg", "--output", out / "a.svg", "--format", "csv"),
            "name the same file",
        ),
        (
            (
                labelled_folder,
                "--plot",
                out / "." / ".." / out.name / "a.png",
                "--output",
                out / "a.png",
                "--format",
                "csv",
            ),
            "name the same file",
        ),
        ((labelled_folder, "--min-size", 1), "--min-size"),
        ((labelled_folder / "gone",), "no such file or folder"),
        ((labelled_folder, "--min-size", 3, "-0"), "--files-from"),
    ):
        result = run("group", *arguments)
        assert result.exit_code == 2 and message in result.stderr, result.output


def test_bins_none_needs_images_of_one_size(tmp_path: Path, run: Run, rng: np.random.Generator) -> None:
    for side in (64, 96):
        Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8)).save(tmp_path / f"{side}.png")
    result = run("group", tmp_path, "--features", "azimuthal", "--bins", "none", "--jobs", 0)
    assert result.exit_code == 2 and "different lengths" in result.stderr


def test_a_list_of_paths_is_read(labelled_folder: Path, run: Run) -> None:
    paths = sorted(map(str, (labelled_folder / "real").glob("*.png")))
    result = run("group", "--files-from", "-", "--format", "csv", "--jobs", 0, stdin="\n".join(paths).encode())
    assert result.exit_code == 0, result.output
    assert [row["path"] for row in csv.DictReader(io.StringIO(result.stdout))] == paths
