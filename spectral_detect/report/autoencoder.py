"""Show the auto-encoder experiment as a table, as files, and as pictures."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spectral_detect.atomic_write import write_aside
from spectral_detect.regularize.autoencoder.fidelity import Fidelity
from spectral_detect.regularize.autoencoder.results import Cell, Experiment
from spectral_detect.regularize.profiles import GRAY, UPPER_QUARTER
from spectral_detect.report.plots import BLUE, COLOURS, MARKERS, ORANGE, new_figure, whole_numbers, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

SHOWN_PERCENTILE = 99.0  # of the differences of pixels: the ends of their colour scale, beyond which few lie
LEVELS = 255  # gray levels of a pixel
N_SHOWN = 2  # images for each up-sampling
SHOWN_KERNEL = 5  # the paper's
TRAINED = (
    ("mse", "MSE"),
    ("spectral", "spectral loss"),
    ("signed_difference", "high frequencies, signed"),
)
TITLE = """\
differ.: mean |difference| of the log profile (natural logarithm) of a held-out image from the original's, over the
         upper quarter of the frequencies; means: the same of the mean profiles; signed: mean difference, positive where
         high frequencies are added; early: signed, after an eighth of the first epoch
closer:  by how much the loss divides differ.; x MSE: by how much it multiplies the MSE"""
GROUPS = f"{'':35}{'without the loss':-^31} {'with the loss':-^31}"
COLUMNS = (
    f"{'upsampling':<15}{'kernel':>6}{'layers':>7}{'early':>7}{'signed':>7}{'differ.':>8}{'means':>7}{'MSE':>9}"
    f"{'signed':>8}{'differ.':>8}{'means':>7}{'MSE':>9}{'closer':>7}{'x MSE':>6}{'seconds':>8}"
)


def table_head() -> str:
    """Return the lines above the rows of the table."""
    return f"{TITLE}\n\n{GROUPS}\n{COLUMNS}"


def table_row(cell: Cell) -> str:
    """Format a cell as a row of the table, or say that a network of it diverged."""
    head = f"{cell.upsampling:<15}{cell.kernel:>6}{cell.layers:>7}"
    plain, corrected = cell.plain.fidelity, cell.corrected.fidelity
    if plain is None or corrected is None:
        return f"{head}   diverged"
    early = cell.plain.history[0].signed_difference
    seconds = cell.plain.seconds + cell.corrected.seconds
    numbers = f"{early:>+7.2f}{_fidelity(plain)} {_fidelity(corrected)}"
    return f"{head}{numbers}{cell.times_closer:>7.2f}{cell.mse_ratio:>6.2f}{seconds:>8.1f}"


def _fidelity(fidelity: Fidelity) -> str:
    d = fidelity.difference
    return f"{d.signed:>+7.2f}{d.per_image:>8.3f}{d.of_means:>7.3f}{fidelity.mse:>9.5f}"


def divergence(cell: Cell) -> str:
    """Say which network diverged, when, and what to do."""
    name, network = ("without", cell.plain) if cell.plain.fidelity is None else ("with", cell.corrected)
    return (
        f"{_name(cell)}, {name} the loss: the network diverged (its loss is not finite) after "
        f"{network.diverged_in:.2f} epochs; lower --learning-rate or --spectral-weight"
    )


def experiment_record(experiment: Experiment, options: dict[str, Any]) -> dict[str, Any]:
    """Return options and results as plain values, for JSON."""
    return {"options": options, **experiment.to_dict()}


def write_numbers(experiment: Experiment, options: dict[str, Any], folder: str) -> None:
    """Write `results.json` and `results.csv`, each under a temporary name, and rename them."""
    record = experiment_record(experiment, options)
    write_aside(os.path.join(folder, "results.json"), f"{json.dumps(record, indent=1)}\n".encode())
    rows = [cell.numbers() for cell in experiment.cells]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_aside(os.path.join(folder, "results.csv"), text.getvalue().encode())


def write_pictures(experiment: Experiment, folder: str) -> None:
    """Draw `profiles.png`, `training.png` and `differences.png` of the cells that did not diverge."""
    experiment = Experiment(
        experiment.originals, experiment.examples, tuple(c for c in experiment.cells if not c.has_diverged)
    )
    if not experiment.cells:
        return
    plot_profiles(experiment, os.path.join(folder, "profiles.png"))
    plot_training(experiment, os.path.join(folder, "training.png"))
    plot_differences(experiment, os.path.join(folder, "differences.png"))


def plot_profiles(experiment: Experiment, output: str) -> None:
    """Plot mean and standard deviation of the log profiles: originals, output, corrected; a panel for each cell."""
    groups = list(_groups(experiment.cells))
    n_columns = max(len(cells) for cells in groups)
    figure = new_figure(max(6.5, 1.2 + 3.1 * n_columns), 1.2 + 2.7 * len(groups))
    panels = figure.subplots(len(groups), n_columns, sharex=True, sharey=True, squeeze=False)
    for row, cells in zip(panels, groups, strict=True):
        for axes in row[len(cells) :]:
            axes.set_axis_off()
        for axes, cell in zip(row, cells, strict=False):
            _profile_panel(axes, experiment.originals, cell)
        row[0].set_ylabel("ln of the profile")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4 if n_columns > 2 else 2, frameon=False)
    write_figure(figure, output)


def _profile_panel(axes: Axes, originals: Fidelity, cell: Cell) -> None:
    drawn = (
        ("original images", originals, "black", "-"),
        ("output", cell.plain.fidelity, ORANGE, "--"),
        ("output, trained with the spectral loss", cell.corrected.fidelity, BLUE, "-."),
    )
    axes.axvspan(UPPER_QUARTER, float(originals.frequency[-1]), color="0.93", label="upper quarter")
    for label, fidelity, colour, line in drawn:
        if fidelity is None:
            continue
        low, high = fidelity.mean_log - fidelity.sd_log, fidelity.mean_log + fidelity.sd_log
        axes.fill_between(fidelity.frequency, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(fidelity.frequency, fidelity.mean_log, line, color=colour, label=label, linewidth=1.4)
    axes.set_title(_name(cell), fontsize=10)
    axes.set_xlabel("cycles per pixel", fontsize=9)
    axes.tick_params(labelbottom=True)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)


def plot_training(experiment: Experiment, output: str) -> None:
    """Plot MSE, spectral loss and signed difference over training; a row per up-sampling and number of layers."""
    groups = list(_groups(experiment.cells))
    figure = new_figure(14, 0.8 + 3.1 * len(groups))
    panels = figure.subplots(len(groups), 3, squeeze=False)
    for row, cells in zip(panels, groups, strict=True):
        for axes, (measure, title) in zip(row, TRAINED, strict=True):
            _training_panel(axes, cells, measure)
            axes.set_title(f"{cells[0].upsampling}, {_layers(cells[0])}: {title}", fontsize=10)
            if measure == "signed_difference":
                axes.axhline(0, color="0.4", linewidth=1)
            else:
                axes.set_yscale("log")
        row[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    write_figure(figure, output)


def _training_panel(axes: Axes, cells: Sequence[Cell], measure: str) -> None:
    for k, cell in enumerate(cells):
        for (name, network), style in zip(cell.networks(), ("--", "-"), strict=True):
            x = [m.epoch for m in network.history]
            y = [getattr(m, measure) for m in network.history]
            label = f"{cell.kernel}x{cell.kernel}, {'with' if name == 'corrected' else 'without'} the loss"
            shown: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)]}
            axes.plot(x, y, style, label=label, linewidth=1.3, markersize=4, **shown)
    whole_numbers(axes)
    axes.set_xlim(left=0)
    axes.set_xlabel("epochs", fontsize=9)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)


def plot_differences(experiment: Experiment, output: str) -> None:
    """Draw originals, outputs, and by how many gray levels they differ, of the deepest cell of each up-sampling."""
    cells = list(_shown(experiment.cells))
    n_shown = min(N_SHOWN, len(experiment.examples))
    limit = _largest_shown(experiment.examples[:n_shown], cells)
    figure = new_figure(12.2, 0.5 + 2.35 * n_shown * len(cells))
    panels = figure.subplots(n_shown * len(cells), 5, squeeze=False)
    for k, cell in enumerate(cells):
        for image in range(n_shown):
            row = panels[k * n_shown + image]
            outputs = cell.plain.examples[image], cell.corrected.examples[image]
            scale = _difference_row(row, experiment.examples[image], *outputs, limit)
            row[0].set_ylabel(_name(cell).replace(", ", "\n"), fontsize=9)
    titles = ("original", "output", "output - original", "with the loss", "with the loss - original")
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=11)
    label = (
        f"difference of the luma in gray levels (of {LEVELS}); {100 - SHOWN_PERCENTILE:g} % of the pixels lie beyond"
    )
    figure.colorbar(scale, ax=panels, extend="both", shrink=0.6, label=label)
    write_figure(figure, output)


def luma_difference(picture: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return (..., H, W), by how many gray levels the luma of (..., H, W, 3) pictures from 0 to 1 differs."""
    return np.asarray(LEVELS * ((picture - real) @ np.array(GRAY)))


