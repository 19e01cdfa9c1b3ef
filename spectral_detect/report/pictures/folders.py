"""Draw folders of images: mean profiles, mean spectra, where their features lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from spectral_detect.folders.embedding import Embedding
from spectral_detect.folders.profiles import FolderProfile
from spectral_detect.folders.spectra import FolderSpectrum
from spectral_detect.report.plots import COLOURS, MARKERS, line_style, new_figure, plain, shifted_edges, write_figure
from spectral_detect.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

LEVELS = {
    "azimuthal": "ln power after a Laplacian,\nmean of all bins subtracted",
    "power": "ln power",
    "durall": "ln power, divided by\nthat of the first ring",
}
NYQUIST = 0.5  # cycles per pixel, along rows and columns
MOST_COLUMNS = 4
PANEL_IN = 3.1  # inches, of a panel with a spectrum
SHOWN_PERCENTILES = (0.5, 99.5)  # of the values: the ends of a scale of colours
GRAY_POINTS = (("x", "0.6"), ("+", "0.45"))  # marker and gray of points in the background
LEAST_RANGE = 1e-3  # of a scale of colours, where all values are alike


def plot_profiles(profiles: Sequence[FolderProfile], features: str, output: str) -> None:
    """Draw mean and deviation of each folder's profiles; below, the distance from the first folder's.

    Figures 1, 10 and 15 to 17 of Durall et al., CVPR 2020.

    Parameters
    ----------
    profiles : sequence of FolderProfile
        The folders; the first is the reference.
    features : str
        What the profiles are: a key of `LEVELS`.
    output : str
        The file, which is written under a temporary name and renamed.
    """
    figure = new_figure(7.2, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    reference = profiles[0]
    for k, profile in enumerate(profiles):
        label = f"{plain(profile.name, 40)} ({counted(profile.n_images, 'image')})"
        style = line_style(k)
        upper.plot(profile.frequency, profile.mean, label=label, linewidth=1.5, **style)
        low, high = profile.mean - profile.sd, profile.mean + profile.sd
        upper.fill_between(profile.frequency, low, high, color=style["color"], alpha=0.18, linewidth=0)
        if k:
            lower.plot(profile.frequency, profile.distance_from(reference), linewidth=1.5, **style)
    upper.set_ylabel(f"{LEVELS[features]};\nmean and standard deviation")
    _finish_distances(lower, reference)
    for axes in (upper, lower):
        axes.axvline(NYQUIST, color="0.6", linewidth=0.8, linestyle=":")
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    _radial_distance(upper, profiles)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    write_figure(figure, output)


def _finish_distances(axes: Axes, reference: FolderProfile) -> None:
    name = plain(reference.name, 20)
    axes.axhline(0, color="0.3", linewidth=1)
    axes.axhspan(-1, 1, color="0.9", zorder=0)
    axes.set_xlabel("frequency in cycles per pixel (dotted: the highest along rows and columns)")
    axes.set_ylabel(f"difference from {name}\nin its standard deviations\n(gray: up to one)")
    axes.set_xlim(0, float(reference.frequency[-1]))
    if reference.n_images == 1:
        axes.text(0.5, 0.6, f"{name} is one image: it has no deviation", ha="center", transform=axes.transAxes)


def _radial_distance(axes: Axes, profiles: Sequence[FolderProfile]) -> None:
    """Add the paper's axis, the radius in pixels of the spectrum, if all images are squares of one size."""
    sizes = {size for profile in profiles for size in profile.sizes}
    sides_px = {side for size in sizes for side in size}
    if len(sides_px) != 1:
        return
    (side_px,) = sides_px
    second = axes.secondary_xaxis("top", functions=(partial(np.multiply, side_px), partial(np.multiply, 1 / side_px)))
    second.set_xlabel(f"radial distance in the spectrum of {side_px}x{side_px} pixels")


