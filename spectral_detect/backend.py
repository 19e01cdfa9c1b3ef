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

Array = Any  # numpy.ndarray, or the array of another backend


@dataclass(frozen=True)
class Backend:
    """An array module and what goes with it.

    Attributes
    ----------
    xp : module with NumPy's interface.
    rfft2 : real FFT over the last two axes, in the precision of its input.
    coo_matrix : constructor of a sparse matrix from `(values, (rows, columns))`, with `tocsr()`.
    laplacian : (N, H, W) floating -> the same shape, the 4-neighbour Laplacian; 0 on the border, where one is missing.
    rgb_to_gray : (..., H, W, 3) -> (..., H, W), the luma of ITU-R BT.601 as OpenCV rounds it.
    rgb_to_ycc : (..., H, W, 3) -> the same shape, that luma and the planes Cb and Cr that go with it.
    """

    name: str
    xp: ModuleType
    rfft2: Callable[[Array], Array]
    coo_matrix: Callable[..., Any]
    laplacian: Callable[[Array], Array]
    rgb_to_gray: Callable[[Array], Array]
    rgb_to_ycc: Callable[[Array], Array]


@cache
def numpy_backend() -> Backend:
    """NumPy arrays, SciPy's FFT and sparse matrices, OpenCV's filters."""
    import cv2
    import numpy as np
    import scipy.fft
    import scipy.sparse

    def laplacian(images: Array) -> Array:
        depth = cv2.CV_32F if images.dtype == np.float32 else cv2.CV_64F
        tall = images.reshape(-1, images.shape[-1])  # one above the other: their borders are overwritten
        filtered = cv2.Laplacian(tall, depth).reshape(images.shape)
        filtered[:, [0, -1], :] = 0
        filtered[:, :, [0, -1]] = 0
        return filtered

    def stacked(rgb: Array) -> Array:
        return np.ascontiguousarray(rgb).reshape(-1, rgb.shape[-2], 3)  # one image above the other: one call

    def rgb_to_gray(rgb: Array) -> Array:
        return cv2.cvtColor(stacked(rgb), cv2.COLOR_RGB2GRAY).reshape(rgb.shape[:-1])

    def rgb_to_ycc(rgb: Array) -> Array:
        return cv2.cvtColor(stacked(rgb), cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]].reshape(rgb.shape)

    return Backend("numpy", np, scipy.fft.rfft2, scipy.sparse.coo_matrix, laplacian, rgb_to_gray, rgb_to_ycc)
