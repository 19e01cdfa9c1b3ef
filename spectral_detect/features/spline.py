"""Resample by a cubic spline, with NumPy alone: SciPy's interpolation takes longer to load than an image to scan."""

from __future__ import annotations

import numpy as np


def spline_weights(at: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the matrix that resamples values by their interpolating cubic spline.

    Parameters
    ----------
    at : (n,) float64 array
        Where the values are known, strictly rising; at least four.
    wanted : (n_wanted,) float64 array
        Where they are wanted, from the first to the last of `at`.

    Returns
    -------
    (n_wanted, n) array
        Times the (n,) values it gives the spline at `wanted`.

    Notes
    -----
    The third derivative is continuous at the second and at the last but one of `at` (not-a-knot), as in
    `scipy.interpolate.make_interp_spline`. Source: de Boor, "A Practical Guide to Splines", 2001, chapter IV.
    """
    unit = (at[-1] - at[0]) / (len(at) - 1)
    at, wanted = (at - at[0]) / unit, (wanted - at[0]) / unit
    step, curvature = np.diff(at), _curvatures(at)
    k = np.clip(np.searchsorted(at, wanted, side="right") - 1, 0, len(at) - 2)
    right = ((wanted - at[k]) / step[k])[:, None]  # share of the interval
    left, squared, each = 1 - right, np.square(step[k])[:, None] / 6, np.arange(len(at))
    weights = left * (each == k[:, None]) + right * (each == k[:, None] + 1)
    weights += squared * ((left**3 - left) * curvature[k] + (right**3 - right) * curvature[k + 1])
    return np.asarray(weights)


def _curvatures(at: np.ndarray) -> np.ndarray:
    """Return (n, n), which gives the second derivatives of the spline at all points from the values there."""
    n, h = len(at), np.diff(at)
    slopes = np.zeros((n - 1, n))
    slopes[range(n - 1), range(n - 1)], slopes[range(n - 1), range(1, n)] = -1 / h, 1 / h
    wanted = 6 * np.diff(slopes, axis=0)  # of the points between the first and the last
    below, middle, above = h[:-1].copy(), 2 * (h[:-1] + h[1:]), h[1:].copy()
    # not-a-knot: the first and the last continue the straight line through their two neighbours
    first, last = h[0] / h[1], h[-1] / h[-2]
    middle[0], above[0] = middle[0] + h[0] * (1 + first), above[0] - h[0] * first
    middle[-1], below[-1] = middle[-1] + h[-1] * (1 + last), below[-1] - h[-1] * last
    for row in range(1, n - 2):  # Gaussian elimination; the rows are diagonally dominant
        factor = below[row] / middle[row - 1]
        middle[row] -= factor * above[row - 1]
        wanted[row] -= factor * wanted[row - 1]
    wanted[-1] /= middle[-1]
    for row in range(n - 4, -1, -1):
        wanted[row] = (wanted[row] - above[row] * wanted[row + 1]) / middle[row]
    start = (1 + first) * wanted[0] - first * wanted[1]
    end = (1 + last) * wanted[-1] - last * wanted[-2]
    return np.vstack((start, wanted, end))
