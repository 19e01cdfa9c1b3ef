"""Text that a terminal or a spreadsheet cannot be turned against its reader with."""

from __future__ import annotations

FORMULA_STARTS = frozenset("=+-@＝＋－＠\t\r\n")  # the full-width forms count as well in some spreadsheets


def visible(text: str) -> str:
    """Escape whatever is not printable: control characters, direction overrides, bytes that are not UTF-8."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii") for c in text)


def spreadsheet_cell(text: str) -> str:
    """A leading apostrophe before what a spreadsheet would take for a formula."""
    starts = {text[:1], text.lstrip()[:1]}
    return f"'{text}" if starts & FORMULA_STARTS else text
