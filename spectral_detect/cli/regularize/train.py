"""`spectral-detect regularize train`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from spectral_detect.atomic_write import OPTIONS_FILE
from spectral_detect.cli.regularize.reporting import EpochReport, check_apart, stop_on_signal
from spectral_detect.cli.shared.checks import require_torch
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.options import FiniteRange
from spectral_detect.cli.shared.work_options import work_options
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.media.limits import Limits
    from spectral_detect.parallel.work import Work
    from spectral_detect.regularize.gan.options import TrainingOptions


BEFORE_THE_FIRST_EPOCH = {OPTIONS_FILE, "log.jsonl", "reals.json", "samples", "profiles"}  # nothing to continue


@click.command()
@click.argument("data")
@click.option("-o", "--output", required=True, metavar="RUN", help="The folder of the run.")
@click.option(
    "--objective", type=click.Choice(("dcgan", "lsgan", "dragan", "wgan-gp")), default="dcgan", show_default=True
)
@click.option(
    "--upsampling",
    type=click.Choice(("transconv", "upconv-nearest", "upconv-bilinear")),
    default="transconv",
    show_default=True,
)
@click.option(
    "--topology",
    type=click.Choice(("baseline", "v1", "v2", "v3", "v4")),
    help="5x5 convolutions after up-convolutions: v1 one after the last two, v2 two after the last, v3 one after each, "
    "v4 three of 32 filters after the last.  [default: v4 with a spectral loss, baseline without]",
)
@click.option(
    "--size", type=click.Choice(("32", "64", "128")), default="64", show_default=True, help="Pixels of a side."
)
@click.option(
    "--channels", type=click.IntRange(8, 512), default=64, show_default=True, help="Filters at half the size."
)
@click.option(
    "--spectral-weight",
    type=FiniteRange(0),
    default=0.0,
    show_default=True,
    help="Of the spectral loss; the paper: 2 for dcgan, 0.5 for lsgan.",
)
@click.option(
    "--normalisation", type=click.Choice(("log", "paper")), default="log", show_default=True, help="Of profiles."
)
@click.option(
    "--distance", type=click.Choice(("bce", "mse", "l1")), default="bce", show_default=True, help="Of profiles."
)
@click.option(
    "--per",
    type=click.Choice(("batch", "image")),
    default="batch",
    show_default=True,
    help="Compare the mean profile of a batch, or, as the paper, each image's.",
)
@click.option(
    "--n-profiles", type=click.IntRange(50), default=1000, show_default=True, help="Reals in the mean profile."
)
@click.option("--epochs", type=click.IntRange(1), default=30, show_default=True)
@click.option("--batch-size", type=click.IntRange(2), default=64, show_default=True)
@click.option("--learning-rate", type=FiniteRange(0, 1, min_open=True), help="[default: that of the objective's paper]")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--n-watched", type=click.IntRange(50), default=1000, show_default=True, help="Samples measured per epoch."
)
@click.option("--fid", metavar="WEIGHTS", help="Inception's weights as torch-fidelity publishes them: measure the FID.")
@click.option("--device", type=click.Choice(("auto", "cpu", "gpu")), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Of the CPU.  [default: one per core]")
@click.option("--compile", is_flag=True, help="Let PyTorch compile the networks: minutes at the start, faster later.")
@click.option("--resume", is_flag=True, help="Continue the run in RUN, with its options; --epochs may be raised.")
@click.option("--dry-run", is_flag=True, help="Print and write the options, and stop before the first step.")
@work_options
@click.pass_context
def train(
    ctx: click.Context,
    /,
    data: str,
    output: str,
    resume: bool,
    dry_run: bool,
    work: Work,
    limits: Limits,
    **chosen: Any,
) -> None:
    """Train a GAN on a folder of camera images, with or without the spectral loss.

    Each image becomes its central square, reduced to --size; half of them are mirrored. Per epoch: losses, the
    distance of the samples' spectra to those of camera images, and how well a detector of our own, freshly trained,
    tells the two apart (AUROC; 0.5 where it cannot). RUN gets options.json, checkpoint.safetensors, log.jsonl, samples
    and plots. Ctrl-C saves; --resume goes on to the same numbers.

    \b
    Example:
      spectral-detect regularize train faces/ --output run --spectral-weight 2 --epochs 50
    """
    require_torch()
    from spectral_detect.regularize.gan.run import Hooks, train_gan

    folder = Path(output)
    options = _options(ctx, folder, data, chosen, resume)
    _check_folder(folder, data, resume)
    with stop_on_signal() as stop:
        report = EpochReport(folder, options, stop, dry_run=dry_run)
        hooks = Hooks(
            report.fail,
            report.reading,
            report.note,
            report.start,
            report.tick,
            report.epoch,
            lambda: bool(stop.received),
        )
        with report:
            train_gan(options, folder, work, hooks, limits=limits, resume=resume)
    if stop.received:
        click.echo(f"stopped; --resume continues {visible(output)}", err=True)
        ctx.exit(128 + stop.received[0])
    ctx.exit(1 if report.n_failed else 0)


def _options(ctx: click.Context, folder: Path, data: str, chosen: dict[str, Any], resume: bool) -> TrainingOptions:
    """Those of the command line; of a run that is taken up, its own, with those that were given in their place."""
    from spectral_detect.regularize.gan.objectives import OBJECTIVES
    from spectral_detect.regularize.gan.options import TrainingOptions, read_options

    chosen["size"] = int(chosen["size"])
    if resume:
        given = {name for name in chosen if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
        stored = read_options(folder)
        options = replace(stored, data=data, **{name: chosen[name] for name in given})
        if differences := options.differences(stored):
            raise Failure(f"{visible(str(folder))} was begun otherwise ({'; '.join(differences)}): start a new run")
    else:
        chosen["topology"] = chosen["topology"] or ("v4" if chosen["spectral_weight"] else "baseline")
        chosen["learning_rate"] = chosen["learning_rate"] or OBJECTIVES[chosen["objective"]].learning_rate
        options = TrainingOptions(data, **chosen)
    options.check()
    return options


def _check_folder(folder: Path, data: str, resume: bool) -> None:
    """A folder that holds a run already, or anything else, is not written over."""
    check_apart(folder, data)
    if not resume and folder.is_dir() and set(os.listdir(folder)) - BEFORE_THE_FIRST_EPOCH:
        raise Failure(f"{visible(str(folder))} is not empty: --resume continues the run in it; or name a new folder")
