"""Draw an evaluation, and a matrix of generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spectral_detect.detector.calibration_metrics import reliability
from spectral_detect.detector.metric_values import Estimate, Metrics
from spectral_detect.detector.metrics import Curves
from spectral_detect.evaluation.generator_matrix import GeneratorMatrix
from spectral_detect.evaluation.results import Evaluation, LearningCurveRow, RobustnessRow
from spectral_detect.records import FAKE, REAL
from spectral_detect.report.plots import BLUE, ORANGE, WIDTH, new_figure, plain, write_figure
from spectral_detect.scanning.judge import Judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASSES = ((REAL, "real images", BLUE), (FAKE, "fake images", ORANGE))
ROW_HEIGHT = 4.3


def plot_evaluation(evaluation: Evaluation, y: np.ndarray, judgements: Sequence[Judgement], output: str) -> None:
    """Draw reliability, Tippett and ROC of an evaluation; below, its robustness and learning curve, if it has any.

    Parameters
    ----------
    evaluation : Evaluation
        The numbers.
    y : np.ndarray
        (n_images,) labels of the judged images.
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
    scores = np.array([j.score for j in judgements])
    n_rows = 1 + (evaluation.robustness is not None) + (evaluation.curve is not None)
    figure = new_figure(WIDTH, ROW_HEIGHT * n_rows)
    grid = figure.add_gridspec(n_rows, 3)
    _reliability(figure.add_subplot(grid[0, 0]), y, scores, metrics)
    _tippett(figure.add_subplot(grid[0, 1]), y, judgements, metrics)
    _roc(figure.add_subplot(grid[0, 2]), y, scores, metrics)
    if evaluation.robustness is not None:
        _robustness(figure.add_subplot(grid[1, :]), evaluation.robustness)
    if evaluation.curve is not None:
        _curve(figure.add_subplot(grid[n_rows - 1, :]), evaluation.curve)
    figure.suptitle(f"model {plain(evaluation.model, 60)}; {metrics.n_real} real, {metrics.n_fake} fake images")
    write_figure(figure, output)


def plot_matrix(matrix: GeneratorMatrix, output: str) -> None:
    """Draw the AUROC on each generator of detectors trained on each, on all, and on all others."""
    names = matrix.generators
    values = np.array([[row.results[name].auroc.value for name in names] for row in matrix.rows])
    figure = new_figure(3.4 + 1.3 * len(names), 2.2 + 0.55 * len(values))
    axes = figure.add_subplot()
    image = axes.imshow(100 * values, vmin=50, vmax=100, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "black" if value > 0.8 else "white"
        axes.text(column, row, f"{100 * value:.1f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), [plain(name) for name in names], rotation=30, ha="right")
    axes.set_yticks(range(len(values)), [plain(row.trained_on) for row in matrix.rows])
    axes.set_xlabel("measured on")
    axes.set_ylabel("trained on")
    axes.set_title("AUROC in per cent; 50 is guessing")
    figure.colorbar(image)
    write_figure(figure, output)


def _reliability(axes: Axes, y: np.ndarray, scores: np.ndarray, metrics: Metrics) -> None:
    points = reliability(y, scores)
    x, share = [p.mean_score for p in points], [p.fake_share for p in points]
    below = [max(0.0, p.fake_share - p.low) for p in points]
    above = [max(0.0, p.high - p.fake_share) for p in points]
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="perfect")
    axes.errorbar(x, share, yerr=[below, above], fmt="o", color=BLUE, capsize=3, label="images, by tenths of the score")
    for p in points:
        axes.annotate(str(p.n), (p.mean_score, p.fake_share), xytext=(5, -11), textcoords="offset points", fontsize=7)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="score", ylabel="share of fakes, classes equally frequent")
    axes.set_title(f"Reliability: ECE {100 * metrics.ece.value:.1f} %, Brier {metrics.brier.value:.3f}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


def _tippett(axes: Axes, y: np.ndarray, judgements: Sequence[Judgement], metrics: Metrics) -> None:
    axes.set_title(f"Tippett: Cllr {metrics.cllr.value:.2f}, best possible {metrics.cllr_min.value:.2f}")
    known = [j.log10_likelihood_ratio for j in judgements if j.log10_likelihood_ratio is not None]
    if len(known) < len(judgements):
        axes.text(0.5, 0.5, "the model is not calibrated:\nno likelihood ratios", ha="center", transform=axes.transAxes)
        return
    ratios = np.array(known)
    for label, name, colour in CLASSES:
        falling = np.sort(ratios[y == label])[::-1]
        share = np.arange(1, len(falling) + 1) / len(falling)
        axes.step([falling[0], *falling, -9], [0, *share, 1], where="post", color=colour, label=name)
    axes.axvline(0, color="0.5", linewidth=1, linestyle="--")
    edge = float(np.abs(ratios).max()) + 0.2
    axes.set(xlim=(-edge, edge), ylim=(0, 1.02), xlabel="log10 likelihood ratio", ylabel="share of images above it")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


def _roc(axes: Axes, y: np.ndarray, scores: np.ndarray, metrics: Metrics) -> None:
    fpr, tpr = Curves(y, scores).roc(np.ones((1, len(y))))
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="guessing")
    axes.plot(fpr[0], tpr[0], color=BLUE)
    alarms, hits = 1 - metrics.real_accuracy.value, metrics.fake_accuracy.value
    axes.plot(alarms, hits, "s", color=ORANGE, label=f"threshold {metrics.threshold:.3f}", clip_on=False)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel="false alarms", ylabel="fakes found")
    axes.set_title(f"ROC: AUROC {100 * metrics.auroc.value:.1f} %, EER {100 * metrics.eer.value:.1f} %")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


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
        axes.errorbar(x, value, yerr=spread, fmt=f"{marker}-", color=colour, label=label, capsize=3)
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
