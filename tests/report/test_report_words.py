"""The sentences of a report, and the short rows below them."""

from __future__ import annotations

import json
from math import log10

import pytest

from spectral_detect.records import IMAGE_COLUMNS, ImageRecord
from spectral_detect.report.html import row_table
from spectral_detect.report.html.row_table import RowTable, safe_json, utc
from spectral_detect.report.html.scan_page import IMAGE_ROWS
from spectral_detect.report.html.second_look import SecondLook
from spectral_detect.report.html.words import REASONS, reasons_of, support
from spectral_detect.scanning import doubts


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1, "no support for one over the other"),
        (1.99, "no support for one over the other"),
        (2, "weak support for generated"),
        (10, "moderate support for generated"),
        (99, "moderate support for generated"),
        (100, "moderately strong support for generated"),
        (1_000, "strong support for generated"),
        (10_000, "very strong support for generated"),
        (1_000_000, "extremely strong support for generated"),
        (1 / 2, "weak support for camera"),
        (1 / 150, "moderately strong support for camera"),
    ],
)
def test_ratios_have_the_words_of_the_scale(ratio: float, words: str) -> None:
    assert support(log10(ratio)) == words


def test_each_reason_that_the_judge_gives_has_a_next_step() -> None:
    texts = {
        "size": "outside the experience of the model m: 1200x1200 pixels (it judges a shorter side of 205 to 320)",
        "coding": "outside the experience of the model m: coded as WebP, quality 80 (seen: lossless)",
        "features": "outside the experience of the model m: features unlike those of its training images (1.45 times)",
        "face": "outside the experience of the model m: no large face found (95 % of its training images show one)",
        "outsider": "outside the experience of the model m: it looks like drawings",
        "transparent": doubts.TRANSPARENT,
        "nothing opaque": "no pixel is opaque: the stored colours count",
        "undecided": "the model m errs too often at scores between 0.339 and 0.847",
        "confidence": "fake with a probability of only 0.645",
        "delivery": "depends on delivery: real after jpeg 90 (0.1)",
        "chance": "the model m is no better than chance: cross-validated AUROC 50.0 %",
        "constant": "constant image: there is no spectrum",
    }
    found = {name: reasons_of("inconclusive", [text]) for name, text in texts.items()}
    assert all(len(numbers) == 1 for numbers in found.values())
    assert {k for numbers in found.values() for k in numbers} == set(range(len(REASONS)))
    assert reasons_of("inconclusive", ["something new"]) == [len(REASONS)]
    assert all(advice.title for advice in REASONS)
    assert reasons_of("real", [texts["size"]]) == []


def record(path: str, **values: object) -> dict[str, object]:
    plain = dict.fromkeys(IMAGE_COLUMNS) | {"path": path, "sha256": "0" * 64, "warnings": [], "verdict": "real"}
    return plain | values


def row(table: RowTable, values: dict[str, object], look: SecondLook | None = None) -> dict[str, object]:
    text = table.add(values, look or SecondLook("0" * 64))
    assert text is not None
    cells = dict(zip(IMAGE_ROWS.columns, json.loads(text), strict=True))
    names = list(table.words)
    return {name: names[cell] if name in row_table.CODED and cell is not None else cell for name, cell in cells.items()}


def test_a_row_holds_the_whole_record() -> None:
    values = record("a.png", score=0.25, model="photographs", width=3, mtime_ns=1_700_000_000_123_456_789)
    held = row(RowTable(IMAGE_ROWS), values)
    assert set(IMAGE_COLUMNS) <= set(held)
    assert (held["path"], held["score"], held["model"], held["width"]) == ("a.png", 0.25, "photographs", 3)
    assert held["mtime_ns"] == "2023-11-14T22:13:20.123456789Z"


def test_columns_of_a_record_are_those_of_a_row() -> None:
    assert IMAGE_ROWS.columns[: len(IMAGE_COLUMNS)] == ("schema", *ImageRecord.__dataclass_fields__)


def test_a_file_that_changed_is_told() -> None:
    table = RowTable(IMAGE_ROWS)
    held = row(table, record("a.png"), SecondLook("1" * 64))
    assert held["sha256_after"] == "1" * 64
    assert table.n_changed == 1
    assert table.changed[0].path == "a.png"
    assert row(table, record("b.png"))["sha256_after"] == "="
    assert table.n_changed == 1


def test_an_inconclusive_record_has_no_words_for_its_ratio() -> None:
    table = RowTable(IMAGE_ROWS)
    assert row(table, record("a.png", verdict="inconclusive", log10_likelihood_ratio=3.0))["support"] is None
    assert row(table, record("a.png", log10_likelihood_ratio=-1.5))["support"] == "moderate support for camera"


def test_a_judged_video_is_not_outside_because_of_single_frames() -> None:
    table = RowTable(IMAGE_ROWS)
    told = ["2 of 20 frames inconclusive, of the first of these: outside the experience of the model: size"]
    assert row(table, record("a.mp4", warnings=told))["is_inside"] is True
    assert row(table, record("b.mp4", verdict="inconclusive", warnings=told))["is_inside"] is False
    assert table.n_outside == 1


def test_a_full_table_still_lists_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_table, "MOST_ROWS", 2)
    table = RowTable(IMAGE_ROWS)
    listed = [table.add(record(f"{k}.png"), SecondLook("0" * 64)) is not None for k in range(4)]
    failed = record("bad.png", verdict=None, error="no image", sha256=None)
    assert listed == [True, True, False, False]
    assert table.add(failed, SecondLook(note="gone")) is not None
    assert (table.n_rows, table.n_listed, table.outcomes["failed"]) == (5, 3, 1)


def test_no_text_can_end_the_script_around_it() -> None:
    text = safe_json(["</script><script>alert(1)</script>", "<!--", "a&b", "\u2028", "\udce9"])
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text)[0] == "</script><script>alert(1)</script>"


def test_times_that_no_calendar_has_are_numbers() -> None:
    assert utc(10**30) == f"{10**30} ns"
