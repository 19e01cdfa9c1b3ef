"""Write the clusters of images as CSV, JSON Lines, or a table for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from spectral_detect.grouping.record import GROUP_COLUMNS, GroupRecord
from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.outputs.writer import StreamFormat
from spectral_detect.text import visible

ROW = "{:<8}  {:>11}  {}\n"


def rows(records: Sequence[GroupRecord], stream_format: StreamFormat) -> Iterator[str]:
    """Yield the lines of an output: in the order of the records; of a table by cluster, then alone, then failed."""
    if stream_format == "jsonl":
        return (json.dumps(record.to_dict()) + "\n" for record in records)
    if stream_format == "csv":
        return _csv(records)
    return _table(records)


def _csv(records: Iterable[GroupRecord]) -> Iterator[str]:
    yield csv_line(GROUP_COLUMNS)
    for record in records:
        yield csv_line(list(record.to_dict().values()))


def _table(records: Iterable[GroupRecord]) -> Iterator[str]:
    yield ROW.format("cluster", "probability", "path")
    for record in sorted(records, key=_place):
        note = f"  ({visible(record.error)})" if record.error else ""
        is_in_one = record.cluster is not None and record.cluster > 0
        surely = f"{record.probability:.2f}" if is_in_one else "-"
        yield ROW.format(_word(record), surely, visible(record.path) + note)


def _word(record: GroupRecord) -> str:
    if record.cluster is None:
        return "failed"
    return str(record.cluster) if record.cluster > 0 else "alone"


def _place(record: GroupRecord) -> tuple[int, int]:
    if record.cluster is None:
        return 2, 0
    return (0, record.cluster) if record.cluster > 0 else (1, 0)
