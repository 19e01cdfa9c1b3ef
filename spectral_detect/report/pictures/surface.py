"""Draw the loss surfaces of generators, and write their values as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.regularize.surface.results import LossName, Surface, SurfacePoint
from spectral_detect.report.plots import new_figure, plain, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

COLUMNS = ("run", "kind", "epoch", "x", "y", "adversarial", "spectral", "total")
PANEL_IN = 4.6  # inches, of a surface
SHOWN_PERCENTILES = (0.5, 99.5)  # of the losses: the ends of the scale of colours
LEAST_RANGE = 1e-3  # of the scale of colours, where all losses are alike
N_LINES = 9  # contour lines over the scale of colours
MOST_NAMED = 6  # epochs that are written at the path
LOSSES = {
    "dcgan": "cross-entropy in nats",
    "dragan": "cross-entropy in nats",
    "lsgan": "half the squared difference from 1",
    "wgan-gp": "minus the critic's value, no unit",
}


def plot_surfaces(surfaces: Sequence[Surface], loss: LossName, output: str) -> None:
    """Draw surfaces side by side on one scale of colours, with the last weights and the path that led there.

    Parameters
    ----------
    surfaces : sequence of Surface
        Those of one objective.
    loss : {"total", "adversarial", "spectral"}
        What is drawn.
    output : str
        The file, which is written under a temporary name and renamed.
    """
    from matplotlib.cm import ScalarMappable

    figure = new_figure(PANEL_IN * len(surfaces) + 1.2, PANEL_IN + 0.9)
    panels = figure.subplots(1, len(surfaces), squeeze=False)[0]
    scale = _scale(surfaces, loss)
    for axes, surface, name in zip(panels, surfaces, _names(surfaces), strict=True):
        _draw(axes, surface, loss, scale)
        axes.set_title(f"{plain(name, 40)}\n{_facts(surface, loss)}", fontsize=10)
    colours = ScalarMappable(scale, "viridis")
    bar = figure.colorbar(colours, ax=list(panels), extend="both", fraction=0.05)
    bar.set_label(_loss_label(surfaces, loss), fontsize=9)
    bar.ax.tick_params(labelsize=8)
    figure.suptitle("Loss of the generator on a plane through its last weights (star)", fontsize=11)
    write_figure(figure, output)


def surface_rows(surfaces: Sequence[Surface]) -> str:
    """Return all points as CSV: those of the grid, of the path, and the last weights."""
    rows = [csv_line(COLUMNS)]
    for surface in surfaces:
        kinds: list[tuple[str, int | None, SurfacePoint]] = [("grid", None, point) for point in surface.grid]
        kinds += [("path", epoch, point) for epoch, point in surface.path]
        kinds.append(("last", surface.epoch, surface.last))
        for kind, epoch, p in kinds:
            values = (p.x, p.y, p.adversarial, p.spectral, p.total)
            rows.append(
                csv_line([surface.run, kind, epoch, *(None if v is None else float(f"{v:.6g}") for v in values)])
            )
    return "".join(rows)


def _scale(surfaces: Sequence[Surface], loss: LossName) -> Normalize:
    """Return a scale of colours for all surfaces."""
    from matplotlib.colors import Normalize

    low, high = np.percentile(np.concatenate([_finite(surface, loss) for surface in surfaces]), SHOWN_PERCENTILES)
    return Normalize(low, max(high, low + LEAST_RANGE))


def _draw(axes: Axes, surface: Surface, loss: LossName, scale: Normalize) -> None:
    values = surface.values(loss)
    axes.set_facecolor("0.8")  # where the loss is no finite number
    shown = np.ma.masked_invalid(values)
    axes.pcolormesh(surface.x, surface.y, shown, norm=scale, cmap="viridis", shading="nearest", rasterized=True)
    lines = np.linspace(scale.vmin or 0.0, scale.vmax or 1.0, N_LINES)
    crossed = lines[(lines > shown.min()) & (lines < shown.max())]
    if len(crossed):
        axes.contour(surface.x, surface.y, shown, levels=crossed, colors="white", linewidths=0.6, alpha=0.7)
    _path(axes, surface)
    axes.plot(0, 0, marker="*", markersize=15, color="white", markeredgecolor="black", linestyle="", zorder=4)
    axes.set_xlabel(_direction(surface, 0), fontsize=9)
    axes.set_ylabel(_direction(surface, 1), fontsize=9)
    axes.tick_params(labelsize=8)


def _path(axes: Axes, surface: Surface) -> None:
    """Draw the weights on their way, with some of their epochs."""
    if not surface.path:
        return
    points = [(p.x, p.y) for _, p in surface.path]
    x, y = zip(*points, (0.0, 0.0), strict=True)
    axes.plot(x, y, color="black", linewidth=2.6, zorder=2)
    axes.plot(x, y, color="white", linewidth=1.2, marker="o", markersize=4, markeredgecolor="black", zorder=3)
    step = -(-len(surface.path) // MOST_NAMED)
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
    for epoch, p in surface.path[::step]:
        axes.annotate(
            f"epoch {epoch}", (p.x, p.y), xytext=(6, 5), textcoords="offset points", fontsize=7, bbox=box, zorder=5
        )


def _names(surfaces: Sequence[Surface]) -> list[str]:
    """Return the names of the runs' folders, or the whole paths if these are needed to tell them apart."""
    runs = [surface.run for surface in surfaces]
    short = [Path(run).name or run for run in runs]
    return short if len(set(short)) == len(set(runs)) else runs


def _facts(surface: Surface, loss: LossName) -> str:
    options = surface.options
    weight = options.weight_in_words
    return f"{options.objective}, {weight}, epoch {surface.epoch}: loss {surface.last.loss(loss):.3g} at the star"


def _direction(surface: Surface, k: int) -> str:
    if surface.shares is None:
        return f"random direction {k + 1}, in lengths of the filters"
    share = 100 * surface.shares[k]
    return (
        f"direction {k + 1}: {share:.0f} % of the path's squared distances;\ndistance of weights (Euclidean, no unit)"
    )


def _loss_label(surfaces: Sequence[Surface], loss: LossName) -> str:
    if loss == "spectral":
        return "spectral loss, unweighted"
    unit = LOSSES[surfaces[0].options.objective]
    weights = {surface.options.spectral_weight for surface in surfaces}
    if loss == "adversarial" or weights == {0.0}:
        return f"adversarial loss by the last discriminator ({unit})"
    return f"adversarial loss by the last discriminator ({unit})\nplus the weighted spectral loss where there is one"


def range_of(surface: Surface, loss: LossName) -> tuple[float, float, int]:
    """Return the least and the largest loss on the plane, and the number of points where it is not finite."""
    finite = _finite(surface, loss)
    return float(finite.min()), float(finite.max()), int(np.count_nonzero(~np.isfinite(surface.values(loss))))


def _finite(surface: Surface, loss: LossName) -> np.ndarray:
    """Return the finite losses on the grid, and that of the last weights, which always is."""
    values = np.append(surface.values(loss), surface.last.loss(loss))
    return np.asarray(values[np.isfinite(values)])
