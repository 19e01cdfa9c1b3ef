"""Draw the parts of a sheet, each into axes of its own: the picture and the page share them."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from spectral_detect.explain.evidence import Evidence
from spectral_detect.explain.explanation import Explanation, Profile
from spectral_detect.explain.spectrum import Peak, Spectrum
from spectral_detect.explain.tiles import TileScores
from spectral_detect.features.common_profile import FREQUENCIES
from spectral_detect.report.plots import BLUE, ORANGE, plain, shifted_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap

GRAY, DARK = "0.55", "0.2"
PURPLE, LIGHT_BLUE = "#cc79a7", "#56b4e9"  # of the palette of Okabe and Ito, for all who see colours unlike most
SMALL, NORMAL = 7.5, 8.5
DB = 10 / np.log(10)  # of a natural logarithm of power
BESIDE = 0.02  # of the width of a chart
LEAST_FOR_WORD = 0.4  # of the width of the gauge, for "undecided" between both its ends
LABEL = 0.3  # width of the number beside a bar, as a part of the longest bar
COLOUR_OF = {"fake": ORANGE, "real": BLUE, "inconclusive": "0.35"}


def score_colours() -> LinearSegmentedColormap:
    """Return the colours of scores: blue for real, orange for fake, told apart by all who see colours unlike most."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("real to fake", [BLUE, "0.93", ORANGE])


def colour_of(explanation: Explanation) -> str:
    """Return the colour of the verdict, as in a scan's table.

    One that the file contradicts has that of a fake, and an improbable one that of an inconclusive one.
    """
    if explanation.record.is_contradicted:
        return COLOUR_OF["fake"]
    shown = "inconclusive" if explanation.is_improbable else explanation.record.verdict or ""
    return COLOUR_OF.get(shown, "0.35")


def drawn_names(explanation: Explanation) -> tuple[str, str]:
    """Return what the model calls real and fake, as matplotlib may draw it."""
    first, second = explanation.class_names
    return plain(first), plain(second)


def draw_gauge(axes: Axes, explanation: Explanation) -> None:
    """Draw the score between real and fake, the threshold, and the scores that decide nothing."""
    record, (real, fake) = explanation.record, drawn_names(explanation)
    axes.imshow(np.linspace(0, 1, 256)[None], extent=(0, 1, 0, 1), aspect="auto", cmap=score_colours())
    low, high = explanation.undecided or (1.0, 0.0)
    if explanation.undecided is not None:
        _draw_undecided(axes, low, high)
    if record.threshold is not None and not low <= record.threshold <= high:
        axes.axvline(record.threshold, color=DARK, linewidth=1.5, linestyle=(0, (2, 2)))
        axes.text(record.threshold, -0.12, f"{fake} from {record.threshold:.3f}", ha="center", va="top", fontsize=SMALL)
    if record.score is not None:
        axes.plot([record.score], [1.25], marker="v", markersize=13, color="black", clip_on=False)
        text, edge = f"score {record.score:.3f}", 0.15
        if not record.score_has_meaning:
            text, edge = f"{text}: no meaning here", 0.4
        where = "left" if record.score < edge else "right" if record.score > 1 - edge else "center"
        axes.text(record.score, 1.75, text, ha=where, va="bottom", fontsize=11, fontweight="bold")
    axes.text(0, -0.12, f"0 {real}", ha="left", va="top", fontsize=NORMAL, color=BLUE)
    axes.text(1, -0.12, f"{fake} 1", ha="right", va="top", fontsize=NORMAL, color=ORANGE)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])


def _draw_undecided(axes: Axes, low: float, high: float) -> None:
    """Draw the scores that decide nothing, with their ends; the threshold between them plays no part."""
    axes.axvspan(low, high, color="0.6", alpha=0.9, linewidth=0)
    if high - low <= LEAST_FOR_WORD:
        for end, side in ((low, "right"), (high, "left")):
            axes.text(end, -0.12, f"{end:.3f}", ha=side, va="top", fontsize=SMALL)
        return
    axes.text((low + high) / 2, 0.5, "undecided", ha="center", va="center", fontsize=NORMAL, color="0.1")
    axes.text(low, 0.5, f" {low:.3f}", ha="left", va="center", fontsize=SMALL, color="0.1")
    axes.text(high, 0.5, f"{high:.3f} ", ha="right", va="center", fontsize=SMALL, color="0.1")


def draw_image(axes: Axes, explanation: Explanation) -> None:
    """Draw the reduced image."""
    record = explanation.record
    title = "the image" if explanation.region is None else "the part that was judged"
    axes.set_title(title, fontsize=NORMAL + 1)
    if explanation.picture is not None:
        axes.imshow(explanation.picture)
    width, height = explanation.size
    text = f"{width} x {height} pixels, {record.coding or record.format}"
    if record.delivery is not None:
        text = f"{record.delivery}, of {record.width} x {record.height} pixels, {record.coding or record.format}"
    axes.set_xlabel(fill(text, 44), fontsize=SMALL)
    axes.set(xticks=[], yticks=[])


