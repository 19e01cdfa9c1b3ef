"""Write records as CSV, JSON Lines, or a table for people. Each record leaves as whole lines, at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, Literal, TextIO

from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.outputs.table import Layout, Record
from spectral_detect.records import FrameRecord, ImageRecord, VideoRecord
from spectral_detect.text import counted, visible

StreamFormat = Literal["table", "csv", "jsonl"]

COLOURS = {"real": "green", "fake": "red", "inconclusive": "yellow", "failed": "magenta"}
CONTRADICTED = " !!"  # behind a verdict that its own file contradicts
Style = Callable[[str, str], str]  # (text, colour) -> text


class RecordStream(Generic[Record]):
    """Write records in one format, and count their outcomes.

    Parameters
    ----------
    stream : TextIO
        UTF-8 with `surrogateescape`; flushed after each record.
    stream_format : {"table", "csv", "jsonl"}
        How records are written.
    layout : Layout
        For the kind of records.
    style : callable, optional
        Colours a word of the table; none by default.
    earlier : Counter or None
        Outcomes of the records that are in the stream already; None if it is new and needs a header.
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
        self._n_contradicted = 0
        self._stream = stream
        self._style = style
        self._line = {"table": self._table_line, "csv": _csv_record, "jsonl": _json_record}[stream_format]
        if earlier is not None:
            return
        if stream_format == "csv":
            self._emit(csv_line(layout.kind.columns))
        elif stream_format == "table":
            self._emit(layout.head())

    def write(self, record: Record) -> None:
        """Write one record."""
        self.outcomes[_outcome(record)] += 1
        self._n_contradicted += self._layout.is_contradicted(record)
        self._emit(self._line(record))

    def summary(self, n_skipped: int = 0) -> str:
        """Count the records by outcome, in one line of text."""
        counts = ", ".join(f"{self.outcomes[name]} {name}" for name in ("real", "fake", "inconclusive", "failed"))
        skipped = f"; {counted(n_skipped, 'other file')} skipped" if n_skipped else ""
        contradicted = f"; {self._n_contradicted} contradicted by what the file itself says" * bool(
            self._n_contradicted
        )
        return f"{counted(sum(self.outcomes.values()), self._layout.kind.noun)}: {counts}{skipped}{contradicted}"

    def _emit(self, line: str) -> None:
        self._stream.write(line)
        self._stream.flush()

    def _table_line(self, record: Record) -> str:
        name = _outcome(record)
        notes = "; ".join(filter(None, (record.error, *record.warnings, self._layout.said(record))))
        note = f"  ({visible(notes)})" if notes else ""
        cells = self._layout.cells(record)
        is_contradicted = self._layout.is_contradicted(record)
        word = self._style(f"{name + CONTRADICTED * is_contradicted:<12}", COLOURS["fake" if is_contradicted else name])
        return f"{word}{cells}  {visible(record.path)}{note}\n"


def _outcome(record: ImageRecord | VideoRecord | FrameRecord) -> str:
    return record.verdict or "failed"


def _csv_record(record: Any) -> str:
    values = record.to_dict()
    return csv_line(list((values | {"warnings": "; ".join(record.warnings)}).values()))


def _json_record(record: Any) -> str:
    return json.dumps(record.to_dict()) + "\n"
