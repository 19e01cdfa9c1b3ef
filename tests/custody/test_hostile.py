"""Manifests come from anybody: none may crash the program, fill the memory or pass unnoticed."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import mutated

from conftest import EXAMPLES, Run
from spectral_detect.custody import manifest_reader
from spectral_detect.custody.chain import LONGEST_LINE, Chain, canonical, parsed
from spectral_detect.custody.differences import Difference
from spectral_detect.custody.places import Places
from spectral_detect.custody.verify import Checks, verify_manifest
from spectral_detect.errors import ManifestError, ModelFileError
from spectral_detect.parallel.work import Work

pytestmark = pytest.mark.usefixtures("in_this_process")

HASHES_ALONE = Checks(with_scores=False, work=Work(jobs=0))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The manifest of two images."""
    import click.testing

    from spectral_detect.cli import main

    output = tmp_path_factory.mktemp("sound") / "m.jsonl"
    images = [str(EXAMPLES / label / "Aqua.png") for label in ("real", "fake")]
    command = ["scan", *images, "--model", "world", "--jobs", "0", "--manifest", str(output)]
    assert click.testing.CliRunner().invoke(main, command).exit_code == 0
    return output.read_bytes()


def found_in(path: Path, checks: Checks = HASHES_ALONE) -> list[Difference]:
    found: list[Difference] = []
    verify_manifest(str(path), checks, found.append)
    return found


def chained(facts: Any, *records: Any) -> bytes:
    """A manifest with right hashes, as only somebody with a purpose would make."""
    chain = Chain()
    lines = [chain.line("head", facts), *(chain.line("file", record, kept=False) for record in records)]
    return b"".join([*lines, chain.line("end", {"count": len(records)})])


def test_damage_is_never_missed_and_breaks_nothing(sound: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "m.jsonl"
    path.write_bytes(sound)
    assert found_in(path) == []
    n_refused = n_found = 0
    for _ in range(400):
        content = mutated(sound, rng)
        path.write_bytes(content)
        try:
            found = found_in(path)
        except ManifestError as error:
            assert "line 1" in str(error) or "first line" in str(error)
            n_refused += 1
            continue
        assert found or content == sound
        assert all(d.line is not None for d in found if d.kind in ("chain", "changed", "missing", "result"))
        n_found += 1
    assert n_refused > 20
    assert n_found > 50


def test_any_byte_that_is_changed_is_found(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    ends = [k for k, byte in enumerate(sound) if byte == 10]
    for at in sorted({*range(0, len(sound), 37), *ends}):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 2]) + sound[at + 1 :])
        try:
            assert found_in(path), f"byte {at}"
        except ManifestError:
            assert at <= ends[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "first line is damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "no JSON"),
        (b"[" * 100_000 + b"\n", "no JSON"),
        (b"1" * 5000 + b"\n", "no JSON"),
        (b"NaN\n", "no JSON"),
        (b"{}\n", "no entry of a manifest"),
        (b"[]\n", "no entry of a manifest"),
        (b'{"kind":[]}\n', "no entry of a manifest"),
        (b'{"kind":"head","number":true}\n', "without its number"),
        (b"x" * (LONGEST_LINE + 2), "line 1: longer than any entry"),
    ],
    ids=range(10),
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, run: Run, content: bytes, words: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(content)
    result = run("verify", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert str(path) in result.stderr


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path, run: Run) -> None:
    for name, words in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        result = run("verify", name)
        assert result.exit_code == 2
        assert f"'{name}' cannot be read: {words}" in result.stderr


def test_a_manifest_of_another_format_is_refused(sound: bytes, tmp_path: Path, run: Run) -> None:
    (tmp_path / "m.jsonl").write_bytes(chained({"schema": "spectral-detect/manifest/2\x1b[31m"}))
    result = run("verify", tmp_path / "m.jsonl")
    assert result.exit_code == 2
    assert "spectral-detect/manifest/2\\x1b" in result.stderr


