"""Statistics of neighbouring pixels that photographs share, whatever they show.

They are taken of images reduced to a fixed size (`FeatureSpec.scales`), where what an image went through since matters
less; those of a square also of the middle of an image as it is. Computed by NumPy and OpenCV alone: so few pixels take
no GPU.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from math import ceil, floor, sqrt
from typing import NamedTuple

import numpy as np

REACH = 2  # residuals are rounded to -2 ... 2
LENGTH = 3  # neighbours looked at together
N_LEVELS = 2 * REACH + 1
N_TRIPLES = N_LEVELS**LENGTH
N_TURNS = 2
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
    return _shares(_channels_of(rgb), _channels, _same_channels())


def chroma_cooccurrence(rgb: np.ndarray) -> np.ndarray:
    """Return (234,), `cooccurrence` of the red difference Cr of an (H, W, 3) uint8 image; Cb adds nothing to it."""
    return cooccurrence(_red_difference(rgb))


def square_cooccurrence(luma: np.ndarray) -> np.ndarray:
    """Return (39,), `cooccurrence` of the residual of a square alone, the finest one, in steps of its unit."""
    return _square_share([luma], _neighbours, _same_neighbours())


def square_colour_cooccurrence(rgb: np.ndarray) -> np.ndarray:
    """Return (63,), `colour_cooccurrence` of the residual of a square alone, in steps of its unit."""
    return _square_share(_channels_of(rgb), _channels, _same_channels())


def square_chroma_cooccurrence(rgb: np.ndarray) -> np.ndarray:
    """Return (39,), `square_cooccurrence` of the red difference Cr of an (H, W, 3) uint8 image."""
    return square_cooccurrence(_red_difference(rgb))


def _red_difference(rgb: np.ndarray) -> np.ndarray:
    import cv2

    return np.asarray(cv2.extractChannel(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb), 1))


def _channels_of(rgb: np.ndarray) -> Sequence[np.ndarray]:
    import cv2

    return cv2.split(rgb)


class _Plane(NamedTuple):
    """Numbers of some pixels of an image, in one run of memory, where sums of neighbours are fastest.

    Attributes
    ----------
    values : (n,) array
        Row after row of the image; those to the right of `shape` and below mean nothing.
    shape : (int, int)
        Rows and columns that count.
    width : int
        Columns of the image.
    """

    values: np.ndarray
    shape: tuple[int, int]
    width: int

    @property
    def counted(self) -> np.ndarray:
        """Return a view of the rows and columns that count."""
        step = self.values.itemsize
        counted: np.ndarray = np.ndarray(self.shape, self.values.dtype, self.values, strides=(self.width * step, step))
        return counted


Codes = list[_Plane]


def _shares(planes: Sequence[np.ndarray], triples: Callable[[list[_Plane]], Codes], same: np.ndarray) -> np.ndarray:
    """Return the root of each share of the triples in (H, W) planes, by kind of residual and step of rounding."""
    found = []
    for unit, *of_planes in zip(UNITS, *map(_residuals, planes), strict=True):
        usual = [max(0.5, USUAL_STEP * _mean_magnitude(residuals[0])) for residuals in of_planes]
        found += [_share(of_planes, steps, triples, same) for steps in ([unit] * len(planes), usual)]
    return np.concatenate(found)


def _share(
    of_planes: Sequence[Sequence[_Plane]],
    steps: Sequence[float],
    triples: Callable[[list[_Plane]], Codes],
    same: np.ndarray,
) -> np.ndarray:
    """Return the root of each share of the triples in residuals of one kind, rounded in steps of each plane's own."""
    counted = np.zeros((N_TURNS * N_TRIPLES, 1), np.float32)
    for each in zip(*of_planes, strict=True):
        for codes in triples(list(map(_rounded, each, steps))):
            _count(codes, counted)
    counts = np.bincount(same, weights=counted.reshape(N_TURNS, N_TRIPLES).sum(axis=0, dtype=np.float64))
    return np.asarray(np.sqrt(counts / counts.sum()))


def _square_share(
    planes: Sequence[np.ndarray], triples: Callable[[list[_Plane]], Codes], same: np.ndarray
) -> np.ndarray:
    """Return the part of `_shares` that is of the square, in steps of its unit, in a tenth of the time."""
    of_planes = []
    for plane in planes:
        pixels = plane.astype(np.int16).ravel()
        along = pixels[1:] - pixels[:-1]
        of_planes.append((_square(along[1:] - along[:-1], plane.shape),))
    return _share(of_planes, [UNITS[-1]] * len(planes), triples, same)


def _residuals(plane: np.ndarray) -> list[tuple[_Plane, ...]]:
    """Return the residuals of first order, those of second, and that of a square, of 8-bit luma or another plane."""
    (height, width), pixels = plane.shape, plane.astype(np.int16).ravel()
    along, down = pixels[1:] - pixels[:-1], pixels[width:] - pixels[:-width]
    along_2, down_2 = along[1:] - along[:-1], down[width:] - down[:-width]
    return [
        (_Plane(along, (height, width - 1), width), _Plane(down, (height - 1, width), width)),
        (_Plane(along_2, (height, width - 2), width), _Plane(down_2, (height - 2, width), width)),
        (_square(along_2, plane.shape),),
    ]


