"""`regularize train` and `regularize sample`."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import Run
from regularize.conftest import SMALL
from spectral_detect.cli.regularize.stopping import stop_on_signal
from spectral_detect.regularize.gan.checkpoints import CHECKPOINT_FILE, load_checkpoint
from spectral_detect.regularize.gan.log import LOG_FILE, read_log

pytestmark = pytest.mark.usefixtures("in_this_process")


def test_train_and_sample(run: Run, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run("regularize", "train", faces, "-o", folder, *SMALL, "--epochs", 2, "--spectral-weight", 2)
    assert result.exit_code == 0
    assert result.stderr == f"results are in {folder}: summary.png, samples/, profiles/, log.jsonl\n"
    printed, heading, reals, first, second = result.stdout.rsplit("\n", 5)[:5]
    facts = json.loads(printed)
    assert facts["topology"] == "v4"
    assert facts["learning_rate"] == 2e-4
    assert heading.split()[:3] == ["epoch", "loss", "D"]
    assert [line.split()[0] for line in (reals, first, second)] == ["reals", "1", "2"]
    stored = json.loads((folder / "options.json").read_text())
    assert stored["spectral_weight"] == 2
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    pictures = {f"{kind}/epoch-000{k}.png" for kind in ("samples", "profiles") for k in (1, 2)}
    assert names == {"options.json", "log.jsonl", "reals.json", CHECKPOINT_FILE, "summary.png"} | pictures
    with Image.open(folder / "samples" / "epoch-0001.png") as grid:
        assert grid.size == (7 * 32, 7 * 32)
    with Image.open(folder / "summary.png") as summary:
        assert summary.width > 1000

    result = run("regularize", "sample", folder, "--n", 5, "-o", tmp_path / "fakes", "--seed", 3, "--device", "cpu")
    assert result.exit_code == 0
    assert sorted(os.listdir(tmp_path / "fakes")) == [f"00000{k}.png" for k in range(5)]
    run("regularize", "sample", folder / CHECKPOINT_FILE, "--n", 2, "-o", tmp_path / "again", "--seed", 3)
    for name in os.listdir(tmp_path / "again"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "fakes" / name).read_bytes()
    result = run("regularize", "sample", folder, "--n", 4, "-o", tmp_path / "more", "--reals", tmp_path / "reals")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == f"wrote 4 camera images to {tmp_path / 'reals'}"
    with Image.open(tmp_path / "reals" / "000003.png") as image:
        assert (image.size, image.mode) == ((32, 32), "RGB")
    result = run("regularize", "sample", folder, "-o", tmp_path / "fakes")
    assert result.exit_code == 2
    assert "is not empty" in result.stderr

    elsewhere = faces.rename(faces.with_name("elsewhere"))
    result = run("regularize", "sample", folder, "-o", tmp_path / "0", "--reals", tmp_path / "00")
    assert result.exit_code == 2 and "name their folder with --data" in result.stderr
    elsewhere.rename(faces)
    moved = tmp_path / "moved"
    shutil.copytree(faces, moved)
    sample = ("regularize", "sample", folder, "--n", 4, "--data", moved)
    assert run(*sample, "-o", tmp_path / "1", "--reals", tmp_path / "2").exit_code == 0
    assert (tmp_path / "2" / "000003.png").read_bytes() == (tmp_path / "reals" / "000003.png").read_bytes()
    (moved / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = run(*sample, "-o", tmp_path / "5", "--reals", tmp_path / "6")
    assert (result.exit_code, "broken.png: " in result.stderr) == (1, True)
    assert len(os.listdir(tmp_path / "6")) == 4
    (moved / "broken.png").unlink()
    shutil.copy(next(path for path in moved.iterdir() if path.is_file()), moved / "another.png")
    result = run(*sample, "-o", tmp_path / "3", "--reals", tmp_path / "4")
    assert result.exit_code == 2 and "was trained on other images than those of" in result.stderr
    assert not (tmp_path / "3").exists()
    assert "give both" in run(*sample, "-o", tmp_path / "3").stderr


def test_a_spectral_loss_that_is_never_used_is_refused(run: Run, faces: Path, tmp_path: Path) -> None:
    """A run that is gone on with may bring its loss within reach by further epochs, and keeps its weight."""
    folder = tmp_path / "run"

    def train(*options: object) -> tuple[int, str]:
        result = run("regularize", "train", faces, "-o", folder, *SMALL, "--dry-run", *options)
        return result.exit_code, result.stderr

    beyond = "--spectral-from 3 lies beyond the last epoch, 1: the spectral loss would never be used"
    status, said = train("--epochs", 1, "--spectral-weight", 1, "--spectral-from", 3)
    assert (status, beyond in said, "give --epochs 3 or more" in said) == (2, True, True), said
    status, said = train("--epochs", 3, "--spectral-from", 2)
    assert (status, "--spectral-from 2 says when the spectral loss begins, and its weight is 0" in said) == (2, True)
    assert not folder.exists()
    assert train("--epochs", 3, "--spectral-weight", 1, "--spectral-from", 3) == (0, "")
    path = folder / "options.json"
    for change in ({"epochs": 1}, {"spectral_weight": 0.0, "epochs": 1}):  # of a run begun by an earlier version
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        result = run("regularize", "train", faces, "-o", folder, "--resume", "--dry-run")
        assert ("--spectral-from" in result.stderr) == ("spectral_weight" not in change)
        further = run("regularize", "train", faces, "-o", folder, "--resume", "--dry-run", "--epochs", 3)
        assert "--spectral-from" not in further.stderr


def test_a_dry_run_stops_before_the_first_step(run: Run, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run("regularize", "train", faces, "-o", folder, *SMALL, "--dry-run")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["batches_per_epoch"] == 6
    assert os.listdir(folder) == ["options.json"]
    result = run("regularize", "train", faces, "-o", folder, *SMALL, "--epochs", 1)
    assert result.exit_code == 0


def test_a_run_is_not_written_over_and_can_be_resumed(run: Run, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train = ("regularize", "train", faces, "-o", folder)
    assert run(*train, *SMALL, "--epochs", 1).exit_code == 0
    result = run(*train, *SMALL)
    assert result.exit_code == 2
    assert "is not empty: --resume continues the run in it" in result.stderr
    result = run(*train, "--resume", "--topology", "v3")
    assert result.exit_code == 2
    assert "was begun with other options (topology 'v3', not 'baseline'): start a new run" in result.stderr
    result = run(*train, "--resume", "--epochs", 2)
    assert result.exit_code == 0
    assert [row["epoch"] for row in read_log(folder)] == [1, 2]
    result = run("regularize", "train", faces, "-o", tmp_path / "none", "--resume")
    assert result.exit_code == 2
    assert "name the folder of a run" in result.stderr


def test_bad_folders(run: Run, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "three").mkdir()
    for k in range(3):
        (tmp_path / "three" / f"{k}.png").write_bytes((faces / f"{k:03d}.png").read_bytes())
    for data, message in (
        ("empty", "holds 0 images of at least 32x32 pixels; at least 50 are needed: add images\n"),
        ("three", "holds 3 images of at least 32x32 pixels; at least 50 are needed: add images\n"),
        ("none", "is not a folder"),
    ):
        result = run("regularize", "train", tmp_path / data, "-o", tmp_path / f"run-{data}", *SMALL)
        assert result.exit_code == 2
        assert message in result.stderr
    result = run("regularize", "train", faces, "-o", tmp_path / "run", *SMALL, "--size", 64)
    assert result.exit_code == 2
    assert "36x32 pixels, smaller than the 64 asked for" in result.stderr
    assert "holds 0 images of at least 64x64 pixels, and 100 that could not be used" in result.stderr
    assert "at least 50 are needed: add images, or take a smaller --size\n" in result.stderr
    result = run("regularize", "train", faces, "-o", tmp_path / "run2", *SMALL, "--batch-size", 200)
    assert result.exit_code == 2
    assert "--batch-size 200: there are only 100 images; give --batch-size 100 or less, or add images" in result.stderr
    result = run("regularize", "train", faces, "-o", faces / "run", *SMALL)
    assert result.exit_code == 2
    assert "its pictures would be trained on" in result.stderr
    result = run("regularize", "train", faces, "-o", tmp_path / "no" / "such", *SMALL)
    assert result.exit_code == 2
    assert "cannot be made" in result.stderr


def test_a_bad_file_costs_the_exit_status_alone(run: Run, faces: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path in faces.glob("*.png"):
        (data / path.name).write_bytes(path.read_bytes())
    (data / "000.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    result = run("regularize", "train", data, "-o", tmp_path / "run", *SMALL, "--epochs", 1)
    assert result.exit_code == 1
    assert "000.png: PNG: damaged or incomplete image" in result.stderr
    assert len(read_log(tmp_path / "run")) == 1


def test_without_torch_it_says_how_to_get_it(run: Run, faces: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("spectral_detect.cli.shared.checks.find_spec", lambda name: None)
    for arguments in (("train", faces), ("sample", tmp_path)):
        result = run("regularize", *arguments, "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert "regularize needs PyTorch: pip install '.[torch]' in the checkout" in result.stderr
    assert not (tmp_path / "run").exists()


def start(faces: Path, folder: Path, *more: object, limit_bytes: int | None = None) -> subprocess.Popen[str]:
    """The command in a process of its own, in which no file may grow over `limit_bytes`."""
    command = ["regularize", "train", faces, "-o", folder, *SMALL, "--epochs", 3, *more]

    def limit() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell starts what it puts into the background without it
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "spectral_detect", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def test_ctrl_c_saves(faces: Path, tmp_path: Path) -> None:
    with start(faces, tmp_path / "run", "--epochs", 500) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("    1"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume continues" in errors
    n = len(read_log(tmp_path / "run"))
    stopped = load_checkpoint(tmp_path / "run" / CHECKPOINT_FILE).values["progress"]
    assert stopped["epoch"] == n >= 1


def test_signals_that_nohup_ignores_stay_ignored() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: None)
        with stop_on_signal() as stop:
            stop.may_wait = True
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_full_disk_leaves_whole_files(faces: Path, tmp_path: Path) -> None:
    with start(faces, tmp_path / "run", limit_bytes=100_000) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "cannot be written: File too large" in errors
    names = set(os.listdir(tmp_path / "run"))
    assert CHECKPOINT_FILE not in names
    assert not [name for name in names if name.startswith(".")]
    assert all(line.endswith("}") for line in (tmp_path / "run" / LOG_FILE).read_text().splitlines())