def test_a_long_line_in_the_middle_is_named(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    lines = sound.splitlines(keepends=True)
    path.write_bytes(lines[0] + b"[" * (LONGEST_LINE + 5) + b"\n" + lines[1])
    with pytest.raises(ManifestError, match="line 2: longer than any entry"):
        found_in(path)


def test_lines_that_are_no_entries_are_named_and_the_rest_is_checked(sound: bytes, tmp_path: Path) -> None:
    lines = sound.splitlines(keepends=True)
    for bad in (b"\n", b"[" * 50_000 + b"\n", b"\xff\xfe\n", b'{"kind":"file"}\n', b"1" * 5000 + b"\n", b"null\n"):
        (tmp_path / "m.jsonl").write_bytes(b"".join([lines[0], bad, *lines[2:]]))
        found = found_in(tmp_path / "m.jsonl")
        assert [(d.kind, d.line, d.entry) for d in found[:1]] == [("chain", 2, 1)], bad
        assert [(d.kind, d.line) for d in found[1:]] == [
            ("chain", 4),
            ("extra", None),
        ]  # the count; a file without entry


STRANGE: tuple[Any, ...] = (
    None, True, -1, 10**400, 1e308, "x", "\ud800", "\0", "/dev/zero", [], [[]], {}, {"a": {}}, "../" * 3000, "\x1b[2J",
)  # fmt: skip


def test_heads_with_strange_values_break_nothing(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    head, record = json.loads(sound.splitlines()[0])["run"], json.loads(sound.splitlines()[1])["record"]
    checks = Checks(work=Work(jobs=0))
    for name in [*head, "another"]:
        for value in STRANGE:
            path.write_bytes(chained(head | {name: value}, record))
            try:
                found = found_in(path, HASHES_ALONE)
            except ManifestError:
                assert name == "schema"
                continue
            if name not in ("inputs", "libraries", "platform", "limits", "tool_version", "command", "started"):
                assert [d for d in found if d.kind == "head"] or value in (True, None), (name, value)
    for rule in ("threshold", "min_confidence", "prevalence", "stability", "another"):
        for value in (*STRANGE, 0.0, 1.0, 0.5):
            settings = head["settings"] | {"rules": head["settings"]["rules"] | {rule: value}}
            path.write_bytes(chained(head | {"settings": settings}, record))
            assert found_in(path, checks) or value is None, (rule, value)


def test_records_with_strange_values_break_nothing(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    head, record = json.loads(sound.splitlines()[0])["run"], json.loads(sound.splitlines()[1])["record"]
    for name in ("path", "sha256", "size_bytes", "error"):
        for value in STRANGE:
            path.write_bytes(chained(head, record | {name: value}))
            found = found_in(path)
            assert found or name == "error", (name, value)
    path.write_bytes(
        chained(head, *(record | {"score": value, "warnings": value, "width": value} for value in STRANGE))
    )
    found = found_in(path, Checks(work=Work(jobs=0)))
    assert {d.entry for d in found if d.kind == "result"} == set(range(1, len(STRANGE) + 1))


def test_what_a_manifest_says_does_not_reach_the_terminal_raw(sound: bytes, tmp_path: Path, run: Run) -> None:
    head, record = json.loads(sound.splitlines()[0])["run"], json.loads(sound.splitlines()[1])["record"]
    evil = "\x1b[2Jgone\n0 differences"
    strange = record | {"path": evil, "error": evil}
    (tmp_path / "m.jsonl").write_bytes(chained(head | {"libraries": {evil: evil}}, strange, record | {"format": evil}))
    result = run("verify", tmp_path / "m.jsonl", "--jobs", 0)
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "0 differences" not in result.stdout.splitlines()


def test_a_manifest_cannot_raise_the_limits(sound: bytes, tmp_path: Path, run: Run) -> None:
    head, record = json.loads(sound.splitlines()[0])["run"], json.loads(sound.splitlines()[1])["record"]
    path = tmp_path / "m.jsonl"
    path.write_bytes(chained(head | {"limits": {"max_pixels": 10**12, "max_bytes": 10**15}}, record))
    result = run("verify", path, "--jobs", 0, "--max-pixels", 100)
    assert result.exit_code == 1
    assert "error: recorded null, now " in result.stdout
    assert "the run took larger images: --max-pixels 1000000000000" in result.stdout
    path.write_bytes(chained(head | {"limits": {"max_pixels": 0, "max_bytes": 0}}, record))
    assert run("verify", path, "--jobs", "0").exit_code in (0, 1)
    path.write_bytes(chained(head | {"limits": {"max_pixels": 100}}, record))
    assert "error: recorded null, now " in run("verify", path, "--jobs", 0).stdout


def test_no_path_leads_out_of_the_folder_that_is_named(sound: bytes, tmp_path: Path) -> None:
    root, outside = tmp_path / "copy", tmp_path / "secret.png"
    outside.write_bytes((EXAMPLES / "real" / "Aqua.png").read_bytes())
    (root / "in").mkdir(parents=True)
    (root / "in" / "a.png").write_bytes(outside.read_bytes())
    facts, record = (parsed(line)[name] for line, name in zip(sound.splitlines(), ("run", "record"), strict=False))
    out = ("../secret.png", "/../secret.png", "in/../../secret.png")
    path = tmp_path / "m.jsonl"
    path.write_bytes(
        chained(facts | {"inputs": ["..", "in"]}, *(record | {"path": name} for name in (*out, "in/../in/a.png")))
    )
    found = found_in(path, Checks(Places(str(root)), with_scores=False, work=Work(jobs=0)))
    assert [d.path for d in found if d.kind == "unchecked"] == list(out)
    assert not any("secret" in (d.path or "") for d in found if d.kind != "unchecked")


@pytest.mark.parametrize("pattern", ["g/" + "*/../" * 9 + "*", "g/" + "**/" * 12 + "*"])
def test_a_pattern_without_end_is_not_looked_for(sound: bytes, tmp_path: Path, pattern: str) -> None:
    for k in range(10):
        (tmp_path / "g" / str(k) / str(k)).mkdir(parents=True)
    facts = parsed(sound.splitlines()[0])["run"]
    path = tmp_path / "m.jsonl"
    path.write_bytes(chained(facts | {"inputs": [pattern]}))
    notes = verify_manifest(str(path), Checks(Places(str(tmp_path)), with_scores=False, work=Work(jobs=0)), print).notes
    assert notes == [f"other files are not looked for where the run named {pattern!r}"]


def test_a_model_that_cannot_be_read_is_named(sound: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_bytes(sound)
    with pytest.raises(ModelFileError, match=r"nowhere\.pkl"):
        found_in(tmp_path / "m.jsonl", Checks(models=["nowhere.pkl"], work=Work(jobs=0)))


def test_entries_are_read_as_they_are_compared(sound: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head, record = json.loads(sound.splitlines()[0])["run"], json.loads(sound.splitlines()[1])["record"]
    path = tmp_path / "m.jsonl"
    path.write_bytes(chained(head, *(record | {"path": f"gone/{k}"} for k in range(3000))))
    n_read = n_missing = 0
    ahead = []

    def counting(line: bytes) -> dict[str, Any]:
        nonlocal n_read
        n_read += 1
        return parsed(line)

    def report(difference: Difference) -> None:
        nonlocal n_missing
        n_missing += difference.kind == "missing"
        ahead.append(n_read - n_missing)

    monkeypatch.setattr(manifest_reader, "parsed", counting)
    tracemalloc.start()
    verified = verify_manifest(str(path), HASHES_ALONE, report)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (n_missing, verified.n_files) == (3000, 3000)
    assert max(ahead) < 10
    assert peak < path.stat().st_size


def test_canonical_form_refuses_what_json_has_no_word_for() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"score": float("nan")})
