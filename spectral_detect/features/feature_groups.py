"""Compute the feature groups: each turns a stack of equal tiles into vectors, as a `FeatureSpec` says.

A feature group is one kind of trace that up-sampling layers leave. All are averages of a Fourier spectrum or of its
real-valued kin, the discrete cosine transform, over frequencies or over patches; none knows of a generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np

from spectral_detect.features.backend import Array, Backend
from spectral_detect.features.spec import BLOCK_PX, COLOUR_BINS, MAGNITUDE_PX, PATCH_PX, FeatureSpec
from spectral_detect.features.spectrum import (
    MAX_FREQUENCY,
    apply_rings,
    azimuthal_average,
    power_of,
    resampling_operator,
    ring_operator,
)
from spectral_detect.lazy import cached_property

# The power of 8-bit rounding is 1/12 at every frequency; the floor lies far below and only keeps log(0) away.
POWER_FLOOR = 1e-4
DURALL_EPSILON = 1e-8  # added to the complex spectrum by the published code
MAGNITUDE_FLOOR = 0.01  # that of 8-bit rounding is 0.29
BLOCK_FLOOR = 0.05  # amplitude of a cosine coefficient; that of 8-bit rounding is 0.29
MAX_OVERLAPPED_PX = 32  # a tile up to this size holds so few patches that half overlapping ones add information
LARGE_TILE_PX = 128  # such a tile holds more patches, and more chroma, than their means need
COHERENCE_FLOOR = 1e-9
COLOUR_RING_WIDTH = MAX_FREQUENCY / (COLOUR_BINS - 1)
NEXT = [1, 2, 0]  # each plane is paired with the next: luma with Cb, Cb with Cr, Cr with luma


@dataclass
class Tiles:
    """Hold a stack of tiles of one size and the intermediate results that several feature groups need.

    Attributes
    ----------
    channels : (C, N, H, W) array
        8 bit or floating, 0 to 255; luma alone, or luma, Cb and Cr.
    spec : FeatureSpec
        What to compute.
    backend : Backend
        Where the arrays live.
    middle : Tiles or None
        The part, with luma, Cb and Cr, that colour features look at; None if they look at the whole tiles.
    """

    channels: Array
    spec: FeatureSpec
    backend: Backend
    middle: Tiles | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Return height and width in pixels."""
        height, width = self.channels.shape[-2:]
        return int(height), int(width)

    @property
    def coloured(self) -> Tiles:
        """Return the tiles that colour features look at."""
        return self.middle or self

    @cached_property
    def planes(self) -> Array:
        """Return the (C, N, H, W) channels in the spec's precision."""
        return self.channels.astype(self.spec.precision, copy=False)

    def filtered(self) -> Array:
        """Return a new (C, N, H, W) array, which the DFT may overwrite: the channels under the spec's filter."""
        if self.spec.filter == "none":
            return self.channels.astype(self.spec.precision)
        stack = self.channels.reshape(-1, *self.shape)
        return self.backend.laplacian(stack, self.spec.precision).reshape(self.channels.shape)

    @cached_property
    def spectra(self) -> tuple[Array, Array | None]:
        """Return power and cross power of the filtered channels.

        Returns
        -------
        power : (C, N, H//2 + 1, W//2 + 1) array
            |DFT|^2 / (H W), see `Backend.power`.
        cross : array of the same shape or None
            Cross power of each plane with the next (`NEXT`); None if there is luma alone.
        """
        transform, width = self.backend.dft(self.filtered()), self.shape[1]
        has_pairs = len(transform) == 3
        cross = self.backend.cross_power(transform, transform[NEXT], width) if has_pairs else None
        return self.backend.power(transform, width), cross

    @cached_property
    def colour_power(self) -> Array:
        """Return (3, N, n_rings), the mean power of luma, Cb and Cr."""
        return self.ring_means(self.spectra[0], COLOUR_RING_WIDTH)

    def ring_means(self, power: Array, ring_width: float | None) -> Array:
        """Average (..., H//2 + 1, W//2 + 1) power over rings about the zero frequency, to (..., n_rings)."""
        settings = (self.shape, ring_width, "zero_frequency", self.spec.precision, self.backend)
        return apply_rings(ring_operator(*settings, quarter=True), power)

    def resampled(self, profile: Array, ring_width: float | None, n_bins: int) -> Array:
        """Resample (..., n_rings) profiles to (..., n_bins)."""
        settings = (self.shape, ring_width, self.spec.centre, n_bins, self.spec.precision)
        return profile @ resampling_operator(*settings, self.backend).T

    @cached_property
    def luma_coefficients(self) -> Array:
        """Return (N, H//8, 8, W//8, 8), the orthonormal DCT-II of the 8x8 blocks of the luma."""
        return self._of_blocks(self.planes[0], cosine_transform())

    @cached_property
    def luma_level(self) -> Array:
        """Return (N, 63), log of the root mean square of each coefficient but the first."""
        return self._block_level(self.luma_coefficients)

    def _of_blocks(self, planes: Array, transform: np.ndarray) -> Array:
        """Transform blocks side by side, T @ block @ T.T: (..., H, W) -> (..., n_rows, side, n_columns, side)."""
        return self._transformed(strips(planes, len(transform)), transform)

    def _transformed(self, rows: Array, transform: np.ndarray) -> Array:
        """Do the same from `strips`, (..., n_rows, side, n_columns * side)."""
        side = len(transform)
        matrix = self.backend.xp.asarray(transform.astype(self.spec.precision))
        along_rows = (rows.reshape(-1, side) @ matrix.T).reshape(rows.shape)
        return (matrix @ along_rows).reshape(*rows.shape[:-1], -1, side)

    def _block_level(self, coefficients: Array) -> Array:
        xp = self.backend.xp
        return xp.log(xp.sqrt(mean_over_blocks(coefficients**2, xp)) + BLOCK_FLOOR)

    @cached_property
    def patch_levels(self) -> Array:
        """Return (N, n_patches, 81), log power of 16x16 patches of the luma, less their mean, under a Hann window.

        A frequency (u, v) and its mirror image (u, -v) are averaged. Patches lie side by side; in small tiles, also
        half a patch further; in large tiles, only every other row of patches counts.
        """
        xp, luma, halfway, shorter = self.backend.xp, self.planes[0], PATCH_PX // 2, min(self.shape)
        shifts = (0, halfway) if PATCH_PX + halfway <= shorter <= MAX_OVERLAPPED_PX else (0,)
        step = 2 if shorter >= LARGE_TILE_PX else 1
        found = [self._patch_power(luma[:, y:, x:], step) for y in shifts for x in shifts]
        return xp.log(xp.concatenate(found, axis=1) + POWER_FLOOR)

    def _patch_power(self, luma: Array, step: int) -> Array:
        """Return the power of patches of the luma: (N, H, W) -> (N, n_patches, 81)."""
        xp, half = self.backend.xp, PATCH_PX // 2
        found = strips(luma, PATCH_PX)[:, ::step]
        means = row_mean(found, xp).reshape(*found.shape[:2], -1, PATCH_PX).mean(axis=-1)
        found = found - xp.repeat(means, PATCH_PX, axis=-1)[:, :, None]
        squares = xp.square(self._transformed(found, windowed_fourier_transform()))
        fold = xp.asarray(sums_of_squares().astype(self.spec.precision))
        power = fold @ squares.reshape(*squares.shape[:3], -1)
        power = power.reshape(*power.shape[:3], -1, PATCH_PX) @ fold.T  # (N, n_rows, 9, n_columns, 9)
        return power.swapaxes(2, 3).reshape(len(luma), -1, (half + 1) ** 2)


