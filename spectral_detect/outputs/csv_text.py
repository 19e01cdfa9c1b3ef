"""Rows of CSV that are safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

FORMULA_STARTS = frozenset("=+-@＝＋－＠\t\r\n")  # the full-width forms count as well in some spreadsheets
QUOTED = ";\t\r\n"  # in some countries a spreadsheet parts cells at semicolons


def csv_line(values: tuple[Any, ...] | list[Any]) -> str:
    """Return one row with its line end; texts are made safe to open in a spreadsheet."""
    line = io.StringIO()
    cells = [spreadsheet_cell(v) if isinstance(v, str) else v for v in values]
    csv.writer(line, lineterminator=QUOTED).writerow(cells)  # so that each of them, inside a cell, is quoted
    return line.getvalue().removesuffix(QUOTED) + "\n"


def spreadsheet_cell(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would take for a formula, and before one that begins so."""
    starts = {text[:1], text.lstrip()[:1]}
    return f"'{text}" if starts & FORMULA_STARTS or text[:1] == "'" else text


def cell_text(cell: str) -> str:
    """Return a text as it was before `spreadsheet_cell`."""
    return cell[1:] if cell[:1] == "'" and spreadsheet_cell(cell[1:]) == cell else cell
