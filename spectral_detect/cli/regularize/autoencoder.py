"""`spectral-detect regularize autoencoder`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from spectral_detect.cli.regularize.reporting import check_apart
from spectral_detect.cli.shared.checks import require_matplotlib, require_torch
from spectral_detect.cli.shared.failures import report_failure
from spectral_detect.cli.shared.options import FiniteRange
from spectral_detect.cli.shared.progress import progress

if TYPE_CHECKING:
    from spectral_detect.regularize.autoencoder.experiment import Faces
    from spectral_detect.regularize.autoencoder.fidelity import Cell
    from spectral_detect.regularize.autoencoder.network import Architecture

UPSAMPLINGS = ("transconv", "upconv-nearest", "upconv-bilinear")
SHORT = {"upconv": "upconv-nearest"}
DEFAULT_KERNELS = {1: (3, 5, 7, 9, 11), 3: (3, 5)}  # by layers: three of 11x11 take an hour
LARGEST_KERNEL = 31


class Several(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """A list with commas, each of it one of the choices, none twice."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.name = "a,b,..."
        self.choices = choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        chosen = tuple(dict.fromkeys(SHORT.get(part.strip(), part.strip()) for part in str(value).split(",")))
        for part in chosen:
            if part not in self.choices:
                self.fail(f"{part!r} is none of {', '.join(self.choices)}", param, ctx)
        return chosen


