"""From an image, or a batch of them, to feature vectors, as a `FeatureSpec` says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from spectral_detect.backend import Array, Backend, numpy_backend
from spectral_detect.errors import FeatureError
from spectral_detect.groups import GROUPS, Tiles
from spectral_detect.spec import BLOCK_PX, PRESETS, FeatureSpec

MIN_TILE_PX, MAX_TILE_PX = 32, 128


def extract_features(
    image: Array, spec: FeatureSpec | None = None, *, is_ycc: bool = False, backend: Backend | None = None
) -> Array:
    """Feature vector of an image, or of each image of a batch.

    Parameters
    ----------
    image : (H, W) gray or (H, W, 3) RGB; (N, H, W) or (N, H, W, 3) for a batch of equal size. Unsigned 8 bit, 16 bit
        (divided by 257) or floating on the scale 0 to 255. Not modified.
    spec : default `FeatureSpec.preset("azimuthal")`.
    is_ycc : the three channels are not RGB but luma, Cb and Cr, as `read_image` gives those of a JPEG.
    backend : where the arrays live; default NumPy.

    Returns
    -------
    (n_features,), or (n_tiles, n_features) where the spec cuts tiles (`tile_corners` says where they lie), with a
    leading axis for a batch; in the spec's precision.

    Raises
    ------
    FeatureError : shape, type or size that the spec cannot take, or values that are not finite.
    """
    spec = spec or PRESETS["azimuthal"]
    backend = backend or numpy_backend()
    is_rgb = _check_image(image, spec, backend)
    is_batch = image.ndim - is_rgb == 3
    batch = image if is_batch else image[None]
    stack, n_tiles = _cut(batch, spec, backend)
    vectors = stack_features(stack, spec, is_ycc=is_ycc, backend=backend)
    if spec.tiles_per_side is not None:
        vectors = vectors.reshape(len(batch), n_tiles, -1)
    return vectors if is_batch else vectors[0]


@dataclass(frozen=True)
class Stack:
    """What of an image its features are made of, checked and cut: what has to travel to a device.

    Attributes
    ----------
    tiles : (n_tiles, h, w) or (n_tiles, h, w, 3); the whole image where the spec cuts no tiles.
    is_ycc : the three channels are luma, Cb and Cr.
    """

    tiles: np.ndarray
    is_ycc: bool

    @property
    def kind(self) -> tuple[Any, ...]:
        """Stacks of one kind may be joined."""
        return (*self.tiles.shape[1:], self.tiles.dtype.name, self.is_ycc)


def cut_stack(image: np.ndarray, spec: FeatureSpec, *, is_ycc: bool = False) -> Stack:
    """The first half of `extract_features` of one image, with its errors; `stack_features` is the other."""
    cpu = numpy_backend()
    is_rgb = _check_image(image, spec, cpu)
    tiles, _ = _cut(image[None], spec, cpu)
    if is_rgb and not spec.needs_colour and (is_ycc or image.dtype == np.uint8):
        tiles = np.ascontiguousarray(tiles[..., 0]) if is_ycc else cpu.rgb_to_gray(tiles)  # a third of the bytes
        is_ycc = False
    return Stack(np.ascontiguousarray(tiles), is_ycc)


def stack_features(stack: Array, spec: FeatureSpec, *, is_ycc: bool, backend: Backend) -> Array:
    """(N, h, w) or (N, h, w, 3), tiles or whole images as the spec wants them -> (N, n_features)."""
    at_once = len(stack) if spec.tiles_per_side is None else backend.tiles_at_once
    parts = [
        _vectors(_channels(stack[k : k + at_once], spec, stack.ndim == 4, is_ycc, backend), spec, backend)
        for k in range(0, len(stack), at_once)
    ]
    return parts[0] if len(parts) == 1 else backend.xp.concatenate(parts)


def _vectors(channels: Array, spec: FeatureSpec, backend: Backend) -> Array:
    """(C, N, h, w) -> (N, n_features)."""
    tiles = Tiles(channels, spec, backend)
    groups = [GROUPS[name](tiles) for name in spec.groups]
    return groups[0] if len(groups) == 1 else backend.xp.concatenate(groups, axis=-1)


def tile_corners(shape: tuple[int, int], spec: FeatureSpec) -> tuple[int, list[tuple[int, int]]]:
    """Side of the tiles of an image of `shape` (H, W), and the upper left corner (row, column) of each, row by row.

    A tile's side is the largest power of two that goes four times into the shorter side, but 32 to 128 pixels; an image
    smaller than that is one tile. Where more would fit than `spec.tiles_per_side`, they lie evenly. Corners are
    multiples of 8, so that the blocks of a JPEG stay whole.
    """
    side, corners = _tile_corners(shape, spec.tiles_per_side or 1)
    return side, list(corners)


@lru_cache(1024)
def _tile_corners(shape: tuple[int, int], tiles_per_side: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    shorter = min(shape)
    side = min(shorter, max(MIN_TILE_PX, min(MAX_TILE_PX, 1 << max(0, (shorter // 4).bit_length() - 1))))

    def starts(length: int) -> list[int]:
        count = min(tiles_per_side, length // side)
        return [round(at) // BLOCK_PX * BLOCK_PX for at in np.linspace(0, length - side, count)]

    return side, tuple((y, x) for y in starts(shape[0]) for x in starts(shape[1]))


def _check_image(image: Array, spec: FeatureSpec, backend: Backend) -> bool:
    """`FeatureError` for what is no image or too small; whether its last axis is the three channels."""
    if not hasattr(image, "dtype"):
        raise FeatureError(f"a {type(image).__name__}: expected an array; `read_image` gives that of a file")
    shape, kind = tuple(image.shape), image.dtype.name
    is_rgb = image.ndim in (3, 4) and shape[-1] == 3
    if image.ndim - is_rgb not in (2, 3):
        raise FeatureError(f"an array of shape {shape}: expected (H, W), (H, W, 3), or a batch of these")
    if kind not in ("uint8", "uint16", "float16", "float32", "float64"):
        raise FeatureError(f"an array of {kind}: expected uint8, uint16 or floating point on the scale 0 to 255")
    height, width = shape[-3:-1] if is_rgb else shape[-2:]
    if min(height, width) < spec.min_size_px:
        raise FeatureError(
            f"{width}x{height} pixels: the features {spec.name!r} need at least {spec.min_size_px} on the shorter side"
        )
    if kind.startswith("float") and not backend.xp.isfinite(image).all():
        raise FeatureError("the image holds values that are not finite (NaN or infinity)")
    return is_rgb


def _cut(batch: Array, spec: FeatureSpec, backend: Backend) -> tuple[Array, int]:
    """(N, H, W[, 3]) -> (N * n_tiles, h, w[, 3]) and n_tiles; the images themselves where the spec cuts none."""
    if spec.tiles_per_side is None:
        return batch, 1
    side, corners = tile_corners(tuple(batch.shape[1:3]), spec)
    stack = backend.xp.stack([batch[:, y : y + side, x : x + side] for y, x in corners], axis=1)
    return stack.reshape(-1, *stack.shape[2:]), len(corners)


def _channels(stack: Array, spec: FeatureSpec, is_rgb: bool, is_ycc: bool, backend: Backend) -> Array:
    """(N, h, w[, 3]) -> (C, N, h, w) on the scale 0 to 255, 8 bits or floating; C = 3 for a spec of colour."""
    xp, kind = backend.xp, stack.dtype.name
    if kind != "uint8":
        stack = stack.astype("float32" if is_rgb else spec.precision)  # OpenCV has no gray of float64
        if kind == "uint16":
            stack = stack / 257
    if not spec.needs_colour:
        gray = stack if not is_rgb else stack[..., 0] if is_ycc else backend.rgb_to_gray(stack)
        return xp.ascontiguousarray(gray)[None]
    channels = xp.empty((3, *stack.shape[:3]), stack.dtype)
    if is_rgb:
        ycc = stack if is_ycc else backend.rgb_to_ycc(stack)
        for k in range(3):
            channels[k] = ycc[..., k]
    else:  # no colour: no detail in either chroma plane
        channels[0], channels[1:] = stack, 128
    return channels