def draw_tiles(axes: Axes, explanation: Explanation, tiles: TileScores) -> None:
    """Draw the score of each place on the image."""
    axes.set_title("score of each place", fontsize=NORMAL + 1)
    axes.set(xticks=[], yticks=[])
    picture = explanation.picture
    if picture is None:
        return
    axes.imshow(picture.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    scale = picture.shape[1] / explanation.size[0]
    overlay = _overlay(tiles, picture.shape[:2], scale)
    shown = axes.imshow(overlay, cmap=score_colours(), vmin=0, vmax=1, alpha=0.6)
    bar = axes.figure.colorbar(shown, ax=axes, ticks=[0, 0.5, 1], shrink=0.75, aspect=14)
    real, fake = drawn_names(explanation)
    bar.ax.set_yticklabels([real, "", fake], fontsize=SMALL)
    verdict = "they disagree: perhaps a mixed picture" if tiles.is_mixed else "a score of this place, no proof of it"
    axes.set_xlabel(verdict, fontsize=SMALL, fontweight="bold" if tiles.is_mixed else "normal")


def _overlay(tiles: TileScores, shape: tuple[int, ...], scale: float) -> np.ndarray:
    """Return the mean score of the tiles that cover each pixel of the reduced image; masked where there are none."""
    total, count = np.zeros(shape), np.zeros(shape)
    for (x, y, width, height), score in zip(tiles.boxes, tiles.scores, strict=True):
        rows = slice(round(y * scale), round((y + height) * scale))
        columns = slice(round(x * scale), round((x + width) * scale))
        total[rows, columns] += score
        count[rows, columns] += 1
    return np.ma.masked_array(total / np.maximum(count, 1), count == 0)


def draw_spectrum(axes: Axes, spectrum: Spectrum) -> None:
    """Draw the log power spectrum, with the places of the periods 2, 4 and 8 marked."""
    low, high = np.percentile(spectrum.log_power, (1, 99.8))
    edges = shifted_edges(len(spectrum.log_power))
    axes.imshow(spectrum.log_power, extent=(*edges, edges[1], edges[0]), cmap="gray", vmin=low, vmax=high)
    for peak in spectrum.peaks:
        _mark(axes, peak)
    clear = [f"{peak.period_px}" for peak in spectrum.peaks if peak.is_clear]
    axes.set_title("power spectrum", fontsize=NORMAL + 1)
    found = f"clear peaks at period {', '.join(clear)} px" if clear else "no clear peak at period 2, 4 or 8 px"
    axes.set_xlabel(f"cycles per pixel; {found}", fontsize=SMALL, fontweight="bold" if clear else "normal")
    axes.set(xlim=(-0.56, 0.56), ylim=(0.56, -0.56), xticks=[-0.5, 0, 0.5], yticks=[-0.5, 0, 0.5])
    axes.tick_params(labelsize=SMALL)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=SMALL, frameon=False, handletextpad=0.2)


