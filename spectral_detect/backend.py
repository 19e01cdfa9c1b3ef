"""The array module in use.

Numerics take a `Backend` instead of calling NumPy, so that the same code runs where the arrays live. Whatever is not
part of the array interface that NumPy and CuPy share (the FFT, sparse matrices, the two image filters) is a field.
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
    """

    name: str
    xp: ModuleType
    rfft2: Callable[[Array], Array]
    coo_matrix: Callable[..., Any]
    laplacian: Callable[[Array], Array]
    rgb_to_gray: Callable[[Array], Array]


@cache
def numpy_backend() -> Backend:
    """NumPy arrays, SciPy's FFT and sparse matrices, OpenCV's filters."""
    import cv2
    import numpy as np
    import scipy.fft
    import scipy.sparse

    def laplacian(images: Array) -> Array:
        depth = cv2.CV_32F if images.dtype == np.float32 else cv2.CV_64F
        filtered = np.empty_like(images)
        for image, out in zip(images, filtered, strict=True):
            cv2.Laplacian(image, depth, dst=out)
        filtered[:, [0, -1], :] = 0
        filtered[:, :, [0, -1]] = 0
        return filtered

    def rgb_to_gray(rgb: Array) -> Array:
        tall = np.ascontiguousarray(rgb).reshape(-1, rgb.shape[-2], 3)  # one image above the other: one call
        return cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY).reshape(rgb.shape[:-1])

    return Backend("numpy", np, scipy.fft.rfft2, scipy.sparse.coo_matrix, laplacian, rgb_to_gray)
