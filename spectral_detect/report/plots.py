"""Begin and write figures, and draw the timeline of a video; only `report` knows matplotlib."""

from __future__ import annotations

import io
import os
import warnings
from typing import TYPE_CHECKING

from spectral_detect._version import PROGRAM
from spectral_detect.atomic_write import write_aside
from spectral_detect.scanning.videos import VideoResult
from spectral_detect.text import cut_in_the_middle, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE = "#1f5fa8", "#c05020"
WIDTH = 13.0


def plot_timeline(result: VideoResult, output: str) -> None:
    """Draw the score of each frame of a video over time, the threshold, and the frames with the extreme scores."""
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
    """Return an empty figure of this size in inches, which no window shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_figure(figure: Figure, output: str) -> None:
    """Write a figure under a temporary name and rename it; the suffix tells the format."""
    content = io.BytesIO()
    kind = os.path.splitext(output)[1][1:].lower()
    metadata = {"Software": PROGRAM} if kind == "png" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that the font lacks shows boxes
        figure.savefig(content, format=kind, dpi=130, metadata=metadata)
    write_aside(output, content.getvalue())


def plain(name: str, longest: int = 24) -> str:
    """Return a name as matplotlib may draw it: no mathematics, and not too long."""
    return cut_in_the_middle(visible(name), longest).replace("$", r"\$")
