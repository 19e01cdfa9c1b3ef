"""Check the numbers of a model file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from spectral_detect.errors import ModelFileError


def number(value: Any) -> float:
    """Return a finite number; raise `ModelFileError` if it is none."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ModelFileError("damaged: a value is not a finite number", remedy="train it again")
    return float(value)


def numbers_of(values: Sequence[Any]) -> list[float]:
    """Return finite numbers; raise `ModelFileError` if one is not."""
    return list(map(number, values))
