"""Know training files again by a few bytes of their hashes, which tell nothing else of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

MARK_DIGITS = 12  # of a SHA-256 in hexadecimal: 48 bits, which the doubles of a model file hold exactly
UNKNOWN_FILES = "went on from unknown files"  # of `Model.training`: whether it went on from a model without all marks
MAX_MARKS = 65_536  # of which a file takes 512 kB
TRAINING_IMAGE = (
    "a training image of the model, or a copy of one: the verdict on it is no test of the model, which knew the answer"
)


def marks_of(hashes: Iterable[str | None]) -> np.ndarray:
    """Return (n,) rising numbers, the beginning of each SHA-256; at most `MAX_MARKS`, the least.

    Among 100,000 files that are not theirs, the most marks that there may be take one for theirs with a probability of
    2e-5.
    """
    return np.unique(np.array([_mark(sha256) for sha256 in hashes if sha256], dtype=np.float64))[:MAX_MARKS]


def is_marked(sha256: str | None, marks: np.ndarray) -> bool:
    """Tell whether a file has one of these marks."""
    if not sha256 or not len(marks):
        return False
    mark = _mark(sha256)
    at = int(np.searchsorted(marks, mark))
    return at < len(marks) and bool(marks[at] == mark)


def _mark(sha256: str) -> float:
    return float(int(sha256[:MARK_DIGITS], 16))
