"""Draw scores: histograms, ROC, DET, reliability and Tippett plots; also the panels of `evaluate --plot`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from spectral_detect.detector.calibration_metrics import reliability
from spectral_detect.detector.metric_values import Estimate, Metrics
from spectral_detect.detector.metrics import Curves
from spectral_detect.evaluation.scored_files import ScoredSet
from spectral_detect.records import CLASS_NAMES, FAKE, REAL
from spectral_detect.report.pictures.histograms import UNDECIDED, classes_of, draw_histograms
from spectral_detect.report.plots import (
    COLOURS,
    MARKERS,
    ORANGE,
    WIDTH,
    legend_below,
    line_style,
    new_figure,
    plain,
    write_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["histogram", "roc", "det", "reliability", "tippett"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Measured = Sequence[tuple[ScoredSet, Metrics]]
DET_TICKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.98)
LEAST_RATE = 1e-3  # where the axes of a DET plot begin, unless there are enough images for less
ROW_HEIGHT = 4.6
SQUARE = (5.6, 5.4)


def plot_scores(sets: Sequence[ScoredSet], kind: Kind | None, output: str) -> None:
    """Draw one kind of figure, or all of them on a page.

    Parameters
    ----------
    sets : sequence of ScoredSet
        Each gives a curve of its own.
    kind : str or None
        One of `KINDS`; None for all.
    output : str
        The file, which is written under a temporary name and renamed.
    """
    measured = [(scored, scored.measure()) for scored in sets]
    figure = new_figure(*SQUARE) if kind else new_figure(WIDTH + 1.5, 2 * ROW_HEIGHT)
    grid = figure.add_gridspec(1 if kind else 2, 1 if kind else 3)
    for k, name in enumerate([kind] if kind else KINDS):
        place = grid[k // grid.ncols, k % grid.ncols]
        if name == "histogram":
            draw_histograms(figure, place, sets)
        else:
            PANELS[name](figure.add_subplot(place), measured)
    if not kind:
        _summary(figure.add_subplot(grid[1, 2]), measured)
    write_figure(figure, output)


def fakes_in_words(class_names: tuple[str, str]) -> str:
    """Return what the images with the label 1 are called."""
    return "fakes" if class_names == CLASS_NAMES else f"{plain(class_names[1])} images"


def draw_roc(axes: Axes, measured: Measured) -> None:
    """Draw ROC curves: fakes found against false alarms."""
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="guessing")
    for k, (scored, metrics) in enumerate(measured):
        fpr, tpr = Curves(scored.y, scored.scores).roc(np.ones((1, len(scored.y))))
        numbers = f"AUROC {_percent(metrics.auroc)}"
        axes.plot(
            fpr[0], tpr[0], label=_label(scored, numbers, measured), linewidth=1.5, clip_on=False, **line_style(k)
        )
        if scored.threshold is not None:
            alarms, hits = 1 - metrics.real_accuracy.value, metrics.fake_accuracy.value
            label = f"threshold {scored.threshold:.3f}" if len(measured) == 1 else None
            colour = ORANGE if len(measured) == 1 else COLOURS[k % len(COLOURS)]
            axes.plot(alarms, hits, "s", color=colour, label=label, clip_on=False)
        if scored.undecided is not None and len(measured) == 1:
            _mark_undecided(axes, scored, scored.undecided)
    axes.set(
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.02),
        xlabel="false alarms",
        ylabel=f"{fakes_in_words(measured[0][0].class_names)} found",
    )
    only = measured[0][1]
    numbers = f": AUROC {100 * only.auroc.value:.1f} %, EER {100 * only.eer.value:.1f} %"
    axes.set_title("ROC" + (numbers if len(measured) == 1 else ""))
    legend_below(axes, 2 if len(measured) == 1 else 1)


def _mark_undecided(axes: Axes, scored: ScoredSet, undecided: tuple[float, float]) -> None:
    """Mark on a ROC curve where verdicts begin: between the two marks scores are left undecided."""
    (low, high), (real, fake) = undecided, map(plain, scored.class_names)
    for is_above, marker, label in (
        (scored.scores >= high, "^", f"{fake} from {high:.3f} on"),
        (scored.scores > low, "v", f"{real} up to {low:.3f}"),
    ):
        rates = (float(is_above[scored.y == of].mean()) for of in (REAL, FAKE))
        axes.plot(*rates, marker, color=ORANGE, label=label, clip_on=False)


def draw_det(axes: Axes, measured: Measured) -> None:
    """Draw DET curves: misses against false alarms on axes of normal deviates, where normal scores give a line.

    References
    ----------
    Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    from scipy.special import ndtri

    least = min(LEAST_RATE, *(0.5 / max(metrics.n_real, metrics.n_fake) for _, metrics in measured))
    limits = ndtri(least), ndtri(1 - least)
    axes.plot(limits, limits, color="0.5", linewidth=1, linestyle="--", label="equal error rates")
    for k, (scored, metrics) in enumerate(measured):
        alarms, misses = det_points(scored)
        numbers = f"EER {_percent(metrics.eer)}"
        label = _label(scored, numbers, measured)
        if not len(alarms):
            label = f"{label or plain(scored.name, 30)}: no curve without errors"
        axes.plot(ndtri(alarms), ndtri(misses), label=label, marker=".", linewidth=1.5, **line_style(k))
    ticks = [tick for tick in DET_TICKS if least <= tick <= 1 - least]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ndtri(ticks), [f"{100 * tick:g}" for tick in ticks], fontsize=8)
    axes.set(xlim=limits, ylim=limits, xlabel="false alarms in per cent", ylabel="misses in per cent")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.set_title("DET" + (f": EER {100 * measured[0][1].eer.value:.1f} %" if len(measured) == 1 else ""))
    legend_below(axes, 1)


