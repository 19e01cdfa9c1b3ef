"""Text that a terminal or a spreadsheet cannot be turned against its reader with."""

from __future__ import annotations

FORMULA_STARTS = frozenset("=+-@＝＋－＠\t\r\n")  # the full-width forms count as well in some spreadsheets


def printable(text: str) -> str:
    """Escape whatever is not printable: control characters, direction overrides, bytes that are not UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def visible(text: str) -> str:
    """`printable`, and backslashes doubled, so that the text can be read back."""
    return printable(text.replace("\\", "\\\\"))


def spreadsheet_cell(text: str) -> str:
    """A leading apostrophe before what a spreadsheet would take for a formula."""
    starts = {text[:1], text.lstrip()[:1]}
    return f"'{text}" if starts & FORMULA_STARTS else text
