"""Show the training of a GAN: a table row per epoch, samples, profiles, a summary."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.PngImagePlugin

from spectral_detect._version import PROGRAM
from spectral_detect.atomic_write import write_aside
from spectral_detect.report.plots import (
    BLUE,
    GREEN,
    LINES,
    MARKERS,
    ORANGE,
    legend_below,
    new_figure,
    plain,
    whole_numbers,
    write_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spectral_detect.regularize.gan.monitor import Measures

LARGEST_GRID_PX = 1024
COLUMNS = (
    ("epoch", "epoch", "5"),
    ("loss_d", "loss D", "8.3f"),
    ("loss_g", "loss G", "8.3f"),
    ("spectral_loss", "spectral", "9.4f"),
    ("spectral_distance", "distance", "9.3f"),
    ("high_frequency_distance", "high freq", "10.3f"),
    ("detector_auroc", "AUROC", "7.3f"),
    ("spectral_frechet", "Frechet", "9.2f"),
    ("fid", "FID", "7.1f"),
    ("fd", "FD", "8.3f"),
    ("diversity", "diversity", "10.2f"),
    ("seconds", "s", "7.1f"),
)
MEASURES = COLUMNS[4:-1]  # those that images have without a training


def epoch_heading() -> str:
    """Return the titles of the columns of `epoch_line`."""
    return "".join(f"{title:>{_width(form)}}" for _, title, form in COLUMNS)


def epoch_line(row: dict[str, Any]) -> str:
    """Format a row of the log for people; a dash stands for a missing measure."""
    return "".join(_cell(row.get(name), form) for name, _, form in COLUMNS)


def measures_heading(width: int) -> str:
    """Return the titles of the columns of `measures_line`, after so many characters for a name."""
    return " " * width + "".join(f"{title:>{_width(form)}}" for _, title, form in MEASURES)


def measures_line(name: str, measures: Measures, width: int) -> str:
    """Format the measures of a folder of images for people; a dash stands for one that was not asked for."""
    values = vars(measures)
    return f"{name:<{width}}" + "".join(_cell(values[key], form) for key, _, form in MEASURES)


def _cell(value: Any, form: str) -> str:
    width = _width(form)
    text = "-" if value is None else f"{value:{form}}".strip()
    if "." in form and len(text) >= width:
        text = f"{value:.0e}"
    return f"{text:>{width}}"


def _width(form: str) -> int:
    return int(form.rstrip("df").split(".")[0])


def draw_samples(samples: np.ndarray, output: Path) -> None:
    """Draw the first 64 of (N, H, W, 3) uint8 images side by side, pixel for pixel, as PNG."""
    write_aside(output, _png(grid_of(samples)))


def grid_of(samples: np.ndarray) -> np.ndarray:
    """Arrange (N, H, W, 3) images as (rows * H, columns * W, 3), at most 8 by 8 images and 1024 pixels."""
    height, width = samples.shape[1:3]
    side = max(1, min(8, LARGEST_GRID_PX // max(height, width), int(np.sqrt(len(samples)))))
    shown = samples[: side * side].reshape(side, side, height, width, 3)
    return np.ascontiguousarray(shown.transpose(0, 2, 1, 3, 4).reshape(side * height, side * width, 3))


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Software", PROGRAM)
    PIL.Image.fromarray(pixels).save(stream, "PNG", pnginfo=text)
    return stream.getvalue()


def plot_profiles(row: dict[str, Any], reals: dict[str, Any], output: Path) -> None:
    """Plot mean and deviation of the radial profiles of samples and of reals: the paper's figure 1, for one epoch."""
    figure = new_figure(7.0, 5.0)
    axes = figure.add_subplot()
    _profiles(axes, row, reals)
    axes.set_title(f"Epoch {row['epoch']}: AUROC of a detector {row['detector_auroc']:.3f}")
    write_figure(figure, str(output))


def plot_run(
    rows: Sequence[dict[str, Any]], reals: dict[str, Any], samples: np.ndarray, title: str, output: Path
) -> None:
    """Plot a run on one page: profiles, their course, losses, distances, detector and FID over training, samples.

    Figures 1, 11, 13 and 14 of Durall et al., CVPR 2020, for this run.

    Parameters
    ----------
    rows : sequence of dict
        Rows of the log.
    reals : dict
        Measures of camera images against others, with their profile: `RealMeasures` as JSON.
    samples : array (N, H, W, 3) uint8
        Samples of the last epoch.
    title : str
        Title of the page.
    output : Path
        The picture; written under a temporary name and renamed.
    """
    figure = new_figure(16.0, 10.4)
    grid = figure.add_gridspec(2, 3)
    panels = [figure.add_subplot(grid[row, column]) for row in range(2) for column in range(3)]
    _profiles(panels[0], rows[-1], reals)
    panels[0].set_title(f"Radial profile, epoch {rows[-1]['epoch']}")
    _approach(panels[1], rows, reals)
    panels[2].imshow(grid_of(samples))
    panels[2].set_title("Samples")
    panels[2].set_axis_off()
    _losses(panels[3], rows)
    _distances(panels[4], rows, reals)
    _detector(panels[5], rows, reals)
    figure.suptitle(plain(title, 120))
    write_figure(figure, str(output))


