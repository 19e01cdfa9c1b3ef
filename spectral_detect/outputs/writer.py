"""Streams of records: CSV, JSON Lines, and a table for people. Each record leaves as whole lines, at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TextIO, TypeVar

from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.records import FRAME_COLUMNS, IMAGE_COLUMNS, VIDEO_COLUMNS, FrameRecord, ImageRecord, VideoRecord
from spectral_detect.text import visible

StreamFormat = Literal["table", "csv", "jsonl"]
Record = TypeVar("Record", ImageRecord, VideoRecord, FrameRecord)

COLOURS = {"real": "green", "fake": "red", "inconclusive": "yellow", "failed": "magenta"}
Style = Callable[[str, str], str]  # (text, colour) -> text


@dataclass(frozen=True)
class Column(Generic[Record]):
    """Of a table: its title, how it is aligned (a format specification), and the text of a record."""

    title: str
    alignment: str
    text: Callable[[Record], str]


@dataclass(frozen=True)
class Layout(Generic[Record]):
    """How records of one kind are shown.

    Attributes
    ----------
    csv_columns : of CSV.
    table : what stands between the verdict and the path.
    noun : what a record is about.
    """

    csv_columns: tuple[str, ...]
    table: tuple[Column[Record], ...]
    noun: str

    def head(self) -> str:
        titles = "".join(f"  {c.title:{c.alignment}}" for c in self.table)
        return f"{'verdict':<12}{titles}  path\n"

    def cells(self, record: Record) -> str:
        return "".join(f"  {c.text(record):{c.alignment}}" for c in self.table)


def _three_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def image_layout(*, with_posterior: bool = False, with_model: bool = False) -> Layout[ImageRecord]:
    """Of still images; `with_model` where several may have judged."""
    table: list[Column[ImageRecord]] = [Column("score", ">6", lambda r: _three_digits(r.score))]
    if with_posterior:
        table.append(Column("P(fake)", ">7", lambda r: _three_digits(r.posterior)))
    if with_model:
        table.append(Column("model", "<11", lambda r: visible(r.model or "-")))
    return Layout(IMAGE_COLUMNS, tuple(table), "image")


def video_layout(*, with_posterior: bool = False, with_model: bool = False) -> Layout[VideoRecord]:
    """Of videos; `with_model` where several may have judged."""
    table: list[Column[VideoRecord]] = [
        Column("fake", ">5", lambda r: "-" if r.fake_fraction is None else f"{100 * r.fake_fraction:.0f} %"),
        Column("score", ">5", lambda r: _three_digits(r.mean_score)),
        Column("votes", ">7", lambda r: f"{r.n_judged}/{r.n_frames if r.n_faces is None else r.n_faces}"),
    ]
    if with_posterior:
        table.append(Column("P(fake)", ">7", lambda r: _three_digits(r.posterior)))
    if with_model:
        table.append(Column("model", "<11", lambda r: visible(r.model or "-")))
    return Layout(VIDEO_COLUMNS, tuple(table), "video")


FRAMES: Layout[FrameRecord] = Layout(FRAME_COLUMNS, (Column("score", ">6", lambda r: _three_digits(r.score)),), "frame")


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
    earlier : outcomes of the records that are in the stream already; None of a new one, which gets a header.
    """

    def __init__(
        self,
        stream: TextIO,
        stream_format: StreamFormat,
        layout: Layout[Record],
        style: Style = lambda text, colour: text,
        earlier: Counter[str] | None = None,
    ) -> None:
        self.outcomes: Counter[str] = Counter(earlier)
        self._layout: Layout[Record] = layout
        self._stream = stream
        self._style = style
        self._line = {"table": self._table_line, "csv": _csv_record, "jsonl": _json_record}[stream_format]
        if earlier is not None:
            return
        if stream_format == "csv":
            self._emit(csv_line(layout.csv_columns))
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
        return f"{self._style(f'{name:<12}', COLOURS[name])}{cells}  {visible(record.path)}{note}\n"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _csv_record(record: Any) -> str:
    values = record.to_dict()
    return csv_line(list((values | {"warnings": "; ".join(record.warnings)}).values()))


def _json_record(record: Any) -> str:
    return json.dumps(record.to_dict()) + "\n"
