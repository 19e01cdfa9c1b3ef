"""Compare the distances and features of the spectral loss: train GANs from the same seeds, measure, print a table.

python examples/spectral_gan/ablation.py FACES --output runs [--size 32] [--channels 32] [--epochs 60]
    [--final-epochs 6] [--objectives dcgan wgan-gp] [--losses none profile-bce azimuthal-energy ...]
    [--weight 0.5 2] [--spectral-from EPOCH] [--upsampling transconv upconv-nearest] [--seeds 0 1 2] [--budget MINUTES]

A row is a run: an objective, a loss (FEATURES-DISTANCE, or none) with its weight, an up-sampling, and a seed. What is
done is not done again: a run that is complete is not trained, one that was interrupted goes on, and measures are kept
in `ablation.json` of each run. With --budget no run begins after so many minutes, so that the plan fits whatever time
there is; the next call goes on. Samples are measured as their PNG files have them; PNG keeps all, so the reduced camera
images are as their files would be.

The AUROC are of detectors freshly trained on them, out of fold (0.5: they cannot tell). FD is the Frechet distance of
the features of a network: of one with random weights, and of EfficientNet-Lite0 if its package is there. It is not the
FID. Each epoch's FD by the former stands in the runs' logs, which `course.py` draws.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import PIL.Image
import torch

from spectral_detect.cli import main as spectral_detect
from spectral_detect.errors import ExtraMissingError
from spectral_detect.regularize.bank import spectral_vectors
from spectral_detect.regularize.gan.embeddings import load_network
from spectral_detect.regularize.gan.monitor import Monitor, detector_auroc, frechet_distance, split_reals
from spectral_detect.regularize.gan.options import OPTIONS_FILE, read_options
from spectral_detect.regularize.profiles import log_profiles, radial_profiles
from spectral_detect.regularize.reals import read_reals

WEIGHTS = {"bce": 2.0, "mse": 2.0, "l1": 2.0, "energy": 5.0, "mmd": 5.0, "discriminator": 1.0}
LOSSES = (
    "none", "azimuthal-mse", "azimuthal-energy", "azimuthal-mmd", "azimuthal-discriminator",
    "residual-mse", "residual-energy", "residual-mmd", "residual-discriminator",
)  # fmt: skip
MEASURES = "ablation.json"
COLUMNS = (
    ("means", "means", ".3f"),
    ("covariances", "covariances", ".2f"),
    ("azimuthal", "AUROC azimuthal", ".3f"),
    ("residual", "AUROC residual", ".3f"),
    ("fd_random", "FD random", ".3f"),
    ("fd_lite0", "FD lite0", ".3f"),
    ("diversity", "diversity", ".2f"),
)
ALIKE = ("topology", "size", "channels", "batch_size", "final_epochs")  # of all runs of a folder
Measures = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One row of the plan."""

    objective: str
    loss: str
    weight: float
    seed: int
    upsampling: str = "transconv"
    spectral_from: int = 1

    @property
    def name(self) -> str:
        """Return the name of the run's folder."""
        other = "" if self.upsampling == "transconv" else f"-{self.upsampling}"
        later = f"-from{self.spectral_from}" if self.spectral_from > 1 else ""
        return f"{self.objective}-{self.loss}-{self.weight:g}{later}{other}-seed{self.seed}"


def plan(args: argparse.Namespace) -> Iterator[Run]:
    """Yield the rows, all losses of a seed before the next seed."""
    for seed in args.seeds:
        for objective, upsampling, loss in product(args.objectives, args.upsampling, args.losses):
            for weight in (0.0,) if loss == "none" else args.weight or (WEIGHTS[loss.partition("-")[2]],):
                yield Run(objective, loss, weight, seed, upsampling, args.spectral_from if weight else 1)


def refuse_another(folder: Path, args: argparse.Namespace) -> None:
    """Stop at a kept run that was made otherwise: its numbers would stand in the table as those of this plan."""
    if not (folder / OPTIONS_FILE).exists():
        return
    kept = vars(read_options(folder))
    asked = {name: getattr(args, name) for name in ALIKE} | {"n_watched": args.n}
    others = [f"{name} {kept[name]}, not {value}" for name, value in asked.items() if kept[name] != value]
    others += [f"epochs {kept['epochs']}, not {args.epochs}"] if kept["epochs"] > args.epochs else []
    if others:
        raise SystemExit(f"{folder} was made with {', '.join(others)}: name another --output")


def train(run: Run, folder: Path, args: argparse.Namespace) -> None:
    """Train a run by the command line; the table of its epochs goes to stderr."""
    command = ["regularize", "train", args.data, "--output", folder, "--epochs", args.epochs]
    if (folder / "checkpoint.safetensors").exists():
        command.append("--resume")
    else:
        command += ["--objective", run.objective, "--topology", args.topology, "--size", args.size, "--seed", run.seed]
        command += ["--channels", args.channels, "--batch-size", args.batch_size, "--spectral-weight", run.weight]
        command += ["--upsampling", run.upsampling, "--fd", "random", "--keep-weights", args.keep_weights]
        command += ["--n-watched", args.n, "--final-epochs", args.final_epochs]
        if run.loss != "none":
            features, _, distance = run.loss.partition("-")
            command += ["--features", features, "--distance", distance, "--spectral-from", run.spectral_from]
    command += ["--device", args.device]
    if args.threads is not None:
        command += ["--threads", args.threads]
    with redirect_stdout(sys.stderr):
        status = spectral_detect(list(map(str, command)), standalone_mode=False)
    if status > 1:  # 1: some image could not be read
        raise SystemExit(status)


