"""Runs that are killed and gone on with, shards, and their merge: always the file that one run would have written."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from conftest import MODELS, Run, texture
from spectral_detect.cli.merge import NOT_CHECKED
from spectral_detect.errors import OutputError
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.outputs.reader import Output
from spectral_detect.outputs.resume import resumed
from spectral_detect.outputs.rows import FEATURES, FRAMES, IMAGES
from spectral_detect.outputs.writer import LINES
from spectral_detect.records import FEATURE_COLUMNS, FRAME_COLUMNS, IMAGE_COLUMNS, FrameRecord
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.location import Location
from spectral_detect.sources.sharding import Shard, path_hash

MODEL = MODELS / "photographs.pkl"
ODD_NAMES = (b"new\nline.png", b'com,ma"quote.png', b"\xff\xfe.png", b"=1+1.png", "Gr\u00f6\u00dfe.png".encode())
STREAMS = pytest.mark.parametrize("suffix", [".csv", ".jsonl"])


@pytest.fixture
def evidence(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of twelve images, five with odd names, and a broken one in the middle; its parent is the current one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "ev"
    (folder / "sub").mkdir(parents=True)
    names = [*(f"{k}.png".encode() for k in range(5)), b"sub/a.png", b"sub.png", *ODD_NAMES]
    for name in names:
        with open(os.path.join(b"ev", name), "wb") as stream:
            Image.fromarray(texture(rng, 64)).save(stream, "PNG")
    (folder / "2broken.png").write_bytes(b"text")
    return folder


Scan = Callable[..., bytes]


@pytest.fixture
def scan(run: Run) -> Scan:
    """Scan the folder `ev` into a file and give its bytes."""

    def into(output: str, *arguments: object, how: str = "--resume", status: int = 1, says: str = "") -> bytes:
        result = run("scan", "ev", how, output, "--model", MODEL, "--jobs", 0, *arguments)
        assert result.exit_code == status, result.output
        assert says in result.stderr
        return Path(output).read_bytes()

    return into


def row_ends(content: bytes, suffix: str) -> list[int]:
    """Where rows end, found independently of the program: by a CSV reader that is fed one more line at a time."""
    lines = content.splitlines(keepends=True) if suffix == ".jsonl" else content.split(b"\n")
    if suffix == ".jsonl":
        return list(np.cumsum([len(line) for line in lines]))
    ends, row, position = [], b"", 0
    for line in lines[:-1]:
        row, position = row + line + b"\n", position + len(line) + 1
        if row.count(b'"') % 2 == 0:
            ends.append(position)
            row = b""
    return ends


# ------------------------------------------------------------------------------------------------------------ resuming


@STREAMS
def test_whatever_part_is_there_the_end_is_the_same(evidence: Path, scan: Scan, suffix: str) -> None:
    """Cut after every row, and in the middle of rows, of multi-line cells and of the header."""
    whole = scan(f"whole{suffix}", how="--output")
    output = f"out{suffix}"
    ends = row_ends(whole, suffix)
    assert len(ends) == 13 + (suffix == ".csv")
    in_odd_name = whole.index(b"new") + 4  # in CSV just after the new line inside the cell
    for cut in {0, 1, ends[0] - 1, ends[0], ends[3], ends[3] + 1, ends[7] - 1, in_odd_name, ends[-1] - 1, ends[-1]}:
        Path(output).write_bytes(whole[:cut])
        assert scan(output) == whole, cut


def test_only_what_is_not_known_is_decoded(evidence: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    of_file = Extractor.of_file

    def spy(extractor: Extractor, found: FoundFile) -> object:
        seen.append(os.path.basename(found.path))
        return of_file(extractor, found)

    monkeypatch.setattr(Extractor, "of_file", spy)
    whole = scan("out.jsonl", how="--output")
    Path("out.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:6]))
    before, seen[:] = seen[:6], []
    assert "2broken.png" in before
    says = "out.jsonl: 5 rows kept, 8 files to do, of which 1 failed or changed\n"
    assert scan("out.jsonl", says=says) == whole
    assert len(seen) == 8
    assert set(seen) & set(before) == {"2broken.png"}


def test_one_line_says_what_is_kept(evidence: Path, scan: Scan, run: Run) -> None:
    scan("out.jsonl", how="--output")
    assert "kept" not in run("scan", "ev", "--resume", "new.jsonl", "--model", MODEL).stderr
    (evidence / "2broken.png").unlink()
    result = run("scan", "ev", "--resume", "out.jsonl", "--model", MODEL)
    assert result.exit_code == 0
    first, last = result.stderr.splitlines()
    assert first == "out.jsonl: 12 rows kept, 1 removed (the file has gone), 0 files to do"
    assert last.startswith("out.jsonl: 12 images: ")
    assert result.stdout == ""


@STREAMS
def test_changed_deleted_and_new_files(evidence: Path, scan: Scan, rng: np.random.Generator, suffix: str) -> None:
    output = f"out{suffix}"
    before = scan(output)
    Image.fromarray(texture(rng, 80)).save(evidence / "1.png")
    Image.fromarray(texture(rng, 64)).save(evidence / "2broken.png")
    (evidence / "0.png").unlink()
    shutil.copy(evidence / "3.png", evidence / "1a.png")
    after = scan(output, status=0, says="10 rows kept, 1 removed (the file has gone), 3 files to do, of which 2")
    assert after == scan(f"whole{suffix}", how="--output", status=0)
    assert after != before
    assert not [name for name in os.listdir() if name.startswith(".")]


def test_a_run_killed_between_replaced_rows_ends_in_order(evidence: Path, scan: Scan) -> None:
    """Rows that were appended out of order, by a run that came to no end, are put in order by the next."""
    whole = scan("whole.jsonl", how="--output")
    lines = whole.splitlines(keepends=True)
    Path("out.jsonl").write_bytes(b"".join([*lines[5:9], *lines[:3]]))
    assert scan("out.jsonl") == whole


def test_a_touched_file_is_known_by_its_hash_alone(evidence: Path, scan: Scan) -> None:
    scan("out.jsonl")
    os.utime(evidence / "1.png", ns=(1, 1))
    scan("out.jsonl", "--known-by", "sha256", says="12 rows kept, 1 file to do, of which 1 failed")
    after = scan("out.jsonl", "--known-by", "size-mtime", says="11 rows kept, 2 files to do")
    assert after == scan("whole.jsonl", how="--output")
    # and the other way round: another content of the same size and time
    content = bytearray((evidence / "1.png").read_bytes())
    content[-20] ^= 1
    (evidence / "1.png").write_bytes(content)
    os.utime(evidence / "1.png", ns=(1, 1))
    scan("out.jsonl", says="12 rows kept")
    scan("out.jsonl", "--known-by", "sha256", says="11 rows kept, 2 files to do")


def test_a_file_named_twice_has_two_rows(evidence: Path, run: Run) -> None:
    command = ("scan", "ev/1.png", "ev/0.png", "ev/1.png", "ev/3.png", "--jobs", 0)
    run(*command, "--output", "whole.jsonl")
    whole = Path("whole.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    for n_left in range(5):
        Path("out.jsonl").write_bytes(b"".join(lines[:n_left]))
        assert run(*command, "--resume", "out.jsonl").exit_code == 0
        assert Path("out.jsonl").read_bytes() == whole
    once = run("scan", "ev/1.png", "ev/0.png", "ev/3.png", "--jobs", 0, "--resume", "out.jsonl")
    assert once.exit_code == 0
    assert Path("out.jsonl").read_bytes() == b"".join([*lines[:2], lines[3]])


def test_the_exit_status_is_that_of_all_rows(evidence: Path, run: Run) -> None:
    command = ("scan", "ev/0.png", "--jobs", 0, "--threshold", 0, "--model", MODEL, "--resume", "out.csv")
    first = run(*command, "--fail-on-fake")
    assert run(*command, "--fail-on-fake").exit_code == first.exit_code
    with open("out.csv", newline="") as stream:
        (record,) = csv.DictReader(stream)
    assert (first.exit_code == 3) == (record["verdict"] == "fake")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--model", MODELS / "small.pkl"), "judged by another model (photographs, sha256"),
        (("--threshold", "0.9"), "judged by another threshold (0."),
        (("--min-confidence", "0.8"), "judged with other settings"),
        (("--prevalence", "0.1"), "judged with other settings"),
        (("--stability",), "judged with other settings"),
        (("--provenance", "none"), "--stability, --provenance; for"),
    ],
)
@STREAMS
def test_rows_made_otherwise_are_refused(
    evidence: Path, scan: Scan, run: Run, changed: tuple[str, ...], message: str, suffix: str
) -> None:
    whole = scan(f"out{suffix}")
    torn = whole + b'{"sch'
    Path(f"out{suffix}").write_bytes(torn)
    result = run("scan", "ev", "--resume", f"out{suffix}", "--jobs", 0, "--model", MODEL, *changed)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "repeat the command of the first run, or name another output" in result.stderr
    assert Path(f"out{suffix}").read_bytes() == torn


def test_rows_of_other_models_features_and_versions_are_told_apart(
    evidence: Path, scan: Scan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan("out.jsonl")
    everything = run("scan", "ev", "--model", MODELS / "faces.pkl", "--resume", "out.jsonl", "--jobs", 0)
    assert everything.exit_code == 2
    assert "judged by another model (photographs" in everything.stderr
    monkeypatch.setattr("spectral_detect.scanning.judge.__version__", "9.9")
    scan("out.jsonl", status=2, says="made by version 0.1.0, and this is 9.9")
    changed = [json.loads(line) | {"spec_sha256": "0" * 64} for line in Path("out.jsonl").read_text().splitlines()]
    Path("out.jsonl").write_text("".join(json.dumps(record) + "\n" for record in changed))
    monkeypatch.undo()
    os.chdir(evidence.parent)
    scan("out.jsonl", status=2, says="made from other features")


def test_a_limit_of_size_or_time_is_no_setting(evidence: Path, run: Run) -> None:
    command = ("scan", "ev/0.png", "ev/1.png", "--resume", "out.jsonl", "--jobs", 0)
    assert run(*command, "--max-pixels", 10).exit_code == 1
    again = run(*command, "--max-pixels", 10**6, "--timeout", 5)
    assert again.exit_code == 0
    assert "0 rows kept, 2 files to do, of which 2 failed or changed" in again.stderr


def test_forgotten_inputs_lose_no_rows(evidence: Path, scan: Scan, run: Run) -> None:
    whole = scan("out.jsonl")
    for command in (("scan", "ev/sub"), ("scan", "ev", "--shard", "1/2")):
        result = run(*command, "--resume", "out.jsonl", "--jobs", 0, "--model", MODEL)
        assert result.exit_code == 2
        assert "of its rows are of files that are not among those named now, such as 'ev/" in result.stderr
        assert Path("out.jsonl").read_bytes() == whole


@STREAMS
def test_no_row_is_dropped_in_another_working_folder(
    evidence: Path, scan: Scan, run: Run, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """The relative paths of the rows lead nowhere from there, which is no deletion of all files."""
    whole = scan(f"out{suffix}")
    monkeypatch.chdir(evidence)
    output = f"../out{suffix}"
    for inputs in (".", evidence):
        result = run("scan", inputs, "--resume", output, "--jobs", 0, "--model", MODEL)
        assert result.exit_code == 2, result.output
        assert f"'{output}' cannot be resumed: none of the files of its 13 rows, such as 'ev/0.png', is there" in (
            result.stderr
        )
        assert "in the folder in which the output was begun, or write to a new output" in result.stderr
        assert Path(output).read_bytes() == whole


def test_the_only_row_is_not_dropped_in_another_working_folder(
    evidence: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("--jobs", 0, "--model", MODEL)
    run("scan", "ev/2broken.png", "--resume", "out.csv", *command)  # failed, so that its row has no stamp
    whole = Path("out.csv").read_bytes()
    monkeypatch.chdir(evidence)
    result = run("scan", "2broken.png", "--resume", "../out.csv", *command)
    assert result.exit_code == 2
    assert "the file of its row, 'ev/2broken.png', is not there" in result.stderr
    assert Path("../out.csv").read_bytes() == whole


@STREAMS
def test_a_resumed_run_counts_what_the_kept_rows_say(evidence: Path, run: Run, suffix: str) -> None:
    """The last line is that of the first run: files that say that AI made them, contradicted and doubtful verdicts."""
    for name in ("0.png", "sub/a.png"):
        info = PngInfo()
        info.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512")
        Image.open(evidence / name).save(evidence / name, pnginfo=info)
    (evidence / "2broken.png").unlink()
    common = ("--jobs", 0, "--resume", f"out{suffix}")
    for rules in (("--threshold", 0.999999, "--prevalence", 0.999999), ("--threshold", 0, "--prevalence", 0.000001)):
        command = ("scan", "ev", "--model", MODELS / "small.pkl", *rules, *common)
        first = run(*command).stderr.splitlines()[-1]
        assert "made by AI as the file itself says: 2" in first
        again = run(*command).stderr.splitlines()
        assert again[0].endswith("12 rows kept, 0 files to do")
        assert again[-1] == first
        Path(f"out{suffix}").unlink()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"some notes\n", "no record"),
        ("a.jsonl", b"some notes without an end", "does not have the columns"),
        ("a.jsonl", b'{"a": 1}\n', "does not have the columns"),
        ("a.jsonl", b"[1]\n", "no record"),
        ("a.jsonl", b"\xff\xfe\n", "no record"),
        ("a.csv", b"path,label\n", "does not have the columns"),
        ("a.csv", b"some notes without an end", "does not have the columns"),
        ("a.csv", b'"\n\n\n', "does not have the columns"),
        ("a.csv", ",".join(IMAGE_COLUMNS).encode() + b"\na,b\n", "no record"),
        ("a.csv", ",".join([*FEATURE_COLUMNS, "f0"]).encode() + b"\n" + b"1," * 8 + b"1\n", "cannot be resumed|other"),
    ],
)
def test_a_file_that_is_no_output_is_left_alone(
    evidence: Path, run: Run, name: str, content: bytes, message: str
) -> None:
    Path(name).write_bytes(content)
    result = run("scan", "ev", "--resume", name, "--jobs", 0)
    assert result.exit_code == 2
    assert any(part in result.stderr for part in message.split("|")), result.stderr
    assert Path(name).read_bytes() == content


@pytest.mark.parametrize(
    ("first", "second", "suffix", "message"),
    [
        ("scan", "video", ".csv", "its rows are about images, not videos"),
        ("scan", "video", ".jsonl", "its rows are about images, not videos"),
        ("video", "scan", ".csv", "its rows are about videos, not images"),
        ("video", "scan", ".jsonl", "its rows are about videos, not images"),
        ("scan", "extract", ".csv", "its rows are about images, not feature vectors"),
        ("extract", "scan", ".csv", "its rows are about feature vectors, not images"),
    ],
)
def test_rows_about_other_things_are_left_alone(
    evidence: Path, run: Run, first: str, second: str, suffix: str, message: str
) -> None:
    output = Path(f"out{suffix}")
    run(first, "ev", "--output", output, "--jobs", 0)
    whole = output.read_bytes()
    refused = run(second, "ev", "--resume", output, "--jobs", 0)
    assert refused.exit_code == 2
    assert f"cannot be resumed: {message}; name another output" in refused.stderr
    assert output.read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scan", "ev", "--resume"), "requires an argument"),
        (("scan", "ev", "--output", "a.csv", "--resume", "b.csv"), "--output names another file"),
        (("scan", "--output", "a.csv", "--resume", "ev"), "--output names another file"),
        (("scan", "ev", "--resume", "ev"), "name a .csv or a .jsonl"),
        (("scan", "ev", "--resume", "a.txt"), "name a .csv or a .jsonl"),
        (("scan", "ev", "--resume", "a.csv", "--format", "table"), "name a .csv or a .jsonl"),
        (("scan", "ev", "--resume", "no/a.csv"), "cannot be written: there is no folder"),
        (("scan", "ev", "--resume", ""), "the name of the output is empty"),
        (("scan", "ev", "--resume", "ev/0.png", "--format", "csv"), "is an image, a video or an input"),
        (("scan", "ev", "--known-by", "sha256"), "give both"),
        (("scan", "nowhere", "--resume", "a.csv"), "no such file or folder"),
        (("scan", "ev", "--shard", "0/2"), "I goes from 1 to N"),
        (("scan", "ev", "--shard", "3/2"), "I goes from 1 to N"),
        (("scan", "ev", "--shard", "1/1000001"), "N to 1000000"),
        (("scan", "ev", "--shard", "1"), "is not I/N"),
        (("scan", "ev", "--shard", "-1/2"), "is not I/N"),
        (("extract", "ev"), "name the output"),
        (("extract", "ev", "--resume", "a.npz"), "--resume goes on with a .csv"),
        (("extract", "ev", "ev", "--resume", "a.csv"), "is named twice"),
        (("merge", "a.csv", "--output", "b.csv"), "'a.csv': no such file"),
        (("merge", "ev/0.png", "--output", "b.csv"), "all end in .csv, or all in .jsonl"),
        (("merge", "empty.jsonl", "--output", "b.csv"), "all end in .csv, or all in .jsonl"),
        (("merge", "empty.jsonl", "--output", "b.jsonl"), "none of the 1 outputs has a row"),
        (("merge", "empty.jsonl", "--output", "empty.jsonl"), "is an image, a video or an input"),
        (("merge", "empty.jsonl", "--output", "b.jsonl", "-0"), "give both"),
    ],
)
def test_wrong_usage_writes_nothing(evidence: Path, run: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("empty.jsonl").touch()
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert sorted(os.listdir()) == ["empty.jsonl", "ev"]


def test_two_processes_do_not_write_one_output(evidence: Path, scan: Scan) -> None:
    whole = scan("out.jsonl")
    with resumed("out.jsonl", "jsonl", IMAGES, None) as held:
        scan("out.jsonl", status=2, says="'out.jsonl' is being written by another process")
        Path("other.jsonl").write_bytes(whole)
        os.replace("other.jsonl", "out.jsonl")  # as if the other had not yet renamed when this one opened it
        assert not held.is_new
    assert scan("out.jsonl") == whole


def test_a_lock_goes_along_with_the_file_that_replaces_the_first(evidence: Path, scan: Scan) -> None:
    whole = scan("out.jsonl")
    with pytest.raises(KeyError), resumed("out.jsonl", "jsonl", IMAGES, None) as held:
        inputs = [json.loads(line)["path"] for line in whole.splitlines()]
        (evidence / "0.png").write_bytes(b"changed")
        left = [found.path for _, found in held.remaining((FoundFile(Location(path)) for path in inputs), "size-mtime")]
        assert left == ["ev/0.png", "ev/2broken.png"]
        assert len(Path("out.jsonl").read_bytes().splitlines()) == 11
        scan("out.jsonl", status=2, says="is being written by another process")
        raise KeyError
    assert scan("out.jsonl") == scan("whole.jsonl", how="--output")


@given(st.lists(st.text('ab"\n\r,=\u00e4', max_size=6), min_size=1, max_size=6), st.data())
def test_any_cut_of_any_csv_leaves_the_rows_before_it(paths: list[str], data: st.DataObject) -> None:
    from spectral_detect.outputs.csv_text import cell_text, csv_line, spreadsheet_cell

    columns = len(IMAGE_COLUMNS)
    lines = [csv_line(["s", path, *"1" * (columns - 2)]).encode() for path in paths]
    header = csv_line(IMAGE_COLUMNS).encode()
    cut = data.draw(st.integers(len(header), len(header) + sum(map(len, lines))))
    name = f"/dev/shm/resume-{os.getpid()}.csv" if os.path.isdir("/dev/shm") else f"resume-{os.getpid()}.csv"
    try:
        Path(name).write_bytes((header + b"".join(lines))[:cut])
        with Output(name, "csv") as output:
            rows = list(output.rows())
    finally:
        os.unlink(name)
    ends = np.cumsum([len(header), *map(len, lines)])
    assert len(rows) == np.count_nonzero(ends[1:] <= cut)
    assert [row.path for row in rows] == [cell_text(spreadsheet_cell(path)) for path in paths[: len(rows)]]
    assert output.whole_end == ends[len(rows)]
    assert [row.end for row in rows] == list(ends[1 : len(rows) + 1])


# -------------------------------------------------------------------------------------------------------- the kill test


SLOWLY = """
import time
from spectral_detect.cli import main
from spectral_detect.outputs.writer import RecordStream
emit = RecordStream._emit
RecordStream._emit = lambda self, line: (emit(self, line), time.sleep(0.025))
main()
"""


def n_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize(("suffix", "jobs", "n_kills"), [(".jsonl", 0, 10), (".csv", 1, 4)])
def test_kills_at_random_points_leave_no_trace(
    evidence: Path, rng: np.random.Generator, run: Run, suffix: str, jobs: int, n_kills: int
) -> None:
    """SIGKILL, now after some more rows, now at any time; once a file changes in between."""
    for k in range(240):
        shutil.copy(evidence / f"{k % 5}.png", evidence / f"{k:03d}.png")
    output = Path(f"out{suffix}")
    chance = random.Random()
    command = ("ev", "--model", MODEL, "--jobs", jobs, "--resume", output)
    n_after = []
    for turn in range(n_kills):
        if turn == n_kills // 2:
            Image.fromarray(texture(rng, 72)).save(evidence / "001.png")
        arguments = [sys.executable, "-c", SLOWLY, "scan", *map(str, command)]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        before, more = n_lines(output), chance.randrange(2, 16)
        latest = time.monotonic() + (chance.uniform(0.1, 1.3) if turn % 2 else 30)
        while time.monotonic() < latest and (turn % 2 or abs(n_lines(output) - before) < more):
            time.sleep(0.001)
        process.kill()
        _, stderr = process.communicate()
        assert process.returncode == -signal.SIGKILL, stderr
        n_after.append(n_lines(output))
    assert 1 < n_after[0] <= max(n_after) < 250
    assert run("scan", *command).exit_code == 1
    whole = Path(f"whole{suffix}")
    assert run("scan", *command[:-2], "--output", whole).exit_code == 1
    assert Counter(output.read_bytes().splitlines()) == Counter(whole.read_bytes().splitlines())
    assert output.read_bytes() == whole.read_bytes()


# ---------------------------------------------------------------------------------------------------- extract and video


@pytest.mark.parametrize("features", ["azimuthal", "residual"])
def test_extract_goes_on(evidence: Path, run: Run, features: str) -> None:
    for name in ("0.png", "4.png"):
        Image.effect_noise((140, 130), 60).save(evidence / name)
    command = ("extract", "ev", "--features", features, "--jobs", 0)
    assert run(*command, "--output", "whole.csv").exit_code == 1
    whole = Path("whole.csv").read_bytes()
    ends = row_ends(whole, ".csv")
    for cut in (0, 10, ends[0], ends[1], ends[2], ends[2] + 9, ends[6], ends[7] - 1, ends[-2], ends[-1]):
        Path("out.csv").write_bytes(whole[:cut])
        result = run(*command, "--resume", "out.csv")
        assert result.exit_code == 1, result.output
        assert Path("out.csv").read_bytes() == whole, cut
    assert "12 rows kept, 1 file to do" in result.stderr or features == "residual"
    refused = run("extract", "ev", "--features", features, "--bins", 50, "--resume", "out.csv")
    assert refused.exit_code == 2
    assert "made from other features" in refused.stderr


@pytest.fixture
def clips(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Four folders of frames, one of them broken."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c", "d"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for k in range(3):
            Image.fromarray(texture(rng, 64)).save(tmp_path / "clips" / name / f"{k}.png")
    for k in range(3):
        (tmp_path / "clips" / "b" / f"{k}.png").write_bytes(b"text")
    yield tmp_path / "clips"


@pytest.mark.parametrize(("suffix", "frame_suffix"), [(".csv", ".csv"), (".jsonl", ".csv"), (".csv", ".jsonl")])
def test_video_goes_on_with_both_its_outputs(clips: Path, run: Run, suffix: str, frame_suffix: str) -> None:
    command = ("video", "clips", "--group-by", "parent", "--model", MODEL, "--jobs", 0)
    assert run(*command, "--output", f"whole{suffix}", "--per-frame", f"wholef{frame_suffix}").exit_code == 1
    whole, frames = Path(f"whole{suffix}").read_bytes(), Path(f"wholef{frame_suffix}").read_bytes()
    ends, frame_ends = row_ends(whole, suffix), row_ends(frames, frame_suffix)
    first, first_frame = int(suffix == ".csv"), int(frame_suffix == ".csv")
    output, per_frame = Path(f"out{suffix}"), Path(f"f{frame_suffix}")
    for n_videos, n_frames in ((0, 0), (0, 2), (1, 3), (1, 4), (2, 5), (4, 9), (1, 0), (4, 0)):
        output.write_bytes(whole[: ends[n_videos + first - 1] if n_videos + first else 0])
        cut = frame_ends[n_frames + first_frame - 1] + 1 if n_frames + first_frame else 0
        per_frame.write_bytes(frames[:cut])
        result = run(*command, "--resume", output, "--per-frame", per_frame)
        assert result.exit_code == 1, result.output
        assert output.read_bytes() == whole, (n_videos, n_frames)
        assert per_frame.read_bytes() == frames, (n_videos, n_frames)
    assert "3 rows kept" in run(*command, "--resume", output, "--per-frame", per_frame).stderr
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(clips / "a" / "1.png")
    run(*command, "--resume", output, "--per-frame", per_frame)
    run(*command, "--output", f"whole{suffix}", "--per-frame", f"wholef{frame_suffix}")
    assert output.read_bytes() == Path(f"whole{suffix}").read_bytes() != whole
    assert per_frame.read_bytes() == Path(f"wholef{frame_suffix}").read_bytes() != frames
    for other in (("--vote", "mean"), ("--frames", 2), ("--crop", "centre")):
        refused = run(*command, "--resume", output, *other)
        assert refused.exit_code == 2
        assert "cannot be resumed" in refused.stderr


# ---------------------------------------------------------------------------------------------------- shards, and merge


def test_a_shard_depends_on_the_path_alone() -> None:
    """Values that must never change: another machine, or another day, must cut the same parts."""
    assert path_hash("ev/0.png") == int.from_bytes(bytes.fromhex("26b639275365e0aa"), "little")
    paths = [f"folder/{k:05d}.jpg" for k in range(20_000)]
    counts = Counter(next(i for i in range(1, 9) if Shard(i, 8).holds(path)) for path in paths)
    assert sum(counts.values()) == 20_000
    assert all(abs(n - 2500) < 5 * 2500**0.5 for n in counts.values())
    assert all(Shard(1, 1).holds(path) for path in paths[:50])
    assert Shard.parse("7/1000000") == Shard(7, 1_000_000)


@pytest.mark.parametrize(("command", "suffix"), [("scan", ".csv"), ("scan", ".jsonl"), ("extract", ".csv")])
def test_shards_merge_into_what_one_run_writes(evidence: Path, run: Run, command: str, suffix: str) -> None:
    options = ("--jobs", 0) if command == "extract" else ("--jobs", 0, "--model", MODEL)
    assert run(command, "ev", *options, "--output", f"whole{suffix}").exit_code == 1
    n_shards = 30  # more than files: some are empty
    statuses = [
        run(command, "ev", *options, "--shard", f"{k}/{n_shards}", "--output", f"part{k}{suffix}").exit_code
        for k in range(1, n_shards + 1)
    ]
    assert Counter(statuses) == {0: n_shards - 1, 1: 1}
    for expect in ((), ("--expect", "ev")):
        result = run("merge", f"part*{suffix}", "--output", f"all{suffix}", *expect)
        has_failure_without_row = command == "extract" and expect
        has_failed_row = command == "scan"
        assert result.exit_code == bool(has_failure_without_row or has_failed_row), result.output
        assert Path(f"all{suffix}").read_bytes() == Path(f"whole{suffix}").read_bytes()
        noun = "13 images" if command == "scan" else "12 feature vectors of 12 files"
        assert result.stdout.startswith(f"30 outputs merged: {noun}")
        missing = "1 file missing:\n  ev/2broken.png\n" if has_failure_without_row else ""
        assert result.stderr == (missing if expect else f"{NOT_CHECKED}\n")


def test_an_empty_shard_is_no_error(evidence: Path, run: Run) -> None:
    empty = next(f"{k}/99" for k in range(1, 100) if not any(Shard(k, 99).holds(str(p)) for p in Path("ev").rglob("*")))
    for command, name, columns in (
        ("scan", "a.csv", IMAGE_COLUMNS),
        ("scan", "a.jsonl", ()),
        ("extract", "b.csv", FEATURE_COLUMNS),
        ("extract", "b.npz", ()),
    ):
        for _ in range(2 if name != "b.npz" else 1):  # and again
            how = "--output" if name == "b.npz" else "--resume"
            result = run(command, "ev", "--jobs", 0, "--shard", empty, how, name)
            assert (result.exit_code, result.stdout) == (0, "")
            assert re.fullmatch(rf"{name}: 0 images[:,] .*\b0 failed\n", result.stderr)
        if name != "b.npz":
            assert Path(name).read_text() == (",".join(columns) + "\n" if columns else "")
    with np.load("b.npz") as content:
        assert len(content["X"]) == len(content["paths"]) == 0
    listing = run("scan", "ev", "--jobs", 0, "--shard", empty)
    assert listing.exit_code == 0
    assert "0 images" in listing.stdout


def test_a_list_from_standard_input_goes_on(evidence: Path, run: Run) -> None:
    listing = b"\0".join(os.path.join(b"ev", name) for name in ODD_NAMES)
    command = ("scan", "--files-from", "-", "-0", "--jobs", 0, "--resume", "out.csv")
    assert run(*command, stdin=listing).exit_code == 0
    whole = Path("out.csv").read_bytes()
    Path("out.csv").write_bytes(whole[: row_ends(whole, ".csv")[2]])
    assert run(*command, stdin=listing).exit_code == 0
    assert Path("out.csv").read_bytes() == whole


def test_merge_names_what_is_missing_twice_or_unexpected(evidence: Path, scan: Scan, run: Run) -> None:
    whole = scan("whole.jsonl", how="--output")
    lines = whole.splitlines(keepends=True)
    Path("1.jsonl").write_bytes(b"".join(lines[:6]))
    Path("2.jsonl").write_bytes(b"".join(lines[4:9]))
    (evidence / "0.png").rename("0.png")
    result = run("merge", "1.jsonl", "2.jsonl", "--output", "all.jsonl", "--expect", "ev")
    assert result.exit_code == 1
    assert "2 files in more than one place (0 with other results):\n" in result.stderr
    assert "1 file not expected:\n  ev/0.png\n" in result.stderr
    assert "4 files missing:\n" in result.stderr
    written = Path("all.jsonl").read_bytes().splitlines(keepends=True)
    assert Counter(written) == Counter(lines[:9])
    assert json.loads(written[-1])["path"] == "ev/0.png"
    listing = "".join(f"ev/{k}.png\0" for k in range(100)).encode()
    many = run("merge", "1.jsonl", "-o", "all.jsonl", "--files-from", "-", "-0", stdin=listing)
    assert many.stderr.count("\n  ev/") == 1 + 20  # one is not expected
    assert "95 files missing:" in many.stderr
    assert "  ... and 75 more" in many.stderr


def test_of_two_rows_the_one_without_error_is_taken(evidence: Path, scan: Scan, run: Run) -> None:
    scan("before.jsonl", how="--output")
    Image.fromarray(np.eye(64, dtype=np.uint8) * 200).save(evidence / "2broken.png")
    after = scan("after.jsonl", how="--output", status=0)
    result = run("merge", "before.jsonl", "after.jsonl", "--output", "all.jsonl")
    assert result.exit_code == 0
    assert "(1 with other results)" in result.stderr
    assert Path("all.jsonl").read_bytes() == after


def test_merge_takes_all_tiles_of_a_file_from_the_output_that_has_them(evidence: Path, run: Run) -> None:
    """Extraction of a file that ended before its last tile, as a full disk may have left it."""
    (evidence / "2broken.png").unlink()
    assert run("extract", "ev", "--features", "residual", "--jobs", 0, "--output", "whole.csv").exit_code == 0
    whole = Path("whole.csv").read_bytes()
    rows = Output("whole.csv", "csv")
    with rows:
        first = [row.end for row in rows.rows() if row.path == "ev/0.png"]
    assert len(first) > 2
    Path("torn.csv").write_bytes(whole[: first[1]])
    merged = run("merge", "torn.csv", "whole.csv", "--output", "all.csv")
    assert Path("all.csv").read_bytes() == whole
    assert "(1 with other results)" in merged.output


def test_merge_gives_the_order_of_the_arguments(evidence: Path, run: Run) -> None:
    arguments = ("ev/sub.png", "ev/sub", "ev/1.png", "ev/0.png")
    options = ("--jobs", 0, "--model", MODEL)
    for k in (1, 2, 3):
        run("scan", *arguments, *options, "--shard", f"{k}/3", "--output", f"part{k}.csv")
    run("scan", *arguments, *options, "--output", "whole.csv")
    expected = [part for argument in arguments for part in ("--expect", argument)]
    assert run("merge", "part*.csv", "--output", "all.csv", *expected).exit_code == 0
    assert Path("all.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert run("merge", "part*.csv", "--output", "all.csv").exit_code == 0
    paths = [row["path"] for row in csv.DictReader(Path("all.csv").read_text().splitlines())]
    assert paths == ["ev/0.png", "ev/1.png", "ev/sub/a.png", "ev/sub.png"]


def test_merge_refuses_what_does_not_belong_together(evidence: Path, scan: Scan, run: Run, clips: Path) -> None:
    whole = scan("a.jsonl", how="--output")
    scan("b.jsonl", "--threshold", 0.9, how="--output")
    run("video", "clips/a", "--model", MODEL, "--jobs", 0, "--output", "v.jsonl", "--per-frame", "f.jsonl")
    Path("torn.jsonl").write_bytes(whole[:-5])
    Path("notes.jsonl").write_text("notes\n")
    for other, message in (
        ("b.jsonl", "'b.jsonl' and 'a.jsonl' differ in settings_sha256"),
        ("v.jsonl", "'v.jsonl' holds videos, and 'a.jsonl' does not"),
        ("torn.jsonl", "'torn.jsonl' ends in the middle of a row: resume the run that wrote it"),
        ("notes.jsonl", "no record"),
    ):
        result = run("merge", "a.jsonl", other, "--output", "all.jsonl")
        assert result.exit_code == 2
        assert message in result.stderr
        assert not [name for name in os.listdir() if name == "all.jsonl" or name.startswith(".")]
    assert run("merge", "v.jsonl", "--output", "all.jsonl", "--expect", "clips/a").exit_code == 0
    frames = run("merge", "f.jsonl", "--output", "all.jsonl")
    assert "1 output merged: 3 frames of 1 files" in frames.stdout
    assert Path("all.jsonl").read_bytes() == Path("f.jsonl").read_bytes()
    with Output("f.jsonl", "jsonl") as output:
        assert len(list(output.rows())) == 3
        assert output.kind is FRAMES is not FEATURES


def test_an_output_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    from spectral_detect.outputs.reader import copy_rows

    (tmp_path / "a").write_bytes(b"12345")
    with (
        open(tmp_path / "a", "rb") as source,
        open(tmp_path / "b", "wb") as target,
        pytest.raises(OutputError, match="became shorter"),
    ):
        copy_rows(source, target, [(0, 9)])


def test_merged_rows_of_one_video_keep_their_order(tmp_path: Path, run: Run) -> None:
    """Also those of frames that failed; of two outputs of one video, that with fewer failures is taken."""

    def write(name: str, video: str, failed: tuple[int, ...]) -> Path:
        rows = [
            FrameRecord(
                video, k, None, float(k), 0, None, 64, 64, *((None,) * 3 if k in failed else ("real", 0.1, None)),
                error="too small" if k in failed else None,
            )
            for k in range(4)
        ]  # fmt: skip
        path = tmp_path / name
        path.write_text(csv_line(FRAME_COLUMNS) + "".join(map(LINES["csv"], rows)))
        return path

    parts = [write("a.csv", "a.mp4", (1,)), write("b.csv", "b.mp4", (0, 2)), write("c.csv", "b.mp4", (3,))]
    assert run("merge", *parts, "--output", tmp_path / "all.csv").exit_code == 1  # some frames failed
    with (tmp_path / "all.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["path"], int(row["frame"])) for row in rows] == [(v, k) for v in ("a.mp4", "b.mp4") for k in range(4)]
    assert [k for k, row in enumerate(rows) if row["error"]] == [1, 7]


@pytest.mark.parametrize(("name", "value"), [("posterior", "0,1"), ("verdict", "\ud800"), ("sha256", "\ud800")])
def test_rows_with_values_that_nobody_can_use_are_refused(
    evidence: Path, scan: Scan, run: Run, name: str, value: str
) -> None:
    whole = scan("out.jsonl").splitlines(keepends=True)
    record = json.loads(whole[0]) | {name: value}
    Path("out.jsonl").write_bytes(f"{json.dumps(record)}\n".encode() + b"".join(whole[1:]))
    scan("out.jsonl", status=2, says="'out.jsonl': no record begins at byte 0, where one should")
    merged = run("merge", "out.jsonl", "--output", "all.jsonl")
    assert merged.exit_code == 2 and "no record begins at byte 0" in merged.stderr


def test_a_row_nested_without_end_is_refused(evidence: Path, scan: Scan, run: Run) -> None:
    whole = scan("out.jsonl").splitlines(keepends=True)
    deep = whole[0] + b"[" * 100_000 + b"\n"
    Path("out.jsonl").write_bytes(deep)
    scan("out.jsonl", status=2, says=f"'out.jsonl': no record begins at byte {len(whole[0])}")
    merged = run("merge", "out.jsonl", "--output", "all.jsonl")
    assert merged.exit_code == 2 and "no record begins at byte" in merged.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("score", float("nan")), ("log10_likelihood_ratio", "abc"), ("coding", {}), ("warnings", 5), ("warnings", [1])],
)
def test_a_report_of_kept_rows_with_other_values_is_refused(
    evidence: Path, scan: Scan, run: Run, name: str, value: object
) -> None:
    whole = scan("out.jsonl").splitlines(keepends=True)
    record = json.loads(whole[0]) | {name: value}
    changed = f"{json.dumps(record)}\n".encode() + b"".join(whole[1:])
    Path("out.jsonl").write_bytes(changed)
    result = scan("out.jsonl", "--report", "page.html", status=2, says="cannot be read back as records")
    assert result == changed and not Path("page.html").exists()
