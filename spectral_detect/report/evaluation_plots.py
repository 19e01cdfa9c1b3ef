"""Draw an evaluation, and a matrix of generators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spectral_detect.detector.metric_values import Estimate
from spectral_detect.evaluation.by_generator import GeneratorTable
from spectral_detect.evaluation.generator_matrix import GeneratorMatrix
from spectral_detect.evaluation.results import Evaluation, LearningCurveRow, RobustnessRow
from spectral_detect.evaluation.scored_files import ScoredSet, ratios_of
from spectral_detect.report.pictures.histograms import draw_histogram
from spectral_detect.report.pictures.scores import (
    Measured,
    draw_det,
    draw_reliability,
    draw_roc,
    draw_tippett,
    fakes_in_words,
)
from spectral_detect.report.plots import BLUE, ORANGE, WIDTH, new_figure, picture_uri, plain, write_figure
from spectral_detect.scanning.judge import Judgement
from spectral_detect.training.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_HEIGHT = 4.3
SQUARE = (5.4, 5.2)
PANELS_OF_PAGE: tuple[tuple[str, Callable[[Axes, Measured], None]], ...] = (
    ("Scores of both classes, and the threshold", lambda axes, measured: draw_histogram(axes, measured[0][0])),
    ("ROC: {fakes} found against false alarms, whatever the threshold", draw_roc),
    ("DET: misses against false alarms, on axes on which normal scores give a line", draw_det),
    ("Reliability: share of {fakes} against the score; on the diagonal it is a probability", draw_reliability),
    ("Tippett: share of images with a likelihood ratio above each value", draw_tippett),
)


@dataclass(frozen=True)
class Picture:
    """A picture of a page: what it shows, and its data URI; a wide one takes a row of its own."""

    title: str
    uri: str
    is_wide: bool = False


def plot_evaluation(evaluation: Evaluation, images: Dataset, judgements: Sequence[Judgement], output: str) -> None:
    """Draw reliability, Tippett and ROC of an evaluation; below, its robustness and learning curve, if it has any.

    Parameters
    ----------
    evaluation : Evaluation
        The numbers.
    images : Dataset
        The judged images.
    judgements : sequence of Judgement
        One for each image.
    output : str
        The file, which is written under a temporary name and renamed.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    metrics = evaluation.metrics
    n_rows = 1 + (evaluation.robustness is not None) + (evaluation.curve is not None)
    figure = new_figure(WIDTH, ROW_HEIGHT * n_rows)
    grid = figure.add_gridspec(n_rows, 3)
    measured = [(_scored(evaluation, images, judgements), metrics)]
    for column, draw in enumerate((draw_reliability, draw_tippett, draw_roc)):
        draw(figure.add_subplot(grid[0, column]), measured)
    if evaluation.robustness is not None:
        _robustness(figure.add_subplot(grid[1, :]), evaluation.robustness)
    if evaluation.curve is not None:
        _curve(figure.add_subplot(grid[n_rows - 1, :]), evaluation.curve)
    real, fake = map(plain, evaluation.class_names)
    figure.suptitle(f"model {plain(evaluation.model, 60)}; {metrics.n_real} {real}, {metrics.n_fake} {fake} images")
    write_figure(figure, output)


def pictures_of_generators(table: GeneratorTable) -> list[Picture]:
    """Return the picture of a page about generators: their numbers."""
    return [_wide("AUROC and balanced accuracy of each generator", lambda axes: _generators(axes, table))]


def pictures_of(result: Evaluation, images: Dataset, judgements: Sequence[Judgement]) -> list[Picture]:
    """Return the pictures of a page."""
    measured = [(_scored(result, images, judgements), result.metrics)]
    fakes = fakes_in_words(result.class_names)
    pictures = [_square(title.format(fakes=fakes), draw, measured) for title, draw in PANELS_OF_PAGE]
    if (rows := result.robustness) is not None:
        pictures.append(_wide("After an edit of both classes", lambda axes: _robustness(axes, rows)))
    if (curve := result.curve) is not None:
        pictures.append(_wide("What training images buy", lambda axes: _curve(axes, curve)))
    return pictures


def _square(title: str, draw: Callable[[Axes, Measured], None], measured: Measured) -> Picture:
    figure = new_figure(*SQUARE)
    draw(figure.subplots(), measured)
    return Picture(title, picture_uri(figure))


def _wide(title: str, draw: Callable[[Axes], None]) -> Picture:
    figure = new_figure(WIDTH * 0.75, ROW_HEIGHT)
    draw(figure.subplots())
    return Picture(title, picture_uri(figure), is_wide=True)


def _generators(axes: Axes, table: GeneratorTable) -> None:
    """Draw a column for each generator."""
    metrics = [row.evaluation.metrics for row in table.generators]
    at = range(len(metrics))
    aurocs = [(x - 0.08, m.auroc) for x, m in zip(at, metrics, strict=True)]
    _error_bars(axes, aurocs, fmt="o", color=BLUE, label="AUROC")
    accuracies = [(x + 0.08, m.balanced_accuracy) for x, m in zip(at, metrics, strict=True)]
    _error_bars(axes, accuracies, fmt="s", color=ORANGE, label="balanced accuracy")
    axes.axhline(50, color="0.5", linewidth=1, linestyle="--", label="guessing")
    axes.set_xticks(at, [plain(row.generator) for row in table.generators], rotation=30, ha="right")
    axes.set_xlim(-0.5, len(metrics) - 0.5)
    axes.set_ylim(-2, 102)
    _finish_percent(axes, "Each generator by itself")


