"""Compute the detector's feature groups with PyTorch, so that a gradient flows through them: a `Backend` of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spectral_detect.features.backend import Backend

# ITU-R BT.601 in the whole numbers of OpenCV, whose conversions to gray and to YCrCb differ; sums are exact in float32
GRAY_WEIGHTS = np.array([9798, 19235, 3735]) / 2**15
LUMA_WEIGHTS = np.array([4899, 9617, 1868]) / 2**14
CB, CR = 9241 / 2**14, 11682 / 2**14  # of B - Y and R - Y
NO_CHROMA = 128.0
LEAST_SQUARE = 1e-12  # far below what any feature group adds to a square or a root


@cache
def torch_backend(device: torch.device) -> Backend:
    """Return the backend of a device; one and the same object each time, as it is part of the keys of caches."""
    return Backend(
        name="torch",
        xp=cast(ModuleType, _ArrayModule(device)),
        rfft2=torch.fft.rfft2,
        dft=torch.fft.rfft2,
        cross_power=cross_power,
        power=lambda A, width: cross_power(A, A, width),
        matrix_of=_Rings,
        laplacian=lambda images, dtype: laplacian(images.to(getattr(torch, dtype))),
        rgb_to_gray=lambda rgb: gray_of(rgb.movedim(-1, -3)),
        rgb_to_ycc=lambda rgb: torch.stack(ycc_of(rgb.movedim(-1, -3)), -1),
        planes=lambda images: images.movedim(-1, 0),
    )


class _ArrayModule:
    """Give those of PyTorch's functions that feature groups call their names and arguments in NumPy."""

    log, abs, square = map(staticmethod, (torch.log, torch.abs, torch.square))

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def sqrt(self, values: Tensor) -> Tensor:
        """Return the root, with a gradient of 0 instead of infinity at 0."""
        return values.clamp_min(LEAST_SQUARE).sqrt()

    def asarray(self, array: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(array, device=self.device)

    def full(self, shape: tuple[int, ...], value: float, dtype: torch.dtype) -> Tensor:
        return torch.full(shape, value, dtype=dtype, device=self.device)

    def concatenate(self, parts: Sequence[Tensor], axis: int = 0) -> Tensor:
        return torch.cat(list(parts), dim=axis)

    def repeat(self, array: Tensor, times: int, axis: int) -> Tensor:
        return torch.repeat_interleave(array, times, dim=axis)


class _Rings:
    """Hold a matrix that has one number in each column: the mean over rings is a sum of the weighted columns."""

    def __init__(self, entries: tuple[Tensor, tuple[Tensor, Tensor]], shape: tuple[int, int]) -> None:
        self.data, (row, self.indptr) = entries
        self.indices, self.shape = row.long(), shape

    def __matmul__(self, values: Tensor) -> Tensor:
        """Multiply (n_columns, N) or (n_columns,)."""
        if values.ndim == 1:
            return (self @ values[:, None])[:, 0]
        rows = values.T
        sums = rows.new_zeros(len(rows), self.shape[0])
        return torch.index_add(sums, 1, self.indices, rows * self.data.to(rows.dtype)).T


def cross_power(A: Tensor, B: Tensor, width: int) -> Tensor:
    """Return `Backend.cross_power` of two half spectra, as `half_cross_power` does, in new tensors."""
    height = A.shape[-2]
    n_mirrored = (height - 1) // 2
    product = (A.real * B.real + A.imag * B.imag) / (height * width)
    upper = product[..., : height // 2 + 1, :]
    lower = product[..., height - n_mirrored :, :].flip(-2)
    folded = (upper[..., 1 : 1 + n_mirrored, :] + lower) / 2
    return torch.cat([upper[..., :1, :], folded, upper[..., 1 + n_mirrored :, :]], dim=-2)


def laplacian(images: Tensor) -> Tensor:
    """Return the 4-neighbour Laplacian of (N, H, W), 0 on the border."""
    middle = images[:, 1:-1, 1:-1]
    around = images[:, :-2, 1:-1] + images[:, 2:, 1:-1] + images[:, 1:-1, :-2] + images[:, 1:-1, 2:]
    return functional.pad(around - 4 * middle, (1, 1, 1, 1))


def rounded(values: Tensor) -> Tensor:
    """Round halves up to 8 bits, as a file and OpenCV do; the gradient passes as if nothing were rounded."""
    bounded = values.clamp(0, 255)
    return bounded + ((bounded + 0.5).floor() - bounded).detach()


def gray_of(rgb: Tensor, *, is_rounded: bool = False) -> Tensor:
    """Return the gray (..., H, W) of (..., 3, H, W), rounded as OpenCV rounds it or not at all."""
    return _weighted(rgb, GRAY_WEIGHTS, is_rounded)


def ycc_of(rgb: Tensor, *, is_rounded: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Return luma, Cb and Cr of (..., 3, H, W), rounded as OpenCV rounds them or not at all."""
    luma = _weighted(rgb, LUMA_WEIGHTS, is_rounded)
    chroma = [(rgb[..., k, :, :] - luma) * scale + NO_CHROMA for k, scale in ((2, CB), (0, CR))]
    blue, red = map(rounded, chroma) if is_rounded else chroma
    return luma, blue, red


def _weighted(rgb: Tensor, weights: np.ndarray, is_rounded: bool) -> Tensor:
    red, green, blue = (rgb[..., k, :, :] * weight for k, weight in enumerate(weights.tolist()))
    luma = red + green + blue
    return rounded(luma) if is_rounded else luma
