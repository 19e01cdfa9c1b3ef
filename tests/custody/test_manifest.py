"""The manifest of a run: what is written, and that each planted change is caught and named."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, MODELS, Run, texture
from spectral_detect import __version__, load_model
from spectral_detect.atomic_write import time_of_writing
from spectral_detect.custody.chain import Chain, canonical, hash_of
from spectral_detect.custody.manifest_writer import ManifestWriter
from spectral_detect.custody.run import Run as RunFacts
from spectral_detect.detector.model_file import find_model
from spectral_detect.errors import OutputError

Entries = list[dict[str, Any]]


@pytest.fixture
def case(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `evidence` of four images, one of them damaged, in the present folder."""
    (tmp_path / "evidence").mkdir()
    for name in ("a", "b", "d"):
        Image.fromarray(texture(rng, 160)).save(tmp_path / "evidence" / f"{name}.png")
    (tmp_path / "evidence" / "c.png").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recorded(case: Path, run: Run) -> Path:
    result = run("scan", "evidence", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    assert result.exit_code == 1, result.output
    return case


def entries_of(path: Path | str) -> Entries:
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def write(entries: Entries, path: str = "m.jsonl") -> None:
    Path(path).write_bytes(b"".join(canonical(entry) + b"\n" for entry in entries))


def chained_anew(entries: Entries) -> Entries:
    """What somebody would write who knows how the chain is made."""
    chain, anew = Chain(), []
    for entry in entries:
        others = {name: entry[name] for name in entry if name == "kept"}
        content = next(entry[name] for name in ("run", "record", "summary") if name in entry)
        anew.append(json.loads(chain.line(entry["kind"], content, **others)))
    return anew


def verified(run: Run, *options: object) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
    """Exit status, differences and summary."""
    result = run("verify", "m.jsonl", "--jobs", 0, "--format", "json", *options)
    told = json.loads(result.stdout)
    assert result.exit_code == (1 if told["found"] else 0), result.output
    assert told["summary"]["n_differences"] == len(told["found"])
    return result.exit_code, told["found"], told["summary"]


def only(found: list[dict[str, Any]]) -> tuple[Any, ...]:
    """Kind, line, entry and path of the one difference."""
    assert len(found) == 1, found
    return tuple(found[0][name] for name in ("kind", "line", "entry", "path"))


# ------------------------------------------------------------------------------------------------------ what is written


def test_entries_are_the_rows_of_json_lines_between_a_head_and_an_end(recorded: Path, run: Run) -> None:
    rows = run("scan", "evidence", "--model", "world", "--jobs", 0, "--format", "jsonl").stdout
    head, *files, end = entries_of("m.jsonl")
    assert [entry["record"] for entry in files] == [json.loads(row) for row in rows.splitlines()]
    assert [entry["number"] for entry in (head, *files, end)] == list(range(6))
    assert files[2]["record"]["error"]
    assert (head["kind"], end["kind"], {entry["kind"] for entry in files}) == ("head", "end", {"file"})
    facts = head["run"]
    assert (facts["schema"], facts["tool_version"]) == ("spectral-detect/manifest/1", __version__)
    assert (facts["command"], facts["inputs"]) == ("scan", ["evidence"])
    assert facts["models"] == [{"name": "world", "sha256": load_model("world").sha256}]
    assert {"python", "numpy", "pillow"} <= set(facts["libraries"])
    written = json.dumps(facts["settings"], sort_keys=True).encode()
    assert hashlib.sha256(written).hexdigest() == facts["settings_sha256"] == files[0]["record"]["settings_sha256"]
    assert (end["summary"]["count"], end["summary"]["failed"]) == (4, 1)


def test_each_line_is_the_canonical_form_of_its_entry_and_begins_with_its_hash(recorded: Path) -> None:
    for line in (recorded / "m.jsonl").read_bytes().splitlines():
        entry = json.loads(line)
        assert canonical(entry) == line
        start = b'{"hash":"' + entry["hash"].encode() + b'",'
        assert line.startswith(start)
        assert hashlib.sha256(b"{" + line.removeprefix(start)).hexdigest() == entry["hash"]


def test_the_final_hash_stands_on_stderr(case: Path, run: Run) -> None:
    result = run("scan", "evidence/a.png", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    assert f"m.jsonl: 1 file, final hash {entries_of('m.jsonl')[-1]['hash']}\n" in result.stderr
    assert "final hash" not in result.stdout


def test_two_runs_differ_in_their_times_alone(case: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def manifest(jobs: int, epoch: str | None) -> bytes:
        if epoch is not None:
            monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        run("scan", "evidence", "--model", "world", "--jobs", jobs, "--manifest", "m.jsonl")
        return Path("m.jsonl").read_bytes()

    first, second = (list(map(json.loads, manifest(0, None).splitlines())) for _ in range(2))
    for entry in (*first, *second):
        entry.get("run", {}).pop("started", None)
        entry.get("summary", {}).pop("ended", None)
        del entry["hash"], entry["previous"]
    assert first == second
    assert manifest(0, "1000000000") == manifest(1, "1000000000")
    assert entries_of("m.jsonl")[0]["run"]["started"] == "2001-09-09T01:46:40Z"


def test_a_time_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("yesterday", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(OutputError, match="SOURCE_DATE_EPOCH="):
            time_of_writing()


def test_a_name_that_is_not_utf8_is_recorded_and_verified(case: Path, run: Run) -> None:
    os.rename(b"evidence/a.png", b"evidence/\xff.png")
    run("scan", "evidence", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    assert entries_of("m.jsonl")[-2]["record"]["path"] == "evidence/\udcff.png"
    assert verified(run)[0] == 0
    os.remove(b"evidence/\xff.png")
    assert only(verified(run)[1])[0] == "missing"


def test_a_file_may_be_called_like_a_parameter(case: Path, run: Run) -> None:
    os.rename("evidence/a.png", "evidence/`model`.png")
    run("scan", "evidence", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    os.remove("evidence/`model`.png")
    assert only(verified(run)[1])[3] == "evidence/`model`.png"


class Sink:
    """A stream that counts and keeps nothing."""

    def __init__(self) -> None:
        self.n_bytes = 0

    def write(self, content: bytes) -> int:
        self.n_bytes += len(content)
        return len(content)


def test_a_writer_keeps_no_entry(recorded: Path) -> None:
    facts = {name: value for name, value in entries_of("m.jsonl")[0]["run"].items() if name != "schema"}
    stream = Sink()
    writer = ManifestWriter(stream, RunFacts(**facts))  # type: ignore[arg-type]
    sizes = []
    for _ in range(3):
        for _ in range(1000):
            writer.add({"path": "x" * 100})
        state = {name: value for name, value in vars(writer).items() if name != "_stream"}
        sizes.append(len(pickle.dumps(state)))
    assert max(sizes) - min(sizes) < 16
    assert writer.n_files == 3000
    assert stream.n_bytes > 3000 * 300


def test_a_failed_scan_leaves_no_manifest_and_an_old_one_as_it_was(
    case: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case / "m.jsonl").write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spectral_detect.outputs.writer.RecordStream.summary", fail)
    result = run("scan", "evidence", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    assert result.exit_code != 0
    assert (case / "m.jsonl").read_text() == "old"
    assert sorted(path.name for path in case.iterdir()) == ["evidence", "m.jsonl"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--output", "same.jsonl", "--manifest", "same.jsonl"], "name the same file"),
        (["--manifest", "evidence/a.png"], "would be overwritten"),
        (["--manifest", "nowhere/m.jsonl"], "there is no folder"),
        (["--resume", "rows.csv", "--manifest", "m.jsonl"], ".jsonl"),
    ],
)
def test_a_manifest_that_cannot_be_written_is_refused_before_anything_is_done(
    case: Path, run: Run, options: list[str], words: str
) -> None:
    result = run("scan", "evidence", "--model", "world", "--jobs", 0, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert [path.name for path in case.iterdir()] == ["evidence"]


# ------------------------------------------------------------------------------------------------------------- resuming


def test_the_manifest_of_a_resumed_scan_covers_the_rows_of_both_runs(case: Path, run: Run) -> None:
    options = ("--model", "world", "--jobs", 0, "--resume", "rows.jsonl")
    run("scan", "evidence/b.png", *options)
    result = run("scan", "evidence", *options, "--manifest", "m.jsonl")
    _, *files, end = entries_of("m.jsonl")
    rows = [json.loads(row) for row in (case / "rows.jsonl").read_text().splitlines()]
    assert [entry["record"] for entry in files] == rows
    assert [(entry["record"]["path"][-5], entry["kept"]) for entry in files] == [
        ("a", False), ("b", True), ("c", False), ("d", False),
    ]  # fmt: skip
    assert end["summary"]["count"] == 4
    assert end["hash"] in result.stderr
    assert verified(run)[0] == 0


def test_a_resumed_scan_that_begins_its_output_records_it(case: Path, run: Run) -> None:
    run("scan", "evidence", "--model", "world", "--jobs", 0, "--resume", "rows.jsonl", "--manifest", "m.jsonl")
    assert [entry["kept"] for entry in entries_of("m.jsonl")[1:-1]] == [False] * 4
    assert verified(run)[0] == 0


def test_a_kept_row_that_was_changed_in_between_is_found_by_verifying(case: Path, run: Run) -> None:
    options = ("--model", "world", "--jobs", 0, "--resume", "rows.jsonl")
    run("scan", "evidence", *options)
    rows = [json.loads(row) for row in (case / "rows.jsonl").read_text().splitlines()]
    rows[0]["verdict"] = "fake" if rows[0]["verdict"] == "real" else "real"
    (case / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("scan", "evidence", *options, "--manifest", "m.jsonl")
    _, found, _ = verified(run)
    assert only(found) == ("result", 2, 1, "evidence/a.png")
    assert found[0]["text"].startswith("verdict: recorded ")


# ------------------------------------------------------------------------------------------------------ planted changes


def test_nothing_changed_is_nothing_found(recorded: Path, run: Run) -> None:
    assert verified(run, "--no-scores")[0] == 0
    status, _, summary = verified(run, "--final-hash", entries_of("m.jsonl")[-1]["hash"].upper())
    assert status == 0
    assert (summary["n_files"], summary["n_same"], summary["has_scores"]) == (4, 4, True)
    result = run("verify", "m.jsonl", "--jobs", 1)
    assert result.exit_code == 0
    *counts, recorded_run, final_hash = result.stdout.splitlines()
    assert counts == ["4 files (hashes and scores): 4 as recorded", "0 differences"]
    assert re.fullmatch(r"recorded: scan of 'evidence' by world \([0-9a-f]{16}\.{3}\), begun 20.*Z", recorded_run)
    assert final_hash == f"final hash {entries_of('m.jsonl')[-1]['hash']}"
    assert result.stderr == ""


@pytest.mark.parametrize("options", [[], ["--no-scores"]])
def test_a_changed_byte_of_an_image(recorded: Path, run: Run, options: list[str]) -> None:
    content = bytearray((recorded / "evidence" / "b.png").read_bytes())
    content[-20] ^= 1
    (recorded / "evidence" / "b.png").write_bytes(content)
    _, found, summary = verified(run, *options)
    assert only(found) == ("changed", 3, 2, "evidence/b.png")
    assert hashlib.sha256(content).hexdigest() in found[0]["text"]
    assert summary["n_same"] == 3
    text = run("verify", "m.jsonl", "--jobs", 0, *options).stdout.splitlines()
    assert text[0].startswith("changed    entry 2 (line 3) evidence/b.png: SHA-256 recorded ")
    assert text[-3] == "1 difference: 1 changed"


@pytest.mark.parametrize("options", [[], ["--no-scores"]])
def test_files_that_went_came_or_were_mended(recorded: Path, run: Run, options: list[str]) -> None:
    os.rename("evidence/a.png", "evidence/e.png")
    shutil.copy("evidence/d.png", "evidence/c.png")
    _, found, _ = verified(run, *options)
    assert [(d["kind"], d["entry"], d["path"]) for d in found] == [
        ("missing", 1, "evidence/a.png"),
        ("changed", 3, "evidence/c.png"),
        ("extra", None, "evidence/e.png"),
    ]


def test_a_file_that_cannot_be_read_any_more(recorded: Path, run: Run) -> None:
    os.remove("evidence/a.png")
    os.mkdir("evidence/a.png")
    _, found, _ = verified(run)
    assert only(found) == ("changed", 2, 1, "evidence/a.png")
    assert "was read by the scan, and now: not a regular file" in found[0]["text"]


def test_a_file_that_was_missing_when_it_was_scanned_may_be_missing_still(case: Path, run: Run) -> None:
    os.symlink("gone.png", "evidence/z.png")
    run("scan", "evidence", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    assert verified(run)[0] == verified(run, "--no-scores")[0] == 0
    shutil.copy("evidence/a.png", "evidence/gone.png")
    found = verified(run)[1]
    assert [(d["kind"], d["path"]) for d in found] == [("changed", "evidence/z.png"), ("extra", "evidence/gone.png")]


def test_a_changed_result(recorded: Path, run: Run) -> None:
    entries = entries_of("m.jsonl")
    entries[1]["record"]["score"] = np.nextafter(entries[1]["record"]["score"], 1)
    write(entries)
    _, found, _ = verified(run)
    assert [(d["kind"], d["entry"]) for d in found] == [("chain", 1), ("result", 1)]
    assert "does not fit its hash" in found[0]["text"]
    assert only(verified(run, "--no-scores")[1]) == ("chain", 2, 1, "evidence/a.png")
    write(chained_anew(entries))  # the chain holds again: the score is found, and the final hash is another
    final = recorded_final = entries[-1]["hash"]
    _, found, _ = verified(run, "--final-hash", recorded_final)
    assert [d["kind"] for d in found] == ["result", "chain"]
    assert found[0]["text"].startswith("score: recorded ")
    assert f"not {final}" in found[1]["text"]


@pytest.mark.parametrize("column", ["verdict", "warnings", "error", "width", "settings_sha256"])
def test_each_column_of_a_result_counts(recorded: Path, run: Run, column: str) -> None:
    entries = entries_of("m.jsonl")
    entries[3]["record"][column] = "other"
    write(chained_anew(entries))
    _, found, _ = verified(run)
    assert only(found) == ("result", 4, 3, "evidence/c.png")
    assert found[0]["text"].startswith(f'{column}: recorded "other", now ')


def test_a_column_that_was_added_or_taken_away(recorded: Path, run: Run) -> None:
    entries = entries_of("m.jsonl")
    entries[1]["record"]["opinion"] = 1
    del entries[2]["record"]["verdict"]
    write(chained_anew(entries))
    texts = [d["text"] for d in verified(run)[1]]
    assert texts[0] == "opinion: recorded 1, now nothing"
    assert texts[1].startswith("verdict: recorded nothing, now ")


def _hash_anew(entries: Entries, k: int) -> Entries:
    return [*entries[:k], entries[k] | {"hash": hash_of(entries[k])}, *entries[k + 1 :]]


def _replaced(entries: Entries) -> Entries:
    entries[2]["record"]["size_bytes"] += 1
    return _hash_anew(entries, 2)


def _moved(entries: Entries) -> Entries:
    return [*entries[:2], entries[3], entries[2], *entries[4:]]


def _copied(entries: Entries) -> Entries:
    return [*entries[:3], entries[2], *entries[3:]]


CHANGES: dict[str, tuple[Callable[[Entries], Entries], tuple[int, int | None], str]] = {
    "removed": (lambda e: [*e[:2], *e[3:]], (3, 2), "the entry is missing: it was removed"),
    "two removed": (lambda e: [*e[:2], *e[4:]], (3, 2), "the entries 2 to 3 are missing"),
    "first removed": (lambda e: [e[0], *e[2:]], (2, 1), "the entry is missing"),
    "moved": (_moved, (4, 2), "it was moved"),
    "copied": (_copied, (4, 2), "an entry was added"),
    "replaced with a hash of its own": (_replaced, (4, 3), "does not follow from the entry before"),
    "closing entry removed": (lambda e: e[:-1], (5, None), "the closing entry is missing"),
    "head removed": (lambda e: e[1:], (1, 1), "no head"),
    "head twice": (lambda e: [e[0], *e], (2, 0), "a head, which can only stand first"),
    "head changed": (lambda e: [e[0] | {"run": e[0]["run"] | {"command": "x"}}, *e[1:]], (1, 0), "its hash"),
    "end changed": (lambda e: [*e[:-1], e[-1] | {"summary": e[-1]["summary"] | {"real": 9}}], (6, 5), "its hash"),
    "hash changed": (lambda e: [*e[:3], e[3] | {"hash": "0" * 64}, *e[4:]], (4, 3), "its hash"),
    "behind the end": (lambda e: [*e, e[1]], (7, 1), "an entry after the closing one"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_chain_is_named(recorded: Path, run: Run, name: str) -> None:
    change, place, words = CHANGES[name]
    write(change(entries_of("m.jsonl")))
    found = [d for d in verified(run, "--no-scores")[1] if d["kind"] == "chain"]
    told = [d for d in found if (d["line"], d["entry"]) == place and words in d["text"]]
    assert told, found


@pytest.mark.parametrize("name", ["removed", "moved", "copied", "first removed"])
def test_one_change_is_told_once(recorded: Path, run: Run, name: str) -> None:
    write(CHANGES[name][0](entries_of("m.jsonl")))
    found = [d for d in verified(run, "--no-scores")[1] if d["kind"] == "chain" and "it counts" not in d["text"]]
    assert len(found) == 1, found


def test_an_entry_that_is_removed_and_all_chained_anew_leaves_a_file_too_many(recorded: Path, run: Run) -> None:
    entries = entries_of("m.jsonl")
    summary, removed = entries[-1]["summary"], entries[2]["record"]
    summary["count"] = 3
    summary["failed" if removed["error"] else removed["verdict"]] -= 1
    write(chained_anew([*entries[:2], *entries[3:]]))
    assert only(verified(run)[1]) == ("extra", None, None, "evidence/b.png")


def test_counts_of_verdicts_that_are_not_those_of_the_entries(recorded: Path, run: Run) -> None:
    entries = entries_of("m.jsonl")
    summary = entries[-1]["summary"]
    summary["real"], summary["fake"] = summary["real"] + 1, summary["fake"] - 1
    write(chained_anew(entries))
    found = verified(run, "--no-scores")[1]
    assert [(each["kind"], each["entry"]) for each in found] == [("chain", len(entries) - 1)] * 2
    assert found[0]["text"] == f"it counts {summary['real']} real, and the entries {summary['real'] - 1}"


def test_what_was_run_is_told_and_options_that_say_nothing_are_refused(recorded: Path, run: Run) -> None:
    assert "recorded: scan of 'evidence' by world (" in run("verify", "m.jsonl", "--no-scores").stdout
    for option in ("--model", "--encoder"):
        refused = run("verify", "m.jsonl", "--no-scores", option, "nothing.onnx")
        assert (refused.exit_code, "--no-scores leaves out" in refused.stderr) == (2, True)


def test_bytes_that_mean_the_same_are_a_change(recorded: Path, run: Run) -> None:
    lines = Path("m.jsonl").read_bytes().splitlines(keepends=True)
    for other in (
        lines[2].replace(b'"kept":false', b'"kept": false'),
        lines[2].replace(b'"kept":', b'"kept":1,"kept":'),
    ):
        Path("m.jsonl").write_bytes(b"".join([*lines[:2], other, *lines[3:]]))
        _, found, _ = verified(run, "--no-scores")
        assert only(found) == ("chain", 3, 2, "evidence/b.png")
        assert "not in canonical form" in found[0]["text"]
    Path("m.jsonl").write_bytes(b"".join(lines)[:-1])
    assert only(verified(run, "--no-scores")[1])[:3] == ("chain", 6, 5)


def test_changed_settings(recorded: Path, run: Run) -> None:
    entries = entries_of("m.jsonl")
    entries[0]["run"]["settings"]["rules"]["threshold"] = 0.0
    write(chained_anew(entries))
    found = verified(run)[1]
    assert ("head", 0, "the settings do not fit their hash: one of them was changed") in [
        (d["kind"], d["entry"], d["text"]) for d in found
    ]
    assert {d["kind"] for d in found} == {"head", "result"}


# ----------------------------------------------------------------------------------------------------- models, settings


def test_a_model_is_known_by_its_hash(case: Path, run: Run) -> None:
    shutil.copy(find_model("world"), "mine.pkl")
    run("scan", "evidence", "--model", "mine.pkl", "--jobs", 0, "--manifest", "m.jsonl")
    assert verified(run)[0] == 0  # the shipped one has that hash
    shutil.copy("mine.pkl", "renamed.pkl")
    assert verified(run, "--model", MODELS / "small.pkl", "--model", "renamed.pkl")[0] == 0
    _, found, summary = verified(run, "--model", MODELS / "small.pkl")
    assert only(found) == ("model", 1, 0, None)
    assert load_model(MODELS / "small.pkl").sha256 in found[0]["text"]
    assert not summary["has_scores"]


def test_a_changed_byte_of_the_model(case: Path, run: Run) -> None:
    content = bytearray(find_model("world").read_bytes())
    content[-200] ^= 1
    run("scan", "evidence", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    (case / "changed.pkl").write_bytes(content)
    _, found, _ = verified(run, "--model", "changed.pkl")
    assert only(found)[0] == "model"
    assert hashlib.sha256(content).hexdigest() in found[0]["text"]
    assert load_model("world").sha256 in found[0]["text"]


def test_a_model_that_is_not_shipped_has_to_be_named(recorded: Path, run: Run) -> None:
    entries = entries_of("m.jsonl")
    entries[0]["run"]["models"][0]["sha256"] = entries[0]["run"]["settings"]["models"][0] = "1" * 64
    write(chained_anew(entries))
    result = run("verify", "m.jsonl", "--jobs", 0)
    assert result.exit_code == 1
    assert (
        f"which no shipped model has; the shipped one has {load_model('world').sha256}; name its file: --model"
        in result.stdout
    )
    assert run("verify", "m.jsonl", "--model", "nowhere.pkl").exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--threshold", "0.25"],
        ["--stability"],
        ["--provenance", "full"],
        ["--provenance", "none"],
        ["--prevalence", "0.1"],
    ],
)
def test_scores_are_repeated_with_the_settings_of_the_run(case: Path, run: Run, options: list[str]) -> None:
    scanned = run("scan", "evidence", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl", *options)
    assert scanned.exit_code == 1, scanned.output
    status, found, summary = verified(run)
    assert (status, found, summary["has_scores"]) == (0, [], True)


def test_elsewhere_numbers_may_differ_in_the_last_digits_and_that_is_said(recorded: Path, run: Run) -> None:
    entries = entries_of("m.jsonl")
    entries[0]["run"]["libraries"]["numpy"] = "1.0"
    entries[1]["record"]["score"] += 1e-12
    write(chained_anew(entries))
    status, _, summary = verified(run)
    assert (status, summary["n_close"]) == (0, 1)
    assert 0 < summary["largest"] < 1e-9
    assert "numpy 1.0, here " in summary["notes"][0]
    entries[1]["record"]["score"] += 1e-6
    write(chained_anew(entries))
    assert only(verified(run)[1])[0] == "result"


# --------------------------------------------------------------------------------------------------------------- places


def test_files_are_looked_for_below_a_root(recorded: Path, run: Run) -> None:
    shutil.copytree("evidence", "copy [1]/evidence")
    shutil.move("evidence", "away")
    assert [d["kind"] for d in verified(run)[1]] == ["missing"] * 4
    assert verified(run, "--root", "copy [1]")[0] == 0
    shutil.copy("away/a.png", "copy [1]/evidence/x.png")
    assert only(verified(run, "--root", "copy [1]/")[1]) == ("extra", None, None, "evidence/x.png")


def test_where_most_files_are_missing_the_root_is_hinted_at(
    recorded: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recorded / "elsewhere").mkdir()
    monkeypatch.chdir(recorded / "elsewhere")
    for options, words in (((), "or name that folder"), (("--root", "."), "stands for the folder where the scan ran")):
        result = run("verify", "../m.jsonl", "--no-scores", "--jobs", 0, *options)
        assert result.exit_code == 1 and result.stdout.count("missing  ") == 4
        (note,) = (line for line in result.stdout.splitlines() if line.startswith("note: "))
        assert words in note and "--root" in note and "`" not in note
    assert run("verify", "../m.jsonl", "--no-scores", "--jobs", 0, "--root", "..").exit_code == 0
    monkeypatch.chdir(recorded)
    os.remove("evidence/a.png")
    assert "--root" not in run("verify", "m.jsonl", "--no-scores", "--jobs", 0).stdout


def test_absolute_paths_and_patterns_are_looked_for_below_a_root(case: Path, run: Run) -> None:
    whole = case / "evidence"
    run("scan", whole, "evi*/[ab].png", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    assert len(entries_of("m.jsonl")) == 8
    root = case / "root"
    shutil.copytree(whole, root / str(whole).lstrip("/"))
    shutil.copytree(whole, root / "evidence")
    shutil.rmtree(whole)
    assert verified(run, "--root", root)[0] == 0
    shutil.copy(root / "evidence" / "a.png", root / str(whole).lstrip("/") / "new.png")
    assert only(verified(run, "--root", root)[1]) == ("extra", None, None, f"{whole}/new.png")


def test_a_shard_misses_no_file_of_another(case: Path, run: Run) -> None:
    run("scan", "evidence", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl", "--shard", "1/2")
    assert 0 < len(entries_of("m.jsonl")) - 2 < 4
    assert verified(run)[0] == 0


def test_a_list_of_paths(case: Path, run: Run) -> None:
    (case / "list").write_text("evidence/a.png\nevidence/gone.png\n")
    run("scan", "--files-from", "list", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
    status, _, summary = verified(run)
    assert (status, summary["n_files"]) == (0, 2)
    assert "a list of paths" in summary["notes"][0]
    os.remove("evidence/a.png")
    assert only(verified(run)[1]) == ("missing", 2, 1, "evidence/a.png")


def test_urls_are_recorded_without_credentials_and_read_only_if_asked_for(case: Path, run: Run) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/a.png", (case / "evidence" / "a.png").read_bytes())
    try:
        scanned = run("scan", "memory://bucket/a.png", "--model", "world", "--jobs", 0, "--manifest", "m.jsonl")
        assert scanned.exit_code == 0, scanned.output
        record = entries_of("m.jsonl")[1]["record"]
        assert record["sha256"] == hashlib.sha256((case / "evidence" / "a.png").read_bytes()).hexdigest()
        assert verified(run, "--remote")[0] == 0
        _, found, _ = verified(run)
        assert only(found) == ("unchecked", 2, 1, "memory://bucket/a.png")
        assert "`" not in run("verify", "m.jsonl").stdout
        store.pipe("/bucket/a.png", (case / "evidence" / "b.png").read_bytes())
        assert only(verified(run, "--remote")[1])[0] == "changed"
        store.rm("/bucket/a.png")
        assert only(verified(run, "--remote")[1])[0] == "missing"
    finally:
        if store.exists("/bucket"):
            store.rm("/bucket", recursive=True)


def test_the_examples_verify_in_worker_processes(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("scan", EXAMPLES, "--model", "world", "--jobs", 2, "--manifest", "m.jsonl")
    result: click.testing.Result = run("verify", "m.jsonl", "--jobs", 2)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "24 files (hashes and scores): 24 as recorded")
