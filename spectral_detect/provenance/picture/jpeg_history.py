"""Tell whether a JPEG was compressed once already, and at which quality.

Notes
-----
Coefficients that were quantised by q1 and then by q2 leave gaps and peaks in the histogram of the second. A copy of the
image shifted by half a block has nearly the histogram of the image before any compression (Fridrich and Lukáš,
"Estimation of primary quantization matrix in double compressed JPEG images", DFRWS 2003). So for each first quality the
histogram is predicted from the shifted copy, and the likelihoods of the coefficients are compared with that of no first
compression. The coefficients are those of the decoded luma, quantised again by the file's own table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectral_detect.media.quantizers.jpeg_tables import LUMA_TABLE, scaled_table

SIDE = 8
SHIFT = SIDE // 2
MOST_SIDE = 512  # pixels of the central part that is looked at
LEAST_BLOCKS = 256
MODES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0), (2, 2), (1, 3), (3, 1))  # row, column
RANGE = 24  # of the coefficients that are counted, on both sides of zero
QUALITIES = tuple(range(30, 100))
ROUNDING = 12**-0.5  # standard deviation of what rounding the pixels in between adds to a coefficient
LEAST_GAIN = 0.005  # of the mean log-likelihood of a coefficient; of 400 single compressions the most was 0.0043


@dataclass(frozen=True)
class FirstCompression:
    """The likeliest compression before the one that the file shows.

    Attributes
    ----------
    quality : int
        On the scale of libjpeg.
    gain : float
        By how much the mean log-likelihood of a coefficient is higher than without it.
    """

    quality: int
    gain: float

    @property
    def is_found(self) -> bool:
        """Tell whether the gain is beyond what a single compression gives by accident."""
        return self.gain >= LEAST_GAIN


def first_compression(luma: np.ndarray, table: Sequence[int]) -> FirstCompression | None:
    """Return the likeliest earlier compression of a JPEG on the same grid of blocks.

    None if there are too few blocks, or nothing in them.

    Parameters
    ----------
    luma : (H, W) array
        uint8, as decoded.
    table : sequence of int
        The file's luma table, 64 numbers in rows.
    """
    part = _central(luma)
    steps = np.array([table[SIDE * row + column] for row, column in MODES], dtype=np.float64)
    found = _coefficients(part)
    if len(found) < LEAST_BLOCKS:
        return None
    counted = np.rint(found / steps)
    before = _coefficients(part[SHIFT:, SHIFT:])
    noise = np.random.default_rng(0).normal(scale=ROUNDING, size=before.shape)
    without = _log_likelihood(counted, np.rint(before / steps))
    gains = {}
    for quality in QUALITIES:
        first = np.array([scaled_table(LUMA_TABLE, quality)[SIDE * r + c] for r, c in MODES], dtype=np.float64)
        if (first != steps).any():
            once = np.rint(before / first) * first + noise
            gains[quality] = _log_likelihood(counted, np.rint(once / steps)) - without
    best = max(gains, key=lambda quality: gains[quality])
    return FirstCompression(best, gains[best])


def _central(luma: np.ndarray) -> np.ndarray:
    """Return the central part, cut on the grid of blocks."""
    starts = [max(side - MOST_SIDE, 0) // 2 // SIDE * SIDE for side in luma.shape]
    return luma[starts[0] : starts[0] + MOST_SIDE, starts[1] : starts[1] + MOST_SIDE]


def _coefficients(luma: np.ndarray) -> np.ndarray:
    """Return (n_blocks, n_modes) coefficients of the blocks that are there in full."""
    from scipy.fft import dctn  # not while a program starts that may never need it

    rows, columns = (side // SIDE for side in luma.shape)
    whole = luma[: rows * SIDE, : columns * SIDE].astype(np.float32) - 128
    blocks = whole.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    transformed = dctn(blocks, axes=(1, 2), norm="ortho")
    return np.stack([transformed[:, row, column] for row, column in MODES], axis=1).astype(np.float64)


def _log_likelihood(counted: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean log-likelihood of coefficients, by the histogram of those predicted, mode by mode."""
    n_bins = 2 * RANGE + 1
    total = 0.0
    for mode in range(counted.shape[1]):
        seen, expected = (
            np.bincount((np.clip(c[:, mode], -RANGE, RANGE) + RANGE).astype(np.intp), minlength=n_bins)
            for c in (counted, predicted)
        )
        shares = (expected + 0.5) / (expected.sum() + 0.5 * n_bins)
        total += float(seen @ np.log(shares))
    return total / counted.size
