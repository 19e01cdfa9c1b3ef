"""The groups of features: each turns a stack of equal tiles into vectors, as a `FeatureSpec` says.

A group is one kind of trace that up-sampling layers leave. All are averages of a Fourier spectrum or of its real-valued
kin, the discrete cosine transform, over frequencies or over patches; none knows of a generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from spectral_detect.backend import Array, Backend
from spectral_detect.spec import BLOCK_PX, COHERENCE_BINS, PATCH_PX, FeatureSpec
from spectral_detect.spectrum import (
    MAX_FREQUENCY,
    apply_rings,
    azimuthal_average,
    power_of,
    resampling_operator,
    ring_operator,
)

# Power of 8-bit rounding is 1/12 at every frequency; the floor lies far below it and only keeps log(0) away.
POWER_FLOOR = 1e-4
DURALL_EPSILON = 1e-8  # added to the complex spectrum by the published code
BLOCK_FLOOR = 0.05  # of the amplitude of a cosine coefficient; that of 8-bit rounding is 0.29
MOST_OVERLAPPED_PX = 32  # a tile up to this size holds so few patches that half overlapping ones add to them
LARGE_TILE_PX = 128  # holds more patches and chroma blocks than their means need
COHERENCE_FLOOR = 1e-9
PAIRS = ((0, 1), (0, 2), (1, 2))  # luma with each chroma plane, and these with one another


@dataclass
class Tiles:
    """A stack of tiles of one size, with what more than one group needs of them.

    Attributes
    ----------
    channels : (C, N, H, W) of 8 bit or floating, 0 to 255; luma alone, or luma, Cb and Cr.
    """

    channels: Array
    spec: FeatureSpec
    backend: Backend

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.channels.shape[-2:]
        return int(height), int(width)

    @cached_property
    def planes(self) -> Array:
        """(C, N, H, W), the channels in the spec's precision."""
        return self.channels.astype(self.spec.precision, copy=False)

    def filtered(self) -> Array:
        """(C, N, H, W), a new array: the channels under the spec's filter, in its precision."""
        if self.spec.filter == "none":
            return self.channels.astype(self.spec.precision)
        stack = self.channels.reshape(-1, *self.shape)
        return self.backend.laplacian(stack, self.spec.precision).reshape(self.channels.shape)

    @cached_property
    def dft(self) -> Array:
        """(C, N, ...) DFT of the filtered channels, for `cross_power`."""
        return self.backend.dft(self.filtered())

    @cached_property
    def power(self) -> Array:
        """(C, N, H//2 + 1, W//2 + 1), |DFT|^2 / (H W)."""
        return self.backend.cross_power(self.dft, self.dft, self.shape[1])

    def ring_means(self, power: Array, ring_width: float | None) -> Array:
        """(..., H//2 + 1, W//2 + 1) -> (..., n_rings), about the zero frequency."""
        settings = (self.shape, ring_width, "zero_frequency", self.spec.precision, self.backend)
        return apply_rings(ring_operator(*settings, quarter=True), power)

    def resampled(self, profile: Array, ring_width: float | None, n_bins: int) -> Array:
        """(..., n_rings) -> (..., n_bins)."""
        settings = (self.shape, ring_width, self.spec.centre, n_bins, self.spec.precision)
        return profile @ resampling_operator(*settings, self.backend).T

    @cached_property
    def luma_coefficients(self) -> Array:
        """(N, H//8, 8, W//8, 8), the orthonormal DCT-II of the 8x8 blocks of the luma."""
        return self._cosine_transform(self.planes[0], step=1)

    @cached_property
    def luma_level(self) -> Array:
        """(N, 63), log of the root mean square of each coefficient but the first."""
        return self._block_level(self.luma_coefficients)

    @cached_property
    def chroma_level(self) -> Array:
        """(2, N, 63), the same of Cb and Cr; of a large tile, from every other row of blocks."""
        step = 2 if min(self.shape) >= LARGE_TILE_PX else 1
        return self._block_level(self._cosine_transform(self.planes[1:], step))

    def _cosine_transform(self, planes: Array, step: int) -> Array:
        """(..., H, W) -> (..., n_rows, 8, W//8, 8), each `step`-th row of blocks: [row, u, column, v] of (u, v)."""
        transform = self.backend.xp.asarray(cosine_transform().astype(self.spec.precision))
        rows, columns = (length // BLOCK_PX for length in self.shape)
        whole = planes[..., : rows * BLOCK_PX, : columns * BLOCK_PX]
        strips = whole.reshape(*planes.shape[:-2], rows, BLOCK_PX, columns * BLOCK_PX)[..., ::step, :, :]
        along_rows = (strips.reshape(-1, BLOCK_PX) @ transform.T).reshape(strips.shape)
        return (transform @ along_rows).reshape(*strips.shape[:-1], columns, BLOCK_PX)

    def _block_level(self, coefficients: Array) -> Array:
        xp = self.backend.xp
        return xp.log(xp.sqrt(mean_over_blocks(coefficients**2)) + BLOCK_FLOOR)

    @cached_property
    def patch_levels(self) -> Array:
        """(N, n_patches, 81) log power of 16x16 patches of the luma under a Hann window.

        A frequency (u, v) and its mirror image (u, -v) are averaged.
        """
        xp, half = self.backend.xp, PATCH_PX // 2
        found = patches(self.planes[0], self.backend)
        found -= found.mean(axis=(-2, -1), keepdims=True)
        found *= xp.asarray(hann_window().astype(self.spec.precision))
        power = power_of(self.backend.rfft2(found), PATCH_PX)
        mirrored = (power[..., 1:half, :] + power[..., :-half:-1, :]) / 2
        folded = xp.concatenate([power[..., :1, :], mirrored, power[..., half : half + 1, :]], axis=-2)
        return xp.log(folded + POWER_FLOOR).reshape(*folded.shape[:2], -1)


def profile(tiles: Tiles) -> Array:
    """(N, n_bins), the azimuthal average of the luma's spectrum on the spec's scale: Durall et al., equation 4."""
    spec, xp = tiles.spec, tiles.backend.xp
    if spec.scale == "log_of_mean" and spec.centre == "zero_frequency":
        level = xp.log(tiles.ring_means(tiles.power[0], spec.ring_width) + POWER_FLOOR)
    else:
        level = _level_of_half(tiles)
    if spec.n_bins is not None:
        level = tiles.resampled(level, spec.ring_width, spec.n_bins)
    if spec.normalisation == "mean":
        return _less_mean(level)
    return level / level[..., :1] if spec.normalisation == "first" else level


def _level_of_half(tiles: Tiles) -> Array:
    """(N, n_rings), for what needs each frequency by itself, or rings about another centre."""
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


def coherence(tiles: Tiles) -> Array:
    """(N, 3 * 33), per ring the correlation of two planes' spectra, for each pair of planes.

    Re(mean F_a F_b*) / sqrt(mean |F_a|^2 mean |F_b|^2): a camera's colour filter ties the finest detail of its channels
    together, the last layer of a network mixes them anew.
    """
    width = MAX_FREQUENCY / (COHERENCE_BINS - 1)
    xp, power = tiles.backend.xp, tiles.ring_means(tiles.power, width)
    ratios = []
    for a, b in PAIRS:
        cross = tiles.ring_means(tiles.backend.cross_power(tiles.dft[a], tiles.dft[b], tiles.shape[1]), width)
        ratios.append(cross / xp.sqrt(power[a] * power[b] + COHERENCE_FLOOR))
    return xp.concatenate([tiles.resampled(ratio, width, COHERENCE_BINS) for ratio in ratios], axis=-1)


def block_spectrum(tiles: Tiles) -> Array:
    """(N, 63), log of the root mean square of each cosine coefficient of the luma's 8x8 blocks; its mean subtracted."""
    return _less_mean(tiles.luma_level)


def chroma_block_spectrum(tiles: Tiles) -> Array:
    """(N, 2 * 63), the same of Cb and Cr, the mean of the luma's subtracted."""
    luma = tiles.luma_level.mean(axis=-1, keepdims=True)
    return tiles.backend.xp.concatenate([level - luma for level in tiles.chroma_level], axis=-1)


def block_peakedness(tiles: Tiles) -> Array:
    """(N, 63), log of root mean square over mean magnitude of each cosine coefficient of the luma.

    0.23 for a normal distribution, 0.35 for a Laplacian one, to which the coefficients of photographs are near.
    """
    xp = tiles.backend.xp
    magnitude = mean_over_blocks(xp.abs(tiles.luma_coefficients))
    return tiles.luma_level - xp.log(magnitude + BLOCK_FLOOR)


def patch_spectrum(tiles: Tiles) -> Array:
    """(N, 81), mean over patches of the log power spectrum of the luma; its mean subtracted."""
    return _less_mean(tiles.patch_levels.mean(axis=1))


def patch_spread(tiles: Tiles) -> Array:
    """(N, 81), standard deviation over patches of the log power spectrum of the luma; its mean subtracted."""
    return _less_mean(tiles.backend.xp.std(tiles.patch_levels, axis=1))


def _less_mean(level: Array) -> Array:
    return level - level.mean(axis=-1, keepdims=True)


def blocks(planes: Array, side: int) -> Array:
    """(..., H, W) -> (..., H//side, W//side, side, side), from the upper left corner; what is left over is dropped."""
    rows, columns = planes.shape[-2] // side, planes.shape[-1] // side
    whole = planes[..., : rows * side, : columns * side]
    return whole.reshape(*planes.shape[:-2], rows, side, columns, side).swapaxes(-3, -2)


def patches(planes: Array, backend: Backend) -> Array:
    """(N, H, W) -> (N, n_patches, 16, 16), side by side.

    Where these are few, also those half a patch further; of a large tile, every other row of them.
    """
    halfway, shorter = PATCH_PX // 2, min(planes.shape[1:])
    step = 2 if shorter >= LARGE_TILE_PX else 1
    shifts = (0, halfway) if PATCH_PX + halfway <= shorter <= MOST_OVERLAPPED_PX else (0,)
    grids = [blocks(planes[:, y:, x:], PATCH_PX)[:, ::step] for y in shifts for x in shifts]
    return backend.xp.concatenate([g.reshape(len(g), -1, PATCH_PX, PATCH_PX) for g in grids], axis=1)


def mean_over_blocks(values: Array) -> Array:
    """(..., n_rows, 8, n_columns, 8) -> (..., 63), without the first coefficient."""
    means = values.mean(axis=-4).mean(axis=-2)  # whole rows first: they are added in one go
    return means.reshape(*means.shape[:-2], BLOCK_PX**2)[..., 1:]


@cache
def cosine_transform() -> np.ndarray:
    """(8, 8) matrix T of the orthonormal DCT-II: that of a block is T @ block @ T.T."""
    import scipy.fft

    return np.asarray(scipy.fft.dct(np.eye(BLOCK_PX), axis=0, norm="ortho"))


@cache
def hann_window() -> np.ndarray:
    """(16, 16), of unit mean square."""
    window = np.outer(*2 * [np.hanning(PATCH_PX + 2)[1:-1]])
    return np.asarray(window / np.sqrt(np.mean(window**2)))


GROUPS: dict[str, Callable[[Tiles], Array]] = {
    group.__name__: group
    for group in (
        profile,
        coherence,
        block_spectrum,
        chroma_block_spectrum,
        block_peakedness,
        patch_spectrum,
        patch_spread,
    )
}
