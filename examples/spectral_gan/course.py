"""Draw how runs of `regularize train` went on over their epochs, mean and range over seeds; print how they ended.

python examples/spectral_gan/course.py RUN... --output course.png [--measures fd diversity]

Runs that differ in nothing but the seed are one line: the mean, in a band from the least to the largest value. There is
a column for each objective and a row for each measure, which is a name in the runs' `log.jsonl`; `fd` and `fid` are
there if the runs were trained with --fd and --fid. Figures 12 to 14 of Durall et al., CVPR 2020, show the FID so.

`collapsed` counts the seeds whose samples vary less than a quarter as much as camera images in the last epoch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spectral_detect.regularize.gan.log import read_log, read_real_measures
from spectral_detect.regularize.gan.monitor import COLLAPSED
from spectral_detect.regularize.gan.options import TrainingOptions, read_options
from spectral_detect.report.plots import line_style, new_figure, whole_numbers, write_figure

MEASURES = {
    "fd": "FD ({network}), no unit",
    "fid": "FID, no unit",
    "diversity": "diversity (1: as camera images)",
    "detector_auroc": "AUROC of a fresh detector",
    "spectral_distance": "distance of the mean profiles, ln power",
    "high_frequency_distance": "distance in the upper quarter, ln power",
    "spectral_frechet": "Frechet distance of azimuthal features",
}
LOGARITHMIC = ("fd", "fid", "spectral_distance", "high_frequency_distance", "spectral_frechet")
APART = ("data", "seed", "device", "threads", "compile", "keep_weights", "epochs")  # may differ in a line


@dataclass(frozen=True)
class Course:
    """One line: runs that differ in the seed alone."""

    options: TrainingOptions
    logs: list[list[dict[str, Any]]]
    reals: dict[str, Any]

    @property
    def name(self) -> str:
        """Return what tells the line from others of its objective."""
        o = self.options
        spectra = f"{o.features}, {o.distance}, " if o.spectral_weight else ""
        return f"{spectra}{o.weight_in_words}, {o.upsampling}, {o.topology}"

    @property
    def n_epochs(self) -> int:
        """Return the number of epochs that all seeds have."""
        return min(map(len, self.logs))

    def values(self, measure: str) -> np.ndarray:
        """Return (n_seeds, n_epochs) of a measure; no number where a run has not measured it."""
        rows = [[row.get(measure) for row in log[: self.n_epochs]] for log in self.logs]
        return np.array(rows, dtype=np.float64)


def courses_of(folders: Sequence[Path]) -> list[Course]:
    """Read runs and bring those together that differ in the seed alone."""
    found: dict[str, Course] = {}
    for folder in folders:
        options, log = read_options(folder), read_log(folder)
        if not log:
            continue  # not one epoch is done
        kept = {name: value for name, value in options.to_dict().items() if name not in APART}
        course = found.setdefault(json.dumps(kept), Course(options, [], read_real_measures(folder)))
        course.logs.append(log)
    return list(found.values())


def draw(courses: Sequence[Course], measures: Sequence[str], output: Path) -> None:
    """Draw a panel for each objective and measure."""
    objectives = list(dict.fromkeys(course.options.objective for course in courses))
    names = list(dict.fromkeys(course.name for course in courses))
    figure = new_figure(1.0 + 4.2 * len(objectives), 0.6 + 0.25 * len(names) + 2.6 * len(measures))
    panels = figure.subplots(len(measures), len(objectives), squeeze=False, sharex="col", sharey="row")
    for line, measure in zip(panels, measures, strict=True):
        for axes, objective in zip(line, objectives, strict=True):
            own = [course for course in courses if course.options.objective == objective]
            for course in own:
                _line(axes, course, measure, names.index(course.name))
            if own[0].reals.get(measure) is not None:
                axes.axhline(own[0].reals[measure], color="0.4", linewidth=1, linestyle=":")
            axes.set_yscale("log" if measure in LOGARITHMIC else "linear")
            axes.grid(color="0.92")
        line[0].set_ylabel(MEASURES[measure].format(network=courses[0].options.fd), fontsize=9)
    for axes, objective in zip(panels[0], objectives, strict=True):
        axes.set_title(objective)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
        whole_numbers(axes)
    handles: dict[str, Any] = {}
    for axes in panels.flat:
        lines, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, lines, strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", frameon=False, fontsize=9)
    figure.suptitle("Mean and range over seeds (dotted: other camera images)", fontsize=11)
    write_figure(figure, str(output))


def _line(axes: Any, course: Course, measure: str, k: int) -> None:
    values = course.values(measure)
    if np.isnan(values).any():
        return
    epochs = np.arange(1, course.n_epochs + 1)
    axes.plot(epochs, values.mean(axis=0), label=course.name, **line_style(k))
    axes.fill_between(
        epochs, values.min(axis=0), values.max(axis=0), color=line_style(k)["color"], alpha=0.18, linewidth=0
    )


def table(courses: Sequence[Course], measures: Sequence[str]) -> str:
    """Return the last epochs as a table: mean over the seeds, least and largest."""
    titles = ["objective", "network and loss", "seeds", "epochs", *measures, "collapsed"]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for course in courses:
        cells = [course.options.objective, course.name, str(len(course.logs)), str(course.n_epochs)]
        for measure in measures:
            last = course.values(measure)[:, -1]
            cells.append(f"{last.mean():.3g} ({last.min():.3g} to {last.max():.3g})")
        cells.append(f"{np.count_nonzero(course.values('diversity')[:, -1] < COLLAPSED)} of {len(course.logs)}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=["fd", "diversity"])
    args = parser.parse_args()
    courses = courses_of([folder for folder in args.runs if (folder / "options.json").is_file()])
    if not courses:
        raise SystemExit("there is no run with an epoch that is done: name the folders of runs")
    print(table(courses, args.measures))
    draw(courses, args.measures, args.output)


if __name__ == "__main__":
    main()
