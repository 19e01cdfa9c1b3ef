"""The spline that resamples profiles: what a cubic is, and SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from spectral_detect.features.spline import spline_weights


@pytest.mark.parametrize("n", [4, 5, 6, 50, 700])
def test_a_cubic_comes_back_exactly_and_any_values_as_by_scipy(rng: np.random.Generator, n: int) -> None:
    at = np.sort(rng.uniform(0.2, 0.8, n)) if n < 50 else np.linspace(0, 0.7, n) + rng.uniform(0, 0.1 / n, n)
    wanted = np.linspace(at[0], at[-1], 300)
    weights = spline_weights(at, wanted)
    cubic = np.polynomial.Polynomial([1.0, -2.0, 0.5, 3.0])
    np.testing.assert_allclose(weights @ cubic(at), cubic(wanted), rtol=1e-9)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-9)
    expected = make_interp_spline(at, np.eye(n), k=3)(wanted)
    np.testing.assert_allclose(weights, expected, atol=1e-9 * np.abs(expected).max())


def test_known_values_come_back_at_their_own_places() -> None:
    at = np.array([0.0, 0.1, 0.25, 0.3, 0.6, 0.7])
    np.testing.assert_allclose(spline_weights(at, at), np.eye(6), atol=1e-12)
