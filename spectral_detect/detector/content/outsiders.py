"""Turn what a model knows of other kinds of images into plain values and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spectral_detect.detector.content.numbers import are_scales, name_of, numbers_of
from spectral_detect.detector.experience import OutsiderCheck
from spectral_detect.errors import ModelFileError

STANDARDISATION = ("mean", "scale")
OUTSIDER_NUMBERS = ("intercept", "limit", "threshold", "found")


def plain_outsiders(check: OutsiderCheck) -> dict[str, Any]:
    """Return all of a check but its arrays, for the header of a model file."""
    return {"kinds": check.kinds} | {name: getattr(check, name) for name in OUTSIDER_NUMBERS}


def outsider_arrays(check: OutsiderCheck, mean: np.ndarray, scale: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of a check; without its standardisation if that is the model's, which the file holds."""
    is_own = np.array_equal(check.mean, mean) and np.array_equal(check.scale, scale)
    found = {f"outsider_{name}": getattr(check, name) for name in STANDARDISATION if not is_own}
    return {"outsider_weights": check.weights, **found}


def outsiders_from_plain(values: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray]) -> OutsiderCheck | None:
    """Return the check of a header and arrays; None if a model has none. `ModelFileError` if it is not valid."""
    if values is None:
        return None
    numbers = dict(zip(OUTSIDER_NUMBERS, numbers_of([values[name] for name in OUTSIDER_NUMBERS]), strict=True))
    mean, scale = (arrays.get(f"outsider_{name}", arrays[name]) for name in STANDARDISATION)
    weights = arrays["outsider_weights"]
    fits = weights.shape == mean.shape == scale.shape == arrays["mean"].shape and are_scales(scale)
    if not fits or numbers["limit"] <= 0 or not 0 <= numbers["found"] <= 1:
        raise ModelFileError("damaged: how it tells other kinds of images is not valid", remedy="train it again")
    return OutsiderCheck(name_of(values["kinds"]), weights, mean, scale, **numbers)
