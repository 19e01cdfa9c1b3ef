"""Begin and write figures, and draw the timeline of a video; only `report` knows matplotlib."""

from __future__ import annotations

import base64
import io
import logging
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from spectral_detect._version import PROGRAM
from spectral_detect.atomic_write import write_aside
from spectral_detect.scanning.videos import VideoResult
from spectral_detect.text import counted, cut_in_the_middle, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

# Okabe and Ito's colours without the yellow: told apart whatever the kind of colour vision; lines and markers in gray
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
WIDTH = 13.0
MOST_SVG_BYTES = 400_000  # of a picture in a page; one of many points is smaller as PNG
VERDICTS = (("real", "o", BLUE), ("fake", "s", ORANGE), ("inconclusive", "X", "0.45"))
HELPING_FONTS = (  # of Linux, Windows and macOS, for names that are not in Latin, Greek or Cyrillic letters
    "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei",
    "Yu Gothic", "MS Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo",
    "Arial Unicode MS", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai", "Nirmala UI",
)  # fmt: skip
NOTE_WIDTH, MOST_NOTES = 165, 4  # characters, lines


def plot_timeline(result: VideoResult, output: str) -> None:
    """Draw the score of each frame over time, the threshold, why frames are inconclusive, and the extreme frames."""
    record = result.record
    notes = _notes(record.warnings)
    figure = new_figure(WIDTH, 6.4 + 0.22 * len(notes))
    grid = figure.add_gridspec(3, 1, height_ratios=(3, 0.02 + 0.16 * len(notes), 2))
    _scores_over_time(figure.add_subplot(grid[0]), result)
    below = figure.add_subplot(grid[1])
    below.set_axis_off()
    below.text(0, 1, "\n".join(notes), fontsize=9, va="top", transform=below.transAxes)
    _thumbnails(figure, grid[2], result)
    called = _called(result)
    share = ""
    if record.fake_fraction is not None:
        share = f"; {100 * record.fake_fraction:.0f} % of {counted(record.n_judged, 'vote')} {called['fake']}"
    model = "" if record.model is None else f"; model {plain(record.model, 40)}"
    figure.suptitle(f"{plain(os.path.basename(record.path), 60)}: {called[record.verdict or 'failed']}{share}{model}")
    write_figure(figure, output)


def _called(result: VideoResult) -> dict[str, str]:
    """Return what each outcome is called, by the model's own names for its classes if the frames have any."""
    names = {name: name for name in ("real", "fake", "inconclusive", "failed")}
    return names | {str(frame.verdict): plain(frame.class_name) for frame in result.frames if frame.class_name}


def _notes(warnings: Sequence[str]) -> list[str]:
    """Return what a reader should know, the reasons of inconclusive frames among it, in lines that fit the page."""
    lines = [line for note in warnings for line in wrap(plain(note, 4 * NOTE_WIDTH), NOTE_WIDTH)]
    return lines if len(lines) <= MOST_NOTES else [*lines[: MOST_NOTES - 1], "... more in the record's warnings"]


def _thumbnails(figure: Figure, place: SubplotSpec, result: VideoResult) -> None:
    thumbnails = [(t, "highest") for t in result.highest] + [(t, "lowest") for t in result.lowest[::-1]]
    below = place.subgridspec(1, max(1, len(thumbnails)))
    for k, (thumbnail, title) in enumerate(thumbnails):
        axes = figure.add_subplot(below[k])
        axes.imshow(thumbnail.pixels, cmap="gray", vmin=0, vmax=255)
        at = f"frame {thumbnail.frame}" if thumbnail.time_s is None else f"{thumbnail.time_s:.2f} s"
        axes.set_title(f"{title}: {thumbnail.score:.3f}\n{at}", fontsize=9)
        axes.set_axis_off()


