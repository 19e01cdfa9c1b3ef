"""Define `spectral-detect regularize autoencoder`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from typing import Any, get_args

import click

from spectral_detect.atomic_write import OPTIONS_FILE, check_run_folder, write_aside
from spectral_detect.cli.regularize.machine_options import device_option
from spectral_detect.cli.regularize.run_folder import check_apart
from spectral_detect.cli.shared.checks import require_matplotlib, require_torch
from spectral_detect.cli.shared.failures import NamedFailures
from spectral_detect.cli.shared.options import FiniteRange, together
from spectral_detect.cli.shared.progress import progress
from spectral_detect.errors import OutputError
from spectral_detect.parallel.work import available_cores
from spectral_detect.regularize.autoencoder.fidelity import measure_fidelity
from spectral_detect.regularize.autoencoder.images import SplitImages, split_images
from spectral_detect.regularize.autoencoder.options import (
    DEFAULT_KERNELS,
    DEFAULT_UPSAMPLINGS,
    OTHER_KERNELS,
    Architecture,
    Settings,
    Target,
)
from spectral_detect.regularize.autoencoder.results import Cell, Experiment
from spectral_detect.regularize.choices import ProfileDistance, ProfileNormalisation, Upsampling
from spectral_detect.regularize.reals import read_reals
from spectral_detect.report import autoencoder as report

UPSAMPLINGS: tuple[str, ...] = get_args(Upsampling)
SHORT = {"upconv": "upconv-nearest"}
LARGEST_KERNEL = 31


class Several(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """Read a list of choices, parted by commas; one that is given twice counts once."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.name = "a,b,..."
        self.choices = choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the choices without repetition; fail on a name that is none."""
        if isinstance(value, tuple):
            return value
        chosen = tuple(dict.fromkeys(SHORT.get(part.strip(), part.strip()) for part in str(value).split(",")))
        for part in chosen:
            if part not in self.choices:
                self.fail(f"{part!r} is none of {', '.join(self.choices)}", param, ctx)
        return chosen


image_options = together(
    click.option(
        "--n-images", type=click.IntRange(60), default=2000, show_default=True, help="Draw this many images from DATA."
    ),
    click.option(
        "--size",
        type=click.IntRange(16, 512),
        default=64,
        show_default=True,
        help="Reduce images to this many pixels on a side, an even number.",
    ),
)

network_options = together(
    click.option(
        "--upsampling",
        type=Several(UPSAMPLINGS),
        default=",".join(DEFAULT_UPSAMPLINGS),
        show_default=True,
        help=f"Try these up-samplings, from {', '.join(UPSAMPLINGS)}.",
    ),
    click.option(
        "--kernels",
        type=Several(tuple(str(k) for k in range(3, LARGEST_KERNEL + 1, 2))),
        help="Try these odd sizes of the decoder's kernels.  [default: 3,5,7,9,11 for one layer, 3,5 for three]",
    ),
    click.option(
        "--layers",
        type=Several(("1", "2", "3", "4")),
        default=",".join(map(str, DEFAULT_KERNELS)),
        show_default=True,
        help="Try decoders of this many layers.",
    ),
    click.option(
        "--channels",
        type=click.IntRange(1, 1024),
        default=Architecture.channels,
        show_default=True,
        help="Use this many filters in all hidden layers.",
    ),
)

training_options = together(
    click.option(
        "--epochs",
        type=click.IntRange(1),
        default=Settings.epochs,
        show_default=True,
        help="Pass over the images this many times.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=Settings.batch_size,
        show_default=True,
        help="Take this many images for a step.",
    ),
    click.option(
        "--learning-rate",
        type=FiniteRange(0, 1, min_open=True),
        default=Settings.learning_rate,
        show_default=True,
        help="Highest learning rate; it rises, then falls to 0.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=Settings.seed,
        show_default=True,
        help="Seed of the drawn images, weights and batches; the same seed repeats an experiment on the CPU.",
    ),
)

spectral_options = together(
    click.option(
        "--spectral-weight",
        type=FiniteRange(0, min_open=True),
        default=Settings.spectral_weight,
        show_default=True,
        help="Weight of the spectral loss beside the mean squared error.",
    ),
    click.option(
        "--warm-up",
        type=FiniteRange(0),
        default=Settings.warm_up,
        show_default=True,
        help="Let the weight rise from 0 over this many epochs.",
    ),
    click.option(
        "--normalisation",
        type=click.Choice(get_args(ProfileNormalisation)),
        default=Settings.normalisation,
        show_default=True,
        help="Normalise profiles by logarithm, so that all frequencies count; or, as in the paper, by the zero "
        "frequency.",
    ),
    click.option(
        "--distance",
        type=click.Choice(get_args(ProfileDistance)),
        help="Measure the distance between profiles by cross-entropy, squared or absolute difference.  [default: mse; "
        "bce with --normalisation paper]",
    ),
    click.option(
        "--target",
        type=click.Choice(get_args(Target)),
        default=Settings.target,
        show_default=True,
        help="Compare with each image's own profile, or with the mean profile of the training images.",
    ),
)

machine_options = together(
    device_option("Train"),
    click.option(
        "--threads",
        type=click.IntRange(1),
        help="Train this many networks side by side on the CPU.  [default: one per core]",
    ),
)


@click.command()
@click.argument("folder", metavar="DATA")
@click.option(
    "-o", "--output", required=True, metavar="RUN", help="Write numbers and pictures to RUN, a new or empty folder."
)
@image_options
@network_options
@training_options
@spectral_options
@machine_options
@click.option("--dry-run", is_flag=True, help="Stop when the options are written.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of options and table.")
@click.pass_context
def autoencoder(ctx: click.Context, /, folder: str, output: str, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Show what up-sampling and the spectral loss do to the spectrum.

    Auto-encoders go down by two and up by two, one for each up-sampling, kernel and number of layers; each is trained
    twice from the same seed, without the spectral loss and with it, and measured on images held out (a tenth, at most
    200). RUN receives options.json, results.json and results.csv (after each pair of networks), and at the end
    profiles.png, training.png and differences.png. The exit status is 1 if an image could not be read or a network
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
    """Fill in the options that depend on others or on the machine."""
    from spectral_detect.regularize.torch_device import choose_device

    if options["size"] % 2:
        raise click.UsageError(f"--size {options['size']} is odd: give an even size, which can be halved and doubled")
    is_paper = options["normalisation"] == "paper"
    if is_paper and options["distance"] not in (None, "bce"):
        raise click.UsageError("--normalisation paper goes with --distance bce")
    layers = tuple(map(int, options["layers"]))
    kernels = tuple(map(int, options["kernels"] or ()))
    return options | {
        "distance": options["distance"] or ("bce" if is_paper else Settings.distance),
        "layers": layers,
        "kernels": {str(n): kernels or DEFAULT_KERNELS.get(n, OTHER_KERNELS) for n in layers},
        "device": str(choose_device(options["device"], threads=1)),
        "threads": options["threads"] or available_cores(),
    }


def _read(folder: str, output: str, options: dict[str, Any]) -> tuple[SplitImages, int]:
    """Check RUN, then read the images; return them and the number of files that gave none."""
    check_apart(output, folder)
    check_run_folder(output)
    failures = NamedFailures()
    images = read_reals(folder, options["size"], on_failure=failures, progress=progress)
    failures.say_rest()
    return split_images(images, options["n_images"], options["seed"]), failures.n


def _run(images: SplitImages, options: dict[str, Any], output: str, *, as_json: bool) -> tuple[Cell, ...]:
    """Train all networks; show and write each cell when it is done."""
    from spectral_detect.regularize.autoencoder.experiment import run_grid
    from spectral_detect.regularize.autoencoder.training import N_EXAMPLES

    architectures = list(_architectures(options))
    settings = Settings(**{field.name: options[field.name] for field in fields(Settings)})
    originals = images.originals
    experiment = Experiment(measure_fidelity(originals, originals), originals[:N_EXAMPLES], cells=())
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
    text = json.dumps(options, indent=2)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder!r} cannot be made: {error.strerror}") from None
    write_aside(os.path.join(folder, OPTIONS_FILE), f"{text}\n".encode())
    if shown:
        click.echo(text)


def _architectures(options: dict[str, Any]) -> Iterator[Architecture]:
    for layers in options["layers"]:
        for upsampling in options["upsampling"]:
            for kernel in options["kernels"][str(layers)]:
                yield Architecture(upsampling, kernel, layers, options["channels"])
