"""Turn an image, or a batch of them, into feature vectors, as a `FeatureSpec` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite, isqrt
from typing import Any, Protocol

import numpy as np

from spectral_detect.arguments import require_type
from spectral_detect.errors import FeatureError
from spectral_detect.features.backend import Array, Backend
from spectral_detect.features.encoder.network import encode
from spectral_detect.features.feature_groups import FEATURE_GROUPS, LARGE_TILE_PX, Tiles
from spectral_detect.features.natural_statistics import (
    chroma_cooccurrence,
    colour_cooccurrence,
    cooccurrence,
    normalised_luma,
    square_chroma_cooccurrence,
    square_colour_cooccurrence,
    square_cooccurrence,
)
from spectral_detect.features.numpy_backend import as_luma, as_rgb, numpy_backend
from spectral_detect.features.reduced import halved, in_8_bit, middle, reduced
from spectral_detect.features.spec import (
    BLOCK_PX,
    GROUPS_AT_EACH_SCALE,
    GROUPS_OF_MIDDLE,
    GROUPS_OF_RGB,
    PRESETS,
    UNCUT_GROUPS,
    FeatureSpec,
    FusedSpec,
)
from spectral_detect.orientation import TURNS

OF_RGB = {
    "colour_cooccurrence": colour_cooccurrence,
    "chroma_cooccurrence": chroma_cooccurrence,
    "square_colour_cooccurrence": square_colour_cooccurrence,
    "square_chroma_cooccurrence": square_chroma_cooccurrence,
}
OF_LUMA = {f.__name__: f for f in (cooccurrence, normalised_luma, square_cooccurrence)}
MIDDLE_PX = 448  # a side, of the part of an image that groups of the middle look at as it is
KINDS = frozenset("BHefd")  # codes of uint8, uint16 and floating dtypes; NumPy makes a name anew each time
OTHER_CHANNELS = {  # length of the last axis, as no image is so narrow
    1: ("gray with an axis too many", "drop it: `image[..., 0]`"),
    2: ("gray and alpha", "drop the alpha channel: `image[..., 0]`"),
    4: ("RGBA", "drop the alpha channel: `image[..., :3]`"),
}
MOST_FLOATING = 2550.0  # ten times white: no filter overshoots so far
MIN_TILE_PX, MAX_TILE_PX = 32, 128
COLOUR_PX = 2**16  # pixels of all large tiles that colour features look at: as many as an image of 256x256 has


class Decoded(Protocol):
    """What `read_image` returns, as far as the features need it."""

    @property
    def pixels(self) -> Array:
        """Gray or three channels."""
        ...

    @property
    def is_ycc(self) -> bool:
        """Whether the channels are luma, Cb and Cr."""
        ...

    @property
    def orientation(self) -> int:
        """That of EXIF."""
        ...


def extract_features(
    image: Array | Decoded,
    spec: FeatureSpec | None = None,
    *,
    is_ycc: bool = False,
    orientation: int = 1,
    backend: Backend | None = None,
) -> Array:
    """Return the feature vector of an image, or of each image of a batch.

    Parameters
    ----------
    image : DecodedImage, or (H, W) or (H, W, 3) array
        What `read_image` returns; or gray or RGB, (N, H, W) or (N, H, W, 3) for a batch of equal size. Unsigned 8 bit,
        16 bit (divided by 257) or floating on the scale 0 to 255. Not modified. The gray of RGB in 8 bit is rounded to
        whole numbers, that of floating RGB is not, so that their features differ a little.
    spec : FeatureSpec, optional
        Default `FeatureSpec.preset("azimuthal")`.
    is_ycc : bool
        The three channels are not RGB but luma, Cb and Cr, as `read_image` gives those of a JPEG.
    orientation : int
        That of EXIF, 1 to 8, for an encoder, which knows up from down; no other features depend on it.
    backend : Backend, optional
        Where the arrays live; default NumPy.

    Returns
    -------
    (n_features,) array
        In the spec's precision. (n_tiles, n_features) if the spec cuts tiles (`tile_corners` says where they lie), with
        a leading axis for a batch.

    Raises
    ------
    FeatureError
        If there is no image, the spec cannot take its shape, type or size, or if values are not finite or on another
        scale.
    ArgumentError
        The spec is none.
    """
    spec = spec or PRESETS["azimuthal"]
    require_type("spec", spec, FeatureSpec, "`FeatureSpec.preset` gives that of a name")
    pixels: Array = image
    if hasattr(image, "pixels"):
        pixels, is_ycc, orientation = image.pixels, image.is_ycc, image.orientation
    if orientation not in TURNS:
        raise FeatureError(f"orientation {orientation!r}: EXIF has 1 to 8")
    backend = backend or numpy_backend()
    is_rgb = _check_image(pixels, spec, backend)
    is_batch = pixels.ndim - is_rgb == 3
    batch = pixels if is_batch else pixels[None]
    batch = batch.astype("float32") if batch.dtype.char == "e" else batch  # OpenCV has no half precision
    if spec.needs_cpu:
        _require_cpu(spec, backend)
        vectors = np.stack([_features_of_one(one, spec, is_ycc, orientation) for one in batch])
        return vectors if is_batch else vectors[0]
    stack = _cut(batch, spec, is_rgb, is_ycc, backend)
    vectors = stack_features(stack, spec, backend)
    if spec.tiles_per_side is not None:
        vectors = vectors.reshape(len(batch), len(stack) // len(batch), -1)
    return vectors if is_batch else vectors[0]


def _require_cpu(spec: FeatureSpec, backend: Backend) -> None:
    if backend.name != "numpy":
        raise FeatureError(f"the features {spec.name!r} are computed on the CPU", remedy="`device=cpu`")


def _features_of_one(image: np.ndarray, spec: FeatureSpec, is_ycc: bool, orientation: int) -> np.ndarray:
    """Return the (n_features,) features of one (H, W[, 3]) image: those of its pixels, then those of an encoder."""
    if isinstance(spec, FusedSpec):
        parts = [
            np.atleast_2d(extract_features(image, part, is_ycc=is_ycc, orientation=orientation)) for part in spec.parts
        ]
        n_rows = max(map(len, parts))
        rows = np.concatenate([np.broadcast_to(part, (n_rows, part.shape[1])) for part in parts], axis=1)
        return rows if any(part.gives_tiles for part in spec.parts) else rows[0]
    if spec.encoder is None:
        return _features_at_scales(image, spec, is_ycc)
    encoded = encode(image, spec.encoder, is_ycc=is_ycc, orientation=orientation)
    if not spec.groups_of_pixels:
        return encoded.astype(spec.precision)
    of_pixels = replace(spec, encoder=None, groups=spec.groups_of_pixels)
    return np.concatenate([extract_features(image, of_pixels, is_ycc=is_ycc), encoded]).astype(spec.precision)


def _features_at_scales(image: np.ndarray, spec: FeatureSpec, is_ycc: bool) -> np.ndarray:
    """Return the (n_features,) features of one (H, W[, 3]) image: of tiles at the first scale, of the whole at each."""
    first = spec.scales[0]
    of_tiles = replace(spec, scales=(), groups=tuple(g for g in spec.groups if g not in UNCUT_GROUPS))
    large = halved(image, first)
    small = reduced(large, first)
    parts = [extract_features(small, of_tiles, is_ycc=is_ycc).mean(axis=0)]
    of_rgb = [OF_RGB[name] for name in spec.groups if name in GROUPS_OF_RGB]
    if of_rgb:
        # of luma and chroma before the last mean, as it rounds
        rgb = reduced(as_rgb(in_8_bit(large), is_ycc), first) if is_ycc else as_rgb(small, is_ycc)
        parts += [function(rgb) for function in of_rgb]
    for scale in spec.scales:
        small = reduced(small, scale)
        luma = as_luma(small, is_ycc)
        parts += [OF_LUMA[name](luma) for name in spec.groups if name in GROUPS_AT_EACH_SCALE]
    of_middle = [name for name in spec.groups if name in GROUPS_OF_MIDDLE]
    if of_middle:
        seen = in_8_bit(middle(image, MIDDLE_PX))
        luma, rgb = as_luma(seen, is_ycc), as_rgb(seen, is_ycc)
        parts += [OF_RGB[name](rgb) if name in OF_RGB else OF_LUMA[name](luma) for name in of_middle]
    return np.concatenate(parts).astype(spec.precision)


@dataclass(frozen=True)
class Stack:
    """Hold the part of an image that its features are made of, checked and cut: what has to travel to a device.

    Attributes
    ----------
    tiles : (n_tiles, h, w) or (n_tiles, h, w, 3) array
        Gray, or three channels; the whole image if the spec cuts no tiles.
    middle : (n_tiles, h', w') or (n_tiles, h', w', 3) array or None
        For large tiles in gray, the part that colour features look at.
    is_ycc : bool
        The three channels are luma, Cb and Cr.
    """

    tiles: Array
    middle: Array | None = None
    is_ycc: bool = False

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, some: slice) -> Stack:
        return self.map(lambda array: array[some])

    @property
    def kind(self) -> tuple[Any, ...]:
        """Return the properties that stacks must share to be joined: shapes, dtype and kind of channels."""
        middle = None if self.middle is None else self.middle.shape[1:]
        return self.tiles.shape[1:], middle, self.tiles.dtype.name, self.is_ycc

    @property
    def nbytes(self) -> int:
        """Return the bytes of both arrays."""
        return int(self.tiles.nbytes + (0 if self.middle is None else self.middle.nbytes))

    def map(self, function: Callable[[Array], Array]) -> Stack:
        """Return a stack with `function` applied to both arrays."""
        return replace(self, tiles=function(self.tiles), middle=None if self.middle is None else function(self.middle))


def joined(stacks: Sequence[Stack]) -> Stack:
    """Join stacks of one kind, whose arrays are NumPy's."""
    if len(stacks) == 1:
        return stacks[0]
    middles = [stack.middle for stack in stacks if stack.middle is not None]
    tiles = np.concatenate([stack.tiles for stack in stacks])
    return Stack(tiles, np.concatenate(middles) if middles else None, stacks[0].is_ycc)


