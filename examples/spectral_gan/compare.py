"""Train GANs with and without the spectral loss, from the same seed; print a table and draw a picture.

python examples/spectral_gan/compare.py FACES --output runs [--size 64] [--epochs 30] [--device gpu] [--fid WEIGHTS]

There are four runs for each objective: the baseline and the topology v4 (three more 5x5 convolutions), each without the
loss and with it. A run that is complete is not trained again; one that was interrupted is continued.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spectral_detect.cli import main as spectral_detect

WEIGHTS = {"dcgan": 2.0, "lsgan": 0.5, "dragan": 2.0, "wgan-gp": 2.0}  # the first two are the paper's
VARIANTS = {
    "baseline": ("baseline", False),
    "baseline, spectral loss": ("baseline", True),
    "v4": ("v4", False),
    "v4, spectral loss": ("v4", True),
}
COLOURS = dict(zip(VARIANTS, ("#c05020", "#8a2a8a", "#c0a020", "#2a8a3a"), strict=True))
COLUMNS = (
    ("spectral_distance", "spectral distance", ".3f"),
    ("high_frequency_distance", "upper quarter", ".3f"),
    ("detector_auroc", "AUROC", ".3f"),
    ("spectral_frechet", "Frechet, spectral", ".1f"),
    ("fid", "FID", ".1f"),
    ("diversity", "diversity", ".2f"),
)
Row = dict[str, Any]


def train(folder: Path, objective: str, variant: str, args: argparse.Namespace) -> None:
    """Train one network by the command line; the table of its epochs goes to stderr."""
    topology, has_loss = VARIANTS[variant]
    command = ["regularize", "train", args.data, "--output", folder, "--epochs", args.epochs]
    if (folder / "checkpoint.safetensors").exists():
        command.append("--resume")
    else:
        command += ["--objective", objective, "--topology", topology, "--size", args.size, "--channels", args.channels]
        command += ["--spectral-weight", WEIGHTS[objective] if has_loss else 0, "--seed", args.seed]
        command += ["--batch-size", args.batch_size]
    command += ["--device", args.device]
    for name in ("threads", "fid"):
        if getattr(args, name) is not None:
            command += [f"--{name}", getattr(args, name)]
    with redirect_stdout(sys.stderr):
        status = spectral_detect(list(map(str, command)), standalone_mode=False)
    if status > 1:  # 1: some image could not be read
        raise SystemExit(status)


def rows_of(folder: Path) -> list[Row]:
    """Return the rows of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def runs(args: argparse.Namespace) -> Iterator[tuple[str, str, Path, list[Row]]]:
    """Yield objective, variant, folder and log of each run, which is trained now unless it is complete."""
    args.output.mkdir(parents=True, exist_ok=True)
    for objective in args.objectives:
        for variant in args.networks:
            folder = args.output / f"{objective}-{variant.replace(', ', '-').replace(' ', '-')}"
            train(folder, objective, variant, args)
            yield objective, variant, folder, rows_of(folder)


def table_line(objective: str, variant: str, rows: list[Row]) -> str:
    """Format the means of the last three epochs, since single ones vary."""
    last = rows[-3:]
    cells = []
    for name, _, form in COLUMNS:
        values = [row[name] for row in last if row[name] is not None]
        cells.append(format(np.mean(values), form) if values else "-")
    minutes = sum(row["seconds"] for row in rows) / 60
    return f"| {objective} | {variant} | {' | '.join(cells)} | {minutes:.1f} |"


def draw(found: list[tuple[str, str, Path, list[Row]]], output: Path) -> None:
    """Draw a line per objective: mean profiles against those of the reals, and samples of each network."""
    objectives = list(dict.fromkeys(objective for objective, *_ in found))
    n_networks = len({variant for _, variant, *_ in found})
    figure = Figure(figsize=(4.2 * (1 + n_networks), 3.6 * len(objectives)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(objectives), 1 + n_networks, squeeze=False)
    for line, objective in zip(panels, objectives, strict=True):
        own = [(variant, folder, rows) for name, variant, folder, rows in found if name == objective]
        reals = json.loads((own[0][1] / "reals.json").read_text())
        line[0].fill_between(reals["frequency"], *_band(reals), color="#1f5fa8", alpha=0.2, linewidth=0)
        line[0].plot(reals["frequency"], reals["real_profile_mean"], color="#1f5fa8", label="camera images")
        for axes, (variant, folder, rows) in zip(line[1:], own, strict=True):
            line[0].plot(reals["frequency"], rows[-1]["profile_mean"], color=COLOURS[variant], label=variant)
            axes.imshow(matplotlib.image.imread(folder / "samples" / f"epoch-{rows[-1]['epoch']:04d}.png"))
            axes.set_title(f"{objective}: {variant}")
            axes.set_axis_off()
        line[0].set(xlabel="frequency, cycles per pixel", ylabel="ln power", title=objective)
        line[0].legend(frameon=False)
    figure.savefig(output, dpi=80)


def _band(reals: Row) -> tuple[np.ndarray, np.ndarray]:
    mean, sd = np.array(reals["real_profile_mean"]), np.array(reals["real_profile_sd"])
    return mean - sd, mean + sd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--objectives", nargs="+", choices=WEIGHTS, default=list(WEIGHTS))
    parser.add_argument("--networks", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--fid")
    args = parser.parse_args()
    print(f"| objective | network | {' | '.join(title for _, title, _ in COLUMNS)} | minutes |")
    print(f"|{'---|' * (len(COLUMNS) + 3)}")
    found = []
    for objective, variant, folder, rows in runs(args):
        print(table_line(objective, variant, rows), flush=True)
        found.append((objective, variant, folder, rows))
    reals = json.loads((found[0][2] / "reals.json").read_text())
    floor = " | ".join("-" if reals[name] is None else format(reals[name], form) for name, _, form in COLUMNS)
    print(f"| - | other camera images | {floor} | - |")
    draw(found, args.output / "comparison.png")


if __name__ == "__main__":
    main()
