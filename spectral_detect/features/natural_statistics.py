"""Statistics of neighbouring pixels that photographs share, whatever they show.

They are taken of images reduced to a fixed size (`FeatureSpec.scales`), where what an image went through since matters
less. Computed by NumPy and OpenCV alone: such images are small.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

REACH = 2  # residuals are rounded to -2 ... 2
LENGTH = 3  # neighbours looked at together
N_LEVELS = 2 * REACH + 1
N_TRIPLES = N_LEVELS**LENGTH
UNITS = 1, 2, 4  # steps of rounding of the residuals of first and of second order and of the square
USUAL_STEP = 0.8  # of the mean magnitude
N_OCTAVES = 3
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
    return _shares([luma], _neighbours, _same_neighbours())


def colour_cooccurrence(rgb: np.ndarray) -> np.ndarray:
    """Return (378,), how often residuals of red, green and blue occur together, as the root of each triple's share.

    Residuals, and the steps in which they are rounded, are those of `cooccurrence`, in each channel; a triple holds
    those of the three channels at one place, and counts as one with its negative. A camera interpolates two of the
    three channels from a mosaic; a network paints all three.

    Parameters
    ----------
    rgb : (H, W, 3) uint8 array
        At least 8 pixels a side.

    References
    ----------
    Goljan, Cogranne and Fridrich, "Rich model for steganalysis of color images", IEEE WIFS 2014, section III; against
    generated faces: Barni et al., "CNN detection of GAN-generated face images based on cross-band co-occurrences
    analysis", IEEE WIFS 2020.
    """
    return _shares([np.ascontiguousarray(rgb[..., k]) for k in range(3)], _channels, _same_channels())


def chroma_cooccurrence(rgb: np.ndarray) -> np.ndarray:
    """Return (234,), `cooccurrence` of the red difference Cr of an (H, W, 3) uint8 image; Cb adds nothing to it."""
    import cv2

    return cooccurrence(np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., 1]))


def _shares(
    planes: Sequence[np.ndarray], triples: Callable[[list[np.ndarray]], list[np.ndarray]], same: np.ndarray
) -> np.ndarray:
    """Return the root of each share of the triples in (H, W) planes, by kind of residual and step of rounding."""
    found = []
    for unit, *of_planes in zip(UNITS, *map(_residuals, planes), strict=True):
        usual = [max(0.5, USUAL_STEP * float(np.abs(residuals[0]).mean())) for residuals in of_planes]
        for steps in ([unit] * len(planes), usual):
            levels = [map(_rounded, each, steps) for each in zip(*of_planes, strict=True)]
            found.append(np.bincount(same, weights=sum(_counted(triples(list(each))) for each in levels)))
    shares = np.stack(found)
    return np.asarray(np.sqrt(shares / shares.sum(axis=1, keepdims=True)).ravel())


def _residuals(plane: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Return the residuals of first order, those of second, and that of a square."""
    f = plane.astype(np.int16)
    first = f[:, 1:] - f[:, :-1], f[1:] - f[:-1]
    second = f[:, 2:] + f[:, :-2] - 2 * f[:, 1:-1], f[2:] + f[:-2] - 2 * f[1:-1]
    beside = f[1:-1, 2:] + f[1:-1, :-2] + f[2:, 1:-1] + f[:-2, 1:-1]
    corners = f[2:, 2:] + f[2:, :-2] + f[:-2, 2:] + f[:-2, :-2]
    return [first, second, (2 * beside - corners - 4 * f[1:-1, 1:-1],)]


def _rounded(residual: np.ndarray, step: float) -> np.ndarray:
    """Return residual / step, rounded and cut off at `REACH`, as 0 to 2 `REACH`."""
    levels = residual * np.float32(1 / step)
    np.rint(levels, out=levels)
    np.clip(levels, -REACH, REACH, out=levels)
    levels += REACH
    return np.asarray(levels, dtype=np.uint8)


def _neighbours(levels: list[np.ndarray]) -> list[np.ndarray]:
    """Return the codes of triples of neighbours in one plane, along rows and along columns."""
    (plane,) = levels
    return [_code(plane[:, :-2], plane[:, 1:-1], plane[:, 2:]), _code(plane[:-2], plane[1:-1], plane[2:])]


def _channels(levels: list[np.ndarray]) -> list[np.ndarray]:
    """Return the codes of the triples of three planes at one place."""
    return [_code(*levels)]


def _code(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    return np.asarray((first * N_LEVELS + second) * N_LEVELS + third)


def _counted(codes: list[np.ndarray]) -> np.ndarray:
    """Return (125,), the number of each triple."""
    import cv2

    counts = [cv2.calcHist([each], [0], None, [N_TRIPLES], [0, N_TRIPLES]).ravel() for each in codes]
    return np.asarray(np.sum(counts, axis=0, dtype=np.float64))


@cache
def _same_neighbours() -> np.ndarray:
    """Return (125,), for each triple the number of the class that it forms with its mirror image and negatives."""
    return _classes(lambda triple: (triple, triple[::-1]))


@cache
def _same_channels() -> np.ndarray:
    """Return (125,), for each triple the number of the class that it forms with its negative."""
    return _classes(lambda triple: (triple,))


def _classes(alike: Callable[[tuple[int, ...]], tuple[tuple[int, ...], ...]]) -> np.ndarray:
    classes: dict[tuple[int, ...], int] = {}
    of_triple = []
    for triple in itertools.product(range(-REACH, REACH + 1), repeat=LENGTH):
        least = min(each for same in alike(triple) for each in (same, tuple(-value for value in same)))
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
