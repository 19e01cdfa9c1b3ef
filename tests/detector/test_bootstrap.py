"""Intervals by drawing whole groups of samples."""

from __future__ import annotations

import numpy as np
import pytest

from spectral_detect.detector.bootstrap import bootstrap_interval


def test_groups_are_drawn_together() -> None:
    """Ten copies of each sample say no more than one: the interval stays as wide as that of the originals."""
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], 30)
    right = rng.random(60) < 0.7
    copies = np.repeat(np.arange(60), 10)

    def width(groups: np.ndarray) -> float:
        low, high = bootstrap_interval(
            lambda weights: weights @ right[copies] / weights.sum(axis=1), y[copies], groups, 0
        )
        return high - low

    assert width(copies) == pytest.approx(4 * np.sqrt(0.7 * 0.3 / 60), rel=0.25)
    assert width(np.arange(600)) < 0.5 * width(copies)
