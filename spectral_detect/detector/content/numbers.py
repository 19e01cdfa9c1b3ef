"""Check the numbers of a model file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from spectral_detect.errors import ModelFileError

MAX_COUNT = 2**53  # beyond, floating point holds no whole number exactly


def number(value: Any) -> float:
    """Return a finite number; raise `ModelFileError` if it is none, or too large for floating point."""
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
        raise ModelFileError("damaged: a value is not a finite number", remedy="train it again")
    return float(value)


def count(value: Any) -> int:
    """Return a whole number from 0 on; raise `ModelFileError` if it is none, or larger than any count."""
    found = number(value)
    if not (0 <= found <= MAX_COUNT and found.is_integer()):
        raise ModelFileError("damaged: a value is not a whole number from 0 on", remedy="train it again")
    return int(found)


def numbers_of(values: Sequence[Any]) -> list[float]:
    """Return finite numbers; raise `ModelFileError` if one is not."""
    return list(map(number, values))
