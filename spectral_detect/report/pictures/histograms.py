"""Draw how the scores of real and of fake images are distributed: bars, or of few images a point for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spectral_detect.evaluation.scored_files import ScoredSet
from spectral_detect.records import FAKE, REAL
from spectral_detect.report.plots import BLUE, MARKERS, ORANGE, legend_below, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

N_BINS, FEW_BINS = 20, 10
ENOUGH, FEW = 100, 40  # images of the smaller class: for all bins; below, single points show more than bars
MOST_POINTS = 400
POINT_WIDTH = 0.028  # of the axis of scores: points that lie nearer stand above each other
STEP, REACH = 0.08, 5  # between such points, and how many of these to either side of the row of their class
THRESHOLD, UNDECIDED = "threshold", "undecided"


def classes_of(scored: ScoredSet) -> tuple[tuple[int, str, str, str], ...]:
    """Return label, name, colour and line of either class."""
    real, fake = map(plain, scored.class_names)
    return (REAL, f"{real} images", BLUE, "--"), (FAKE, f"{fake} images", ORANGE, "-")


def draw_histograms(figure: Figure, place: SubplotSpec, sets: Sequence[ScoredSet]) -> None:
    """Draw a histogram of each set, one below the other, on one axis of scores."""
    rows = place.subgridspec(len(sets), 1)
    drawn: list[Axes] = []
    for k, scored in enumerate(sets):
        axes = figure.add_subplot(rows[k], sharex=drawn[0] if drawn else None)
        drawn.append(axes)
        if len(sets) == 1:
            draw_histogram(axes, scored)
            return
        _histogram(axes, scored)
        axes.set_title(", ".join([plain(scored.name, 40), *_limits(scored)]), fontsize=8)
        axes.tick_params(labelbottom=k == len(sets) - 1)
    drawn[-1].set_xlabel(f"score (1: {plain(sets[-1].class_names[1])})")
    _legend(drawn, sets)


def draw_histogram(axes: Axes, scored: ScoredSet) -> None:
    """Draw the histogram of one set."""
    axes.set_ylabel(_histogram(axes, scored))
    axes.set_title("Scores")
    axes.set_xlabel(f"score (1: {plain(scored.class_names[1])})")
    _legend([axes], [scored])


def _legend(drawn: Sequence[Axes], sets: Sequence[ScoredSet]) -> None:
    """Name what any of the histograms shows; the numbers stand there if there is only one."""
    found = [pair for axes in drawn for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in found}
    named = dict(zip((THRESHOLD, UNDECIDED), _limits(sets[0]), strict=False)) if len(sets) == 1 else {}
    if handles:
        words = [named.get(label, label) for label in handles]
        legend_below(
            drawn[-1], below=0.13 if len(sets) == 1 else 0.2 * len(sets), handles=[*handles.values()], labels=words
        )


def _limits(scored: ScoredSet) -> list[str]:
    """Name the threshold and the scores that are left undecided, as far as they are known."""
    threshold = [] if scored.threshold is None else [f"{THRESHOLD} {scored.threshold:.3f}"]
    if scored.undecided is None:
        return threshold
    low, high = scored.undecided
    return [*threshold, f"{UNDECIDED} {low:.3f} to {high:.3f}"]


def _histogram(axes: Axes, scored: ScoredSet) -> str:
    """Draw how the scores of each class are distributed, and what they are compared with; name the other axis."""
    if scored.threshold is not None:
        axes.axvline(scored.threshold, color="black", linewidth=1.4, linestyle=":", label=THRESHOLD)
    if scored.undecided is not None:
        axes.axvspan(*scored.undecided, color="0.85", label=UNDECIDED, zorder=0)
    axes.set_xlim(0, 1)
    n_least = int(np.bincount(scored.y, minlength=2).min())
    if n_least < FEW and len(scored.y) <= MOST_POINTS:
        _points(axes, scored)
        return "a point for each image"
    _bars(axes, scored, N_BINS if n_least >= ENOUGH else FEW_BINS)
    return "share of its class"


def _points(axes: Axes, scored: ScoredSet) -> None:
    """Draw a point for each image, the classes in rows of their own."""
    for (label, _, colour, _), marker in zip(classes_of(scored), MARKERS, strict=False):
        scores = np.sort(scored.scores[scored.y == label])
        heights = label + stacked(scores)
        axes.scatter(scores, heights, s=26, marker=marker, color=colour, alpha=0.75, clip_on=False)
    axes.set_ylim(-0.55, 1.55)
    axes.set_yticks([REAL, FAKE], list(map(plain, scored.class_names)))


def stacked(scores: np.ndarray) -> np.ndarray:
    """Return how far from its row each of the rising scores is drawn, so that near ones are told apart.

    Each takes the level nearest to the row on which it has room, or the one on which it has most.
    """
    levels = sorted(range(-REACH, REACH + 1), key=lambda level: (abs(level), level))
    last = dict.fromkeys(levels, -np.inf)
    offsets = []
    for score in scores.tolist():
        free = (level for level in levels if score - last[level] >= POINT_WIDTH)
        level = next(free, min(levels, key=lambda level: last[level]))
        last[level] = score
        offsets.append(STEP * level)
    return np.array(offsets)


def _bars(axes: Axes, scored: ScoredSet, n_bins: int) -> None:
    edges = np.linspace(0, 1, n_bins + 1)
    for label, name, colour, line in classes_of(scored):
        of_class = scored.scores[scored.y == label]
        share = np.histogram(of_class, edges)[0] / len(of_class)
        if label == REAL:
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.4, label=name)
            axes.stairs(share, edges, color=colour, linestyle=line, linewidth=1.4)
        else:
            axes.stairs(share, edges, color=colour, linestyle=line, linewidth=1.4, hatch="////", label=name)
