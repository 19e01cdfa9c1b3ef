"""Statistics of neighbouring pixels of a luma plane that photographs share, whatever they show.

They are taken of images reduced to a fixed size (`FeatureSpec.scales`), where what an image went through since matters
less. Computed by NumPy and OpenCV alone: such images are small.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

REACH = 2  # residuals are rounded to -2 ... 2
LENGTH = 3  # neighbours looked at together
N_TRIPLES = (2 * REACH + 1) ** LENGTH
N_QUANTISATIONS = 2
USUAL_STEP = 0.8  # of the mean magnitude
COOCCURRENCE_SIZE = 3 * N_QUANTISATIONS * 39
N_OCTAVES = 3
LUMA_SIZE = N_OCTAVES * 23
LEAST_HALVED_PX = 32
BLUR_PX, BLUR_SIGMA_PX = 7, 7 / 6
STEPS = ((0, 1), (1, 0), (1, 1), (1, -1), (2, 0), (0, 2))  # rows down and columns right
FLOOR = 1e-9


def cooccurrence(luma: np.ndarray) -> np.ndarray:
    """Return (234,), how often each triple of neighbouring residuals occurs, as the root of its share.

    Residuals are the differences of first and of second order, along rows and along columns, and that of a 3x3 square,
    each rounded to five levels in steps of its own unit and in steps near its usual size. Triples run along rows and
    along columns; a triple, its mirror image and their negatives count as one.

    Parameters
    ----------
    luma : (H, W) uint8 array
        At least 8 pixels a side.

    References
    ----------
    Fridrich and Kodovsky, "Rich models for steganalysis of digital images", IEEE TIFS 2012, sections II-A to II-C.
    """
    f = luma.astype(np.int16)
    first = f[:, 1:] - f[:, :-1], f[1:] - f[:-1]
    second = f[:, 2:] + f[:, :-2] - 2 * f[:, 1:-1], f[2:] + f[:-2] - 2 * f[1:-1]
    beside = f[1:-1, 2:] + f[1:-1, :-2] + f[2:, 1:-1] + f[:-2, 1:-1]
    corners = f[2:, 2:] + f[2:, :-2] + f[:-2, 2:] + f[:-2, :-2]
    square = (2 * beside - corners - 4 * f[1:-1, 1:-1],)
    return np.concatenate([_shares(*pair) for pair in ((first, 1), (second, 2), (square, 4))])


def _shares(residuals: tuple[np.ndarray, ...], unit: int) -> np.ndarray:
    """Return (78,), the shares of triples for each step of rounding."""
    usual = float(np.abs(residuals[0]).mean())
    found = []
    for step in (unit, max(0.5, USUAL_STEP * usual)):
        counts = sum(_triples(_rounded(residual, step)) for residual in residuals)
        found.append(np.bincount(_same_triples(), weights=counts))
    shares = np.stack(found)
    return np.asarray(np.sqrt(shares / shares.sum(axis=1, keepdims=True)).ravel())


def _rounded(residual: np.ndarray, step: float) -> np.ndarray:
    """Return residual / step, rounded and cut off at `REACH`, as 0 to 2 `REACH`."""
    levels = residual * np.float32(1 / step)
    np.rint(levels, out=levels)
    np.clip(levels, -REACH, REACH, out=levels)
    levels += REACH
    return np.asarray(levels, dtype=np.uint8)


def _triples(levels: np.ndarray) -> np.ndarray:
    """Return (125,), the number of each triple of neighbours along rows and along columns."""
    import cv2

    base = 2 * REACH + 1
    rows = (levels[:, :-2] * base + levels[:, 1:-1]) * base + levels[:, 2:]
    columns = (levels[:-2] * base + levels[1:-1]) * base + levels[2:]
    counted = [
        cv2.calcHist([np.ascontiguousarray(codes)], [0], None, [N_TRIPLES], [0, N_TRIPLES]) for codes in (rows, columns)
    ]
    return np.asarray((counted[0] + counted[1]).ravel(), dtype=np.float64)


@cache
def _same_triples() -> np.ndarray:
    """Return (125,), for each triple the number of the class that it forms with its mirror image and negatives."""
    classes: dict[tuple[int, ...], int] = {}
    of_triple = []
    for triple in itertools.product(range(-REACH, REACH + 1), repeat=LENGTH):
        negative = tuple(-value for value in triple)
        least = min(triple, triple[::-1], negative, negative[::-1])
        of_triple.append(classes.setdefault(least, len(classes)))
    return np.array(of_triple)


def normalised_luma(luma: np.ndarray) -> np.ndarray:
    """Return (69,), how the locally normalised luma is distributed, and how neighbours go together, in three octaves.

    The luma less its local mean, divided by its local deviation, is near to normal in photographs. Per octave: its mean
    magnitude, deviation and log kurtosis, the logs of mean and of deviation of the local deviation, and of the
    products of neighbours in six directions the mean and the deviations below and above zero.

    Parameters
    ----------
    luma : (H, W) uint8 array
        An image smaller than 32 pixels is not halved any further.

    References
    ----------
    Mittal, Moorthy and Bovik, "No-reference image quality assessment in the spatial domain" (BRISQUE), IEEE TIP 2012,
    equations 1 to 9.
    """
    import cv2

    octave, found = luma.astype(np.float32), []
    for _ in range(N_OCTAVES):
        found.append(_of_octave(octave))
        if min(octave.shape) >= LEAST_HALVED_PX:
            octave = np.asarray(cv2.resize(octave, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return np.concatenate(found)


def _of_octave(luma: np.ndarray) -> np.ndarray:
    import cv2

    mean = cv2.GaussianBlur(luma, (BLUR_PX, BLUR_PX), BLUR_SIGMA_PX)
    square = cv2.GaussianBlur(luma * luma, (BLUR_PX, BLUR_PX), BLUR_SIGMA_PX)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    x = (luma - mean) / (deviation + 1)
    squares = x * x
    kurtosis = float((squares * squares).mean()) / (float(squares.mean()) ** 2 + FLOOR)
    spread = np.log([float(deviation.mean()) + 0.1, float(deviation.std()) + 0.1])
    products = [_of_products(_products(x, down, right)) for down, right in STEPS]
    return np.concatenate([[np.abs(x).mean(), x.std(), np.log(kurtosis + FLOOR)], spread, *products])


def _products(x: np.ndarray, down: int, right: int) -> np.ndarray:
    """Multiply each pixel by the one so many rows below and columns to the right, or to the left."""
    upper, lower = x[: len(x) - down], x[down:]
    if right < 0:
        return np.asarray(upper[:, -right:] * lower[:, :right])
    return np.asarray(upper[:, : x.shape[1] - right] * lower[:, right:])


def _of_products(products: np.ndarray) -> list[float]:
    """Return the mean, and the root mean squares of the negative and of the positive products."""
    flat = products.ravel()
    below = np.minimum(flat, 0)
    of_below = float(below @ below)
    n_below, n_above = int(np.count_nonzero(flat < 0)), int(np.count_nonzero(flat > 0))
    spreads = [of_below / max(1, n_below), (float(flat @ flat) - of_below) / max(1, n_above)]
    return [float(flat.mean()), *np.sqrt(np.maximum(spreads, 0)).tolist()]
