"""Compute the features of the presets `azimuthal` and `residual` differentiably: what the detector itself sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from spectral_detect.errors import FeatureError
from spectral_detect.features.backend import Array
from spectral_detect.features.extract import tile_corners
from spectral_detect.features.feature_groups import FEATURE_GROUPS, LARGE_TILE_PX, Tiles
from spectral_detect.features.spec import FeatureSpec, Precision
from spectral_detect.lazy import cached_property
from spectral_detect.regularize.torch_backend import gray_of, rounded, torch_backend, ycc_of


class _TensorTiles(Tiles):
    """Hold tiles as tensors, which have no `astype`."""

    @cached_property
    def planes(self) -> Array:
        return self.channels

    def filtered(self) -> Array:
        stack = self.channels.reshape(-1, *self.shape)
        return self.backend.laplacian(stack, self.spec.precision).reshape(self.channels.shape)


class DetectorFeatures(nn.Module):
    """Turn images into the vectors that a detector of this program judges, with a gradient.

    Parameters
    ----------
    features : {"azimuthal", "residual"}
        A preset of `FeatureSpec`. Vectors of "residual" are means over the tiles of an image.
    shape : tuple of int
        (H, W) of the images.
    is_rounded : bool
        Round pixels, luma and chroma to 8 bits as a file has them, which gives the numbers that the detector gets; the
        gradient passes as if nothing were rounded.

    Raises
    ------
    FeatureError
        The images are too small for the features, or so large that a tile has 128 pixels.
    """

    def __init__(
        self, features: Literal["azimuthal", "residual"], shape: tuple[int, int], *, is_rounded: bool = True
    ) -> None:
        super().__init__()
        self.spec, self.shape, self.is_rounded = FeatureSpec.preset(features), shape, is_rounded
        height, width = shape
        if min(shape) < self.spec.min_size_px:
            raise FeatureError(f"{width}x{height} pixels: {features!r} needs {self.spec.min_size_px} at least")
        self.side, self.corners = tile_corners(shape, self.spec)
        if self.spec.gives_tiles and self.side >= LARGE_TILE_PX:
            raise FeatureError(f"{width}x{height} pixels: {features!r} has a gradient below {4 * LARGE_TILE_PX} only")

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, n_features) of images (N, 3, H, W), (N, 1, H, W) or (N, H, W) on the scale 0 to 255."""
        colour = images if images.ndim == 4 else images[:, None]
        colour = (rounded(colour) if self.is_rounded else colour).expand(-1, 3, -1, -1)
        channels = self._channels(colour)
        precision: Precision = "float64" if channels.dtype == torch.float64 else "float32"
        spec, backend = replace(self.spec, precision=precision), torch_backend(channels.device)
        tiles = _TensorTiles(self._cut(channels) if spec.gives_tiles else channels, spec, backend)
        vectors = torch.cat([FEATURE_GROUPS[name](tiles) for name in spec.groups], dim=-1)
        return vectors.reshape(len(images), -1, vectors.shape[-1]).mean(dim=1)

    def _channels(self, rgb: Tensor) -> Tensor:
        """Return (1 or 3, N, H, W): gray alone, or luma, Cb and Cr."""
        if self.spec.needs_colour:
            return torch.stack(ycc_of(rgb, is_rounded=self.is_rounded))
        return gray_of(rgb, is_rounded=self.is_rounded)[None]

    def _cut(self, channels: Tensor) -> Tensor:
        """Cut (C, N, H, W) into the detector's tiles, (C, N * n_tiles, side, side)."""
        parts = [channels[..., y : y + self.side, x : x + self.side] for y, x in self.corners]
        return torch.stack(parts, dim=2).flatten(1, 2)
