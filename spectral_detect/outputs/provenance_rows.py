"""Write what files say of their origin as CSV or JSON Lines: a row a file."""

from __future__ import annotations

import json

from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.outputs.rows import RowFormat
from spectral_detect.records import PROVENANCE_COLUMNS, ProvenanceRecord


def head(row_format: RowFormat) -> str:
    """Return what stands before the first row."""
    return csv_line(PROVENANCE_COLUMNS) if row_format == "csv" else ""


def row(record: ProvenanceRecord, row_format: RowFormat) -> str:
    """Return the row of a file with its line end; CSV has the findings as one text."""
    values = record.to_dict()
    if row_format == "jsonl":
        return json.dumps(values) + "\n"
    findings = "; ".join(f"{finding['text']} ({finding['place']})" for finding in record.findings)
    return csv_line(list((values | {"findings": findings}).values()))