def profile(tiles: Tiles) -> Array:
    """Return (N, n_bins), the azimuthal average of the luma's spectrum on the spec's scale.

    Source: Durall et al., "Watch Your Up-Convolution", CVPR 2020, equation 4.
    """
    spec, xp = tiles.spec, tiles.backend.xp
    if spec.scale == "log_of_mean" and spec.centre == "zero_frequency":
        level = xp.log(tiles.ring_means(tiles.spectra[0][0], spec.ring_width) + POWER_FLOOR)
    else:
        level = _level_of_half(tiles)
    if spec.n_bins is not None:
        level = tiles.resampled(level, spec.ring_width, spec.n_bins)
    if spec.normalisation == "mean":
        return _less_mean(level)
    return level / level[..., :1] if spec.normalisation == "first" else level


def _level_of_half(tiles: Tiles) -> Array:
    """Return (N, n_rings), for scales that need each frequency by itself, and for rings about another centre."""
    spec, xp, width = tiles.spec, tiles.backend.xp, tiles.shape[1]
    transform = tiles.backend.rfft2(tiles.filtered()[0])
    if spec.scale == "durall_db":
        values = 20 * xp.log(xp.abs(transform + DURALL_EPSILON))
    else:
        values = power_of(transform, width)
        if spec.scale == "mean_of_log":
            values = xp.log(values + POWER_FLOOR)
    means, _ = azimuthal_average(values, width, ring_width=spec.ring_width, centre=spec.centre, backend=tiles.backend)
    return xp.log(means + POWER_FLOOR) if spec.scale == "log_of_mean" else means