def _square(along_2: np.ndarray, shape: tuple[int, ...]) -> _Plane:
    """Return the second difference down of the second difference along."""
    height, width = shape
    down = along_2[width:] - along_2[:-width]
    return _Plane(down[:-width] - down[width:], (height - 2, width - 2), width)


def _mean_magnitude(residual: _Plane) -> float:
    import cv2

    return cv2.norm(residual.counted, cv2.NORM_L1) / (residual.shape[0] * residual.shape[1])


def _rounded(residual: _Plane, step: float) -> _Plane:
    """Return residual / step, rounded (halves to even) and cut off at `REACH`, as 0 to 2 `REACH`."""
    one, two = floor(step / 2) + 1, ceil(1.5 * step)  # the least residuals that are rounded to 1 and to 2
    values, shape, width = residual
    levels = (values > -two).view(np.uint8)
    for reached in (values > -one, values >= one, values >= two):
        levels += reached.view(np.uint8)
    return _Plane(levels, shape, width)


def _neighbours(levels: list[_Plane]) -> Codes:
    """Return the codes of triples of neighbours in one plane, along rows and along columns."""
    ((third, (height, columns), width),) = levels
    first, second = third * np.uint8(N_LEVELS**2), third * np.uint8(N_LEVELS)
    along = first[:-2] + second[1:-1] + third[2:]
    down = first[: -2 * width] + second[width:-width] + third[2 * width :]
    return [_Plane(along, (height, columns - 2), width), _Plane(down, (height - 2, columns), width)]


def _channels(levels: list[_Plane]) -> Codes:
    """Return the codes of the triples of three planes at one place."""
    (first, shape, width), (second, _, _), (third, _, _) = levels
    step = np.uint8(N_LEVELS)
    return [_Plane((first * step + second) * step + third, shape, width)]


def _count(codes: _Plane, counts: np.ndarray) -> None:
    """Add how often each triple occurs to (2 * 125, 1) float32 counts, which are exact up to 2^24.

    Pixels in turn are counted in two tables: neighbours are often alike, and a processor that counts twice in one place
    waits for the first to be written, up to twice as long.
    """
    import cv2

    values, shape, width = codes
    in_turn = _Plane(values + _turns(1 << len(values).bit_length())[: len(values)], shape, width)
    cv2.calcHist([in_turn.counted], [0], None, [len(counts)], [0, len(counts)], counts, accumulate=True)


@lru_cache(4)
def _turns(n: int) -> np.ndarray:
    """Return (n,) uint8, where the table of each pixel begins."""
    return np.asarray(np.arange(n) % N_TURNS * N_TRIPLES, np.uint8)


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
    variance = cv2.GaussianBlur(luma * luma, (BLUR_PX, BLUR_PX), BLUR_SIGMA_PX)
    variance -= mean * mean
    deviation = np.sqrt(cv2.threshold(variance, 0, 0, cv2.THRESH_TOZERO)[1])
    x = (luma - mean) / (deviation + 1)
    squares = np.square(x).ravel()
    kurtosis = float(squares @ squares) / len(squares) / (float(squares.mean()) ** 2 + FLOOR)
    spread = np.log(np.ravel(cv2.meanStdDev(deviation)) + 0.1)
    products = [_of_products(_products(x, down, right)) for down, right in STEPS]
    magnitude = cv2.norm(x, cv2.NORM_L1) / x.size
    return np.concatenate([[magnitude, cv2.meanStdDev(x)[1][0, 0], np.log(kurtosis + FLOOR)], spread, *products])


def _products(x: np.ndarray, down: int, right: int) -> np.ndarray:
    """Multiply each pixel by the one so many rows below and columns to the right, or to the left."""
    upper, lower = x[: len(x) - down], x[down:]
    if right < 0:
        return np.asarray(upper[:, -right:] * lower[:, :right])
    return np.asarray(upper[:, : x.shape[1] - right] * lower[:, right:])


def _of_products(products: np.ndarray) -> list[float]:
    """Return the mean, and the root mean squares of the negative and of the positive products."""
    import cv2

    flat = products.ravel()
    negative = cv2.threshold(products, 0, 0, cv2.THRESH_TOZERO_INV)[1]
    below = negative.ravel()
    of_below, of_all = float(below @ below), float(flat @ flat)
    n_below = cv2.countNonZero(negative)
    n_above = cv2.countNonZero(products) - n_below
    spreads = of_below / max(1, n_below), max(0.0, of_all - of_below) / max(1, n_above)
    return [cv2.sumElems(products)[0] / len(flat), *map(sqrt, spreads)]
