"""The array module in use.

Numerics take a `Backend` instead of calling NumPy, so that the same code runs where the arrays live. Whatever is not
part of the array interface that NumPy and CuPy share (the FFT, sparse matrices, the image filters) is a field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray, or the array of another backend

TILES_AT_ONCE = 32  # of a core: they stay in its cache from one step to the next


@dataclass(frozen=True)
class Backend:
    """An array module and what goes with it.

    Attributes
    ----------
    xp : module with NumPy's interface.
    rfft2 : real FFT over the last two axes, in the precision of its input.
    dft : (..., H, W) floating -> its DFT as `cross_power` takes it, in whatever layout the fastest transform gives; it
        may take the place of its argument.
    cross_power : (A, B, W) of two such DFTs -> (..., H//2 + 1, W//2 + 1), Re(A B*) / (H W), the mean over the
        frequencies (v, u) and (-v, u).
    power : (A, W) -> `cross_power` of A with itself; what it needs on the way may take the place of A.
    coo_matrix : constructor of a sparse matrix from `(values, (rows, columns))`, with `tocsr()`.
    laplacian : (N, H, W) of 8 bit or floating, and a floating type -> the same shape in that type, the 4-neighbour
        Laplacian; 0 on the border, where one is missing.
    rgb_to_gray : (..., H, W, 3) -> (..., H, W), the luma of ITU-R BT.601 as OpenCV rounds it.
    rgb_to_ycc : (..., H, W, 3) -> the same shape, that luma and the planes Cb and Cr that go with it.
    planes : (..., H, W, 3) -> (3, ..., H, W), contiguous.
    tiles_at_once : so many tiles of an image are best worked on together.
    to_host : the NumPy array of an array.
    free_bytes : memory that arrays may take.
    release : give back the memory that is kept for arrays to come.
    """

    name: str
    xp: ModuleType
    rfft2: Callable[[Array], Array]
    dft: Callable[[Array], Array]
    cross_power: Callable[[Array, Array, int], Array]
    power: Callable[[Array, int], Array]
    coo_matrix: Callable[..., Any]
    laplacian: Callable[[Array, str], Array]
    rgb_to_gray: Callable[[Array], Array]
    rgb_to_ycc: Callable[[Array], Array]
    planes: Callable[[Array], Array]
    tiles_at_once: int = TILES_AT_ONCE
    to_host: Callable[[Array], Any] = lambda array: array
    free_bytes: Callable[[], int] = lambda: 2**62  # the system's to bound
    release: Callable[[], None] = lambda: None


def half_cross_power(A: Array, B: Array, width: int) -> Array:
    """`Backend.cross_power` of two half spectra, (..., H, width//2 + 1) complex."""
    product = A.real * B.real
    product += A.imag * B.imag
    height = product.shape[-2]
    n_mirrored = (height - 1) // 2
    folded = product[..., : height // 2 + 1, :] / (height * width)
    folded[..., 1 : 1 + n_mirrored, :] += product[..., : -1 - n_mirrored : -1, :] / (height * width)
    folded[..., 1 : 1 + n_mirrored, :] /= 2
    return folded


def half_power(A: Array, width: int) -> Array:
    """`Backend.power` of a half spectrum."""
    return half_cross_power(A, A, width)


def packed_cross_power(A: Array, B: Array, width: int) -> Array:
    """`Backend.cross_power` of two spectra as `cv2.dft` packs them, (..., H, width) real.

    A row holds the real part of its first frequency, then the real and the imaginary part of each other one, and for
    even widths the real part of the last. In the first column, and in the last of an even width, the frequencies of
    a column are packed in the same way.
    """
    return _unpacked(A * B, width)


def packed_power(A: Array, width: int) -> Array:
    """`Backend.power` of such a spectrum, which is lost: a new array would take a third longer."""
    return _unpacked(np.square(A, out=A), width)


def _unpacked(product: np.ndarray, width: int) -> np.ndarray:
    """The products of the numbers of two packed spectra -> their cross power."""
    height = product.shape[-2]
    n_rows, scale = (height - 1) // 2, 1 / (height * width)
    power = np.empty((*product.shape[:-2], height // 2 + 1, width // 2 + 1), product.dtype)
    upper, lower = slice(1, 1 + n_rows), slice(height - n_rows, height)
    folded = product[..., upper, :] + product[..., lower, :][..., ::-1, :]
    np.multiply(_sums_of_pairs(folded), scale / 2, out=power[..., upper, 1:])
    for row in (0, height // 2) if height % 2 == 0 else (0,):
        power[..., row, 1:] = _sums_of_pairs(product[..., row, :]) * scale
    for column in (0, -1) if width % 2 == 0 else (0,):
        packed, unpacked = product[..., column] * scale, power[..., column]
        unpacked[..., 0] = packed[..., 0]
        unpacked[..., -1] = packed[..., -1]  # of an odd height set anew in the next line
        unpacked[..., upper] = packed[..., 1 : 2 * n_rows : 2] + packed[..., 2 : 1 + 2 * n_rows : 2]
    return power


def _sums_of_pairs(product: np.ndarray) -> np.ndarray:
    """(..., W) -> (..., W//2), real plus imaginary part of all packed frequencies but the first.

    The last number of an even width, where there is no pair, is meaningless.
    """
    if product.shape[-1] % 2:
        return np.asarray(product[..., 1::2] + product[..., 2::2])
    sums = np.zeros(product.size // 2, product.dtype)
    pairs = product.reshape(-1)[1:-1].view(np.result_type(product.dtype, 1j))  # across the ends of rows: twice as fast
    np.add(pairs.real, pairs.imag, out=sums[:-1])
    return sums.reshape(*product.shape[:-1], product.shape[-1] // 2)


def cross_power(A: Array, B: Array, width: int) -> Array:
    """`Backend.cross_power` of either layout."""
    return (half_cross_power if A.dtype.kind == "c" else packed_cross_power)(A, B, width)


def power(A: Array, width: int) -> Array:
    """`Backend.power` of either layout."""
    return (half_power if A.dtype.kind == "c" else packed_power)(A, width)


@cache
def numpy_backend() -> Backend:
    """NumPy arrays, SciPy's FFT and sparse matrices, OpenCV's filters and, where it is Intel's, OpenCV's DFT."""
    import cv2
    import scipy.fft
    import scipy.sparse

    def laplacian(images: Array, dtype: str) -> Array:
        depth = {"uint8": cv2.CV_16S, "float32": cv2.CV_32F}.get(images.dtype.name, cv2.CV_64F)
        tall = images.reshape(-1, images.shape[-1])  # one above the other: their borders are overwritten
        filtered = cv2.Laplacian(tall, depth).astype(dtype, copy=False).reshape(images.shape)
        for edge in (0, -1):
            filtered[:, edge, :] = 0
            filtered[:, :, edge] = 0
        return filtered

    has_intel_dft = cv2.ipp.useIPP()  # takes half as long as SciPy's; OpenCV's own takes longer

    def dft(images: Array) -> Array:
        if images.dtype != np.float32 or not has_intel_dft:
            return scipy.fft.rfft2(images)
        for image in images.reshape(-1, *images.shape[-2:]):
            cv2.dft(image, dst=image)  # a new array would take a third longer
        return images

    def stacked(rgb: Array) -> Array:
        return np.ascontiguousarray(rgb).reshape(-1, rgb.shape[-2], 3)  # one image above the other: one call

    def rgb_to_gray(rgb: Array) -> Array:
        return cv2.cvtColor(stacked(rgb), cv2.COLOR_RGB2GRAY).reshape(rgb.shape[:-1])

    def rgb_to_ycc(rgb: Array) -> Array:
        return cv2.cvtColor(stacked(rgb), cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]].reshape(rgb.shape)

    def planes(stack: Array) -> Array:
        apart, together = np.empty((3, *stack.shape[:-1]), stack.dtype), stacked(stack)
        for k, plane in enumerate(apart.reshape(3, -1, stack.shape[-2])):
            cv2.extractChannel(together, k, dst=plane)
        return apart

    return Backend(
        name="numpy",
        xp=np,
        rfft2=scipy.fft.rfft2,
        dft=dft,
        cross_power=cross_power,
        power=power,
        coo_matrix=scipy.sparse.coo_matrix,
        laplacian=laplacian,
        rgb_to_gray=rgb_to_gray,
        rgb_to_ycc=rgb_to_ycc,
        planes=planes,
    )
