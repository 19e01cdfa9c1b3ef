"""The groups of features: each turns a stack of equal tiles into vectors, as a `FeatureSpec` says.

A group is one kind of trace that up-sampling layers leave. All are averages of a Fourier spectrum or of its real-valued
kin, the discrete cosine transform, over frequencies or over patches; none knows of a generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType

import numpy as np

from spectral_detect.features.backend import Array, Backend
from spectral_detect.features.spec import BLOCK_PX, COLOUR_BINS, PATCH_PX, FeatureSpec
from spectral_detect.features.spectrum import (
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
LARGE_TILE_PX = 128  # holds more patches, and more chroma, than their means need
COHERENCE_FLOOR = 1e-9
COLOUR_RING_WIDTH = MAX_FREQUENCY / (COLOUR_BINS - 1)
NEXT = [1, 2, 0]  # each plane is paired with the next: luma with Cb, Cb with Cr, Cr with luma


@dataclass
class Tiles:
    """A stack of tiles of one size, with what more than one group needs of them.

    Attributes
    ----------
    channels : (C, N, H, W) of 8 bit or floating, 0 to 255; luma alone, or luma, Cb and Cr.
    middle : the part, with luma, Cb and Cr, at which groups of colour look; None: they look at all of it.
    """

    channels: Array
    spec: FeatureSpec
    backend: Backend
    middle: Tiles | None = None

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.channels.shape[-2:]
        return int(height), int(width)

    @property
    def coloured(self) -> Tiles:
        """What groups of colour look at."""
        return self.middle or self

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
    def spectra(self) -> tuple[Array, Array | None]:
        """Of the filtered channels: |DFT|^2 / (H W), (C, N, H//2 + 1, W//2 + 1), and of three the cross power."""
        transform, width = self.backend.dft(self.filtered()), self.shape[1]
        has_pairs = len(transform) == 3
        cross = self.backend.cross_power(transform, transform[NEXT], width) if has_pairs else None
        return self.backend.power(transform, width), cross

    @cached_property
    def colour_power(self) -> Array:
        """(3, N, n_rings), the mean power of luma, Cb and Cr."""
        return self.ring_means(self.spectra[0], COLOUR_RING_WIDTH)

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
        return self._of_blocks(self.planes[0], cosine_transform())

    @cached_property
    def luma_level(self) -> Array:
        """(N, 63), log of the root mean square of each coefficient but the first."""
        return self._block_level(self.luma_coefficients)

    def _of_blocks(self, planes: Array, transform: np.ndarray) -> Array:
        """(..., H, W) -> (..., n_rows, side, n_columns, side), T @ block @ T.T of blocks side by side."""
        return self._transformed(strips(planes, len(transform)), transform)

    def _transformed(self, rows: Array, transform: np.ndarray) -> Array:
        """The same of `strips`, (..., n_rows, side, n_columns * side)."""
        side = len(transform)
        matrix = self.backend.xp.asarray(transform.astype(self.spec.precision))
        along_rows = (rows.reshape(-1, side) @ matrix.T).reshape(rows.shape)
        return (matrix @ along_rows).reshape(*rows.shape[:-1], -1, side)

    def _block_level(self, coefficients: Array) -> Array:
        xp = self.backend.xp
        return xp.log(xp.sqrt(mean_over_blocks(coefficients**2, xp)) + BLOCK_FLOOR)

    @cached_property
    def patch_levels(self) -> Array:
        """(N, n_patches, 81) log power of 16x16 patches of the luma, less their mean, under a Hann window.

        A frequency (u, v) and its mirror image (u, -v) are averaged. Patches lie side by side; where few, also
        half a patch further; of a large tile, every other row of them.
        """
        xp, luma, halfway, shorter = self.backend.xp, self.planes[0], PATCH_PX // 2, min(self.shape)
        shifts = (0, halfway) if PATCH_PX + halfway <= shorter <= MOST_OVERLAPPED_PX else (0,)
        step = 2 if shorter >= LARGE_TILE_PX else 1
        found = [self._patch_power(luma[:, y:, x:], step) for y in shifts for x in shifts]
        return xp.log(xp.concatenate(found, axis=1) + POWER_FLOOR)

    def _patch_power(self, luma: Array, step: int) -> Array:
        """(N, H, W) -> (N, n_patches, 81)."""
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
    """(N, n_bins), the azimuthal average of the luma's spectrum on the spec's scale: Durall et al., equation 4."""
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


def chroma_profile(tiles: Tiles) -> Array:
    """(N, 2 * 33), the profiles of Cb and Cr, the mean of the luma's subtracted.

    At `POWER_FLOOR` where there is no chroma: a gray image lies far from those in colour.
    """
    seen = tiles.coloured
    level = seen.resampled(seen.backend.xp.log(seen.colour_power + POWER_FLOOR), COLOUR_RING_WIDTH, COLOUR_BINS)
    less_luma = level[1:] - level[0].mean(axis=-1, keepdims=True)
    return seen.backend.xp.concatenate(list(less_luma), axis=-1)


def coherence(tiles: Tiles) -> Array:
    """(N, 3 * 33), per ring the correlation of two planes' spectra, for each pair of planes.

    Re(mean F_a F_b*) / sqrt(mean |F_a|^2 mean |F_b|^2): a camera's colour filter ties the finest detail of its channels
    together, the last layer of a network mixes them anew.
    """
    seen = tiles.coloured
    xp, power = seen.backend.xp, seen.colour_power
    cross = seen.ring_means(seen.spectra[1], COLOUR_RING_WIDTH)
    ratio = cross / xp.sqrt(power * power[NEXT] + COHERENCE_FLOOR)
    return xp.concatenate(list(seen.resampled(ratio, COLOUR_RING_WIDTH, COLOUR_BINS)), axis=-1)


def block_spectrum(tiles: Tiles) -> Array:
    """(N, 63), log of the root mean square of each cosine coefficient of the luma's 8x8 blocks; its mean subtracted."""
    return _less_mean(tiles.luma_level)


def block_peakedness(tiles: Tiles) -> Array:
    """(N, 63), log of root mean square over mean magnitude of each cosine coefficient of the luma.

    0.23 for a normal distribution, 0.35 for a Laplacian one, to which the coefficients of photographs are near.
    """
    xp = tiles.backend.xp
    magnitude = mean_over_blocks(xp.abs(tiles.luma_coefficients), xp)
    return tiles.luma_level - xp.log(magnitude + BLOCK_FLOOR)


def patch_spectrum(tiles: Tiles) -> Array:
    """(N, 81), mean over patches of the log power spectrum of the luma; its mean subtracted."""
    return _less_mean(tiles.patch_levels.mean(axis=1))


def _less_mean(level: Array) -> Array:
    return level - level.mean(axis=-1, keepdims=True)


def strips(planes: Array, side: int) -> Array:
    """(..., H, W) -> (..., H//side, side, W//side * side), the rows of blocks; what is left over is dropped."""
    rows, columns = planes.shape[-2] // side, planes.shape[-1] // side
    whole = planes[..., : rows * side, : columns * side]
    return whole.reshape(*planes.shape[:-2], rows, side, columns * side)


def mean_over_blocks(values: Array, xp: ModuleType) -> Array:
    """(..., n_rows, 8, n_columns, 8) -> (..., 63), without the first coefficient."""
    means = row_mean(values.mean(axis=-4), xp)  # whole rows first: they are added in one go
    return means.reshape(*means.shape[:-2], BLOCK_PX**2)[..., 1:]


def row_mean(values: Array, xp: ModuleType) -> Array:
    """(..., n, m) -> (..., m); by a product, which for short rows takes a fifth of the time of NumPy's mean."""
    n_rows = values.shape[-2]
    return (xp.full((1, n_rows), 1 / n_rows, values.dtype) @ values)[..., 0, :]


@cache
def cosine_transform() -> np.ndarray:
    """(8, 8) matrix T of the orthonormal DCT-II: that of a block is T @ block @ T.T."""
    import scipy.fft

    return np.asarray(scipy.fft.dct(np.eye(BLOCK_PX), axis=0, norm="ortho"))


@cache
def windowed_fourier_transform() -> np.ndarray:
    """(16, 16) matrix T of the real Fourier transform of a patch under a Hann window of unit mean square.

    Its rows are the cosines of the frequencies 0 to 8, then the sines of 1 to 7. In Y = T @ patch @ T.T the squares
    of both in u and both in v, four or fewer, add up to the power |F|^2 / 16^2, the mean over (u, v) and (u, -v):
    |(cc - ss) - i (sc + cs)|^2 + |(cc + ss) - i (sc - cs)|^2 = 2 (cc^2 + ss^2 + sc^2 + cs^2).
    """
    window = np.hanning(PATCH_PX + 2)[1:-1]
    phase = 2 * np.pi * np.outer(np.arange(PATCH_PX // 2 + 1), np.arange(PATCH_PX)) / PATCH_PX
    waves = np.concatenate([np.cos(phase), np.sin(phase[1:-1])])
    return np.asarray(waves * window / np.sqrt(PATCH_PX * np.mean(window**2)))


@cache
def sums_of_squares() -> np.ndarray:
    """(9, 16) matrix that adds what belongs to one frequency in the rows of `windowed_fourier_transform`."""
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
    )
}
