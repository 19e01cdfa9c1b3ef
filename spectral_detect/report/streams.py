"""Streams of records: CSV, JSON Lines, and a table for people. Each record leaves as whole lines, at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TextIO, TypeVar

from spectral_detect.csvrows import csv_line
from spectral_detect.records import FRAME_COLUMNS, IMAGE_COLUMNS, VIDEO_COLUMNS, FrameRecord, ImageRecord, VideoRecord
from spectral_detect.report.text import visible

StreamFormat = Literal["table", "csv", "jsonl"]
Record = TypeVar("Record", ImageRecord, VideoRecord, FrameRecord)

COLOURS = {"real": "green", "fake": "red", "inconclusive": "yellow", "failed": "magenta"}
Style = Callable[[str, str], str]  # (text, colour) -> text


@dataclass(frozen=True)
class Layout(Generic[Record]):
    """How records of one kind are shown.

    Attributes
    ----------
    columns : of CSV.
    numbers : of the table, title -> the text of a record; the verdict stands before them, the path behind.
    noun : what a record is about.
    """

    columns: tuple[str, ...]
    numbers: dict[str, Callable[[Record], str]]
    noun: str

    def head(self) -> str:
        titles = "".join(f" {title:>{_width(title)}}" for title in self.numbers)
        return f"{'verdict':<13}{titles}  path\n"

    def cells(self, record: Record) -> str:
        return "".join(f" {text(record):>{_width(title)}}" for title, text in self.numbers.items())


def _width(title: str) -> int:
    return max(6, len(title) + (title == "P(fake)"))


def _three_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


IMAGES: Layout[ImageRecord] = Layout(IMAGE_COLUMNS, {"score": lambda r: _three_digits(r.score)}, "image")
IMAGES_WITH_POSTERIOR: Layout[ImageRecord] = Layout(
    IMAGE_COLUMNS, {**IMAGES.numbers, "P(fake)": lambda r: _three_digits(r.posterior)}, "image"
)
VIDEOS: Layout[VideoRecord] = Layout(
    VIDEO_COLUMNS,
    {
        "fake": lambda r: "-" if r.fake_fraction is None else f"{100 * r.fake_fraction:.0f} %",
        "score": lambda r: _three_digits(r.mean_score),
        "votes": lambda r: f"{r.n_judged}/{r.n_faces if r.n_faces is not None else r.n_frames}",
    },
    "video",
)
FRAMES: Layout[FrameRecord] = Layout(FRAME_COLUMNS, {"score": lambda r: _three_digits(r.score)}, "frame")


def outcome(record: ImageRecord | VideoRecord | FrameRecord) -> str:
    """The verdict, or `failed`."""
    return record.verdict or "failed"


class RecordStream(Generic[Record]):
    """Writes records in one format and counts their outcomes.

    Parameters
    ----------
    stream : text, UTF-8 with `surrogateescape`; flushed after each record.
    layout : for the kind of records.
    style : colours a word of the table; default none.
    """

    def __init__(
        self,
        stream: TextIO,
        stream_format: StreamFormat,
        layout: Layout[Record],
        style: Style = lambda text, colour: text,
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._layout: Layout[Record] = layout
        self._stream = stream
        self._style = style
        self._line = {"table": self._table_line, "csv": _csv_record, "jsonl": _json_record}[stream_format]
        if stream_format == "csv":
            self._emit(csv_line(layout.columns))
        elif stream_format == "table":
            self._emit(layout.head())

    def write(self, record: Record) -> None:
        """Write one record."""
        self.outcomes[outcome(record)] += 1
        self._emit(self._line(record))

    def summary(self, n_skipped: int = 0) -> str:
        """Records by outcome, in one line."""
        counts = ", ".join(f"{self.outcomes[name]} {name}" for name in ("real", "fake", "inconclusive", "failed"))
        skipped = f"; {n_skipped} other {_plural(n_skipped, 'file')} skipped" if n_skipped else ""
        n_records = sum(self.outcomes.values())
        return f"{n_records} {_plural(n_records, self._layout.noun)}: {counts}{skipped}"

    def _emit(self, line: str) -> None:
        self._stream.write(line)
        self._stream.flush()

    def _table_line(self, record: Record) -> str:
        name = outcome(record)
        notes = "; ".join(filter(None, (record.error, *record.warnings)))
        note = f"  ({visible(notes)})" if notes else ""
        cells = self._layout.cells(record)
        return f"{self._style(f'{name:<13}', COLOURS[name])}{cells}  {visible(record.path)}{note}\n"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _csv_record(record: Any) -> str:
    values = record.to_dict()
    return csv_line(list((values | {"warnings": "; ".join(record.warnings)}).values()))


def _json_record(record: Any) -> str:
    return json.dumps(record.to_dict()) + "\n"