def chroma_profile(tiles: Tiles) -> Array:
    """Return (N, 2 * 33), the profiles of Cb and Cr, the mean of the luma's subtracted.

    They are ln `POWER_FLOOR` where there is no chroma: a gray image lies far from those in colour.
    """
    seen = tiles.coloured
    level = seen.resampled(seen.backend.xp.log(seen.colour_power + POWER_FLOOR), COLOUR_RING_WIDTH, COLOUR_BINS)
    less_luma = level[1:] - level[0].mean(axis=-1, keepdims=True)
    return seen.backend.xp.concatenate(list(less_luma), axis=-1)


def coherence(tiles: Tiles) -> Array:
    """Return (N, 3 * 33), per ring the correlation of two planes' spectra, for each pair of planes.

    Notes
    -----
    Re(mean F_a F_b*) / sqrt(mean |F_a|^2 mean |F_b|^2): a camera's colour filter ties the finest detail of its channels
    together, the last layer of a network mixes them anew.
    """
    seen = tiles.coloured
    xp, power = seen.backend.xp, seen.colour_power
    cross = seen.ring_means(seen.spectra[1], COLOUR_RING_WIDTH)
    ratio = cross / xp.sqrt(power * power[NEXT] + COHERENCE_FLOOR)
    return xp.concatenate(list(seen.resampled(ratio, COLOUR_RING_WIDTH, COLOUR_BINS)), axis=-1)


def block_spectrum(tiles: Tiles) -> Array:
    """Return (N, 63), log of the root mean square of each cosine coefficient of the luma's blocks, less its mean.

    Blocks have 8x8 pixels.
    """
    return _less_mean(tiles.luma_level)


def block_peakedness(tiles: Tiles) -> Array:
    """Return (N, 63), log of root mean square over mean magnitude of each cosine coefficient of the luma.

    0.23 for a normal distribution, 0.35 for a Laplacian one, to which the coefficients of photographs are near.
    """
    xp = tiles.backend.xp
    magnitude = mean_over_blocks(xp.abs(tiles.luma_coefficients), xp)
    return tiles.luma_level - xp.log(magnitude + BLOCK_FLOOR)


def patch_spectrum(tiles: Tiles) -> Array:
    """Return (N, 81), mean over patches of the log power spectrum of the luma; its mean subtracted."""
    return _less_mean(tiles.patch_levels.mean(axis=1))


def _less_mean(level: Array) -> Array:
    return level - level.mean(axis=-1, keepdims=True)


