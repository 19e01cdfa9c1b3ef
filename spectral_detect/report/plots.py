"""Pictures; the only home of matplotlib."""

from __future__ import annotations

import io
import os
from typing import Any

from spectral_detect.files import write_aside
from spectral_detect.report.text import visible

SERIES = (("auroc", "AUROC", "#1f5fa8", "o"), ("balanced_accuracy", "balanced accuracy", "#c05020", "s"))


def plot_title(result: dict[str, Any]) -> str:
    """What was measured, on how many images."""
    counts = f"{result['n_real']} real, {result['n_fake']} fake images"
    return f"model {result['model']} after an edit of both classes; {counts}"


def plot_robustness(rows: list[dict[str, Any]], output: str, *, title: str) -> None:
    """AUROC and balanced accuracy with 95 % intervals, a column for each edit that left images; written aside, renamed.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in rows if row["auroc"] is not None]
    figure = Figure(figsize=(1.8 + 0.62 * len(rows), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for k, (name, label, colour, marker) in enumerate(SERIES):
        x = [column + 0.16 * (k - 0.5) for column in range(len(rows))]
        value = [100 * row[name] for row in rows]
        below = [100 * max(0.0, row[name] - row[f"{name}_ci"][0]) for row in rows]
        above = [100 * max(0.0, row[f"{name}_ci"][1] - row[name]) for row in rows]
        axes.errorbar(
            x, value, yerr=[below, above], fmt=marker, color=colour, label=label, capsize=3, markersize=6, linewidth=1.4
        )
    axes.axhline(50, color="0.5", linewidth=1, linestyle="--", label="guessing")
    names = [r["edit"] if r["strength"] is None else f"{r['edit']}\n{r['strength']:g}" for r in rows]
    axes.set_xticks(range(len(rows)), ["as is" if name == "none" else name for name in names])
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.set_ylim(min(40, *(100 * row[f"{name}_ci"][0] - 3 for row in rows for name, *_ in SERIES)), 101.5)
    axes.set_ylabel("per cent, with 95 % interval")
    axes.set_title(visible(title))
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", framealpha=1)
    content = io.BytesIO()
    figure.savefig(content, format=os.path.splitext(output)[1][1:].lower(), dpi=130)
    write_aside(output, content.getvalue())
