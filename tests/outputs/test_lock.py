"""One writer at a time: an output that another process is writing is refused before it is touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import MODELS, Run, texture
from spectral_detect.atomic_write import stream_aside
from spectral_detect.errors import OutputError
from spectral_detect.outputs.lock import held

HOLD = """
import sys
from spectral_detect.outputs.lock import held
with held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process_holding(path: Path) -> Iterator[None]:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate()
    assert process.returncode == 0


@pytest.fixture
def images(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ev").mkdir()
    for k in range(2):
        Image.fromarray(texture(rng)).save(tmp_path / "ev" / f"{k}.png")
    return tmp_path / "ev"


@pytest.mark.parametrize(
    ("output", "command"),
    [
        ("out.csv", ("scan", "ev", "--output", "out.csv")),
        ("out.csv", ("scan", "ev", "--resume", "out.csv")),
        ("out.txt", ("scan", "ev", "--output", "out.txt")),
        ("out.jsonl", ("video", "ev", "--output", "out.jsonl")),
        ("frames.csv", ("video", "ev", "--output", "out.jsonl", "--per-frame", "frames.csv")),
        ("frames.csv", ("video", "ev", "--per-frame", "frames.csv")),
        ("out.csv", ("extract", "ev", "--output", "out.csv")),
        ("out.csv", ("extract", "ev", "--resume", "out.csv")),
    ],
)
def test_an_output_that_another_process_writes_is_left_alone(
    images: Path, run: Run, output: str, command: tuple[str, ...]
) -> None:
    Path(output).write_text("rows of the other process\n")
    with another_process_holding(Path(output)):
        result = run(*command, "--jobs", 0)
    assert result.exit_code == 2, result.output
    assert result.stderr == f"Error: '{output}' is being written by another process; wait for its end\n"
    assert Path(output).read_text() == "rows of the other process\n"
    assert sorted(path.name for path in Path().iterdir()) == ["ev", output]


@pytest.mark.parametrize(
    ("output", "command"),
    [
        ("out.csv", ("merge", "rows.csv", "--output", "out.csv")),
        ("out.csv", ("evaluate", MODELS / "photographs.pkl", "--real", "ev", "--fake", "other", "--scores", "out.csv")),
        ("out.pkl", ("train", "--real", "ev", "--fake", "other", "--output", "out.pkl")),
        ("out.npz", ("extract", "ev", "--output", "out.npz")),
    ],
)
def test_a_whole_file_does_not_take_the_place_of_one_that_is_being_written(
    images: Path, run: Run, output: str, command: tuple[str, ...]
) -> None:
    assert run("scan", "ev", "--output", "rows.csv", "--jobs", 0).exit_code == 0
    Path("ev").joinpath("0.png").rename(Path("0.png"))
    Path("other").mkdir()
    Path("0.png").rename(Path("other", "0.png"))
    Path(output).write_text("rows of the other process\n")
    with another_process_holding(Path(output)):
        result = run(*command)
    assert result.exit_code == 2, result.output
    assert f"{output}' is being written by another process; wait for its end" in result.stderr
    assert Path(output).read_text() == "rows of the other process\n"


def test_a_part_that_is_still_being_written_is_not_merged(images: Path, run: Run) -> None:
    for part in (1, 2):
        assert run("scan", "ev", "--jobs", 0, "--shard", f"{part}/2", "--output", f"{part}.jsonl").exit_code == 0
    with another_process_holding(Path("2.jsonl")):
        result = run("merge", "1.jsonl", "2.jsonl", "--output", "all.jsonl")
    assert (result.exit_code, Path("all.jsonl").exists()) == (2, False)
    assert result.stderr == "Error: '2.jsonl' is being written by another process; wait for its end\n"
    assert run("merge", "1.jsonl", "2.jsonl", "--output", "all.jsonl").exit_code == 0


def test_a_file_that_is_begun_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("rows of the other process\n")
    refused = pytest.raises(OutputError, match="is being written by another process")
    with ExitStack() as stack, refused, stream_aside(path) as stream:
        stream.write(b"new")
        stack.enter_context(another_process_holding(path))
    assert path.read_text() == "rows of the other process\n"
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


def test_an_output_is_free_once_the_other_process_has_ended(images: Path, run: Run) -> None:
    command = ("scan", "ev", "--jobs", 0, "--output", "out.jsonl")
    with another_process_holding(Path("out.jsonl")):
        assert run(*command).exit_code == 2
    assert run(*command).exit_code == 0
    assert len(Path("out.jsonl").read_text().splitlines()) == 2


def test_a_device_is_not_locked(images: Path, run: Run) -> None:
    assert run("scan", "ev", "--jobs", 0, "--output", "/dev/null", "--format", "csv").exit_code == 0


def test_an_output_that_was_made_and_not_written_goes_with_the_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyError), held(str(tmp_path / "new")):
        assert (tmp_path / "new").exists()
        raise KeyError
    (tmp_path / "old").touch()
    with pytest.raises(KeyError), held(str(tmp_path / "old")):
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_folder_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: Is a directory"), held(str(tmp_path)):
        pass
