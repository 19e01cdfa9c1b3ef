"""What `Work` and `Limits` say of values that make no sense, before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from spectral_detect import Limits, Work


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"jobs": -1}, "jobs is -1; it must be a whole number from 0 on, or None for one per core"),
        ({"timeout_s": 0}, "timeout_s is 0; it must be a number of seconds above 0"),
        ({"timeout_s": float("nan")}, "timeout_s is nan; it must be a number of seconds above 0"),
        ({"device": "cuda"}, "device is 'cuda'; it must be one of auto, cpu, gpu"),
        ({"engine": "ray"}, "engine is 'ray'; it must be one of local, dask"),
    ],
)
def test_work_that_nobody_could_do_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Work(**values)


@pytest.mark.parametrize("name", ["max_pixels", "max_bytes"])
def test_a_limit_below_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; it must be a whole number from 1 on"):
        Limits(**{name: 0})
