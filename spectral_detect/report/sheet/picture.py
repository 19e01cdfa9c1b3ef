"""Draw an explanation as one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from spectral_detect._version import PROGRAM
from spectral_detect.explain.advice import sentence
from spectral_detect.explain.explanation import Explanation
from spectral_detect.report.plots import as_it_is, new_figure, plain, write_figure
from spectral_detect.report.sheet.panels import (
    NORMAL,
    SMALL,
    colour_of,
    draw_bands,
    draw_gauge,
    draw_groups,
    draw_image,
    draw_profile,
    draw_spectrum,
    draw_tiles,
)
from spectral_detect.report.sheet.text import (
    generator_sentence,
    meaning,
    neighbour_sentences,
    other_warnings,
    ratio_sentence,
    shown_verdict,
    spectrum_sentence,
    tiles_sentence,
    track_sentence,
    why_sentence,
)
from spectral_detect.text import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

WIDTH_IN = 9.24  # 1200 pixels
TOP_IN, CHARTS_IN, LINE_IN, PARAGRAPH_IN = 0.95, 3.3, 0.165, 0.16
PICTURES_IN, LARGE_PICTURES_IN = 2.75, 3.5  # three beside each other, or two
CHARACTERS, WHOLE_LINE = 70, 138  # of a line in half the width, and of a larger one in all of it
HEAD_LINE_IN = 0.2

Paragraph = tuple[str, Sequence[str]]


def write_picture(explanation: Explanation, output: str) -> None:
    """Draw the sheet into a PNG file."""
    columns = _columns(explanation)
    notes_in = max(sum(_height(paragraph) for paragraph in column) for column in columns) + 0.15
    head_lines = _head_lines(explanation)
    charts_in = () if explanation.is_empty else (CHARTS_IN,)
    pictures_in = PICTURES_IN if explanation.tiles else LARGE_PICTURES_IN
    heights = (TOP_IN + HEAD_LINE_IN * (len(head_lines) + 0.6), pictures_in, *charts_in, notes_in)
    figure = new_figure(WIDTH_IN, sum(heights))
    head, pictures, *charts, notes = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).ravel()
    _draw_head(head, explanation, head_lines, heights[0])
    _draw_pictures(pictures, explanation)
    for part in charts:
        _draw_charts(part, explanation)
    for x, column in zip((0.02, 0.52), columns, strict=True):
        _write(notes, x, column, notes_in)
    write_figure(figure, output)


def _head_lines(explanation: Explanation) -> list[str]:
    """Return what the verdict means, why it was given, and the first step after it, in lines."""
    steps = [f"What to do next: {step}" for step in explanation.next_steps[:1]]
    sentences = (f"{meaning(explanation)} {why_sentence(explanation)}", *map(sentence, steps))
    return [line for text in sentences for line in wrap(text, WHOLE_LINE)]


def _draw_head(figure: SubFigure, explanation: Explanation, lines: Sequence[str], height_in: float) -> None:
    record = explanation.record
    shown = plain(shown_verdict(explanation))
    name = plain(os.path.basename(record.path), 70)
    figure.text(0.02, 1 - 0.1 / height_in, name, fontsize=NORMAL, color="0.3", va="top")
    colour = colour_of(explanation)
    figure.text(0.02, 1 - 0.34 / height_in, shown.upper(), fontsize=24, fontweight="bold", color=colour, va="top")
    for k, line in enumerate(lines):
        y = 1 - (TOP_IN + k * HEAD_LINE_IN) / height_in
        figure.text(0.02, y, as_it_is(line), fontsize=NORMAL + 0.5, va="top")
    if not explanation.is_empty:
        draw_gauge(figure.add_axes((0.56, 1 - 0.68 / height_in, 0.41, 0.25 / height_in)), explanation)


def _draw_pictures(figure: SubFigure, explanation: Explanation) -> None:
    """Draw the image beside what there is of it: the score of each place, the spectrum."""
    tiles, spectrum = explanation.tiles, explanation.spectrum
    ratios = (1.0, *((1.15,) if tiles else ()), *((1.25,) if spectrum else ()))
    places = list(figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False).ravel())
    draw_image(places.pop(0), explanation)
    if tiles is not None:
        draw_tiles(places.pop(0), explanation, tiles)
    if spectrum is not None:
        draw_spectrum(places.pop(0), spectrum)


def _draw_charts(figure: SubFigure, explanation: Explanation) -> None:
    left, right = figure.subfigures(1, 2, width_ratios=(1.05, 1), squeeze=False).ravel()
    evidence, profile = explanation.evidence, explanation.profile
    if evidence is not None:
        draw_groups(left.subplots(), explanation, evidence)
    has_bands = evidence is not None and evidence.has_bands
    places = list(right.subplots(1 + has_bands, 1, squeeze=False).ravel())
    if evidence is not None and has_bands:
        draw_bands(places[0], explanation, evidence)
    if profile is not None:
        draw_profile(places[-1], explanation, profile)


def _columns(explanation: Explanation) -> tuple[list[Paragraph], list[Paragraph]]:
    """Return what stands below the charts: to the left what is known, to the right what to do."""
    record = explanation.record
    track, facts = track_sentence(explanation), [spectrum_sentence(explanation), tiles_sentence(explanation)]
    named, ratio = generator_sentence(explanation), ratio_sentence(explanation)
    known: list[Paragraph] = [
        ("likelihood ratio", [ratio] if ratio else []),
        ("which generator", [named] if named else []),
        ("nearest training images", list(neighbour_sentences(explanation))),
        ("how often it is right", [track] if track else []),
        ("spectrum and places", [fact for fact in facts if fact]),
        ("what the file says of itself", [visible(record.provenance)] if record.provenance else []),
        ("not known", [sentence(note) for note in explanation.missing]),
    ]
    to_do: list[Paragraph] = [
        ("warnings", other_warnings(explanation)),
        ("what to do next", [sentence(step) for step in explanation.next_steps]),
        ("how it was made", _origin(explanation)),
    ]
    return [p for p in known if p[1]], [p for p in to_do if p[1]]


def _origin(explanation: Explanation) -> list[str]:
    record, evidence = explanation.record, explanation.evidence
    model = f"model {visible(record.model or '')}, SHA-256 {_in_parts(record.model_sha256)}"
    made = [
        f"{PROGRAM} {record.tool_version}; {model}",
        f"File {visible(record.path)}, SHA-256 {_in_parts(record.sha256)}",
    ]
    return [*made, f"Shares of evidence: {evidence.method}."] if evidence else made


def _in_parts(sha256: str | None) -> str:
    """Return a hash in parts, so that a line may break between them."""
    return " ".join((sha256 or "none")[k : k + 8] for k in range(0, len(sha256 or "none"), 8))


def _lines(sentences: Sequence[str]) -> list[str]:
    bullet = "\N{BULLET} "
    return [
        line for text in sentences for line in wrap(text, CHARACTERS, initial_indent=bullet, subsequent_indent=" " * 3)
    ]


def _height(paragraph: Paragraph) -> float:
    return LINE_IN * (1 + len(_lines(paragraph[1]))) + PARAGRAPH_IN


def _write(figure: Figure | SubFigure, x: float, column: Sequence[Paragraph], height_in: float) -> None:
    y = 1.0
    for title, sentences in column:
        figure.text(x, y, title, fontsize=NORMAL, fontweight="bold", va="top")
        text = "\n".join(_lines(sentences))
        figure.text(x, y - LINE_IN * 1.1 / height_in, as_it_is(text), fontsize=SMALL, va="top", linespacing=1.25)
        y -= _height((title, sentences)) / height_in