def cut_stack(image: np.ndarray, spec: FeatureSpec, *, is_ycc: bool = False) -> Stack:
    """Check and cut one (H, W[, 3]) image, the first half of `extract_features`; `stack_features` is the second.

    Raises
    ------
    FeatureError
        As `extract_features` does.
    """
    cpu = numpy_backend()
    return _cut(image[None], spec, _check_image(image, spec, cpu), is_ycc, cpu)


def stack_features(stack: Stack, spec: FeatureSpec, backend: Backend) -> Array:
    """Return the (n_tiles, n_features) features of a stack whose arrays are the backend's."""
    at_once = len(stack) if spec.tiles_per_side is None else backend.tiles_at_once
    parts = [_vectors(_tiles(stack[k : k + at_once], spec, backend)) for k in range(0, len(stack), at_once)]
    return parts[0] if len(parts) == 1 else backend.xp.concatenate(parts)


def _vectors(tiles: Tiles) -> Array:
    """Return the (n_tiles, n_features) values of all feature groups."""
    groups = [FEATURE_GROUPS[name](tiles) for name in tiles.spec.groups]
    return groups[0] if len(groups) == 1 else tiles.backend.xp.concatenate(groups, axis=-1)


def tile_corners(shape: tuple[int, int], spec: FeatureSpec) -> tuple[int, list[tuple[int, int]]]:
    """Return where the tiles of an image of `shape` (H, W) lie.

    A tile's side is the largest power of two that goes four times into the shorter side, but 32 to 128 pixels; a
    smaller image is one tile. If more than `spec.tiles_per_side` would fit, they are spaced evenly. Corners are
    multiples of 8, so that the blocks of a JPEG stay whole.

    Returns
    -------
    side : int
        Side of a tile in pixels.
    corners : list of (int, int)
        Upper left corner (row, column) of each tile, row by row.
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
    """Return whether the last axis holds three channels; raise `FeatureError` for what is no image or too small."""
    if not hasattr(image, "dtype"):
        raise FeatureError(f"a {type(image).__name__}: expected an array", remedy="`read_image` reads a file")
    shape, kind = tuple(image.shape), image.dtype.char
    is_rgb = image.ndim in (3, 4) and shape[-1] == 3
    if image.ndim in (3, 4) and shape[-1] in OTHER_CHANNELS:
        channels, remedy = OTHER_CHANNELS[shape[-1]]
        raise FeatureError(f"an array of shape {shape}: {channels}; expected (H, W) or (H, W, 3)", remedy=remedy)
    if image.ndim - is_rgb not in (2, 3):
        raise FeatureError(f"an array of shape {shape}: expected (H, W), (H, W, 3), or a batch of these")
    if not shape[0]:
        raise FeatureError(f"an array of shape {shape}: it holds no image")
    if kind not in KINDS:
        name = image.dtype.name
        raise FeatureError(f"an array of {name}: expected uint8, uint16 or floating point on the scale 0 to 255")
    height, width = shape[-3:-1] if is_rgb else shape[-2:]
    if min(height, width) < spec.min_size_px:
        raise FeatureError(
            f"{width}x{height} pixels: the features {spec.name!r} need at least {spec.min_size_px} on the shorter side"
        )
    if image.dtype.kind == "f":
        _check_scale(image, backend)
    return is_rgb


def _check_scale(image: Array, backend: Backend) -> None:
    """Raise `FeatureError` unless floating values are on the scale 0 to 255, as far as that can be told."""
    least, largest = (float(backend.to_host(end)) for end in (backend.xp.min(image), backend.xp.max(image)))
    if not isfinite(least) or not isfinite(largest):
        raise FeatureError("the image holds values that are not finite (NaN or infinity)")
    found = f"floating values from {least:g} to {largest:g}"
    if not -MOST_FLOATING <= least <= largest <= MOST_FLOATING:
        raise FeatureError(f"{found}: expected the scale 0 to 255", remedy="give 16 bit as uint16, or divide it by 257")
    if -1 <= least < largest <= 1 and backend.to_host((image != backend.xp.rint(image)).any()):
        raise FeatureError(f"{found}: expected the scale 0 to 255", remedy="bring them there, or give 8 or 16 bit")


def _cut(batch: Array, spec: FeatureSpec, is_rgb: bool, is_ycc: bool, backend: Backend) -> Stack:
    """Cut images (N, H, W[, 3]) into tiles: luma alone, with colour in the middle of each tile, if that is enough."""
    shape = (int(batch.shape[1]), int(batch.shape[2]))
    if spec.tiles_per_side is None:
        (height, width), corners = shape, [(0, 0)]
    else:
        height, corners = tile_corners(shape, spec)
        width = height
    batch = _on_scale(batch, is_rgb, spec)

    def cut(images: Array, height: int, width: int, dy: int = 0, dx: int = 0) -> Array:
        """Cut (height, width) pixels from each tile, beginning `dy` and `dx` pixels from its corner."""
        images = images if images.ndim == 4 else backend.xp.ascontiguousarray(images)
        if shape == (height, width):
            return images
        parts = [images[:, y + dy : y + dy + height, x + dx : x + dx + width] for y, x in corners]
        stack = backend.xp.stack(parts, axis=1)
        return stack.reshape(-1, *stack.shape[2:])

    if spec.needs_colour and min(height, width) < LARGE_TILE_PX:
        return Stack(cut(batch, height, width), None, is_ycc)
    luma = batch if not is_rgb else batch[..., 0] if is_ycc else backend.rgb_to_gray(batch)
    tiles = cut(luma, height, width)
    if not spec.needs_colour:
        return Stack(tiles)
    side = _middle_side((height, width), len(corners))
    return Stack(tiles, cut(batch, side, side, (height - side) // 2, (width - side) // 2), is_ycc)


def _middle_side(tile: tuple[int, int], n_tiles: int) -> int:
    """Return the side in pixels of the square in the middle of a large tile that colour features look at."""
    return min(*tile, max(MIN_TILE_PX, isqrt(COLOUR_PX // n_tiles) // BLOCK_PX * BLOCK_PX))


def _on_scale(batch: Array, is_rgb: bool, spec: FeatureSpec) -> Array:
    """Return the images as 8 bit, or floating on the scale 0 to 255."""
    if batch.dtype.char == "B":
        return batch
    floating = batch.astype("float32" if is_rgb else spec.precision, copy=False)  # OpenCV has no gray of float64
    return floating / 257 if batch.dtype.char == "H" else floating


def _tiles(stack: Stack, spec: FeatureSpec, backend: Backend) -> Tiles:
    """Return the stack with its channels apart, as the feature groups take it."""

    def with_chroma(some: Array) -> Tiles:
        colour = _planes(some, stack.is_ycc, backend) if some.ndim == 4 else _without_chroma(some, backend)
        return Tiles(colour, spec, backend)

    if spec.needs_colour and stack.middle is None:
        return with_chroma(stack.tiles)
    return Tiles(stack.tiles[None], spec, backend, None if stack.middle is None else with_chroma(stack.middle))


def _planes(stack: Array, is_ycc: bool, backend: Backend) -> Array:
    """Return luma, Cb and Cr as planes, (N, h, w, 3) -> (3, N, h, w)."""
    return backend.planes(stack if is_ycc else backend.rgb_to_ycc(stack))


def _without_chroma(gray: Array, backend: Backend) -> Array:
    """Add planes Cb and Cr to luma, (N, h, w) -> (3, N, h, w): no colour, and so no detail in either chroma plane."""
    planes = backend.xp.empty((3, *gray.shape), gray.dtype)
    planes[0], planes[1:] = gray, 128
    return planes
