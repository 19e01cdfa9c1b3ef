"""`regularize autoencoder`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Run
from spectral_detect.regularize.autoencoder.options import Architecture, Settings
from spectral_detect.regularize.choices import Upsampling

pytestmark = pytest.mark.usefixtures("in_this_process")

UPSAMPLINGS: tuple[Upsampling, ...] = ("transconv", "upconv-nearest", "upconv-bilinear")
SMALL = Architecture("transconv", 3, 1, channels=8)
QUICK = Settings(epochs=1, batch_size=16)
COMMAND = ("regularize", "autoencoder")
TINY = ("--size", 32, "--kernels", 3, "--channels", 4, "--epochs", 1, "--batch-size", 16, "--threads", 1)


@pytest.fixture
def folder(tmp_path: Path, tiles: list[Image.Image]) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for number, tile in enumerate(tiles[:60]):
        tile.save(data / f"{number:02d}.png")
    return data


def test_the_command_writes_numbers_and_pictures(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run(*COMMAND, folder, "--output", tmp_path / "run", *TINY)
    assert (result.exit_code, result.stderr) == (0, "")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    pictures = {"profiles.png", "training.png", "differences.png"}
    assert names == {"options.json", "results.json", "results.csv", *pictures}
    for name in pictures:
        with Image.open(tmp_path / "run" / name) as picture:
            assert np.asarray(picture).std() > 10
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith(("transconv ", "upconv-nearest "))]
    record = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [row[:3] for row in rows] == [
        [name, "3", layers] for layers in "13" for name in ("transconv", "upconv-nearest")
    ]
    assert [float(row[5]) for row in rows] == pytest.approx([c["plain_difference"] for c in record["cells"]], abs=1e-3)
    with open(tmp_path / "run" / "results.csv", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [float(row["corrected_mse"]) for row in table] == [cell["corrected_mse"] for cell in record["cells"]]
    options = json.loads((tmp_path / "run" / "options.json").read_text())
    assert record["options"] == options
    assert (options["n_training"], options["n_held_out"], options["distance"]) == (54, 6, "mse")
    assert len(record["frequency"]) == len(record["real_profile"]["mean_log"])


def test_a_dry_run_stops_at_the_options_and_the_run_follows_it(run: Run, folder: Path, tmp_path: Path) -> None:
    arguments = (*COMMAND, folder, "--output", tmp_path / "run", *TINY, "--layers", 1, "--upsampling", "upconv")
    dry = run(*arguments, "--dry-run")
    assert dry.exit_code == 0
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["options.json"]
    options = json.loads(dry.stdout)
    assert (options["upsampling"], options["kernels"]) == (["upconv-nearest"], {"1": [3]})
    wet = run(*arguments, "--json")
    assert wet.exit_code == 0
    record = json.loads(wet.stdout)
    assert record["options"] == options
    assert [cell["upsampling"] for cell in record["cells"]] == ["upconv-nearest"]
    third = run(*arguments)
    assert third.exit_code == 2
    assert "is not empty; name a new folder" in third.stderr


def test_a_file_that_cannot_be_read_is_named(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    result = run(*COMMAND, folder, "--output", tmp_path / "run", *TINY, "--layers", 1, "--upsampling", "transconv")
    assert result.exit_code == 1
    assert "bad.png" in result.stderr
    assert (tmp_path / "run" / "profiles.png").exists()


def test_folders_with_too_little_in_them(run: Run, folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    output = tmp_path / "run"
    for names, message in (((), "holds 0 images"), (("00.png", "01.png", "02.png"), "holds 3 images")):
        for name in names:
            (few / name).write_bytes((folder / name).read_bytes())
        result = run(*COMMAND, few, "--output", output, *TINY)
        assert result.exit_code == 2
        assert message in result.stderr and "at least 50 are needed" in result.stderr
    missing = run(*COMMAND, tmp_path / "nowhere", "--output", output)
    assert missing.exit_code == 2 and "is not a folder" in missing.stderr
    drawn = run(*COMMAND, folder, "--output", output, *TINY, "--n-images", 10)
    assert drawn.exit_code == 2 and "10 is not in the range x>=60" in drawn.stderr
    assert not output.exists()


def test_a_size_above_that_of_the_images(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run(*COMMAND, folder, "--output", tmp_path / "run", "--size", 128)
    assert result.exit_code == 2
    assert "smaller than the 128 asked for" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", 33), "--size 33 is odd"),
        (("--kernels", "3,4"), "'4' is none of 3, 5, 7"),
        (("--upsampling", "bicubic"), "'bicubic' is none of transconv, upconv-nearest, upconv-bilinear"),
        (("--normalisation", "paper", "--distance", "l1"), "--normalisation paper goes with --distance bce"),
        (("--spectral-weight", "nan"), "not a finite number"),
    ],
)
def test_wrong_options(run: Run, folder: Path, tmp_path: Path, options: tuple[object, ...], message: str) -> None:
    result = run(*COMMAND, folder, "--output", tmp_path / "run", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_outputs_that_cannot_be_made(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output, message in (
        (tmp_path / "a" / "b", "there is no folder"),
        (tmp_path / "file", "is a file; name a new folder"),
        (tmp_path, "is not empty"),
        (folder / "run", "its pictures would be trained on"),
        ("/proc/run", "cannot be"),
    ):
        result = run(*COMMAND, folder, "--output", output, *TINY)
        assert result.exit_code == 2
        assert message in result.stderr


def test_without_torch_it_says_how_to_install_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spectral_detect.cli.shared.checks.find_spec", lambda name: None)
    result = run(*COMMAND, tmp_path / "nowhere", "--output", tmp_path / "run")
    assert result.exit_code == 2
    assert result.stderr.strip() == "Error: regularize needs PyTorch: pip install '.[torch]' in the checkout"
    assert not (tmp_path / "run").exists()


def test_what_was_done_is_kept_when_the_run_is_interrupted(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spectral_detect.report import autoencoder as report

    def interrupt(cell: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "table_row", interrupt)
    result = run(*COMMAND, folder, "--output", tmp_path / "run", *TINY)
    assert result.exit_code != 0
    assert len(json.loads((tmp_path / "run" / "results.json").read_text())["cells"]) == 1
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "options.json",
        "results.csv",
        "results.json",
    ]
