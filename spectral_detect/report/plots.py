"""Pictures; the only home of matplotlib."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spectral_detect._version import PROGRAM
from spectral_detect.atomic_write import write_aside
from spectral_detect.detector.calibration_metrics import reliability
from spectral_detect.detector.metrics import Curves
from spectral_detect.records import FAKE, REAL
from spectral_detect.scanning.judge import Judgement
from spectral_detect.scanning.videos import VideoResult
from spectral_detect.text import cut_in_the_middle, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE = "#1f5fa8", "#c05020"
SERIES = (("auroc", "AUROC", BLUE, "o"), ("balanced_accuracy", "balanced accuracy", ORANGE, "s"))
CLASSES = ((REAL, "real images", BLUE), (FAKE, "fake images", ORANGE))
ROW_HEIGHT, WIDTH = 4.3, 13.0


def plot_evaluation(result: dict[str, Any], y: np.ndarray, judgements: Sequence[Judgement], output: str) -> None:
    """Reliability, Tippett and ROC of an evaluation; below, its robustness and its learning curve, where there are any.

    Parameters
    ----------
    y : (n_images,) of what was judged.
    output : written aside and renamed.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    scores = np.array([j.score for j in judgements])
    ratios = [j.log10_likelihood_ratio for j in judgements]
    below = [name for name in ("robustness", "curve") if name in result]
    figure = new_figure(WIDTH, ROW_HEIGHT * (1 + len(below)))
    grid = figure.add_gridspec(1 + len(below), 3)
    _reliability(figure.add_subplot(grid[0, 0]), y, scores, result)
    _tippett(figure.add_subplot(grid[0, 1]), y, None if None in ratios else np.array(ratios, dtype=float), result)
    _roc(figure.add_subplot(grid[0, 2]), y, scores, result)
    for row, name in enumerate(below, start=1):
        draw = {"robustness": _robustness, "curve": _curve}[name]
        draw(figure.add_subplot(grid[row, :]), result[name])
    figure.suptitle(f"model {plain(result['model'], 60)}; {result['n_real']} real, {result['n_fake']} fake images")
    write_figure(figure, output)


def plot_matrix(result: dict[str, Any], output: str) -> None:
    """AUROC of each generator by detectors trained on each, on all, and on all others."""
    names = result["generators"]
    values = np.array([[row["results"][name]["auroc"] for name in names] for row in result["rows"]])
    figure = new_figure(3.4 + 1.3 * len(names), 2.2 + 0.55 * len(values))
    axes = figure.add_subplot()
    image = axes.imshow(100 * values, vmin=50, vmax=100, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "black" if value > 0.8 else "white"
        axes.text(column, row, f"{100 * value:.1f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), [plain(name) for name in names], rotation=30, ha="right")
    axes.set_yticks(range(len(values)), [plain(row["trained_on"]) for row in result["rows"]])
    axes.set_xlabel("measured on")
    axes.set_ylabel("trained on")
    axes.set_title("AUROC in per cent; 50 is guessing")
    figure.colorbar(image)
    write_figure(figure, output)


def plot_timeline(result: VideoResult, output: str) -> None:
    """The score of each frame of a video over time, the threshold, and the frames with the extreme scores."""
    record = result.record
    figure = new_figure(WIDTH, 6.4)
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 2))
    _scores_over_time(figure.add_subplot(grid[0]), result)
    thumbnails = [(t, "highest") for t in result.highest] + [(t, "lowest") for t in result.lowest[::-1]]
    below = grid[1].subgridspec(1, max(1, len(thumbnails)))
    for k, (thumbnail, title) in enumerate(thumbnails):
        axes = figure.add_subplot(below[k])
        axes.imshow(thumbnail.pixels, cmap="gray", vmin=0, vmax=255)
        at = f"frame {thumbnail.frame}" if thumbnail.time_s is None else f"{thumbnail.time_s:.2f} s"
        axes.set_title(f"{title}: {thumbnail.score:.3f}\n{at}", fontsize=9)
        axes.set_axis_off()
    share = (
        "" if record.fake_fraction is None else f"; {100 * record.fake_fraction:.0f} % of {record.n_judged} votes fake"
    )
    figure.suptitle(f"{plain(os.path.basename(record.path), 60)}: {record.verdict or 'failed'}{share}")
    write_figure(figure, output)


def _scores_over_time(axes: Axes, result: VideoResult) -> None:
    has_times = all(frame.time_s is not None for frame in result.frames)
    for track in sorted({frame.track for frame in result.frames}):
        frames = [f for f in result.frames if f.track == track and f.score is not None]
        x = [(f.time_s or 0.0) if has_times else f.frame for f in frames]
        axes.plot(x, [f.score or 0.0 for f in frames], color="0.7", linewidth=1, zorder=1)
        if track and frames:
            axes.annotate(f"face {track}", (x[0], frames[0].score or 0.0), xytext=(-4, 7), textcoords="offset points")
        for verdict, colour in (("real", BLUE), ("fake", ORANGE), ("inconclusive", "0.6")):
            chosen = [k for k, f in enumerate(frames) if f.verdict == verdict]
            label = verdict if track == 0 and chosen else None
            axes.scatter(
                [x[k] for k in chosen], [frames[k].score or 0.0 for k in chosen], color=colour, label=label, s=18
            )
    if result.record.threshold is not None:
        axes.axhline(result.record.threshold, color="0.3", linewidth=1, linestyle="--", label="threshold")
    axes.set(ylim=(-0.03, 1.03), xlabel="seconds" if has_times else "frame", ylabel="score")
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, which no window shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_figure(figure: Figure, output: str) -> None:
    """Write a figure aside and rename it; the format is the suffix's."""
    content = io.BytesIO()
    kind = os.path.splitext(output)[1][1:].lower()
    metadata = {"Software": PROGRAM} if kind == "png" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that the font lacks shows boxes
        figure.savefig(content, format=kind, dpi=130, metadata=metadata)
    write_aside(output, content.getvalue())