def magnitude(tiles: Tiles) -> Array:
    """Return (N, 3 * 32 * 17), the mean over blocks of 32x32 pixels of ln |F|, of luma, Cb and Cr.

    An image of 32x32 pixels is one such block.

    Source: Harder et al., "SpectralDefense: Detecting Adversarial Attacks on CNNs in the Fourier Domain", IJCNN 2021,
    InputMFS.
    """
    seen, xp, side = tiles.coloured, tiles.backend.xp, MAGNITUDE_PX
    blocks = strips(seen.planes, side).reshape(*seen.planes.shape[:2], -1, side, seen.shape[1] // side, side)
    spectra = seen.backend.rfft2(xp.ascontiguousarray(blocks.swapaxes(3, 4)).reshape(-1, side, side))
    level = xp.log(xp.abs(spectra) / side + MAGNITUDE_FLOOR)
    means = level.reshape(*seen.planes.shape[:2], -1, side * (side // 2 + 1)).mean(axis=2)
    return xp.concatenate(list(means), axis=-1)


def strips(planes: Array, side: int) -> Array:
    """Cut images into rows of blocks, (..., H, W) -> (..., H//side, side, W//side * side), and drop the rest."""
    rows, columns = planes.shape[-2] // side, planes.shape[-1] // side
    whole = planes[..., : rows * side, : columns * side]
    return whole.reshape(*planes.shape[:-2], rows, side, columns * side)


def mean_over_blocks(values: Array, xp: ModuleType) -> Array:
    """Average over blocks, (..., n_rows, 8, n_columns, 8) -> (..., 63), and drop the first coefficient."""
    means = row_mean(values.mean(axis=-4), xp)  # whole rows first: they are added in one pass
    return means.reshape(*means.shape[:-2], BLOCK_PX**2)[..., 1:]


def row_mean(values: Array, xp: ModuleType) -> Array:
    """Average rows, (..., n, m) -> (..., m), by a product: for short rows a fifth of the time of NumPy's mean."""
    n_rows = values.shape[-2]
    return (xp.full((1, n_rows), 1 / n_rows, values.dtype) @ values)[..., 0, :]


@cache
def cosine_transform() -> np.ndarray:
    """Return the (8, 8) matrix T of the orthonormal DCT-II: the transform of a block is T @ block @ T.T."""
    k, twice = np.arange(BLOCK_PX)[:, None], 2 * BLOCK_PX
    norm = np.sqrt(np.where(k == 0, 1, 2) / BLOCK_PX)
    return np.asarray(norm * np.cos(np.pi * k * (2 * k.T + 1) / twice))


@cache
def windowed_fourier_transform() -> np.ndarray:
    """Return the (16, 16) matrix T of the real Fourier transform of a patch under a Hann window of unit mean square.

    Its rows are the cosines of the frequencies 0 to 8, then the sines of 1 to 7. In Y = T @ patch @ T.T the squares of
    both in u and both in v, four or fewer, add up to the power |F|^2 / 16^2, the mean over (u, v) and (u, -v):
    |(cc - ss) - i (sc + cs)|^2 + |(cc + ss) - i (sc - cs)|^2 = 2 (cc^2 + ss^2 + sc^2 + cs^2).
    """
    window = np.hanning(PATCH_PX + 2)[1:-1]
    phase = 2 * np.pi * np.outer(np.arange(PATCH_PX // 2 + 1), np.arange(PATCH_PX)) / PATCH_PX
    waves = np.concatenate([np.cos(phase), np.sin(phase[1:-1])])
    return np.asarray(waves * window / np.sqrt(PATCH_PX * np.mean(window**2)))


@cache
def sums_of_squares() -> np.ndarray:
    """Return the (9, 16) matrix that adds the rows of `windowed_fourier_transform` that belong to one frequency."""
    frequency = [*range(PATCH_PX // 2 + 1), *range(1, PATCH_PX // 2)]
    return np.asarray(np.eye(PATCH_PX // 2 + 1)[:, frequency])


FEATURE_GROUPS: dict[str, Callable[[Tiles], Array]] = {
    group.__name__: group
    for group in (
        profile,
        chroma_profile,
        coherence,
        block_spectrum,
        block_peakedness,
        patch_spectrum,
        magnitude,
    )
}
