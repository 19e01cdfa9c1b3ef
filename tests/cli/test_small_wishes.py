"""What a person meets first: folders of videos, files of macOS, spreadsheets, alarms that are rather false."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from conftest import EXAMPLES, MODELS, Run

pytestmark = pytest.mark.usefixtures("in_this_process")

APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(60)
MODEL = ("--model", MODELS / "photographs.pkl", "--jobs", 0)


def test_a_folder_of_videos_is_for_video(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    (tmp_path / "b.MOV").write_bytes(b"film")
    result = run("scan", tmp_path, *MODEL)
    assert result.exit_code == 2
    assert "no image found; 2 videos skipped: judge them with `spectral-detect video`" in result.stderr
    (tmp_path / "notes.txt").write_text("text")
    named = "3 other files skipped: 1 .mov, 1 .mp4, 1 .txt (2 videos: for `spectral-detect video`)"
    assert named in run("scan", tmp_path, *MODEL).stderr


def test_skipped_videos_are_named_beside_images(run: Run, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"film")
    summary = run("scan", tmp_path, *MODEL).stdout.splitlines()[-1]
    assert summary.endswith("; 1 other file skipped: 1 .mp4 (1 video: for `spectral-detect video`)")


def test_skipped_files_are_named_by_their_kinds(run: Run, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path)
    for name in ("1.XYZ", "2.xyz", "3.xyz", "a.txt", "b.txt", "c.pdf", "none", "long.abcdefghijklm", "x.\x1bA"):
        (tmp_path / name).write_bytes(b"no image")
    summary = run("scan", tmp_path, *MODEL).stdout.splitlines()[-1]
    assert summary.endswith("; 9 other files skipped: 3 .xyz, 2 .txt, 1 .\\x1ba, 1 .pdf, 2 more")


def test_a_file_that_the_run_is_writing_is_not_counted(run: Run, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path)
    stream = f"{tmp_path / 'Aqua.png'}\n{tmp_path}\n".encode()
    result = run("scan", "--files-from", "-", *MODEL, "--jobs", 0, "--manifest", tmp_path / "m.jsonl", stdin=stream)
    assert "skipped" not in result.output and (tmp_path / "m.jsonl").exists()


def test_a_list_without_line_ends_is_no_list(run: Run) -> None:
    result = run("scan", "--files-from", "-", *MODEL, stdin=b"x" * 3_000_000)
    assert result.exit_code == 2 and "more than 1048576 bytes: is it a list of paths?" in result.stderr
    assert len(result.stderr) < 1000


def test_files_of_macos_are_skipped_and_counted(run: Run, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path)
    for name in ("._Aqua.png", "._IMG_1.JPG", "._clip.mp4"):
        (tmp_path / name).write_bytes(APPLE_DOUBLE)
    (tmp_path / "._empty.jpg").touch()
    result = run("scan", tmp_path, *MODEL)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith(
        "1 image: 1 real, 0 fake, 0 inconclusive, 0 failed; 4 other files skipped: 4 ._*"
    )
    (tmp_path / "Aqua.png").unlink()
    assert "no video found" in run("video", tmp_path, *MODEL).stderr


def test_an_image_that_is_named_like_one_of_macos_is_judged(run: Run, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path / "._Aqua.png")
    assert "1 image: 1 real" in run("scan", tmp_path, *MODEL).stdout


def test_a_named_file_of_macos_fails(run: Run, tmp_path: Path) -> None:
    (tmp_path / "._Aqua.png").write_bytes(APPLE_DOUBLE)
    assert run("scan", tmp_path / "._Aqua.png", *MODEL).exit_code == 1


def test_csv_with_a_byte_order_mark_is_resumed_and_merged(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path / "in" / "B\u00e4r.png")
    output, joined = tmp_path / "rows.csv", tmp_path / "joined.csv"
    options = ("scan", tmp_path / "in", *MODEL, "--csv-bom", "--resume", output)
    assert run(*options).exit_code == 0
    assert output.read_bytes().startswith(b"\xef\xbb\xbfschema,path")
    shutil.copy(EXAMPLES / "fake" / "Aqua.png", tmp_path / "in" / "C.png")
    resumed = run(*options)
    assert (resumed.exit_code, "1 row kept" in resumed.stderr) == (0, True)
    assert run("merge", output, "-o", joined).exit_code == 0
    for rows in (output, joined):
        assert rows.read_bytes().count(b"\xef\xbb\xbf") == 1
        with rows.open(encoding="utf-8-sig", newline="") as stream:
            assert [Path(row["path"]).name for row in csv.DictReader(stream)] == ["B\u00e4r.png", "C.png"]


def test_a_byte_order_mark_is_for_csv_alone(run: Run, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path)
    result = run("scan", tmp_path, *MODEL, "--csv-bom", "-o", tmp_path / "rows.jsonl")
    assert (result.exit_code, "--csv-bom goes with CSV" in result.stderr) == (2, True)
    assert not run("scan", tmp_path, *MODEL, "--format", "csv").stdout.startswith("\ufeff")


def test_a_verdict_that_the_prevalence_speaks_against_is_an_alarm(run: Run) -> None:
    image = EXAMPLES / "fake" / "Garden.png"
    shown = run("scan", image, *MODEL, "--prevalence", 0.01).stdout
    assert shown.splitlines()[1].split()[0] == "alarm"
    assert "with a probability of only 0.269 where 1 % are fake" in shown
    assert "1 fake, 0 inconclusive, 0 failed; 1 of the verdicts less probable than the opposite" in shown
    record = json.loads(run("scan", image, *MODEL, "--prevalence", 0.01, "--format", "jsonl").stdout)
    assert (record["verdict"], record["posterior"] < 0.5) == ("fake", True)
    assert run("scan", image, *MODEL, "--prevalence", 0.5).stdout.splitlines()[1].split()[0] == "fake"


def test_a_real_that_the_prevalence_speaks_against_is_no_alarm(run: Run) -> None:
    shown = run("scan", EXAMPLES / "real" / "Garden.png", *MODEL, "--prevalence", 0.9).stdout
    assert shown.splitlines()[1].startswith("no alarm ")


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "table.txt"])
def test_a_scan_into_a_file_ends_with_its_counts_in_a_log_too(run: Run, tmp_path: Path, name: str) -> None:
    result = run("scan", EXAMPLES, *MODEL, "--output", tmp_path / name)
    assert result.stdout == ""
    counts = "24 images: 12 real, 12 fake, 0 inconclusive, 0 failed; 2 other files skipped: 1 .csv, 1 .md"
    assert result.stderr == f"{tmp_path / name}: {counts}\n"
    assert ((tmp_path / name).read_text().count(counts) == 1) is name.endswith(".txt")
    if not name.endswith(".txt"):
        again = run("scan", EXAMPLES, *MODEL, "--resume", tmp_path / name)
        assert again.stderr.splitlines()[-1] == f"{tmp_path / name}: {counts}"


def test_rows_on_standard_output_are_not_counted_in_a_pipe(run: Run) -> None:
    assert run("scan", EXAMPLES / "real", *MODEL, "--format", "jsonl").stderr == ""
    assert run("provenance", EXAMPLES / "real" / "Aqua.png", "--jobs", 0, "--format", "csv").stderr == ""


def test_a_dash_as_the_output_is_standard_output(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = EXAMPLES / "real" / "Aqua.png"
    for command in (("scan", image, *MODEL), ("provenance", image, "--jobs", 0)):
        shown = run(*command, "--format", "jsonl", "--output", "-").stdout
        assert json.loads(shown)["path"] == str(image)
    assert list(tmp_path.iterdir()) == []


def test_other_commands_that_write_rows_end_with_their_counts(run: Run, tmp_path: Path) -> None:
    said, features, bad = (tmp_path / name for name in ("said.jsonl", "x.npz", "bad.png"))
    bad.write_bytes(b"no image")
    told = run("provenance", EXAMPLES / "real", "--jobs", 0, "--output", said)
    assert told.stderr.startswith(f"{said}: 12 files: 0 AI made or edited it")
    made = run("extract", EXAMPLES / "real", bad, "--jobs", 0, "--output", features)
    assert made.stderr.splitlines()[-1] == f"{features}: 12 images, 1 failed"
    none = run("extract", bad, "--jobs", 0, "--output", tmp_path / "none.npz")
    assert "none.npz" not in none.stderr and not (tmp_path / "none.npz").exists()


@pytest.mark.parametrize("command", ["compare", "evaluate"])
def test_two_models_are_told_how_they_are_compared(run: Run, command: str) -> None:
    result = run(command, MODELS / "photographs.pkl", MODELS / "small.pkl")
    said = " ".join(result.stderr.split())
    assert result.exit_code == 2 and "small.pkl)" in said
    assert "spectral-detect evaluate a.pkl --manifest test.csv --scores a.csv" in said
    assert "spectral-detect plot scores a.csv b.csv" in said
    assert "compare models" not in run(command, "--no-such").stderr


def test_options_that_would_say_nothing_are_refused(run: Run, tmp_path: Path) -> None:
    bins = run("extract", EXAMPLES / "real", "--features", "world", "--bins", 50, "-o", tmp_path / "a.csv")
    assert (bins.exit_code, "which --features world does not have" in bins.stderr) == (2, True)
    parts = (MODELS / "faces.pkl", MODELS / "photographs.pkl", "--real", EXAMPLES / "real", "--fake", EXAMPLES / "fake")
    fused = run("fuse", *parts, "--encoder", tmp_path / "none.onnx", "--output", tmp_path / "a.pkl")
    assert (fused.exit_code, fused.stderr) == (2, "Error: neither model needs an encoder; leave --encoder out\n")
