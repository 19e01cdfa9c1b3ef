"""The manifest of a run of `video`: each planted change is caught and named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import Run, texture
from spectral_detect.custody import comparison
from spectral_detect.custody.chain import Chain, canonical
from spectral_detect.custody.places import Places
from spectral_detect.detector.model_file import find_model
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.location import Location

av = pytest.importorskip("av", reason="PyAV writes the clips of these tests")

Entries = list[dict[str, Any]]
OPTIONS = ("--model", "world", "--jobs", 0)


def write_clip(path: Path, rng: np.random.Generator, n_frames: int = 4) -> None:
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "bgr0"
        for _ in range(n_frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(texture(rng), format="rgb24")))
        file.mux(stream.encode(None))


@pytest.fixture
def case(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clips and a damaged one in `clips`, and a folder `frames` of three images, in the present folder."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "frames").mkdir()
    for name in ("a", "b"):
        write_clip(tmp_path / "clips" / f"{name}.mkv", rng)
    (tmp_path / "clips" / "c.mkv").write_bytes(b"no video")
    for name in ("1", "2", "10"):
        Image.fromarray(texture(rng)).save(tmp_path / "frames" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recorded(case: Path, run: Run) -> Path:
    result = run("video", "clips", "frames", *OPTIONS, "--manifest", "m.jsonl")
    assert result.exit_code == 1, result.output
    return case


def entries_of(path: str = "m.jsonl") -> Entries:
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def write(entries: Entries) -> None:
    Path("m.jsonl").write_bytes(b"".join(canonical(entry) + b"\n" for entry in entries))


def chained_anew(entries: Entries) -> Entries:
    """What somebody would write who knows how the chain is made."""
    chain, anew = Chain(), []
    for entry in entries:
        others = {name: entry[name] for name in ("kept", "frames", "files") if name in entry}
        content = next(entry[name] for name in ("run", "record", "summary") if name in entry)
        anew.append(json.loads(chain.line(entry["kind"], content, **others)))
    return anew


def verified(run: Run, *options: object) -> tuple[int, Entries, dict[str, Any]]:
    result = run("verify", "m.jsonl", "--jobs", 0, "--format", "json", *options)
    told = json.loads(result.stdout)
    assert result.exit_code == (1 if told["found"] else 0), result.output
    return result.exit_code, told["found"], told["summary"]


def only(found: Entries) -> tuple[Any, ...]:
    assert len(found) == 1, found
    return tuple(found[0][name] for name in ("kind", "line", "entry", "path"))


# ------------------------------------------------------------------------------------------------------ what is written


def test_entries_hold_the_records_the_frames_and_the_hashes_of_files(recorded: Path, run: Run) -> None:
    rows = run("video", "clips", "frames", *OPTIONS, "--format", "jsonl", "--per-frame", "f.jsonl").stdout
    head, *videos, end = entries_of()
    assert [entry["record"] for entry in videos] == [json.loads(row) for row in rows.splitlines()]
    of_frames = [json.loads(line) for line in Path("f.jsonl").read_text().splitlines()]
    for entry in videos:
        own = [f for f in of_frames if f["path"] == entry["record"]["path"]]
        assert entry["frames"] == [[f["frame"], f["track"], f["verdict"], f["score"]] for f in own]
    assert (head["run"]["command"], head["run"]["settings"]["vote"]) == ("video", "majority")
    assert head["run"]["settings"]["frames"]["n_frames"] == 20
    written = json.dumps(head["run"]["settings"], sort_keys=True).encode()
    assert hashlib.sha256(written).hexdigest() == head["run"]["settings_sha256"]
    assert videos[0]["record"]["settings_sha256"] == head["run"]["settings_sha256"]
    assert videos[2]["record"]["sha256"] == hashlib.sha256(b"no video").hexdigest()
    names = ("1.png", "2.png", "10.png")
    hashes = [hashlib.sha256(Path("frames", name).read_bytes()).hexdigest() for name in names]
    assert videos[3]["files"] == [list(pair) for pair in zip(names, hashes, strict=True)]
    whole = b"".join(f"{name}\0{digest}\n".encode() for name, digest in videos[3]["files"])
    assert videos[3]["record"]["sha256"] == hashlib.sha256(whole).hexdigest()
    assert (end["summary"]["count"], end["summary"]["failed"]) == (4, 1)


def test_two_runs_differ_in_their_times_alone(case: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    made = []
    for jobs in (0, 1):
        run("video", "clips", "frames", "--model", "world", "--jobs", jobs, "--manifest", "m.jsonl")
        made.append(Path("m.jsonl").read_bytes())
    assert made[0] == made[1]


def test_a_resumed_run_records_the_rows_of_both(case: Path, run: Run) -> None:
    run("video", "clips", *OPTIONS, "--resume", "rows.jsonl")
    run("video", "clips", "frames", *OPTIONS, "--resume", "rows.jsonl", "--manifest", "m.jsonl")
    kept = {entry["record"]["path"]: (entry["kept"], "frames" in entry) for entry in entries_of()[1:-1]}
    assert kept == {
        "clips/a.mkv": (True, False),
        "clips/b.mkv": (True, False),
        "clips/c.mkv": (False, True),
        "frames": (False, True),
    }
    assert verified(run)[0] == 0


def test_a_manifest_is_no_other_output(case: Path, run: Run) -> None:
    for options in (["--output", "m.jsonl"], ["--per-frame", "m.jsonl"]):
        result = run("video", "clips", *OPTIONS, "--manifest", "m.jsonl", *options)
        assert (result.exit_code, "name the same file" in result.stderr) == (2, True)
    assert run("video", "clips", *OPTIONS, "--resume", "r.csv", "--manifest", "m.jsonl").exit_code == 2


# ------------------------------------------------------------------------------------------------------ planted changes


def test_nothing_changed_is_nothing_found(recorded: Path, run: Run) -> None:
    assert verified(run, "--no-scores")[0] == 0
    status, _, summary = verified(run)
    assert (status, summary["n_files"], summary["n_same"], summary["has_scores"]) == (0, 4, 4, True)


@pytest.mark.parametrize("options", [[], ["--no-scores"]])
@pytest.mark.parametrize(("name", "entry"), [("b.mkv", 2), ("c.mkv", 3)])
def test_a_changed_byte_of_a_video(recorded: Path, run: Run, name: str, entry: int, options: list[str]) -> None:
    path = recorded / "clips" / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    _, found, summary = verified(run, *options)
    assert only(found) == ("changed", entry + 1, entry, f"clips/{name}")
    assert hashlib.sha256(content).hexdigest() in found[0]["text"]
    assert summary["n_same"] == 3


@pytest.mark.parametrize("options", [[], ["--no-scores"]])
def test_frames_of_a_folder_are_named(recorded: Path, run: Run, options: list[str]) -> None:
    with open("frames/2.png", "ab") as stream:
        stream.write(b"x")
    os.rename("frames/1.png", "frames/3.png")
    _, found, _ = verified(run, *options)
    assert {(d["kind"], d["entry"], d["path"]) for d in found} == {("changed", 4, "frames")}
    assert [d["text"].partition(":")[0] for d in found] == [
        "the frame 1.png is not there",
        "the frame 2.png",
        "the frame 3.png was not recorded",
    ]


def test_videos_that_went_or_came(recorded: Path, run: Run) -> None:
    os.rename("clips/a.mkv", "clips/d.mkv")
    _, found, _ = verified(run)
    assert [(d["kind"], d["entry"], d["path"]) for d in found] == [
        ("missing", 1, "clips/a.mkv"),
        ("extra", None, "clips/d.mkv"),
    ]


def test_one_score_of_a_frame(recorded: Path, run: Run) -> None:
    entries = entries_of()
    entries[2]["frames"][1][3] = np.nextafter(entries[2]["frames"][1][3], 1)
    write(entries)
    _, found, _ = verified(run)
    assert [(d["kind"], d["entry"]) for d in found] == [("chain", 2), ("result", 2)]
    assert found[1]["text"].startswith("frame 1: score: recorded ")
    write(chained_anew(entries))
    assert only(verified(run)[1]) == ("result", 3, 2, "clips/b.mkv")
    assert verified(run, "--no-scores")[0] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frames: frames.pop(1), "frame 1: not recorded, and now judged"),
        (lambda frames: frames.append([9, 0, "real", 0.5]), "frame 9: recorded, and now not judged"),
        (lambda frames: frames.append(frames[0]), "a frame is recorded twice"),
        (lambda frames: frames[0].__setitem__(2, "fake"), 'frame 0: verdict: recorded "fake", now "inconclusive"'),
    ],
)
def test_votes_that_were_changed(recorded: Path, run: Run, change: Any, words: str) -> None:
    entries = entries_of()
    change(entries[1]["frames"])
    write(chained_anew(entries))
    _, found, _ = verified(run)
    assert (only(found)[0], found[0]["text"]) == ("result", words)


@pytest.mark.parametrize("column", ["verdict", "mean_score", "n_judged", "vote", "warnings", "provenance"])
def test_each_column_of_a_result_counts(recorded: Path, run: Run, column: str) -> None:
    entries = entries_of()
    entries[1]["record"][column] = "other"
    write(chained_anew(entries))
    _, found, _ = verified(run)
    found = [each for each in found if each["kind"] != "chain"]  # the counts of verdicts, if it was one
    assert only(found) == ("result", 2, 1, "clips/a.mkv")
    assert found[0]["text"].startswith(f"{column}: recorded ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entries: entries.pop(2), "was removed"),
        (lambda entries: entries.insert(1, entries.pop(2)), "was moved"),
        (lambda entries: entries.insert(2, dict(entries[1])), "an entry was added"),
        (lambda entries: entries.pop(), "the end was cut off"),
    ],
)
def test_entries_that_were_removed_moved_or_added(recorded: Path, run: Run, change: Any, words: str) -> None:
    entries = entries_of()
    change(entries)
    write(entries)
    found = verified(run, "--no-scores")[1]
    assert any(words in d["text"] for d in found if d["kind"] == "chain"), found


def test_a_changed_byte_of_the_model(case: Path, run: Run) -> None:
    model = case / "own.pkl"
    shutil.copy(find_model("world"), model)
    run("video", "clips", "--model", model, "--jobs", 0, "--manifest", "m.jsonl")
    assert verified(run, "--model", model)[0] == 0
    content = bytearray(model.read_bytes())
    content[-10] ^= 1
    model.write_bytes(content)
    _, found, summary = verified(run, "--model", model)
    assert (only(found)[0], summary["has_scores"]) == ("model", False)
    assert hashlib.sha256(content).hexdigest() in found[0]["text"]


def test_changed_settings(recorded: Path, run: Run) -> None:
    entries = entries_of()
    entries[0]["run"]["settings"]["vote"] = "mean"
    write(chained_anew(entries))
    assert "the settings do not fit their hash: one of them was changed" in [d["text"] for d in verified(run)[1]]


@pytest.mark.parametrize(
    ("name", "change"),
    [("vote", "loudest"), ("frames", {}), ("frames", {"n_frames": "many"}), ("frames", {"n_frames": 0})],
)
def test_settings_that_no_option_gives(recorded: Path, run: Run, name: str, change: Any) -> None:
    entries = entries_of()
    settings = entries[0]["run"]["settings"]
    settings[name] = settings[name] | change if change and name == "frames" else change
    write(chained_anew(entries))
    assert any("cannot be computed again" in d["text"] for d in verified(run)[1])


OF_ANOTHER_KIND = ({"frames": 3}, {"frames": [[1, 2]]}, {"files": [["a", 1]]}, {"frames": [["a"] * 4]})


@pytest.mark.parametrize("members", OF_ANOTHER_KIND)
def test_members_of_another_kind_are_no_record(recorded: Path, run: Run, members: dict[str, Any]) -> None:
    entries = entries_of()
    entries[1] |= members
    write(chained_anew(entries))
    assert any("holds no record" in d["text"] for d in verified(run, "--no-scores")[1])


def test_many_differences_are_counted(recorded: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MOST_TOLD", 2)
    entries = entries_of()
    for frame in entries[1]["frames"]:
        frame[3] = 0.5
    write(chained_anew(entries))
    assert [d["text"].partition(":")[0] for d in verified(run)[1]] == [
        "frame 0",
        "frame 1",
        "and 2 more differences of frames",
    ]


@pytest.mark.parametrize(
    "options",
    [["--vote", "mean"], ["--all"], ["--every", "0.2"], ["--crop", "centre"], ["--prevalence", "0.1", "--stability"]],
)
def test_results_are_repeated_with_the_settings_of_the_run(case: Path, run: Run, options: list[str]) -> None:
    run("video", "clips", *OPTIONS, "--manifest", "m.jsonl", *options)
    status, found, summary = verified(run)
    assert (status, found, summary["has_scores"]) == (0, [], True)


# --------------------------------------------------------------------------------------------------------------- places


def test_folders_of_frames_in_a_tree_and_below_a_root(case: Path, run: Run, rng: np.random.Generator) -> None:
    (case / "tree" / "one").mkdir(parents=True)
    shutil.copytree("frames", "tree/two")
    shutil.copy("frames/1.png", "tree/one/1.png")
    write_clip(case / "tree" / "two" / "clip.mkv", rng)
    run("video", "tree", "--group-by", "parent", *OPTIONS, "--manifest", "m.jsonl")
    head, *videos, _ = entries_of()
    assert head["run"]["group_by"] == "parent"
    assert [entry["record"]["path"] for entry in videos] == ["tree/one", "tree/two", "tree/two/clip.mkv"]
    assert verified(run)[0] == 0
    shutil.move("tree", "copy/tree")
    assert verified(run, "--root", "copy")[0] == 0
    (case / "copy" / "tree" / "three").mkdir()
    shutil.copy("frames/1.png", "copy/tree/three")
    shutil.copy("frames/2.png", "copy/tree/one")
    found = verified(run, "--root", "copy")[1]
    assert [(d["kind"], d["path"]) for d in found] == [("changed", "tree/one"), ("extra", "tree/three")]
    assert found[0]["text"].startswith("the frame 2.png was not recorded")


def test_a_folder_that_cannot_be_listed_is_the_same_error_again(monkeypatch: pytest.MonkeyPatch) -> None:
    places, problem = Places(None), "the folder cannot be listed: Permission denied"
    monkeypatch.setattr(Places, "of", lambda self, path: FoundFile(Location(path), problem))
    assert places.video_of("locked", None).problem == places.video_of("locked", "parent").problem == problem
