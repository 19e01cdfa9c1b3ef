"""Write an explanation as one HTML page that needs no other file; every text is escaped."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from spectral_detect._version import PROGRAM
from spectral_detect.atomic_write import write_aside
from spectral_detect.explain.advice import sentence
from spectral_detect.explain.evidence import Evidence
from spectral_detect.explain.explanation import Explanation
from spectral_detect.records import LABELS
from spectral_detect.report.plots import new_figure
from spectral_detect.report.sheet.panels import (
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
    decision_text,
    generator_sentence,
    meaning,
    names_of,
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
    from matplotlib.figure import Figure

TEMPLATE = "page.html.j2"
DPI = 130


def write_page(explanation: Explanation, output: str) -> None:
    """Write the page."""
    write_aside(output, page_of(explanation).encode("utf-8"))


def page_of(explanation: Explanation) -> str:
    """Return the text of the page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("spectral_detect.report.sheet").joinpath(TEMPLATE).read_text("utf-8"))
    record, evidence = explanation.record, explanation.evidence
    rows = _rows(explanation, evidence) if evidence else []
    facts = {
        "file": visible(record.path),
        "SHA-256": record.sha256,
        "size": f"{record.width} x {record.height} pixels, {record.coding or record.format}",
        "part": ",".join(map(str, explanation.region.box)) if explanation.region else "all of it",
        "delivered as": record.delivery or "it is",
        "model": visible(record.model or ""),
        "model's SHA-256": record.model_sha256,
        "shares of evidence": evidence.method if evidence else "none: there is nothing to measure",
        "made by": f"{PROGRAM} {record.tool_version}",
    }
    return template.render(
        name=visible(os.path.basename(record.path)),
        verdict=shown_verdict(explanation),
        names=names_of(explanation),
        colour=_hex(colour_of(explanation)),
        meaning=meaning(explanation),
        why=why_sentence(explanation),
        pictures=_pictures(explanation),
        evidence=evidence,
        on_its_scale=decision_text(explanation, evidence) if evidence else "",
        distances=explanation.class_distances,
        rows=rows,
        has_sums=any(is_sum for _, _, is_sum, _ in rows),
        generator=generator_sentence(explanation),
        ratio=ratio_sentence(explanation),
        track=track_sentence(explanation),
        notes=[note for note in (spectrum_sentence(explanation), tiles_sentence(explanation)) if note],
        neighbours=_neighbours(explanation),
        tells_sources=explanation.tells_sources,
        n_positions=explanation.n_positions,
        missing=[sentence(note) for note in explanation.missing],
        warnings=other_warnings(explanation),
        next_steps=[sentence(step) for step in explanation.next_steps],
        said=visible(record.provenance or ""),
        facts=facts,
    )


def _rows(explanation: Explanation, evidence: Evidence) -> list[tuple[str, float, bool, tuple[float, ...]]]:
    """Return title, contribution, whether it is a sum of the rows below it, and distances, of each row of numbers."""
    rows: list[tuple[str, float, bool, tuple[float, ...]]] = []
    for kind, total in evidence.kinds:
        parts = evidence.parts_of(kind)
        rows += [(kind, total, True, ())] if len(parts) > 1 else []
        for k in parts:
            distances = explanation.class_distances[k] if explanation.class_distances else ()
            rows.append((evidence.groups[k].group.title, evidence.groups[k].contribution, False, distances))
    return rows


def _neighbours(explanation: Explanation) -> list[tuple[str, str, str, str]]:
    """Return label, name of the class, source and distance of each of the nearest training images."""
    names = names_of(explanation)
    return [
        (
            n.label,
            names[LABELS[n.label]],
            visible(n.source),
            "this image, or a copy" if n.is_same else f"{n.distance:.2f}",
        )
        for n in explanation.neighbours
    ]


def _pictures(explanation: Explanation) -> dict[str, str]:
    """Return name -> data URI of each drawn part."""
    evidence, spectrum, profile = explanation.evidence, explanation.spectrum, explanation.profile
    tiles, has_bands = explanation.tiles, evidence is not None and evidence.has_bands
    drawn: dict[str, tuple[float, float, Callable[..., None] | None]] = {
        "image": (3.4, 3.3, lambda axes: draw_image(axes, explanation)),
        "tiles": (3.8, 3.3, (lambda axes: draw_tiles(axes, explanation, tiles)) if tiles else None),
        "spectrum": (4.2, 3.3, (lambda axes: draw_spectrum(axes, spectrum)) if spectrum else None),
        "groups": (5.8, 4.2, (lambda axes: draw_groups(axes, explanation, evidence)) if evidence else None),
        "bands": (5.4, 2.3, (lambda axes: draw_bands(axes, explanation, evidence)) if evidence and has_bands else None),
        "profile": (5.4, 2.6, (lambda axes: draw_profile(axes, explanation, profile)) if profile else None),
    }
    gauge = {} if explanation.is_empty else {"gauge": _gauge(explanation)}
    return gauge | {
        name: _data_uri(_drawn(width, height, draw))
        for name, (width, height, draw) in drawn.items()
        if draw is not None
    }


def _gauge(explanation: Explanation) -> str:
    figure = new_figure(5.6, 1.2)
    figure.set_layout_engine("none")
    draw_gauge(figure.add_axes((0.02, 0.35, 0.96, 0.24)), explanation)
    return _data_uri(figure)


def _drawn(width: float, height: float, draw: Callable[..., None]) -> Figure:
    figure = new_figure(width, height)
    draw(figure.subplots())
    return figure


def _data_uri(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": PROGRAM})
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def _hex(colour: str) -> str:
    from matplotlib.colors import to_hex

    return to_hex(colour)
