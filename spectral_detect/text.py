"""Make text fit to show on a terminal: safe, short, grammatical."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

LONGEST_WORD = 32  # characters; where none ends within so many, a word is cut
LONGEST_VALUE, FEW_ITEMS = 100, 3  # characters of a value, items of a list, that a short `repr` shows


def printable(text: str) -> str:
    """Escape whatever is not printable: control characters, direction overrides, bytes that are not UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def visible(text: str) -> str:
    """Escape as `printable` does, and double backslashes, so that the text can be read back."""
    return printable(text.replace("\\", "\\\\"))


def file_stem(path: str, longest: int) -> str:
    """Return the name of a file without suffix as a part of another: letters of any script, digits, "-" and "_"."""
    return re.sub(r"[^\w-]+", "_", os.path.splitext(os.path.basename(path))[0])[:longest]


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def range_text(low: int, high: int) -> str:
    """Return "75", or "75 to 90"."""
    return str(low) if low == high else f"{low} to {high}"


def cut_in_the_middle(text: str, longest: int) -> str:
    """Shorten text to at most `longest` characters; similar names differ at their ends, so the middle is left out."""
    if len(text) <= longest:
        return text
    head, tail = _halves(text, longest)
    return f"{head}...{tail}"


def _halves(text: str, longest: int) -> tuple[str, str]:
    head = (longest - 3) // 2
    return text[:head], text[head + 3 - longest :]


def cut_at_word(text: str, longest: int) -> str:
    """Shorten a sentence to at most `longest` characters, after a whole word, with an ellipsis."""
    if len(text) <= longest:
        return text
    head = text[: longest - 3]
    if text[longest - 3] != " " and " " in head[-LONGEST_WORD:]:
        head = head.rpartition(" ")[0]
    return f"{head.rstrip(' ,;:')}..."


def cut_between_words(text: str, longest: int) -> str:
    """Shorten as `cut_in_the_middle` does, and leave out whole words where there are words."""
    if len(text) <= longest:
        return text
    first, last = _halves(text, longest)
    if text[len(first)] != " " and " " in first[-LONGEST_WORD:]:
        first = first.rpartition(" ")[0]
    if text[-len(last) - 1] != " " and " " in last[:LONGEST_WORD]:
        last = last.partition(" ")[2]
    return f"{first.rstrip()}...{last.lstrip()}"


def told_apart(paths: Sequence[str]) -> list[str]:
    """Return for each path its last name, with as many of the names before it as tell it from all other paths.

    Equal paths are numbered.
    """
    parts = [path.rstrip("/").split("/") for path in paths]
    ends = []
    for k, own in enumerate(parts):
        others = [other for n, other in enumerate(parts) if n != k]
        lengths = range(1, len(own) + 1)
        n_names = next((n for n in lengths if all(other[-n:] != own[-n:] for other in others)), len(own))
        ends.append("/".join(own[-n_names:]) or "/")
    seen: Counter[str] = Counter()
    for k, end in enumerate(ends):
        seen[end] += 1
        ends[k] = f"{end} ({seen[end]})" if seen[end] > 1 else end
    return ends


def short_repr(instance: Any) -> str:
    """Return the `repr` of a dataclass, without what is None or empty and without the numbers of arrays.

    It is meant to be a dataclass's `__repr__`.
    """
    shown = ((field.name, getattr(instance, field.name)) for field in fields(instance) if field.repr)
    values = (f"{name}={_short_value(value)}" for name, value in shown if not _is_empty(value))
    return f"{type(instance).__name__}({', '.join(values)})"


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | bytes | list | tuple | Mapping) and not value)


def _short_value(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"<{value.dtype} array {tuple(value.shape)}>"
    if isinstance(value, list | tuple | Mapping) and len(value) > FEW_ITEMS:
        return f"<{type(value).__name__} of {len(value)}>"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_short_value, value))})"
    return cut_in_the_middle(repr(value), LONGEST_VALUE)