@click.command()
@click.argument("folder", metavar="DATA")
@click.option("-o", "--output", required=True, metavar="RUN", help="A new or empty folder for numbers and pictures.")
@click.option("--n-images", type=click.IntRange(60), default=2000, show_default=True, help="Drawn from DATA.")
@click.option("--size", type=click.IntRange(16, 512), default=64, show_default=True, help="Pixels, even.")
@click.option(
    "--upsampling",
    type=Several(UPSAMPLINGS),
    default="transconv,upconv-nearest",
    show_default=True,
    help=f"Of {', '.join(UPSAMPLINGS)}.",
)
@click.option(
    "--kernels",
    type=Several(tuple(str(k) for k in range(3, LARGEST_KERNEL + 1, 2))),
    help="Odd sizes of the decoder's kernels.  [default: 3,5,7,9,11 for one layer, 3,5 for three]",
)
@click.option("--layers", type=Several(("1", "2", "3", "4")), default="1,3", show_default=True, help="Of the decoder.")
@click.option("--channels", type=click.IntRange(1, 1024), default=32, show_default=True, help="Of all hidden layers.")
@click.option("--epochs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True)
@click.option(
    "--learning-rate", type=FiniteRange(0, 1, min_open=True), default=5e-3, show_default=True, help="Its peak."
)
@click.option(
    "--spectral-weight",
    type=FiniteRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Of the spectral loss beside the MSE.",
)
@click.option("--warm-up", type=FiniteRange(0), default=0.0, show_default=True, help="Epochs in which it rises from 0.")
@click.option("--normalisation", type=click.Choice(("log", "paper")), default="log", show_default=True)
@click.option(
    "--distance",
    type=click.Choice(("bce", "mse", "l1")),
    help="Between profiles.  [default: mse; bce with --normalisation paper]",
)
@click.option(
    "--target",
    type=click.Choice(("own", "mean")),
    default="own",
    show_default=True,
    help="Each image's own profile, or the mean profile of the training images.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--device", type=click.Choice(("auto", "cpu", "gpu")), default="auto", show_default=True)
@click.option(
    "--threads", type=click.IntRange(1), help="Networks trained side by side on the CPU.  [default: one per core]"
)
@click.option("--dry-run", is_flag=True, help="Stop after the options are written.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of options and table.")
@click.pass_context
def autoencoder(ctx: click.Context, /, folder: str, output: str, dry_run: bool, as_json: bool, **options: Any) -> None:
    """What up-sampling does to the spectrum, and what the spectral loss does about it.

    Auto-encoders go down by two and up by two, one for each up-sampling, kernel and number of layers; each is trained
    twice from the same seed, without the spectral loss and with it, and measured on images held out (a tenth, at most
    200). RUN receives options.json, results.json and results.csv (after each pair of networks), and at the end
    profiles.png, training.png and differences.png. The exit status is 1 when an image could not be read or a network
    diverged. Durall, Keuper, Keuper: Watch Your Up-Convolution, CVPR 2020, figures 5 to 8, 20 and 21.

    \b
    Example:
      spectral-detect regularize autoencoder faces/ --output run --kernels 5 --layers 3
    """
    require_torch()
    require_matplotlib()
    options = {"data": folder, **_completed(options)}
    images, n_failed = _read(folder, output, options)
    options |= {"n_training": len(images.training), "n_held_out": len(images.held_out)}
    _write_options(options, output, shown=dry_run or not as_json)
    cells = () if dry_run else _run(images, options, output, as_json=as_json)
    ctx.exit(1 if n_failed or any(cell.has_diverged for cell in cells) else 0)


def _completed(options: dict[str, Any]) -> dict[str, Any]:
    """Options with what depends on others, and on the machine, filled in."""
    from spectral_detect.regularize.torch_device import available_cores, choose_device

    if options["size"] % 2:
        raise click.UsageError(f"--size {options['size']} is odd: what goes down by two and up by two is even")
    is_paper = options["normalisation"] == "paper"
    if is_paper and options["distance"] not in (None, "bce"):
        raise click.UsageError("--normalisation paper goes with --distance bce")
    layers = tuple(map(int, options["layers"]))
    kernels = tuple(map(int, options["kernels"] or ()))
    return options | {
        "distance": options["distance"] or ("bce" if is_paper else "mse"),
        "layers": layers,
        "kernels": {str(n): kernels or DEFAULT_KERNELS.get(n, (3, 5)) for n in layers},
        "device": str(choose_device(options["device"], threads=1)),
        "threads": options["threads"] or available_cores(),
    }


def _read(folder: str, output: str, options: dict[str, Any]) -> tuple[Faces, int]:
    """The images, and how many files gave none; RUN is looked at first."""
    from spectral_detect.atomic_write import check_run_folder
    from spectral_detect.regularize.autoencoder.experiment import split_images
    from spectral_detect.regularize.reals import read_reals

    check_apart(output, folder)
    check_run_folder(output)
    failed: list[str] = []

    def name_it(path: str, reason: str) -> None:
        failed.append(path)
        report_failure(path, reason)

    images = read_reals(folder, options["size"], on_failure=name_it, watch=progress)
    return split_images(images, options["n_images"], options["seed"]), len(failed)


def _run(images: Faces, options: dict[str, Any], output: str, *, as_json: bool) -> tuple[Cell, ...]:
    """Train the grid; show and write each cell as it is done."""
    from spectral_detect.regularize.autoencoder.experiment import N_EXAMPLES, Settings, run_grid
    from spectral_detect.regularize.autoencoder.fidelity import Experiment, measure_fidelity
    from spectral_detect.report import autoencoder as report

    architectures = list(_architectures(options))
    settings = Settings(**{name: options[name] for name in Settings.__dataclass_fields__})
    experiment = Experiment(
        measure_fidelity(images.originals, images.originals), images.originals[:N_EXAMPLES], cells=()
    )
    if not as_json:
        click.echo(report.table_head())
    with closing(run_grid(images, architectures, settings, options["device"], jobs=options["threads"])) as cells:
        for cell in progress(cells, total=len(architectures), unit="pairs"):
            experiment = replace(experiment, cells=(*experiment.cells, cell))
            report.write_numbers(experiment, options, output)
            if not as_json:
                click.echo(report.table_row(cell))
            if cell.has_diverged:
                click.echo(f"warning: {report.divergence(cell)}", err=True)
    report.write_pictures(experiment, output)
    if as_json:
        click.echo(json.dumps(report.experiment_record(experiment, options), indent=2))
    return experiment.cells


def _write_options(options: dict[str, Any], folder: str, *, shown: bool) -> None:
    from spectral_detect.atomic_write import OPTIONS_FILE, write_aside
    from spectral_detect.errors import OutputError

    text = json.dumps(options, indent=2)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder!r} cannot be made: {error.strerror}") from None
    write_aside(os.path.join(folder, OPTIONS_FILE), f"{text}\n".encode())
    if shown:
        click.echo(text)


def _architectures(options: dict[str, Any]) -> Iterator[Architecture]:
    from spectral_detect.regularize.autoencoder.network import Architecture

    for layers in options["layers"]:
        for upsampling in options["upsampling"]:
            for kernel in options["kernels"][str(layers)]:
                yield Architecture(upsampling, kernel, layers, options["channels"])
