"""Compute on the CPU: NumPy arrays, SciPy's FFT and sparse matrices, OpenCV's filters and Intel's DFT where it has it.

OpenCV and SciPy are imported inside the functions: a process that computes nothing need not load them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from spectral_detect.features.backend import Array, Backend, half_cross_power, half_power

MAX_DENSE = 2**16  # numbers of a matrix that is kept in full: the rings of 64x64 pixels


@cache
def numpy_backend() -> Backend:
    """Return the backend of the CPU; one and the same object each time, as it is part of the keys of caches."""
    return Backend(
        name="numpy",
        xp=np,
        rfft2=rfft2,
        dft=dft,
        cross_power=cross_power,
        power=power,
        matrix_of=matrix_of,
        laplacian=laplacian,
        rgb_to_gray=rgb_to_gray,
        rgb_to_ycc=rgb_to_ycc,
        planes=planes,
    )


def matrix_of(content: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]], shape: tuple[int, int]) -> Any:
    """Return `Backend.matrix_of`; a small one needs no SciPy, which takes longer to load than many images take."""
    if shape[0] * shape[1] > MAX_DENSE:
        import scipy.sparse

        return scipy.sparse.coo_matrix(content, shape=shape).tocsr()
    values, places = content
    dense = np.zeros(shape, values.dtype)
    np.add.at(dense, places, values)
    return dense


# ------------------------------------------------------------------------------------------------- Fourier transforms


@cache
def has_intel_dft() -> bool:
    """Tell whether OpenCV's DFT is Intel's, which takes half as long as SciPy's; OpenCV's own takes longer."""
    import cv2

    return bool(cv2.ipp.useIPP())


def rfft2(images: Array) -> Array:
    """Return `Backend.rfft2` by SciPy, which takes longer to load than an image takes where Intel's DFT is there."""
    import scipy.fft

    return scipy.fft.rfft2(images)


def dft(images: Array) -> Array:
    """Return `Backend.dft`: packed and in place by Intel's DFT where there is one, else a half spectrum by SciPy."""
    import cv2

    if images.dtype != np.float32 or not has_intel_dft():
        return rfft2(images)
    for image in images.reshape(-1, *images.shape[-2:]):
        cv2.dft(image, dst=image)  # a new array would take a third longer
    return images


def cross_power(A: Array, B: Array, width: int) -> Array:
    """Return `Backend.cross_power` of two spectra of either layout."""
    return (half_cross_power if A.dtype.kind == "c" else packed_cross_power)(A, B, width)


def power(A: Array, width: int) -> Array:
    """Return `Backend.power` of a spectrum of either layout; overwrites a packed one."""
    return (half_power if A.dtype.kind == "c" else packed_power)(A, width)


def packed_cross_power(A: Array, B: Array, width: int) -> Array:
    """Return `Backend.cross_power` of two spectra as `cv2.dft` packs them, (..., H, width) real.

    A row holds the real part of its first frequency, then the real and the imaginary part of each other one, and for
    even widths the real part of the last. In the first column, and in the last of an even width, the frequencies of
    a column are packed in the same way.
    """
    return _unpacked(A * B, width)


def packed_power(A: Array, width: int) -> Array:
    """Return `Backend.power` of such a spectrum and overwrite it: a new array would take a third longer."""
    return _unpacked(np.square(A, out=A), width)


def _unpacked(product: np.ndarray, width: int) -> np.ndarray:
    """Sum the products of the numbers of two packed spectra, (..., H, width), to their cross power."""
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
        unpacked[..., -1] = packed[..., -1]  # for an odd height, the next line sets it anew
        unpacked[..., upper] = packed[..., 1 : 2 * n_rows : 2] + packed[..., 2 : 1 + 2 * n_rows : 2]
    return power


def _sums_of_pairs(product: np.ndarray) -> np.ndarray:
    """Add real and imaginary part of all packed frequencies but the first, (..., W) -> (..., W//2).

    The last number of an even width, where there is no pair, is meaningless.
    """
    if product.shape[-1] % 2:
        return np.asarray(product[..., 1::2] + product[..., 2::2])
    sums = np.zeros(product.size // 2, product.dtype)
    pairs = product.reshape(-1)[1:-1].view(np.result_type(product.dtype, 1j))  # across the ends of rows: twice as fast
    np.add(pairs.real, pairs.imag, out=sums[:-1])
    return sums.reshape(*product.shape[:-1], product.shape[-1] // 2)


# ----------------------------------------------------------------------------------------------------- image filters


def laplacian(images: Array, dtype: str) -> Array:
    """Return `Backend.laplacian` by OpenCV."""
    import cv2

    depth = {"B": cv2.CV_16S, "f": cv2.CV_32F}.get(images.dtype.char, cv2.CV_64F)
    tall = images.reshape(-1, images.shape[-1])  # one image above the other: their borders are overwritten
    filtered = cv2.Laplacian(tall, depth).astype(dtype, copy=False).reshape(images.shape)
    for edge in (0, -1):
        filtered[:, edge, :] = 0
        filtered[:, :, edge] = 0
    return filtered


def rgb_to_gray(rgb: Array) -> Array:
    """Return `Backend.rgb_to_gray` by OpenCV."""
    import cv2

    return cv2.cvtColor(_stacked(rgb), cv2.COLOR_RGB2GRAY).reshape(rgb.shape[:-1])


def rgb_to_ycc(rgb: Array) -> Array:
    """Return `Backend.rgb_to_ycc` by OpenCV."""
    import cv2

    return cv2.cvtColor(_stacked(rgb), cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]].reshape(rgb.shape)


def as_rgb(image: np.ndarray, is_ycc: bool) -> np.ndarray:
    """Return an 8-bit image, (H, W) gray or (H, W, 3) RGB or luma, Cb and Cr, as (H, W, 3) RGB."""
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return ycc_to_rgb(image) if is_ycc else image


def as_luma(image: np.ndarray, is_ycc: bool) -> np.ndarray:
    """Return the (H, W) luma of an image, (H, W) gray or (H, W, 3) RGB or luma, Cb and Cr, in one run of memory."""
    if image.ndim == 2:
        return np.ascontiguousarray(image)
    import cv2

    return np.asarray(cv2.extractChannel(image, 0)) if is_ycc else np.asarray(rgb_to_gray(image))


def ycc_to_rgb(image: np.ndarray) -> np.ndarray:
    """Return the (H, W, 3) uint8 RGB of luma, Cb and Cr of 8 bits."""
    import cv2

    swapped = np.empty(image.shape, np.uint8)  # an index array would take ten times as long
    cv2.mixChannels([np.ascontiguousarray(image)], [swapped], [0, 0, 1, 2, 2, 1])
    return np.asarray(cv2.cvtColor(swapped, cv2.COLOR_YCrCb2RGB))


def planes(images: Array) -> Array:
    """Return `Backend.planes` by OpenCV."""
    import cv2

    separate, stacked = np.empty((3, *images.shape[:-1]), images.dtype), _stacked(images)
    for k, plane in enumerate(separate.reshape(3, -1, images.shape[-2])):
        cv2.extractChannel(stacked, k, dst=plane)
    return separate


def _stacked(images: Array) -> Array:
    """Stack images, (..., H, W, 3) -> (n H, W, 3), one above the other, so that one call does them all."""
    return np.ascontiguousarray(images).reshape(-1, images.shape[-2], 3)