def _scored(evaluation: Evaluation, images: Dataset, judgements: Sequence[Judgement]) -> ScoredSet:
    return ScoredSet(
        evaluation.model,
        images.y,
        np.array([j.score for j in judgements]),
        images.groups,
        ratios_of(j.log10_likelihood_ratio for j in judgements),
        evaluation.metrics.threshold,
        undecided=undecided_of(judgements),
        class_names=evaluation.class_names,
    )


def undecided_of(judgements: Sequence[Judgement]) -> tuple[float, float] | None:
    """Return the scores that the model leaves undecided; None if it decides all, or they differ."""
    zones = {judgement.undecided for judgement in judgements}
    return zones.pop() if len(zones) == 1 else None


def plot_matrix(matrix: GeneratorMatrix, output: str) -> None:
    """Draw the AUROC on each generator of detectors trained on each, on all, and on all others."""
    names = matrix.generators
    values = np.array([[row.results[name].auroc.value for name in names] for row in matrix.rows])
    figure = new_figure(3.4 + 1.3 * len(names), 2.2 + 0.55 * len(values))
    axes = figure.add_subplot()
    lowest = min(50.0, 10 * np.floor(10 * values.min()))  # below guessing the full range is shown, and not clamped
    image = axes.imshow(100 * values, vmin=lowest, vmax=100, cmap="cividis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "black" if 100 * value > (lowest + 100) / 2 else "white"
        axes.text(column, row, f"{100 * value:.1f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), [plain(name) for name in names], rotation=30, ha="right")
    axes.set_yticks(range(len(values)), [plain(row.trained_on) for row in matrix.rows])
    axes.set_xlabel("measured on")
    axes.set_ylabel("trained on")
    axes.set_title("AUROC of each detector on each generator")
    figure.colorbar(image, label="AUROC in per cent; 50 is guessing")
    write_figure(figure, output)


def _robustness(axes: Axes, rows: Sequence[RobustnessRow]) -> None:
    """Draw a column for each edit that left images."""
    rows = [row for row in rows if row.auroc is not None]
    for estimates, label, colour, marker, offset in (
        ([row.auroc for row in rows], "AUROC", BLUE, "o", -0.08),
        ([row.balanced_accuracy for row in rows], "balanced accuracy", ORANGE, "s", 0.08),
    ):
        drawn = [(x + offset, estimate) for x, estimate in enumerate(estimates) if estimate is not None]
        _error_bars(axes, drawn, fmt=marker, color=colour, label=label)
    undecided = [100 * (row.inconclusive_rate or 0.0) for row in rows]
    axes.plot(range(len(rows)), undecided, "x", color="0.4", label="inconclusive")
    axes.axhline(50, color="0.5", linewidth=1, linestyle="--", label="guessing")
    names = [row.edit if row.strength is None else f"{row.edit}\n{row.strength:g}" for row in rows]
    axes.set_xticks(range(len(rows)), ["as is" if name == "none" else name for name in names])
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.set_ylim(-2, 102)
    _finish_percent(axes, "After an edit of both classes")


def _error_bars(axes: Axes, points: Sequence[tuple[float, Estimate]], **style: Any) -> None:
    x, value = [x for x, _ in points], [100 * estimate.value for _, estimate in points]
    below = [100 * max(0.0, estimate.value - estimate.low) for _, estimate in points]
    above = [100 * max(0.0, estimate.high - estimate.value) for _, estimate in points]
    axes.errorbar(x, value, yerr=[below, above], capsize=3, **style)


def _curve(axes: Axes, rows: Sequence[LearningCurveRow]) -> None:
    x = [row.n_train for row in rows]
    for points, label, colour, marker in (
        ([(row.auroc, row.auroc_sd) for row in rows], "AUROC", BLUE, "o"),
        ([(row.balanced_accuracy, row.balanced_accuracy_sd) for row in rows], "balanced accuracy", ORANGE, "s"),
    ):
        value, spread = (100 * np.array(points)).T
        bars = np.minimum(spread, value), np.minimum(spread, 100 - value)  # no rate lies beyond
        line = "-" if label == "AUROC" else "--"
        axes.errorbar(x, value, yerr=bars, fmt=marker, linestyle=line, color=colour, label=label, capsize=3)
    axes.axhline(50, color="0.5", linewidth=1, linestyle="--", label="guessing")
    axes.set_xscale("log")
    axes.set_xticks(x, [str(n) for n in x], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("training images, half of each class")
    _finish_percent(axes, "What training images buy", "per cent, with standard deviation")


def _finish_percent(axes: Axes, title: str, label: str = "per cent, with 95 % interval") -> None:
    axes.set_ylabel(label)
    axes.set_title(title)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
