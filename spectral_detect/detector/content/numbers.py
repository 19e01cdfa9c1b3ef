"""Check the numbers and the names of a model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectral_detect.errors import ModelFileError

MAX_COUNT = 2**53  # beyond, floating point holds no whole number exactly
LARGEST, LEAST_SCALE = 1e30, 1e-30  # so that no product of a few numbers of a model is infinite, and no score NaN
LONGEST_NAME = 5000  # characters; a path may have 4096


def number(value: Any) -> float:
    """Return a number; raise `ModelFileError` if it is none, not finite, or larger than any in a model."""
    if type(value) not in (int, float) or not abs(value) <= LARGEST:
        raise ModelFileError("damaged: a value is not a finite number of a usual size", remedy="train it again")
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


def are_sound(array: np.ndarray) -> bool:
    """Tell whether all numbers of an array are finite, and none is larger than any in a model."""
    return bool((np.abs(array) <= LARGEST).all())


def are_scales(array: np.ndarray) -> bool:
    """Tell whether one can divide by all numbers of an array: positive, and not smaller than any in a model."""
    return bool((array >= LEAST_SCALE).all())


def name_of(value: Any) -> str:
    """Return a name; raise `ModelFileError` if it is longer than any."""
    found = str(value)
    if len(found) > LONGEST_NAME:
        raise ModelFileError(f"damaged: a name of {len(found)} characters", remedy="train it again")
    return found
