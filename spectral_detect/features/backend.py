"""Describe the array module that the numerics work with.

Numerics take a `Backend` instead of calling NumPy, so that the same code runs where the arrays live. Whatever is not
part of the array interface that NumPy and CuPy share (the FFT, sparse matrices, the image filters) is a field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Array = Any  # numpy.ndarray, or the array of another backend

TILES_AT_ONCE = 32  # on a CPU core: they stay in its cache from one step to the next


@dataclass(frozen=True, eq=False)  # caches look it up by identity, and so need not hash each field
class Backend:
    """Hold an array module and the functions that go with it.

    Attributes
    ----------
    name : str
        "numpy" or "cupy".
    xp : module
        Has NumPy's interface.
    rfft2 : callable
        (..., H, W) floating -> (..., H, W//2 + 1) complex, the real FFT over the last two axes in the precision of its
        input.
    dft : callable
        (..., H, W) floating -> its DFT in the layout that the fastest transform gives and that `cross_power` takes. May
        overwrite its argument.
    cross_power : callable
        (A, B, W) of two such DFTs -> (..., H//2 + 1, W//2 + 1), Re(A B*) / (H W), the mean over the frequencies (v, u)
        and (-v, u).
    power : callable
        (A, W) -> `cross_power` of A with itself. May overwrite A.
    matrix_of : callable
        ((values, (rows, columns)), shape) -> the matrix with these values, those of one place added up; sparse, unless
        it is small.
    laplacian : callable
        (N, H, W) 8 bit or floating, and the name of a floating dtype -> (N, H, W) of that dtype, the 4-neighbour
        Laplacian; 0 on the border, where a neighbour is missing.
    rgb_to_gray : callable
        (..., H, W, 3) -> (..., H, W), the luma of ITU-R BT.601 as OpenCV rounds it.
    rgb_to_ycc : callable
        (..., H, W, 3) -> the same shape, that luma and the planes Cb and Cr that go with it.
    planes : callable
        (..., H, W, 3) -> (3, ..., H, W), contiguous.
    tiles_at_once : int
        Number of tiles of an image that are best worked on together.
    to_host : callable
        Array -> NumPy array.
    free_bytes : callable
        () -> bytes of memory that arrays may take.
    release : callable
        Give back the memory that is kept for later arrays.
    """

    name: str
    xp: ModuleType
    rfft2: Callable[[Array], Array]
    dft: Callable[[Array], Array]
    cross_power: Callable[[Array, Array, int], Array]
    power: Callable[[Array, int], Array]
    matrix_of: Callable[[tuple[Array, tuple[Array, Array]], tuple[int, int]], Any]
    laplacian: Callable[[Array, str], Array]
    rgb_to_gray: Callable[[Array], Array]
    rgb_to_ycc: Callable[[Array], Array]
    planes: Callable[[Array], Array]
    tiles_at_once: int = TILES_AT_ONCE
    to_host: Callable[[Array], Any] = lambda array: array
    free_bytes: Callable[[], int] = lambda: 2**62  # the operating system sets the bound
    release: Callable[[], None] = lambda: None


def half_cross_power(A: Array, B: Array, width: int) -> Array:
    """Return `Backend.cross_power` of two half spectra, (..., H, width//2 + 1) complex."""
    product = A.real * B.real
    product += A.imag * B.imag
    height = product.shape[-2]
    n_mirrored = (height - 1) // 2
    folded = product[..., : height // 2 + 1, :] / (height * width)
    folded[..., 1 : 1 + n_mirrored, :] += product[..., : -1 - n_mirrored : -1, :] / (height * width)
    folded[..., 1 : 1 + n_mirrored, :] /= 2
    return folded


def half_power(A: Array, width: int) -> Array:
    """Return `Backend.power` of a half spectrum, (..., H, width//2 + 1) complex."""
    return half_cross_power(A, A, width)