def _scores_over_time(axes: Axes, result: VideoResult) -> None:
    has_times, called = all(frame.time_s is not None for frame in result.frames), _called(result)
    for track in sorted({frame.track for frame in result.frames}):
        frames = [f for f in result.frames if f.track == track and f.score is not None]
        x = [(f.time_s or 0.0) if has_times else f.frame for f in frames]
        axes.plot(x, [f.score or 0.0 for f in frames], color="0.7", linewidth=1, zorder=1)
        if track and frames:
            axes.annotate(f"face {track}", (x[0], frames[0].score or 0.0), xytext=(-4, 7), textcoords="offset points")
        for verdict, marker, colour in VERDICTS:
            chosen = [k for k, f in enumerate(frames) if f.verdict == verdict]
            scores = [frames[k].score or 0.0 for k in chosen]
            axes.scatter([x[k] for k in chosen], scores, color=colour, marker=marker, s=24)
    counts: Counter[str | None] = Counter(frame.verdict for frame in result.frames if frame.score is not None)
    for verdict, marker, colour in VERDICTS:
        if counts[verdict]:
            label = f"{called[verdict]} ({counts[verdict]})"
            axes.plot([], [], color=colour, marker=marker, linestyle="", label=label)
    threshold, low, high = result.record.threshold, result.record.undecided_low, result.record.undecided_high
    if threshold is not None and low is None:
        axes.axhline(threshold, color="0.3", linewidth=1, linestyle="--", label=f"threshold {threshold:.3f}")
    if low is not None and high is not None:
        model = plain(result.record.model or "the model", 24)
        axes.axhspan(low, high, color="0.91", zorder=0, label=f"undecided by {model}:\n{low:.3f} to {high:.3f}")
    axes.set(
        ylim=(-0.03, 1.03), xlabel="seconds" if has_times else "frame", ylabel=f"score (1: {_called(result)['fake']})"
    )
    at = [(f.time_s or 0.0) if has_times else f.frame for f in result.frames]
    if not has_times or len(set(at)) == 1:
        whole_numbers(axes, at)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def whole_numbers(axes: Axes, at: Sequence[float] = ()) -> None:
    """Mark the x axis at whole numbers alone: epochs and frames have no fractions. `at` are the numbers drawn."""
    from matplotlib.ticker import MaxNLocator

    if len(set(at)) == 1:  # a single point would get an axis of fractions
        axes.set_xlim(at[0] - 1, at[0] + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def shifted_edges(n: int) -> tuple[float, float]:
    """Return where a row of n shifted frequencies begins and ends, in cycles per pixel: they lie amid their pixels."""
    start = -(n // 2 + 0.5) / n
    return start, start + 1


def line_style(k: int) -> dict[str, Any]:
    """Return colour and line of the k-th curve; with markers, see `MARKERS`."""
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": LINES[k % len(LINES)]}


def legend_below(axes: Axes, n_columns: int = 2, *, below: float = 0.13, **more: Any) -> None:
    """Put the legend below the x axis, where it covers nothing; `below` is in heights of the axes."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -below), ncols=n_columns, frameon=False, **more)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which no window shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_figure(figure: Figure, output: str) -> None:
    """Write a figure under a temporary name and rename it; the suffix tells the format."""
    write_aside(output, _saved(figure, os.path.splitext(output)[1][1:].lower()))


def _saved(figure: Figure, kind: str) -> bytes:
    """Return a figure in a format.

    The same figure gives the same bytes: no date stands in them unless SOURCE_DATE_EPOCH sets it.
    """
    import matplotlib

    _let_fonts_help(figure)
    content = io.BytesIO()
    has_date = bool(os.environ.get("SOURCE_DATE_EPOCH"))
    author, date = ("Software", "") if kind == "png" else ("Creator", "Date" if kind == "svg" else "CreationDate")
    metadata = {author: PROGRAM} | ({date: None} if date and not has_date else {})
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": PROGRAM, "pdf.fonttype": 42}):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that the font lacks shows boxes
        figure.savefig(content, format=kind, dpi=130, metadata=metadata)
    return content.getvalue()


def _let_fonts_help(figure: Figure) -> None:
    """Draw what matplotlib's own font lacks, such as Chinese names, in a font of the system, if it has such a one."""
    from matplotlib import font_manager, rcParams
    from matplotlib.text import Text

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # of weights that such a font lacks
    installed = {font.name for font in font_manager.fontManager.ttflist}
    helping = [name for name in HELPING_FONTS if name in installed]
    for text in figure.findobj(Text) if helping else ():
        if not text.get_text().isascii():
            text.set_fontfamily([*rcParams["font.family"], *helping])


def picture_uri(figure: Figure) -> str:
    """Return a figure as a data URI, which a page holds: SVG, or PNG if that is smaller by far.

    The same figure gives the same text.
    """
    drawn = _saved(figure, "svg")
    if len(drawn) > MOST_SVG_BYTES:
        return f"data:image/png;base64,{base64.b64encode(_saved(figure, 'png')).decode('ascii')}"
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode('ascii')}"


def plain(name: str, longest: int = 24) -> str:
    """Return a name as matplotlib may draw it: no mathematics, and not too long."""
    return as_it_is(cut_in_the_middle(visible(name), longest))


def as_it_is(text: str) -> str:
    """Return a text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")
