"""Only a failure to write is called one; any other failure of the system says what failed."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import EXAMPLES, Run
from spectral_detect.atomic_write import OutputStream, folder_aside, open_lines, stream_aside
from spectral_detect.errors import OutputError
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.location import Location

FULL = "cannot be written: No space left on device"
PHOTOGRAPHS = sorted(str(path) for path in (EXAMPLES / "real").glob("*.png"))[:3]


def program(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spectral_detect", *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, **options)


# ------------------------------------------------------------------------------------------------------------- streams


def test_a_stream_names_its_output_whatever_fails() -> None:
    stream = OutputStream(open("/dev/full", "wb"), "'out'")  # noqa: SIM115  # its closing is tested
    stream.write(b"line\n")
    for fails in (stream.flush, stream.close):
        with pytest.raises(OutputError, match=f"^'out' {FULL}$"):
            fails()
    assert stream.closed


def test_a_reader_that_has_gone_stays_a_broken_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as below, pytest.raises(BrokenPipeError):
        OutputStream(below, "standard output").write(b"line\n")


def test_the_bytes_below_a_text_name_the_output_as_well() -> None:
    with open("/dev/full", "w") as below:
        bytes_below = OutputStream(below, "standard output").buffer
        bytes_below.write(b"line\n")
        with pytest.raises(OutputError, match=f"^standard output {FULL}$"):
            bytes_below.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), below.fileno())


def test_other_errors_pass_through_and_leave_whole_lines(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(OSError, match="evidence") as raised, open_lines(str(output)) as stream:
        stream.write("line\n")
        raise OSError(errno.EIO, "evidence")
    assert not isinstance(raised.value, OutputError)
    assert output.read_text() == "line\n"


def test_other_errors_pass_through_what_is_written_aside(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="evidence"), stream_aside(tmp_path / "out"):
        raise OSError(errno.EIO, "evidence")
    with pytest.raises(OSError, match="evidence"), folder_aside(tmp_path / "folder"):
        raise OSError(errno.EIO, "evidence")
    assert os.listdir(tmp_path) == []


def test_a_file_that_cannot_be_renamed_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="out' cannot be written: Is a directory"), stream_aside(tmp_path / "out"):
        (tmp_path / "out").mkdir()
    not_empty = "new' cannot be written: Directory not empty"
    with pytest.raises(OutputError, match=not_empty), folder_aside(tmp_path / "new"):
        (tmp_path / "new" / "file").mkdir(parents=True)
    assert sorted(os.listdir(tmp_path)) == ["new", "out"]


# -------------------------------------------------------------------------------------------------- a disk that is full


def test_features_on_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "out.csv").symlink_to("/dev/full")
    done = program("extract", PHOTOGRAPHS[0], "--jobs", 0, "--output", "out.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"Error: 'out.csv' {FULL}\n")


def test_of_features_that_a_full_disk_cuts_short_whole_files_remain(tmp_path: Path) -> None:
    arguments = ("extract", *PHOTOGRAPHS[:2], "--features", "residual", "--jobs", 0, "--output")
    assert program(*arguments, "whole.csv", cwd=tmp_path).returncode == 0
    whole = (tmp_path / "whole.csv").read_bytes()
    limit = len(whole) * 3 // 4

    def fill_up() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = program(*arguments, "part.csv", cwd=tmp_path, preexec_fn=fill_up)
    assert (done.returncode, "File too large" in done.stderr) == (2, True)
    part = (tmp_path / "part.csv").read_bytes()
    assert whole.startswith(part) and part.endswith(b"\n")
    assert b"".join(whole.splitlines(keepends=True)[: 1 + whole.count(b"\n") // 2]) == part


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_report_of_a_merge_into_a_full_standard_output(tmp_path: Path, run: Run, unbuffered: str) -> None:
    assert run("scan", *PHOTOGRAPHS, "--jobs", 0, "--output", tmp_path / "part.csv").exit_code == 0
    arguments = ("merge", tmp_path / "part.csv", "--output", tmp_path / "all.csv")
    with open("/dev/full", "w") as full:
        done = program(*arguments, stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, done.stderr) == (2, f"Error: standard output {FULL}\n")
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "part.csv").read_bytes()


# -------------------------------------------------------------------------------------------- evidence that is not read


@pytest.mark.parametrize(
    ("n_free", "arguments", "status"),
    [
        (7, ("--jobs", 0, "--output", "out.jsonl"), 1),
        (6, ("--jobs", 2), 2),
        (6, ("--jobs", 2, "--output", "out.jsonl"), 2),
    ],
)
def test_too_many_open_files_are_called_that(
    tmp_path: Path, n_free: int, arguments: tuple[object, ...], status: int
) -> None:
    limit = (n_free, n_free)
    done = program(
        "scan", EXAMPLES / "real", *arguments, cwd=tmp_path, stdout=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit),
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert "Too many open files" in done.stderr
    assert "cannot be written" not in done.stderr
    if status == 2:
        assert "raise the limit of open files (ulimit -n), or give fewer --jobs" in done.stderr


@pytest.mark.parametrize("output", [(), ("--output", "out.jsonl"), ("--resume", "out.jsonl")])
def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, output: tuple[str, ...]
) -> None:
    (tmp_path / "ev" / "sub").mkdir(parents=True)
    shutil.copy(PHOTOGRAPHS[0], tmp_path / "ev" / "0.png")
    monkeypatch.chdir(tmp_path)
    scandir = os.scandir

    def failing(folder: str) -> Any:
        if folder == "ev/sub":
            raise OSError(errno.EIO, "Input/output error", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", failing)
    result = run("scan", "ev", "--jobs", 0, *output)
    assert result.exit_code == 1
    written = Path("out.jsonl").read_text() if output else result.stdout
    assert "ev/sub" in written
    assert "the folder cannot be listed: Input/output error" in written
    assert "cannot be written" not in result.stderr


@pytest.mark.parametrize("output", [(), ("--output", "out.jsonl"), ("--resume", "out.jsonl")])
def test_an_error_of_the_system_amid_the_work_names_its_file(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, output: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)

    def found(*_: object, **__: object) -> Iterator[FoundFile]:
        yield from (FoundFile(Location(path)) for path in PHOTOGRAPHS)
        raise OSError(errno.EIO, "Input/output error", "ev/s\nub")

    monkeypatch.setattr("spectral_detect.cli.shared.found_images.find_images", found)
    result = run("scan", ".", "--jobs", 0, *output)
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: ev/s\\nub: Input/output error\n")
    written = Path("out.jsonl").read_text() if output else result.stdout
    assert written.endswith("\n")
    assert all(path in written for path in PHOTOGRAPHS)


def test_that_an_array_file_cannot_be_written_is_found_before_any_work(tmp_path: Path) -> None:
    done = program("extract", "no-image.png", PHOTOGRAPHS[0], "--jobs", 0, "--output", "none/out.npz", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: 'none/out.npz' cannot be written: there is no folder 'none'")
    assert "no-image" not in done.stderr