def _largest_shown(reals: np.ndarray, cells: Sequence[Cell]) -> float:
    """Return the gray levels at the ends of the scale, one for all panels."""
    networks = [network for cell in cells for network in (cell.plain, cell.corrected)]
    magnitudes = [np.abs(luma_difference(network.examples[: len(reals)], reals)) for network in networks]
    return max(1.0, float(np.percentile(magnitudes, SHOWN_PERCENTILE)))


def _difference_row(
    row: Sequence[Axes], real: np.ndarray, plain: np.ndarray, corrected: np.ndarray, limit: float
) -> AxesImage:
    """Draw a row of panels; return the picture that has the scale of all differences."""
    for axes, picture in zip((row[0], row[1], row[3]), (real, plain, corrected), strict=True):
        axes.imshow(picture, interpolation="nearest")
    for axes, picture in ((row[2], plain), (row[4], corrected)):
        difference = luma_difference(picture, real)
        drawn = axes.imshow(difference, cmap="cividis", vmin=-limit, vmax=limit, interpolation="nearest")
    for axes in row:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return drawn


def _shown(cells: Sequence[Cell]) -> Iterator[Cell]:
    for upsampling in dict.fromkeys(cell.upsampling for cell in cells):
        of_it = [cell for cell in cells if cell.upsampling == upsampling]
        yield max(of_it, key=lambda cell: (cell.layers, -abs(cell.kernel - SHOWN_KERNEL)))


def _groups(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Group cells that differ in the kernel alone."""
    for layers, upsampling in dict.fromkeys((cell.layers, cell.upsampling) for cell in cells):
        yield [cell for cell in cells if (cell.layers, cell.upsampling) == (layers, upsampling)]


def _name(cell: Cell) -> str:
    return f"{cell.upsampling}, {cell.kernel}x{cell.kernel}, {_layers(cell)}"


def _layers(cell: Cell) -> str:
    return "1 layer" if cell.layers == 1 else f"{cell.layers} layers"