def _profiles(axes: Axes, row: dict[str, Any], reals: dict[str, Any]) -> None:
    frequency = np.array(reals["frequency"])
    both = (
        (reals["real_profile_mean"], reals["real_profile_sd"], "camera images", BLUE, "-"),
        (row["profile_mean"], row["profile_sd"], "generated", ORANGE, "--"),
    )
    for mean, sd, label, colour, line in both:
        middle, spread = np.array(mean), np.array(sd)
        axes.plot(frequency, middle, color=colour, linestyle=line, label=label)
        axes.fill_between(frequency, middle - spread, middle + spread, color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="frequency, cycles per pixel", ylabel="ln power; mean and standard deviation")
    legend_below(axes)


def _approach(axes: Axes, rows: Sequence[dict[str, Any]], reals: dict[str, Any]) -> None:
    """Plot how the profile of the samples approaches that of the reals, epoch after epoch."""
    import matplotlib.cm
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    frequency, real = np.array(reals["frequency"]), np.array(reals["real_profile_mean"])
    epochs = [row["epoch"] for row in rows]
    scale = matplotlib.cm.ScalarMappable(Normalize(min(epochs) - 0.5, max(epochs) + 0.5), "viridis_r")  # the last: dark
    for row in rows:
        colour = scale.to_rgba(row["epoch"])
        axes.plot(frequency, np.array(row["profile_mean"]) - real, color=colour, linewidth=1)
    axes.axhline(0, color="0.5", linewidth=1, linestyle="--")
    axes.set(xlabel="frequency, cycles per pixel", ylabel="ln power, generated minus real")
    axes.set_title("Distance to camera images, by frequency")
    axes.figure.colorbar(scale, ax=axes, label="epoch", ticks=MaxNLocator(integer=True, min_n_ticks=1))


def _over_epochs(
    axes: Axes, rows: Sequence[dict[str, Any]], series: Sequence[tuple[str, str, str]], title: str
) -> None:
    for (name, label, colour), line, marker in zip(series, LINES, MARKERS, strict=False):
        points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=4, label=label)
    axes.set_xlabel("epoch")
    whole_numbers(axes, [row["epoch"] for row in rows])
    axes.set_title(title)
    legend_below(axes)


def _losses(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """Plot the losses of D and G, and on a scale of its own the spectral loss, unweighted, where there is one."""
    _over_epochs(axes, rows, (("loss_d", "D", BLUE), ("loss_g", "G", ORANGE)), "Losses")
    points = [(row["epoch"], row["spectral_loss"]) for row in rows if row.get("spectral_loss") is not None]
    if points:
        _beside(axes, points, "spectral loss (triangles)", GREEN, "^")


def _beside(axes: Axes, points: Sequence[tuple[int, float]], label: str, colour: str, marker: str) -> Axes:
    """Plot (epoch, value) on a second scale at the right."""
    other = axes.twinx()
    epochs, values = zip(*points, strict=True)
    other.plot(epochs, values, color=colour, linestyle="--", marker=marker, markersize=4)
    other.set_ylabel(label, color=colour)
    return other


def _distances(axes: Axes, rows: Sequence[dict[str, Any]], reals: dict[str, Any]) -> None:
    """Plot the spectral distance and the FID or FD (the Frechet distance of spectral features if neither is there)."""
    has_fid = any(row["fid"] is not None for row in rows)
    name, label = ("fid", "FID") if has_fid else ("spectral_frechet", "Frechet distance")
    if not has_fid and reals.get("fd") is not None and any(row.get("fd") is not None for row in rows):
        name, label = "fd", f"FD ({reals['fd_network']})"
    _over_epochs(axes, rows, ((name, label, BLUE),), f"{label} and spectral distance")
    axes.set_yscale("log")
    axes.axhline(reals[name], color=BLUE, linewidth=1, linestyle="--")
    axes.set_ylabel(f"{label} (dashed: camera images)", color=BLUE)
    axes.legend().remove()
    points = [(row["epoch"], row["spectral_distance"]) for row in rows]
    _beside(axes, points, "spectral distance (squares)", ORANGE, "s").set_ylim(bottom=0)


def _detector(axes: Axes, rows: Sequence[dict[str, Any]], reals: dict[str, Any]) -> None:
    _over_epochs(axes, rows, (("detector_auroc", "samples", ORANGE),), "A fresh detector's AUROC")
    axes.axhline(reals["detector_auroc"], color=BLUE, linewidth=1, linestyle="--", label="other camera images")
    lowest = min(reals["detector_auroc"], *(row["detector_auroc"] for row in rows))
    axes.set_ylim(min(0.4, lowest - 0.02), 1.02)
    legend_below(axes)