def samples_of(folder: Path, n: int) -> np.ndarray:
    """Return samples as their PNG files have them."""
    with TemporaryDirectory() as temporary, redirect_stdout(sys.stderr):
        output = Path(temporary) / "samples"
        command = ["regularize", "sample", folder, "--n", n, "--output", output]
        spectral_detect(list(map(str, command)), standalone_mode=False)
        return np.stack([np.asarray(PIL.Image.open(path)) for path in sorted(output.glob("*.png"))])


class Ruler:
    """Measure samples against camera images, whose side is computed once."""

    def __init__(self, reals: np.ndarray) -> None:
        self.reals, self.monitor = reals, Monitor(reals)
        self.logs, self.residual = log_profiles(radial_profiles(reals)[0]), spectral_vectors(reals, "residual")
        self.embed = {"fd_random": load_network("random", torch.device("cpu"))}
        try:
            self.embed["fd_lite0"] = load_network("efficientnet-lite0", torch.device("cpu"))
        except ExtraMissingError as error:
            print(error, file=sys.stderr)
        self.embedded = {name: embed(reals) for name, embed in self.embed.items()}

    def measure(self, samples: np.ndarray) -> Measures:
        """Return the measures of (N, H, W, 3) uint8 samples."""
        measures = self.monitor.measure(samples)
        own, theirs = (np.cov(x.T) for x in (self.logs, log_profiles(radial_profiles(samples)[0])))
        return {
            "means": measures.spectral_distance,
            "covariances": float(np.linalg.norm(theirs - own) / np.linalg.norm(own)),
            "azimuthal": measures.detector_auroc,
            "residual": detector_auroc(self.residual, spectral_vectors(samples, "residual")),
            **{name: frechet_distance(self.embedded[name], embed(samples)) for name, embed in self.embed.items()},
            "diversity": measures.diversity,
        }


def measured(run: Run, ruler: Ruler, args: argparse.Namespace) -> Measures:
    """Return the measures of a run, which is trained and measured now unless that is done."""
    folder = args.output / run.name
    refuse_another(folder, args)
    kept = folder / MEASURES
    if kept.exists():
        measures: Measures = json.loads(kept.read_text())
        if measures["epochs"] >= args.epochs:
            return measures
    train(run, folder, args)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    minutes = sum(row["seconds"] for row in rows) / 60
    measures = {**ruler.measure(samples_of(folder, args.n)), "epochs": len(rows), "minutes": minutes}
    kept.write_text(json.dumps(measures))
    return measures


def line(cells: list[str], measures: Measures) -> str:
    """Format a row of the table."""
    values = [format(measures[name], form) if name in measures else "-" for name, _, form in COLUMNS]
    minutes = format(measures["minutes"], ".1f") if "minutes" in measures else "-"
    return f"| {' | '.join([*cells, *values, minutes])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--objectives", nargs="+", default=["dcgan", "wgan-gp"])
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), metavar="FEATURES-DISTANCE")
    parser.add_argument("--weight", type=float, nargs="+", help=f"of the spectral loss; by default {WEIGHTS}")
    parser.add_argument("--spectral-from", type=int, default=1, help="the first epoch with the spectral loss")
    parser.add_argument("--upsampling", nargs="+", default=["transconv"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--final-epochs", type=int, default=0, help="at a learning rate that falls from a tenth")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--topology", default="baseline")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--n", type=int, default=1000, help="samples, and camera images, that are measured")
    parser.add_argument("--keep-weights", type=int, default=0, help="every so many epochs, for `regularize surface`")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--budget", type=float, metavar="MINUTES", default=float("inf"))
    args = parser.parse_args()
    started = time.monotonic()
    args.output.mkdir(parents=True, exist_ok=True)
    reals, others = split_reals(read_reals(args.data, args.size), args.n)
    ruler = Ruler(reals)
    titles = [
        "objective",
        "upsampling",
        "loss",
        "weight",
        "seed",
        "epochs",
        *(title for _, title, _ in COLUMNS),
        "minutes",
    ]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    for run in plan(args):
        is_done = (args.output / run.name / MEASURES).exists()
        if not is_done and time.monotonic() - started > 60 * args.budget:
            continue
        measures = measured(run, ruler, args)
        weight = f"{run.weight:g}" if run.spectral_from == 1 else f"{run.weight:g} from epoch {run.spectral_from}"
        cells = [run.objective, run.upsampling, run.loss, weight, str(run.seed), str(measures["epochs"])]
        print(line(cells, measures), flush=True)
    print(line(["-", "-", "other camera images", "-", "-", "-"], ruler.measure(others)))


if __name__ == "__main__":
    main()
