"""Write records as CSV, JSON Lines, or a table for people. Each record leaves as whole lines, at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, NamedTuple, TextIO

from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.outputs.rows import CLAIMED, CONTRADICTED, IMPROBABLE, RowFormat
from spectral_detect.outputs.table import Layout, Record
from spectral_detect.records import FrameRecord, ImageRecord, VideoRecord, is_improbable, is_weak
from spectral_detect.text import counted, visible

StreamFormat = Literal["table", "csv", "jsonl"]

COLOURS = {"real": "green", "fake": "red", "inconclusive": "yellow", "failed": "magenta"}
ALARMS = {"fake": "alarm", "real": "no alarm"}  # for a verdict whose opposite is more probable at the prevalence
SAID_ALREADY = "with a probability of only"
SAYS_LITTLE = "weak: such a score is nearly as frequent in the other class"  # of a verdict
CONTRADICTED_MARK = " !!"  # behind a verdict that its own file contradicts
Style = Callable[[str, str], str]  # (text, colour) -> text


class ReadyRow(NamedTuple):
    """The row of a record, made where the record was, and what its stream counts.

    Attributes
    ----------
    line : str
        With its line end.
    outcome : str
        The verdict, or "failed".
    says_generated, is_contradicted, is_alarm : bool
        Whether the record's own file says that AI made it; whether that contradicts the verdict; and whether the
        opposite is more probable.
    """

    line: str
    outcome: str
    says_generated: bool
    is_contradicted: bool
    is_alarm: bool


def ready_row(record: ImageRecord, row_format: RowFormat) -> ReadyRow:
    """Return the row of a record as a `RecordStream` writes it."""
    line = LINES[row_format](record)
    return ReadyRow(line, _outcome(record), _says_generated(record), record.is_contradicted, _is_alarm(record))


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
    noted : Counter, optional
        What else the summary counts of these records; see `rows.notes_of`.
    has_bom : bool
        Whether new CSV begins with a byte order mark, by which Excel knows UTF-8.
    """

    def __init__(
        self,
        stream: TextIO,
        stream_format: StreamFormat,
        layout: Layout[Record],
        style: Style = lambda text, colour: text,
        earlier: Counter[str] | None = None,
        *,
        noted: Mapping[str, int] | None = None,
        has_bom: bool = False,
    ) -> None:
        self.outcomes: Counter[str] = Counter(earlier)
        self._leaves_out = False
        self._shortened: dict[str, None] = {}  # an ordered set
        self._layout: Layout[Record] = layout
        self._noted: Counter[str] = Counter(noted)
        self._stream = stream
        self._style = style
        self._line: Callable[[Any], str] = self._table_line if stream_format == "table" else LINES[stream_format]
        if earlier is not None:
            return
        if stream_format == "csv":
            self._emit("\ufeff" * has_bom + csv_line(layout.kind.columns))
        elif stream_format == "table":
            self._emit(layout.head())

    def write(self, record: Record) -> None:
        """Write one record."""
        self.outcomes[_outcome(record)] += 1
        self._note(_says_generated(record), self._layout.is_contradicted(record), _is_alarm(record))
        self._emit(self._line(record))

    def write_ready(self, row: ReadyRow) -> None:
        """Write a record whose row is there already."""
        self.outcomes[row.outcome] += 1
        self._note(row.says_generated, row.is_contradicted, row.is_alarm)
        self._emit(row.line)

    def _note(self, is_claimed: bool, is_contradicted: bool, is_improbable: bool) -> None:
        for note, holds in ((CLAIMED, is_claimed), (CONTRADICTED, is_contradicted), (IMPROBABLE, is_improbable)):
            self._noted[note] += holds

    def summary(self, skipped: str = "") -> str:
        """Count the records by outcome, in one line of text; `skipped` says what was left aside."""
        names = {name: self._layout.words.get(name, name) for name in ("real", "fake", "inconclusive", "failed")}
        counts = ", ".join(f"{self.outcomes[name]} {word}" for name, word in names.items())
        n_claimed, n_contradicted, n_improbable = (self._noted[n] for n in (CLAIMED, CONTRADICTED, IMPROBABLE))
        called_real = f", of which called real: {n_contradicted}" * bool(n_contradicted)
        claimed = f"; made by AI as the file itself says: {n_claimed}{called_real}" * bool(n_claimed)
        alarms = f"; {n_improbable} of the verdicts less probable than the opposite" * bool(n_improbable)
        n_records = counted(sum(self.outcomes.values()), self._layout.kind.noun)
        return f"{n_records}: {counts}{skipped}{claimed}{alarms}"

    @property
    def told_below(self) -> str:
        """What stands below the table, as its rows leave it out; with its line end, or nothing."""
        left_out = f"in brackets, unless the row says why: {visible(self._layout.told_below)}\n"
        return left_out * self._leaves_out + "".join(f"{visible(text)}\n" for text in self._shortened)

    def _emit(self, line: str) -> None:
        self._stream.write(line)
        self._stream.flush()

    def _table_line(self, record: Record) -> str:
        name = _outcome(record)
        told_here: list[str] = list(record.warnings)
        if told_here == [self._layout.told_below]:  # beside others, which are no reason, it stands in the row
            told_here, self._leaves_out = [], True
        self._shortened |= dict.fromkeys(text for text in told_here if text in self._layout.in_short)
        told_here = [self._layout.in_short.get(text, text) for text in told_here]
        notes = "; ".join(filter(None, (record.error, *told_here, _weakness(record), self._layout.said(record))))
        note = f"  ({visible(notes)})" if notes else ""
        cells = self._layout.cells(record)
        is_contradicted = self._layout.is_contradicted(record)
        shown = ALARMS[name] if _is_alarm(record) else name
        colour = COLOURS["fake" if is_contradicted else "inconclusive" if shown != name else name]
        shown = self._layout.words.get(shown, shown)
        word = self._style(f"{shown + CONTRADICTED_MARK * is_contradicted:<12}", colour)
        return f"{word}{cells}  {visible(record.path)}{note}\n"


def _outcome(record: ImageRecord | VideoRecord | FrameRecord) -> str:
    return record.verdict or "failed"


def _says_generated(record: ImageRecord | VideoRecord | FrameRecord) -> bool:
    return not isinstance(record, FrameRecord) and record.says_generated == "yes"


def _is_alarm(record: ImageRecord | VideoRecord | FrameRecord) -> bool:
    return not isinstance(record, FrameRecord) and is_improbable(record.verdict, record.posterior)


def _weakness(record: ImageRecord | VideoRecord | FrameRecord) -> str:
    if isinstance(record, FrameRecord) or _is_alarm(record) or any(SAID_ALREADY in text for text in record.warnings):
        return ""
    return SAYS_LITTLE if is_weak(record.verdict, record.log10_likelihood_ratio) else ""


def _csv_record(record: Any) -> str:
    values = record.to_dict()
    return csv_line(list((values | {"warnings": "; ".join(record.warnings)}).values()))


def _json_record(record: Any) -> str:
    return json.dumps(record.to_dict()) + "\n"


LINES: dict[RowFormat, Callable[[Any], str]] = {"csv": _csv_record, "jsonl": _json_record}