def plot_spectra(spectra: Sequence[FolderSpectrum], high_pass: str, output: str) -> None:
    """Draw the mean spectrum of each folder, all on one scale; below, the difference from the first folder's.

    Figure 7 of Wang et al., CVPR 2020.

    Parameters
    ----------
    spectra : sequence of FolderSpectrum
        The folders; the first is the reference.
    high_pass : str
        Name of the filter.
    output : str
        The file, which is written under a temporary name and renamed.
    """
    n, n_columns = len(spectra), min(len(spectra), MOST_COLUMNS)
    n_lines = -(-n // n_columns)
    levels = np.stack([spectrum.level for spectrum in spectra])
    below = n > 2  # the differences stand below the spectra; that of two beside them
    width, height = PANEL_IN * n_columns + 1.2, (PANEL_IN + 0.4) * n_lines
    figure = new_figure(width + (n == 2) * (PANEL_IN + 1.2), height * (1 + below) + 0.4)
    parts = figure.subfigures(1 + below, 1 + (n == 2), squeeze=False, width_ratios=(2, 1.15)[: 1 + (n == 2)]).flat
    low, high = np.percentile(levels, SHOWN_PERCENTILES)
    titles = [f"{plain(s.name, 30)} ({counted(s.n_images, 'image')})" for s in spectra]
    _pictures(parts[0], n_columns, levels, titles, (low, max(high, low + LEAST_RANGE)), "magma", "mean ln power")
    if n > 1:
        differences = levels[1:] - levels[0]
        limit = max(LEAST_RANGE, float(np.percentile(np.abs(differences), SHOWN_PERCENTILES[1])))
        titles = [f"{plain(s.name, 20)} - {plain(spectra[0].name, 20)}" for s in spectra[1:]]
        label = "difference of the mean ln power"
        _pictures(parts[1], n_columns if below else 1, differences, titles, (-limit, limit), "cividis", label)
    side_px = levels.shape[-1]
    figure.suptitle(f"Central {side_px}x{side_px} pixels after a high-pass filter ({high_pass})", fontsize=11)
    write_figure(figure, output)


def _pictures(
    part: SubFigure,
    n_columns: int,
    levels: np.ndarray,
    titles: Sequence[str],
    limits: tuple[float, float],
    colours: str,
    label: str,
) -> None:
    """Draw (n, side, side) spectra side by side, with one bar of colours for all."""
    panels = part.subplots(-(-len(levels) // n_columns), n_columns, squeeze=False)
    left, right = shifted_edges(levels.shape[-1])
    for axes in panels.flat[len(levels) :]:
        axes.set_axis_off()
    for axes, level, title in zip(panels.flat, levels, titles, strict=False):
        extent = (left, right, right, left)
        image = axes.imshow(level, cmap=colours, vmin=limits[0], vmax=limits[1], extent=extent, interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set(xticks=(-0.5, 0, 0.5), yticks=(-0.5, 0, 0.5))
        axes.set_xlabel("cycles per pixel", fontsize=9)
        axes.tick_params(labelsize=8)
    part.colorbar(image, ax=panels, extend="both", label=label, fraction=0.05)


def plot_embedding(embedding: Embedding, features: str, output: str, *, n_gray: int = 0) -> None:
    """Draw the images of each folder as points with a colour and a marker of their own.

    Figure 19 of Durall et al., CVPR 2020, is t-SNE.

    Parameters
    ----------
    embedding : Embedding
        The points.
    features : str
        Name of the features.
    output : str
        The file, which is written under a temporary name and renamed.
    n_gray : int
        So many of the last names are background: small and gray, behind the others.
    """
    n_lines = -(-len(embedding.names) // 2)
    figure = new_figure(6.4, 5.0 + 0.2 * max(2, n_lines))
    axes = figure.add_subplot()
    n_points = sum(map(len, embedding.points))
    size = float(np.clip(4000 / max(1, n_points), 6, 40))
    for k, (name, points) in enumerate(zip(embedding.names, embedding.points, strict=True)):
        marker, colour = MARKERS[k % len(MARKERS)], COLOURS[k % len(COLOURS)]
        is_open = k % 2 == 1  # full against hollow: told apart in gray as well
        faces = "none" if is_open else colour
        label = f"{plain(name, 40)} ({counted(len(points), 'image')})"
        x, y = points.T
        if k >= len(embedding.names) - n_gray:
            marker, gray = GRAY_POINTS[k % len(GRAY_POINTS)]
            axes.scatter(x, y, s=size * 0.8, marker=marker, color=gray, label=label, linewidths=1, zorder=1)
            continue
        axes.scatter(x, y, s=size, marker=marker, facecolors=faces, edgecolors=colour, label=label, linewidths=1)
    if embedding.explained is None:
        axes.set(xticks=[], yticks=[], xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    else:
        first, second = (f"{100 * share:.1f} % of the variance" for share in embedding.explained)
        axes.set(xlabel=f"principal component 1, {first}", ylabel=f"principal component 2, {second}")
        axes.axhline(0, color="0.9", linewidth=1, zorder=0)
        axes.axvline(0, color="0.9", linewidth=1, zorder=0)
    method = "PCA" if embedding.perplexity is None else f"t-SNE (perplexity {embedding.perplexity:g})"
    axes.set_title(f"{method} of {features} features, standardised", fontsize=11)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    write_figure(figure, output)
