"""What is otherwise than a manifest says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

DifferenceKind = Literal["chain", "head", "model", "missing", "changed", "extra", "result", "unchecked"]


@dataclass(frozen=True)
class Difference:
    """One thing that is otherwise than recorded.

    Attributes
    ----------
    kind : str
        chain: an entry was changed, removed, added or moved; head: the settings do not fit together; model: it is not
        the recorded one; missing, changed, extra: a file is; result: a column of its record; unchecked: it could not be
        looked at.
    text : str
        What differs, in words.
    line, entry : int or None
        Line of the manifest, from 1, and number of the entry, from 0 (the head).
    path : str or None
        The file.
    """

    kind: DifferenceKind
    text: str
    line: int | None = None
    entry: int | None = None
    path: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))


def in_head(kind: DifferenceKind, text: str) -> Difference:
    """Return a difference in the head of a manifest."""
    return Difference(kind, text, line=1, entry=0)


Report = Callable[[Difference], None]
