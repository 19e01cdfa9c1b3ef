"""Streams of image records: CSV, JSON Lines, and a table for people. Each record leaves as whole lines, at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Literal, TextIO

from spectral_detect.csvrows import csv_line
from spectral_detect.records import IMAGE_COLUMNS, ImageRecord
from spectral_detect.report.text import visible

StreamFormat = Literal["table", "csv", "jsonl"]

COLOURS = {"real": "green", "fake": "red", "inconclusive": "yellow", "failed": "magenta"}
MODEL_WIDTH = 11  # of the longest name of a shipped model
Style = Callable[[str, str], str]  # (text, colour) -> text


def outcome(record: ImageRecord) -> str:
    """The verdict, or `failed`."""
    return record.verdict or "failed"


class RecordStream:
    """Writes records in one format and counts their outcomes.

    Parameters
    ----------
    stream : text, UTF-8 with `surrogateescape`; flushed after each record.
    style : colours a word of the table; default none.
    with_posterior, with_model : columns of the table for them.
    """

    def __init__(
        self,
        stream: TextIO,
        stream_format: StreamFormat,
        style: Style = lambda text, colour: text,
        *,
        with_posterior: bool = False,
        with_model: bool = False,
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._with_posterior = with_posterior
        self._with_model = with_model
        self._stream = stream
        self._style = style
        self._line = {"table": self._table_line, "csv": _csv_record, "jsonl": _json_record}[stream_format]
        if stream_format == "csv":
            self._emit(csv_line(IMAGE_COLUMNS))
        elif stream_format == "table":
            posterior = f" {'P(fake)':>8}" if with_posterior else ""
            model = f"  {'model':<{MODEL_WIDTH}}" if with_model else ""
            self._emit(f"{'verdict':<13} {'score':>6}{posterior}{model}  path\n")

    def write(self, record: ImageRecord) -> None:
        """Write one record."""
        self.outcomes[outcome(record)] += 1
        self._emit(self._line(record))

    def summary(self, n_skipped: int = 0) -> str:
        """Images by outcome, in one line."""
        counts = ", ".join(f"{self.outcomes[name]} {name}" for name in ("real", "fake", "inconclusive", "failed"))
        skipped = f"; {n_skipped} other {_plural(n_skipped, 'file')} skipped" if n_skipped else ""
        n_images = sum(self.outcomes.values())
        return f"{n_images} {_plural(n_images, 'image')}: {counts}{skipped}"

    def _emit(self, line: str) -> None:
        self._stream.write(line)
        self._stream.flush()

    def _table_line(self, record: ImageRecord) -> str:
        name = outcome(record)
        score = f"{_three_digits(record.score):>6}"
        if self._with_posterior:
            score += f" {_three_digits(record.posterior):>8}"
        if self._with_model:
            score += f"  {visible(record.model or '-'):<{MODEL_WIDTH}}"
        notes = "; ".join(filter(None, (record.error, *record.warnings)))
        note = f"  ({visible(notes)})" if notes else ""
        return f"{self._style(f'{name:<13}', COLOURS[name])} {score}  {visible(record.path)}{note}\n"


def _three_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _csv_record(record: ImageRecord) -> str:
    values = record.to_dict()
    return csv_line(list((values | {"warnings": "; ".join(record.warnings)}).values()))


def _json_record(record: ImageRecord) -> str:
    return json.dumps(record.to_dict()) + "\n"
