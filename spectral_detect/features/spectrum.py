"""Compute power spectra, their azimuthal average over rings, and its resampling to bins.

The spectrum of a real image is half redundant, so everything here works on the half that a real FFT returns: (..., H,
W//2 + 1). About the zero frequency rings are the same for (v, u) and (-v, u), and a quarter is enough: (..., H//2 + 1,
W//2 + 1). The azimuthal average over all H x W frequencies is then a sparse linear operator on that half or quarter,
and resampling the profile a dense one. Both depend on the image's size and a few settings alone; they are built once
and kept in a cache that is bounded in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from cachetools import LRUCache, cached

from spectral_detect.errors import FeatureError
from spectral_detect.features.backend import Array, Backend
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spline import spline_weights
from spectral_detect.locks import ForkSafeLock
from spectral_detect.text import short_repr

Centre = Literal["zero_frequency", "array_centre"]

MAX_FREQUENCY = float(np.sqrt(0.5))  # cycles per pixel, the corner of the spectrum
PRECISIONS = "fdFD"  # codes of single and double, real and complex
CACHE_BYTES = 256 * 2**20  # the operators of about sixty sizes of 1024 x 1024


def power_spectrum(image: Array, *, backend: Backend | None = None) -> Array:
    """Return half of the power spectrum, |DFT|^2 / (H W).

    With this scale white noise of variance v has the power v at every frequency, whatever the image's size.

    Parameters
    ----------
    image : (..., H, W) floating array
        The result has its precision.
    backend : Backend, optional
        Where the arrays live; default NumPy.

    Returns
    -------
    (..., H, W//2 + 1) array
        At the frequencies of `scipy.fft.rfft2`.

    Raises
    ------
    FeatureError
        It is no array of gray images.
    """
    shape = tuple(getattr(image, "shape", ()))
    if len(shape) < 2 or (len(shape) > 2 and shape[-1] in (3, 4)):
        found = f"an array of shape {shape}" if shape else f"a {type(image).__name__}"
        raise FeatureError(f"{found}: expected gray images, (..., H, W)", remedy="give one channel: `image[..., 1]`")
    return power_of((backend or numpy_backend()).rfft2(image), image.shape[-1])


def power_of(transform: Array, width: int) -> Array:
    """Return half of the power spectrum, |DFT|^2 / (H width), from (..., H, width//2 + 1), half of a DFT."""
    power = transform.real**2
    power += transform.imag**2
    power /= transform.shape[-2] * width
    return power


@dataclass(frozen=True)
class RingOperator:
    """Hold the azimuthal average of one image size as a matrix.

    Attributes
    ----------
    matrix : (n_rings, H * (W//2 + 1)) matrix, see `Backend.matrix_of`
        (n_rings, (H//2 + 1) * (W//2 + 1)) for a quarter; its rows sum to 1.
    frequency : (n_rings,) float64 array
        Mean radius of each ring in cycles per pixel; in pixels if the centre is `array_centre`.
    n_pixels : (n_rings,) float64 array
        Number of frequencies of the full spectrum in each ring.
    """

    matrix: Any
    frequency: np.ndarray
    n_pixels: np.ndarray
    __repr__ = short_repr

    def __post_init__(self) -> None:
        self.frequency.setflags(write=False)  # the cache hands them out
        self.n_pixels.setflags(write=False)

    @property
    def nbytes(self) -> int:
        """Return the memory of the operator, for the bound of the cache."""
        m = self.matrix
        parts = [m.data, m.indices, m.indptr] if hasattr(m, "indices") else [m]
        return sum(int(part.nbytes) for part in (*parts, self.frequency, self.n_pixels))


def azimuthal_average(
    power: Array,
    width: int,
    *,
    ring_width: float | None = None,
    centre: Centre = "zero_frequency",
    backend: Backend | None = None,
) -> tuple[Array, np.ndarray]:
    """Return the mean of `power` over rings of equal radial frequency.

    Parameters
    ----------
    power : (..., H, width//2 + 1) array
        A function of the half spectrum of a real image (power, log power...). Integers and half precision are averaged
        in double precision, all else in its own.
    width : int
        Columns of the image itself, which the half spectrum does not tell (odd or even).
    ring_width : float, optional
        In cycles per pixel; default one frequency step of the longer side, 1 / max(H, width).
    centre : {"zero_frequency", "array_centre"}
        "zero_frequency", where it belongs; or "array_centre", the published code's (N - 1)/2 of the shifted spectrum,
        half a pixel off for even N, in rings one pixel wide of which the first and the last are dropped.
    backend : Backend, optional
        Where the arrays live; default NumPy.

    Returns
    -------
    profile : (..., n_rings) array
        Ring 0 is the zero frequency; rings that hold no frequency are left out.
    frequency : (n_rings,) float64 array
        Mean radius of each ring in cycles per pixel ("array_centre": in pixels); read-only, copy it to change it.

    Raises
    ------
    FeatureError
        If `power` is not the half spectrum of an image of that width, or a setting is none.

    Notes
    -----
    AI(k) = mean of power over all (u, v) with round(sqrt(u^2 + v^2) / ring_width) = k; equation 4 of Durall et al.,
    CVPR 2020, with the mean instead of the integral and (u, v) in cycles per pixel, so that images of any size and
    shape share one axis.
    """
    height, columns = power.shape[-2:]
    if columns != width // 2 + 1:
        raise FeatureError(f"a half spectrum of {columns} columns does not belong to an image {width} pixels wide")
    if centre not in get_args(Centre):
        raise FeatureError(f"centre {centre!r}: it is one of {', '.join(get_args(Centre))}")
    if ring_width is not None and not 0 < ring_width < float("inf"):
        raise FeatureError(f"ring_width {ring_width!r}: it is a number of cycles per pixel above 0")
    if power.dtype.char not in PRECISIONS:
        power = power.astype("float64")
    rings = ring_operator((height, width), ring_width, centre, power.dtype.name, backend or numpy_backend())
    return apply_rings(rings, power), rings.frequency


def apply_rings(rings: RingOperator, power: Array) -> Array:
    """Average (..., H, W//2 + 1) power over rings, to (..., n_rings)."""
    if power.ndim == 2:
        return rings.matrix @ power.reshape(-1)
    flat = power.reshape(-1, power.shape[-2] * power.shape[-1])
    if len(flat) == 1:  # a vector takes half the time of a matrix of one column
        return (rings.matrix @ flat[0]).reshape(*power.shape[:-2], -1)
    return (rings.matrix @ flat.T).T.reshape(*power.shape[:-2], -1)


@cached(LRUCache(CACHE_BYTES, getsizeof=lambda rings: rings.nbytes), lock=ForkSafeLock())
def ring_operator(
    shape: tuple[int, int],
    ring_width: float | None,
    centre: Centre,
    dtype: str,
    backend: Backend,
    quarter: bool = False,
) -> RingOperator:
    """Return the operator of `azimuthal_average` for images of `shape` (H, W); cached.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image in pixels.
    ring_width, centre
        See `azimuthal_average`.
    dtype : str
        Floating dtype of the matrix.
    backend : Backend
        Where the matrix lives.
    quarter : bool
        For the mean over (v, u) and (-v, u), see `Backend.cross_power`; about the zero frequency only.
    """
    if centre == "zero_frequency":
        layout = _about_zero_frequency(shape, ring_width, shape[0] // 2 + 1 if quarter else shape[0])
    else:
        layout = _about_array_centre(shape)
    ring, radius, weight, column = (a.reshape(-1) for a in np.broadcast_arrays(*layout))
    kept = ring >= 0
    if not kept.all():
        ring, radius, weight, column = ring[kept], radius[kept], weight[kept], column[kept]
    per_ring = np.bincount(ring, weights=weight)
    filled = np.flatnonzero(per_ring)
    row = (np.cumsum(per_ring > 0, dtype=np.int32) - 1)[ring]
    n_pixels = per_ring[filled]
    xp = backend.xp
    matrix = backend.matrix_of(  # sums a frequency and its mirror image when both are in one ring
        (xp.asarray((weight / n_pixels[row]).astype(dtype)), (xp.asarray(row), xp.asarray(column))),
        (len(filled), (shape[0] // 2 + 1 if quarter else shape[0]) * (shape[1] // 2 + 1)),
    )
    return RingOperator(matrix, np.bincount(row, weights=weight * radius) / n_pixels, n_pixels)


def _about_zero_frequency(shape: tuple[int, int], ring_width: float | None, rows: int) -> tuple[np.ndarray, ...]:
    """Return ring, radius, weight and column of each frequency in the first `rows` of the half spectrum.

    The weight is the number of frequencies of the full spectrum that one stands for.
    """
    height, width = shape
    step = max(ring_width or 0.0, 1.0 / max(shape))
    radius = np.sqrt(np.square(np.fft.fftfreq(height)[:rows, None]) + np.square(np.fft.rfftfreq(width)[None, :]))
    weight = np.ones(rows)[:, None] if rows == height else _multiplicity(height)[:, None]
    return np.rint(radius / step).astype(np.int32), radius, weight * _multiplicity(width), _columns((rows, width))


def _multiplicity(length: int) -> np.ndarray:
    """Return (length//2 + 1,), how many frequencies share each magnitude.

    Two, but one for 0 and for the highest of an even length.
    """
    count = np.full(length // 2 + 1, 2.0)
    count[0] = 1.0
    if length % 2 == 0:
        count[-1] = 1.0
    return count


def _about_array_centre(shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Return the same for each frequency of the full spectrum, as the published code sees it; ring -1 is dropped."""
    height, width = shape
    y, x = np.ogrid[:height, :width]
    radius = np.fft.ifftshift(np.hypot(y - (height - 1) / 2, x - (width - 1) / 2))
    ring = radius.astype(np.int32)
    ring[(ring == ring.min()) | (ring == ring.max())] = -1
    if ring.max() < 0:
        raise FeatureError(f"an image of {width}x{height} pixels has no ring left without its first and last")
    v, u = np.arange(height)[:, None], np.arange(width)[None, :]
    mirrored = u > width // 2  # F(-k) is the conjugate of F(k)
    column = _columns(shape)[np.where(mirrored, -v % height, v), np.where(mirrored, width - u, u)]
    return ring, radius, np.ones(1), column


def _columns(shape: tuple[int, int]) -> np.ndarray:
    """Return the index of each frequency of the half spectrum in the columns of the operator's matrix."""
    height, columns = shape[0], shape[1] // 2 + 1
    return np.arange(height * columns, dtype=np.int32).reshape(height, columns)


@cached(LRUCache(CACHE_BYTES // 8, getsizeof=lambda matrix: int(matrix.nbytes)), lock=ForkSafeLock())
def resampling_operator(
    shape: tuple[int, int], ring_width: float | None, centre: Centre, n_bins: int, dtype: str, backend: Backend
) -> Array:
    """Return the dense (n_bins, n_rings) matrix that resamples an image's profile by a cubic spline; cached.

    "zero_frequency": to frequencies equally spaced from 0 to `MAX_FREQUENCY`; the zero frequency itself, which holds
    the brightness, takes no part, and beyond the first and the last ring the profile is held constant. "array_centre":
    the published code's, from equally spaced rings to equally spaced bins, whatever their frequency.

    Parameters
    ----------
    shape, ring_width, centre, dtype, backend
        See `ring_operator`.
    n_bins : int
        Number of bins.

    Raises
    ------
    FeatureError
        If the image has too few rings for a cubic spline.
    """
    quarter = centre == "zero_frequency"
    frequency = ring_operator(shape, ring_width, centre, dtype, backend, quarter).frequency
    if centre == "zero_frequency":
        first, at = 1, frequency
        bins = np.clip(np.linspace(0, MAX_FREQUENCY, n_bins), frequency[1], frequency[-1])
    else:
        first, at, bins = 0, np.linspace(0, n_bins, len(frequency)), np.linspace(0, n_bins, n_bins)
    if len(at) - first < 4:
        raise FeatureError(f"an image of {shape[1]}x{shape[0]} pixels has too few rings for a cubic spline")
    weights = spline_weights(at[first:], bins)
    return backend.xp.asarray(np.pad(weights, ((0, 0), (first, 0))).astype(dtype))