def _mark(axes: Axes, peak: Peak) -> None:
    f = 1 / peak.period_px
    places = [(f * x, f * y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y]
    marker = {2: "o", 4: "D", 8: "s"}[peak.period_px]
    label = f"{peak.period_px} px" + ("\n(JPEG's grid)" if peak.period_px == 8 else "")
    axes.scatter(
        [x for x, _ in places],
        [y for _, y in places],
        marker=marker,
        s=60 if peak.is_clear else 34,
        facecolors="none",
        edgecolors=PURPLE if peak.is_clear else LIGHT_BLUE,
        linewidths=2.4 if peak.is_clear else 0.8,
        label=label + ("\nclear" if peak.is_clear else ""),
        clip_on=False,
    )


def draw_groups(axes: Axes, explanation: Explanation, evidence: Evidence) -> None:
    """Draw what each feature group adds to the decision value."""
    rows = [(fill(title, 36), value) for title, value in evidence.kinds]
    rows.append(("start (mean training image)", evidence.start))
    rows.append(("sum: the decision value", evidence.decision_value))
    at = [*range(len(rows) - 1), len(rows) - 0.4]
    values = [value for _, value in rows]
    colours = [*(ORANGE if value > 0 else BLUE for value in values[:-2]), GRAY, DARK]
    axes.barh(at, values, color=colours, height=0.62)
    boundaries = evidence.undecided or (evidence.boundary,)
    span = max(map(abs, [*values, *boundaries]))
    for y, value in zip(at, values, strict=True):
        sign = 1 if value >= 0 else -1
        end = value
        for boundary in sorted(boundaries, key=abs) if y == at[-1] else ():  # the number is no label of its line
            end = boundary if 0 <= sign * (boundary - end) < LABEL * span else end
        axes.text(
            end + BESIDE * span * sign,
            y,
            f"{value:+.2f}",
            va="center",
            ha="left" if sign > 0 else "right",
            fontsize=SMALL,
        )
    for boundary in boundaries:
        axes.plot([boundary] * 2, [at[-1] - 0.45, at[-1] + 0.45], color="black", linestyle=":", linewidth=1.5)
    axes.axvline(0, color=DARK, linewidth=0.8)
    axes.set_yticks(at, [name for name, _ in rows], fontsize=SMALL)
    axes.set(xlim=(-1.35 * span, 1.35 * span), ylim=(at[-1] + 0.6, -0.6))
    real, fake = drawn_names(explanation)
    axes.set_title(f"what speaks for {real}, and what for {fake}", fontsize=NORMAL + 1)
    arrows = "\N{LEFTWARDS ARROW}   contribution   \N{RIGHTWARDS ARROW}"
    axes.set_xlabel(f"for {real}  {arrows}  for {fake}", fontsize=SMALL)
    _plain_frame(axes)


def draw_bands(axes: Axes, explanation: Explanation, evidence: Evidence) -> None:
    """Draw the contribution of each frequency."""
    edges, sums = evidence.bands
    width = edges[1] - edges[0]
    axes.bar(edges[:-1], sums, width=0.85 * width, align="edge", color=[ORANGE if s > 0 else BLUE for s in sums])
    axes.axhline(0, color=DARK, linewidth=0.8)
    _frequency_axis(axes)
    scale = evidence.groups[0].group.scale_px
    axes.set_title("at which detail", fontsize=NORMAL + 1)
    real, fake = drawn_names(explanation)
    axes.set_ylabel(f"for {real}      for {fake}", fontsize=SMALL)
    seen = f", image{reduced}" if (reduced := _reduced(explanation, scale)) else ""
    axes.set_xlabel(f"coarse  \N{RIGHTWARDS ARROW}  fine (cycles per pixel{seen})", fontsize=SMALL)
    largest = float(np.abs(sums).max()) or 1.0
    axes.set_ylim(-1.15 * largest, 1.15 * largest)
    _plain_frame(axes)


def _reduced(explanation: Explanation, scale_px: int | None) -> str:
    """Return to how many pixels the image was reduced for its features, in words; empty if it was not."""
    is_reduced = scale_px and explanation.size and min(explanation.size) > scale_px
    return f" reduced to {scale_px} px" if is_reduced else ""


def draw_profile(axes: Axes, explanation: Explanation, profile: Profile) -> None:
    """Draw the radial profile of the image over the bands of the training images, as a difference from their mean."""
    has_bands = profile.means is not None and profile.deviations is not None
    middle = profile.means.mean(axis=0) if profile.means is not None else np.zeros(len(FREQUENCIES))
    if profile.means is not None and profile.deviations is not None:
        for label, colour, hatch, mean, deviation in zip(
            drawn_names(explanation), (BLUE, ORANGE), ("", "////"), profile.means, profile.deviations, strict=True
        ):
            low, high = DB * (mean - deviation - middle), DB * (mean + deviation - middle)
            axes.fill_between(FREQUENCIES, low, high, facecolor=colour, alpha=0.25, edgecolor=colour, hatch=hatch)
            axes.plot(FREQUENCIES, DB * (mean - middle), color=colour, linewidth=1, label=f"{label} images")
    axes.plot(FREQUENCIES, DB * (profile.values - middle), color="black", linewidth=2, label="this image")
    _frequency_axis(axes)
    axes.set_title("its detail beside the training images", fontsize=NORMAL + 1, pad=17)
    axes.set_ylabel("dB", fontsize=SMALL)
    seen = f",{reduced}" if (reduced := _reduced(explanation, profile.scale_px)) else ""
    more = "" if has_bands else "\nno bands: this model holds none"
    axes.set_xlabel(f"coarse  \N{RIGHTWARDS ARROW}  fine (cycles per pixel{seen}){more}", fontsize=SMALL)
    axes.legend(
        fontsize=SMALL,
        frameon=False,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.97),
        ncols=3,
        borderpad=0.1,
        handlelength=1.4,
    )
    _plain_frame(axes)


def _frequency_axis(axes: Axes) -> None:
    axes.set_xlim(0, float(FREQUENCIES[-1]))
    axes.set_xticks([0, 0.125, 0.25, 0.5], ["0", "1/8", "1/4", "1/2"])
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="x", color="0.88")
    axes.set_axisbelow(True)


def _plain_frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", labelsize=SMALL)
