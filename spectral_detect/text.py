"""Make text fit to show on a terminal: safe, short, grammatical."""

from __future__ import annotations


def printable(text: str) -> str:
    """Escape whatever is not printable: control characters, direction overrides, bytes that are not UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def visible(text: str) -> str:
    """Escape as `printable` does, and double backslashes, so that the text can be read back."""
    return printable(text.replace("\\", "\\\\"))


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def cut_in_the_middle(text: str, longest: int) -> str:
    """Shorten text to at most `longest` characters; similar names differ at their ends, so the middle is left out."""
    if len(text) <= longest:
        return text
    head = (longest - 3) // 2
    return f"{text[:head]}...{text[head + 3 - longest :]}"