def det_points(scored: ScoredSet) -> tuple[np.ndarray, np.ndarray]:
    """Return false alarm and miss rates where neither is 0 nor 1, whose normal deviates would have no bound."""
    fpr, tpr = Curves(scored.y, scored.scores).roc(np.ones((1, len(scored.y))))
    alarms, misses = fpr[0], 1 - tpr[0]
    tiny = 1e-9  # of sums of weights
    inside = (alarms > tiny) & (alarms < 1 - tiny) & (misses > tiny) & (misses < 1 - tiny)
    return alarms[inside], misses[inside]


def draw_reliability(axes: Axes, measured: Measured) -> None:
    """Draw reliability diagrams: the share of fakes against the score, each class with half of the weight."""
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="perfect")
    if len(measured) == 1 and measured[0][0].undecided is not None:
        axes.axvspan(*measured[0][0].undecided, color="0.9", label=UNDECIDED, zorder=0)
    for k, (scored, metrics) in enumerate(measured):
        points = reliability(scored.y, scored.scores, scored.groups)
        x, share = [p.mean_score for p in points], [p.fake_share for p in points]
        below = [max(0.0, p.fake_share - p.low) for p in points]
        above = [max(0.0, p.high - p.fake_share) for p in points]
        label = _label(scored, f"ECE {100 * metrics.ece.value:.1f} %", measured) or "images, by tenths of the score"
        style: dict[str, Any] = {"fmt": MARKERS[k % len(MARKERS)], "color": COLOURS[k % len(COLOURS)], "label": label}
        axes.errorbar(x, share, yerr=[below, above], capsize=3, **style)
        for p in points if len(measured) == 1 else ():
            at = (p.mean_score, p.fake_share)
            beside = (5, 3 if p.fake_share < 0.1 else -11)  # not on the numbers of the axis
            axes.annotate(str(p.n), at, xytext=beside, textcoords="offset points", fontsize=7)
    fakes = fakes_in_words(measured[0][0].class_names)
    label = f"share of {fakes}, classes equally frequent"
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="score", ylabel=label)
    only = measured[0][1]
    numbers = f": ECE {100 * only.ece.value:.1f} %, Brier {only.brier.value:.3f}"
    axes.set_title("Reliability" + (numbers if len(measured) == 1 else ""))
    legend_below(axes, 2 if len(measured) == 1 else 1)


