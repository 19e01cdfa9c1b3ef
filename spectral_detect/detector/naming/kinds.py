"""Turn what a model knows of other kinds of images, and what it calls its classes, into plain values and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectral_detect.detector.experience import OutsiderCheck
from spectral_detect.detector.naming.plain import numbers_of
from spectral_detect.errors import ModelFileError
from spectral_detect.records import LABELS

OUTSIDER_NUMBERS = ("intercept", "limit", "threshold", "found")
LONGEST_CLASS_NAME = 24


def why_no_class_names(first: str, second: str) -> str | None:
    """Return why these cannot be the names of the classes with the labels 0 and 1; None if they can."""
    for name, place in ((first, 0), (second, 1)):
        if not (name.isprintable() and 0 < len(name) <= LONGEST_CLASS_NAME and name == name.strip()):
            return (
                f"{name[:LONGEST_CLASS_NAME]!r} is no name of a class: 1 to {LONGEST_CLASS_NAME} printable characters"
            )
        if name in ("inconclusive", "failed") or LABELS.get(name, place) != place:
            return f"{name!r} as the name of class {place} would mislead"
    return "both classes have one name" if first == second else None


def class_names_from_plain(values: Sequence[Any]) -> tuple[str, str]:
    """Return the names of the classes; raise `ModelFileError` if they cannot be that."""
    first, second = map(str, values)
    if why := why_no_class_names(first, second):
        raise ModelFileError(f"damaged: {why}", remedy="train it again")
    return first, second


def plain_outsiders(check: OutsiderCheck) -> dict[str, Any]:
    """Return all of a check but its weights, for the header of a model file."""
    return {"kinds": check.kinds} | {name: getattr(check, name) for name in OUTSIDER_NUMBERS}


def outsiders_from_plain(values: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray]) -> OutsiderCheck | None:
    """Return the check of a header and arrays; None if a model has none. `ModelFileError` if it is not valid."""
    if values is None:
        return None
    numbers = dict(zip(OUTSIDER_NUMBERS, numbers_of([values[name] for name in OUTSIDER_NUMBERS]), strict=True))
    weights = arrays["outsider_weights"]
    if weights.shape != arrays["mean"].shape or numbers["limit"] <= 0 or not 0 <= numbers["found"] <= 1:
        raise ModelFileError("damaged: how it tells other kinds of images is not valid", remedy="train it again")
    return OutsiderCheck(str(values["kinds"]), weights, **numbers)
