"""Turn what a model knows of other kinds of images into plain values and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spectral_detect.detector.content.numbers import name_of, numbers_of
from spectral_detect.detector.experience import OutsiderCheck
from spectral_detect.errors import ModelFileError

OUTSIDER_NUMBERS = ("intercept", "limit", "threshold", "found")


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
    return OutsiderCheck(name_of(values["kinds"]), weights, **numbers)