def plain(name: str, longest: int = 24) -> str:
    """A name as matplotlib may draw it: no mathematics, and not too long."""
    return cut_in_the_middle(visible(name), longest).replace("$", r"\$")


def _reliability(axes: Axes, y: np.ndarray, scores: np.ndarray, result: dict[str, Any]) -> None:
    points = reliability(y, scores)
    x, share = ([p[name] for p in points] for name in ("mean_score", "fake_share"))
    below = [max(0.0, p["fake_share"] - p["low"]) for p in points]
    above = [max(0.0, p["high"] - p["fake_share"]) for p in points]
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="perfect")
    axes.errorbar(x, share, yerr=[below, above], fmt="o", color=BLUE, capsize=3, label="images, by tenths of the score")
    for p in points:
        axes.annotate(
            str(p["n"]), (p["mean_score"], p["fake_share"]), xytext=(5, -11), textcoords="offset points", fontsize=7
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="score", ylabel="share of fakes, classes equally frequent")
    axes.set_title(f"Reliability: ECE {100 * result['ece']:.1f} %, Brier {result['brier']:.3f}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


def _tippett(axes: Axes, y: np.ndarray, ratios: np.ndarray | None, result: dict[str, Any]) -> None:
    axes.set_title(f"Tippett: Cllr {result['cllr']:.2f}, best possible {result['cllr_min']:.2f}")
    if ratios is None:
        axes.text(0.5, 0.5, "the model is not calibrated:\nno likelihood ratios", ha="center", transform=axes.transAxes)
        return
    for label, name, colour in CLASSES:
        falling = np.sort(ratios[y == label])[::-1]
        share = np.arange(1, len(falling) + 1) / len(falling)
        axes.step([falling[0], *falling, -9], [0, *share, 1], where="post", color=colour, label=name)
    axes.axvline(0, color="0.5", linewidth=1, linestyle="--")
    edge = float(np.abs(ratios).max()) + 0.2
    axes.set(xlim=(-edge, edge), ylim=(0, 1.02), xlabel="log10 likelihood ratio", ylabel="share of images above it")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


def _roc(axes: Axes, y: np.ndarray, scores: np.ndarray, result: dict[str, Any]) -> None:
    fpr, tpr = Curves(y, scores).roc(np.ones((1, len(y))))
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="guessing")
    axes.plot(fpr[0], tpr[0], color=BLUE)
    alarms, hits = 1 - result["real_accuracy"], result["fake_accuracy"]
    axes.plot(alarms, hits, "s", color=ORANGE, label=f"threshold {result['threshold']:.3f}", clip_on=False)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel="false alarms", ylabel="fakes found")
    axes.set_title(f"ROC: AUROC {100 * result['auroc']:.1f} %, EER {100 * result['eer']:.1f} %")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


def _robustness(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """A column for each edit that left images."""
    rows = [row for row in rows if row["auroc"] is not None]
    for k, (name, label, colour, marker) in enumerate(SERIES):
        x = [column + 0.16 * (k - 0.5) for column in range(len(rows))]
        value = [100 * row[name] for row in rows]
        below = [100 * max(0.0, row[name] - row[f"{name}_ci"][0]) for row in rows]
        above = [100 * max(0.0, row[f"{name}_ci"][1] - row[name]) for row in rows]
        axes.errorbar(x, value, yerr=[below, above], fmt=marker, color=colour, label=label, capsize=3)
    undecided = [100 * row["inconclusive_rate"] for row in rows]
    axes.plot(range(len(rows)), undecided, "x", color="0.4", label="inconclusive")
    axes.axhline(50, color="0.5", linewidth=1, linestyle="--", label="guessing")
    names = [r["edit"] if r["strength"] is None else f"{r['edit']}\n{r['strength']:g}" for r in rows]
    axes.set_xticks(range(len(rows)), ["as is" if name == "none" else name for name in names])
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.set_ylim(-2, 102)
    _finish_percent(axes, "After an edit of both classes")


def _curve(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    for name, label, colour, marker in SERIES:
        value, spread = ([100 * row[key] for row in rows] for key in (name, f"{name}_sd"))
        axes.errorbar(
            [r["n_train"] for r in rows], value, yerr=spread, fmt=f"{marker}-", color=colour, label=label, capsize=3
        )
    axes.axhline(50, color="0.5", linewidth=1, linestyle="--", label="guessing")
    axes.set_xscale("log")
    axes.set_xticks([r["n_train"] for r in rows], [str(r["n_train"]) for r in rows], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("training images, half of each class")
    _finish_percent(axes, "What training images buy", "per cent, with standard deviation")


def _finish_percent(axes: Axes, title: str, label: str = "per cent, with 95 % interval") -> None:
    axes.set_ylabel(label)
    axes.set_title(title)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