def draw_tippett(axes: Axes, measured: Measured) -> None:
    """Draw Tippett plots: for either class the share of images with a larger likelihood ratio."""
    only = measured[0][1]
    numbers = f": Cllr {only.cllr.value:.2f}, best possible {only.cllr_min.value:.2f}"
    axes.set_title("Tippett" + (numbers if len(measured) == 1 else ""))
    known = [(k, *pair) for k, pair in enumerate(measured) if pair[0].log10_ratios is not None]
    if not known:
        text = "the model is not calibrated:\nno likelihood ratios"
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)
        return
    edge = max(float(np.nanmax(np.abs(np.asarray(scored.log10_ratios)))) for _, scored, _ in known) + 0.2
    for k, scored, metrics in known:
        for label, name, colour, line in classes_of(scored):
            x, share = tippett_steps(scored, label, edge)
            if len(measured) > 1:
                shown = _label(scored, f"Cllr {metrics.cllr.value:.2f}", measured) if label == FAKE else None
                name, colour = shown or "_", COLOURS[k % len(COLOURS)]
            axes.step(x, share, where="post", color=colour, linestyle=line, label=name)
    axes.axvline(0, color="0.5", linewidth=1, linestyle=":")
    axes.set(xlim=(-edge, edge), ylim=(0, 1.02), xlabel="log10 likelihood ratio", ylabel="share of images above it")
    real, fake = map(plain, measured[0][0].class_names)
    title = None if len(measured) == 1 else f"solid: {fake} images, dashed: {real} ones"
    legend_below(axes, 2 if len(measured) == 1 else 1, title=title)


def tippett_steps(scored: ScoredSet, label: int, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rising log ratios from -edge on and, from each to the next, the share of the class that lies above."""
    assert scored.log10_ratios is not None
    ratios = scored.log10_ratios[scored.y == label]
    rising = np.sort(ratios[~np.isnan(ratios)])  # a constant image has none
    share = 1 - np.arange(1, len(rising) + 1) / len(rising)
    return np.concatenate([[-edge], rising, [edge]]), np.concatenate([[1], share, [0]])


PANELS: dict[str, Callable[[Axes, Measured], None]] = {
    "roc": draw_roc,
    "det": draw_det,
    "reliability": draw_reliability,
    "tippett": draw_tippett,
}


def _summary(axes: Axes, measured: Measured) -> None:
    """Write the numbers of each set in the last place of the page."""
    axes.set_axis_off()
    lines = []
    for scored, metrics in measured:
        real, fake = (plain(name, 20) for name in scored.class_names)
        left_out = f", {scored.n_left_out} without a score left out" if scored.n_left_out else ""
        lines += [
            plain(scored.name, 44),
            f"  {metrics.n_real} {real}, {metrics.n_fake} {fake} images{left_out}",
            f"  AUROC {_percent(metrics.auroc)}",
            f"  EER {_percent(metrics.eer)}",
            f"  ECE {100 * metrics.ece.value:.1f} %, Brier {metrics.brier.value:.3f}",
            f"  Cllr {metrics.cllr.value:.2f}, best possible {metrics.cllr_min.value:.2f}",
            "",
        ]
    lines.append("in brackets: 95 % intervals by bootstrap over groups")
    size = 9 if len(measured) < 4 else 6
    axes.text(0.02, 0.98, "\n".join(lines), va="top", fontsize=size, transform=axes.transAxes)


def _label(scored: ScoredSet, numbers: str, measured: Measured) -> str | None:
    """Return a curve's words in the legend; None for the only one, whose numbers stand in the title."""
    return None if len(measured) == 1 else f"{plain(scored.name, 30)}: {numbers}"


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
