"""What people and programs read: safe texts, whole lines, the same facts in each format."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_detect import ImageRecord
from spectral_detect.outputs.csv_text import cell_text, csv_line, spreadsheet_cell
from spectral_detect.outputs.rows import RowFormat
from spectral_detect.outputs.table import image_layout
from spectral_detect.outputs.writer import SAYS_LITTLE, RecordStream, ready_row
from spectral_detect.records import IMAGE_COLUMNS
from spectral_detect.text import printable, visible

HOSTILE = ["a\nb", "\x1b[31mred", "\x07", "a\u202egnp.exe", os.fsdecode(b"\xff\xfe.png"), "back\\slash", "\x9b1m"]


def record(path: str = "a.png", **changes: object) -> ImageRecord:
    facts: dict[str, object] = {
        "sha256": "0" * 64, "size_bytes": 9, "mtime_ns": 1, "width": 4, "height": 3, "format": "PNG",
        "verdict": "fake", "label": 1, "score": 0.75, "threshold": 0.5, "model": "m", "model_sha256": "1" * 64,
        "spec_sha256": "2" * 64, "settings_sha256": "3" * 64, "tool_version": "0",
    }  # fmt: skip
    return ImageRecord(path, **(facts | changes))


def written(stream_format: str, *records: ImageRecord) -> str:
    stream = io.StringIO()
    out = RecordStream(stream, stream_format, image_layout())
    for r in records:
        out.write(r)
    return stream.getvalue()


@given(st.text())
def test_visible_text_is_printable_and_loses_nothing(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert len(shown) >= len(text)
    assert printable(text).isprintable()
    assert visible(text) != visible(text + "\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_escapes_can_be_read_back(text: str) -> None:
    assert visible(text).isascii()
    assert visible(text).encode("ascii").decode("unicode_escape") == text


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("holiday (2).jpg", "Größe.png", "写真.webp", "a'b\"c"):
        assert visible(name) == name


@pytest.mark.parametrize("text", ["'", "'=a.jpg", "=a.jpg", "''=a.jpg", "'plain", "plain"])
def test_two_names_never_become_one_cell(text: str) -> None:
    """An apostrophe is put before a formula, and so before an apostrophe too: what is read back is the name."""
    assert cell_text(spreadsheet_cell(text)) == text


@given(st.text("'=+-@a \t"))
def test_a_text_is_read_back_from_its_cell(text: str) -> None:
    assert cell_text(spreadsheet_cell(text)) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "\n=cmd|x"])
def test_no_cell_starts_a_formula(text: str) -> None:
    assert spreadsheet_cell(text) == f"'{text}"
    (row,) = csv.reader(io.StringIO(csv_line([text]), newline=""))
    assert row[0][0] == "'"


@given(st.text(st.characters(exclude_characters="\x00")) | st.text("\r\n\t,'\"=a"))
def test_any_text_survives_csv(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_line([text, "end"]), newline=""))
    assert row[0] in (text, f"'{text}")


@pytest.mark.parametrize("path", HOSTILE)
def test_json_lines_hold_one_record_a_line_in_ascii(path: str) -> None:
    text = written("jsonl", record(path), record(path, warnings=("a", "b")))
    assert text.isascii()
    lines = text.splitlines()
    assert len(lines) == 2
    values = json.loads(lines[1])
    assert tuple(values) == IMAGE_COLUMNS
    assert values["path"] == path
    assert values["warnings"] == ["a", "b"]
    assert os.fsencode(values["path"]) == os.fsencode(path)


def test_csv_has_the_same_columns() -> None:
    failed = record("=b", verdict=None, label=None, score=None, error="broken", warnings=("x", "y"))
    header, good, bad = csv.reader(io.StringIO(written("csv", record(), failed), newline=""))
    assert tuple(header) == IMAGE_COLUMNS
    assert dict(zip(header, good, strict=True))["score"] == "0.75"
    values = dict(zip(header, bad, strict=True))
    assert (values["path"], values["score"], values["warnings"], values["error"]) == ("'=b", "", "x; y", "broken")


@pytest.mark.parametrize("path", HOSTILE)
def test_the_table_is_one_safe_line_a_record(path: str) -> None:
    text = written("table", record(path, warnings=("odd\x1b[0m",)))
    assert text.isascii()
    assert len(text.splitlines()) == 2
    assert "\x1b" not in text
    assert r"(odd\x1b[0m)" in text


def test_a_row_says_the_shared_reason_beside_other_notes() -> None:
    stream = io.StringIO()
    out = RecordStream(stream, "table", image_layout(told_below="errs too often"))
    out.write(record(verdict="inconclusive", warnings=("errs too often",)))
    out.write(record(verdict="inconclusive", warnings=("errs too often", "a training image")))
    first, second = stream.getvalue().splitlines()[1:]
    assert "errs" not in first and second.endswith("(errs too often; a training image)")
    assert out.told_below == "in brackets, unless the row says why: errs too often\n"


def test_a_note_of_many_rows_is_short_there_and_whole_below() -> None:
    stream = io.StringIO()
    out = RecordStream(stream, "table", image_layout(told_below="errs", in_short={"known: no test": "known"}))
    out.write(record(warnings=()))
    assert out.told_below == ""
    for warnings in (("known: no test",), ("known: no test", "gray")):
        out.write(record(warnings=warnings))
    assert [line.split("  ")[-1] for line in stream.getvalue().splitlines()[2:]] == ["(known)", "(known; gray)"]
    assert out.told_below == "known: no test\n"


def test_a_verdict_that_says_little_is_shown_as_weak() -> None:
    def row(**values: Any) -> str:
        return written("table", record(label=None, **values)).splitlines()[1]

    for ratio, is_said in ((0.3, True), (-0.3, True), (0.31, False), (-2.0, False), (None, False)):
        assert row(verdict="fake", log10_likelihood_ratio=ratio).endswith(f"({SAYS_LITTLE})") == is_said
    assert SAYS_LITTLE not in row(verdict="inconclusive", log10_likelihood_ratio=0.0)
    alarm = row(verdict="fake", log10_likelihood_ratio=0.1, posterior=0.2)
    assert alarm.startswith("alarm") and SAYS_LITTLE not in alarm
    said = row(verdict="fake", log10_likelihood_ratio=-0.1, warnings=("called fake, with a probability of only 0.4",))
    assert SAYS_LITTLE not in said


@pytest.mark.parametrize("cell", ["a;=1+1", "a\t=1+1", "a;b"])
def test_cells_with_another_separator_are_quoted(cell: str) -> None:
    line = csv_line(["x", cell])
    assert line == f'x,"{cell}"\n'
    assert next(csv.reader([line])) == ["x", cell]


def test_the_summary_counts_outcomes() -> None:
    out = RecordStream(io.StringIO(), "table", image_layout())
    for verdict in ("fake", "real", "real", "inconclusive", None):
        out.write(record(verdict=verdict))
    assert out.summary() == "5 images: 2 real, 1 fake, 1 inconclusive, 1 failed"
    nothing = RecordStream(io.StringIO(), "table", image_layout()).summary()
    assert nothing == "0 images: 0 real, 0 fake, 0 inconclusive, 0 failed"
    assert out.summary("; 1 other file skipped").endswith("1 failed; 1 other file skipped")


@pytest.mark.parametrize("row_format", ["csv", "jsonl"])
def test_a_row_that_a_worker_made_is_written_and_counted_as_its_record(row_format: RowFormat) -> None:
    records = [
        record(HOSTILE[4]),
        record("b.png", verdict=None, label=None, error="no image"),
        record("c.png", verdict="real", label=0, posterior=0.75, says_generated="yes", warnings=("=1", "two")),
    ]
    ready_stream, stream = io.StringIO(), io.StringIO()
    ready = RecordStream(ready_stream, row_format, image_layout())
    out = RecordStream(stream, row_format, image_layout())
    for r in records:
        ready.write_ready(pickle.loads(pickle.dumps(ready_row(r, row_format))))
        out.write(r)
    assert ready_stream.getvalue() == stream.getvalue()
    assert ready.summary() == out.summary()
    assert (
        "1 real, 1 fake, 0 inconclusive, 1 failed; made by AI as the file itself says: 1, of which called real: 1"
        in ready.summary()
    )
