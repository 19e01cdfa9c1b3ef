"""Define `spectral-detect regularize train`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from spectral_detect.cli.regularize.machine_options import device_option, threads_option
from spectral_detect.cli.regularize.reporting import EpochReport
from spectral_detect.cli.regularize.run_folder import check_apart, check_unused
from spectral_detect.cli.regularize.stopping import stop_on_signal
from spectral_detect.cli.shared.checks import require_torch
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.options import FiniteRange, together
from spectral_detect.cli.shared.work_options import work_options
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.choices import (
    ComparedPer,
    FdNetwork,
    ProfileNormalisation,
    SpectralDistance,
    SpectralFeatures,
    Upsampling,
)
from spectral_detect.regularize.gan.options import (
    MOST,
    SIZES,
    ObjectiveName,
    Topology,
    TrainingOptions,
    read_options,
)
from spectral_detect.regularize.profiles import MIN_REALS
from spectral_detect.text import visible

network_options = together(
    click.option(
        "--objective",
        type=click.Choice(get_args(ObjectiveName)),
        default=TrainingOptions.objective,
        show_default=True,
        help="Train with the losses of this paper.",
    ),
    click.option(
        "--upsampling",
        type=click.Choice(get_args(Upsampling)),
        default=TrainingOptions.upsampling,
        show_default=True,
        help="Double the size by transposed convolutions, or by interpolation and a convolution.",
    ),
    click.option(
        "--topology",
        type=click.Choice(get_args(Topology)),
        help="Add 5x5 convolutions to the generator: v1 one after each of the last two up-samplings, v2 two after the "
        "last, v3 one after each, v4 three of 32 filters after the last, baseline none.  [default: v4 with a spectral "
        "loss, baseline without]",
    ),
    click.option(
        "--size",
        type=click.Choice(tuple(map(str, SIZES))),
        default=str(TrainingOptions.size),
        show_default=True,
        help="Train on images of this many pixels on a side.",
    ),
    click.option(
        "--channels",
        type=click.IntRange(8, MOST["channels"]),
        default=TrainingOptions.channels,
        show_default=True,
        help="Use this many filters at half the size, twice as many at each size below.",
    ),
)

spectral_options = together(
    click.option(
        "--spectral-weight",
        type=FiniteRange(0),
        default=TrainingOptions.spectral_weight,
        show_default=True,
        help="Weight of the spectral loss (the paper: 2 for dcgan, 0.5 for lsgan).",
    ),
    click.option(
        "--spectral-from",
        type=click.IntRange(1),
        default=TrainingOptions.spectral_from,
        show_default=True,
        metavar="EPOCH",
        help="Let the generator learn by the spectral loss from this epoch on, one of --epochs; before, it is only "
        "reported.",
    ),
    click.option(
        "--features",
        type=click.Choice(get_args(SpectralFeatures)),
        default=TrainingOptions.features,
        show_default=True,
        help="Compare radial profiles, or the features that a detector of this program judges, whitened.",
    ),
    click.option(
        "--normalisation",
        type=click.Choice(get_args(ProfileNormalisation)),
        default=TrainingOptions.normalisation,
        show_default=True,
        help="Normalise profiles by logarithm and bounds taken from the camera images, so that all frequencies count; "
        "or, as in the paper, by the zero frequency.",
    ),
    click.option(
        "--distance",
        type=click.Choice(get_args(SpectralDistance)),
        default=TrainingOptions.distance,
        show_default=True,
        help="Measure the distance between mean spectra by cross-entropy, squared or absolute difference; or that "
        "between their distributions by energy distance, maximum mean discrepancy (mmd), or a small network that "
        "learns to tell them apart (discriminator).",
    ),
    click.option(
        "--per",
        type=click.Choice(get_args(ComparedPer)),
        default=TrainingOptions.per,
        show_default=True,
        help="Compare the mean profile of each batch, or, as in the paper, the profile of each image.",
    ),
    click.option(
        "--n-profiles",
        type=click.IntRange(MIN_REALS),
        default=TrainingOptions.n_profiles,
        show_default=True,
        help="Compare with the spectra of this many camera images.",
    ),
)

training_options = together(
    click.option(
        "--epochs",
        type=click.IntRange(1),
        default=TrainingOptions.epochs,
        show_default=True,
        help="Pass over the images this many times.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(2),
        default=TrainingOptions.batch_size,
        show_default=True,
        help="Take this many images for a step. Each pass leaves out, drawn anew, the images that fill no whole batch.",
    ),
    click.option(
        "--learning-rate",
        type=FiniteRange(0, 1, min_open=True),
        help="Learning rate of Adam.  [default: that of the objective's paper]",
    ),
    click.option(
        "--final-epochs",
        type=click.IntRange(0),
        default=TrainingOptions.final_epochs,
        show_default=True,
        help="Let the learning rate fall from a tenth in the last so many epochs, so that the spectrum settles.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**31 - 1),
        default=TrainingOptions.seed,
        show_default=True,
        help="Seed of weights, batches and latent vectors; the same seed repeats a run.",
    ),
    click.option(
        "--n-watched",
        type=click.IntRange(MIN_REALS),
        default=TrainingOptions.n_watched,
        show_default=True,
        help="Compare this many samples with as many camera images after each epoch.",
    ),
    click.option(
        "--fid",
        metavar="WEIGHTS",
        help="Also measure the FID (extra fid), with the file of Inception's weights that torch-fidelity publishes.",
    ),
    click.option(
        "--fd",
        type=click.Choice(get_args(FdNetwork)),
        help="Also measure a Frechet distance (FD, not the FID) by the features of a network that needs no download: "
        "one with random weights, or one trained on ImageNet (extra fd).",
    ),
)

keep_option = click.option(
    "--keep-weights",
    type=click.IntRange(0),
    default=TrainingOptions.keep_weights,
    show_default=True,
    metavar="EPOCHS",
    help="Keep the generator's weights every so many epochs, so that `surface` can draw the path of the training; 0 "
    "keeps none.",
)

machine_options = together(
    device_option("Train"),
    threads_option,
    click.option(
        "--compile", is_flag=True, help="Let PyTorch compile the networks: minutes at the start, faster later."
    ),
)


@click.command()
@click.argument("data")
@click.option("-o", "--output", required=True, metavar="RUN", help="Write the run to the folder RUN.")
@network_options
@spectral_options
@training_options
@keep_option
@machine_options
@click.option("--resume", is_flag=True, help="Continue the run in RUN with its options; --epochs may be raised.")
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
    """Train a GAN on camera images, with or without the spectral loss.

    DATA is a folder of camera images. Each is cut to its central square and reduced to --size; half of them are
    mirrored. Each epoch prints a row: losses, the distance of the samples' spectra to those of camera images, and how
    well a detector of this program, freshly trained, tells the two apart (AUROC; 0.5 if it cannot). RUN receives
    options.json, checkpoint.safetensors, log.jsonl, reals.json, samples and plots. Ctrl-C saves the run; --resume
    continues it to the same numbers.

    \b
    Example:
      spectral-detect regularize train faces/ --output run --spectral-weight 2 --epochs 50
    """
    require_torch()
    from spectral_detect.regularize.gan.run import train_gan

    folder = Path(output)
    options = _options(ctx, folder, data, chosen, resume)
    check_apart(folder, data)
    if not resume:
        check_unused(folder)
    with stop_on_signal() as stop, EpochReport(folder, options, stop, dry_run=dry_run) as report:
        train_gan(options, folder, work, report.hooks(), limits=limits, resume=resume)
    if not dry_run:
        click.echo(report.where(), err=True)
    if stop.received:
        click.echo(f"stopped; --resume continues {visible(output)}", err=True)
        ctx.exit(128 + stop.received[0])
    ctx.exit(1 if report.failures.n else 0)


def _options(ctx: click.Context, folder: Path, data: str, chosen: dict[str, Any], resume: bool) -> TrainingOptions:
    chosen["size"] = int(chosen["size"])
    options = _resumed_options(ctx, folder, data, chosen) if resume else _new_options(data, chosen)
    options.check()
    options.check_spectral_from(is_new=not resume)
    return options


def _new_options(data: str, chosen: dict[str, Any]) -> TrainingOptions:
    """Fill in the options that depend on others."""
    from spectral_detect.regularize.gan.objectives import OBJECTIVES

    chosen["topology"] = chosen["topology"] or ("v4" if chosen["spectral_weight"] else TrainingOptions.topology)
    chosen["learning_rate"] = chosen["learning_rate"] or OBJECTIVES[chosen["objective"]].learning_rate
    return TrainingOptions(data, **chosen)


def _resumed_options(ctx: click.Context, folder: Path, data: str, chosen: dict[str, Any]) -> TrainingOptions:
    """Return the options of the run in the folder, replaced by those that were given and may change."""
    given = {name for name in chosen if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    stored = read_options(folder)
    options = replace(stored, data=data, **{name: chosen[name] for name in given})
    if differences := options.differences(stored):
        raise Failure(
            f"{visible(str(folder))} was begun with other options ({'; '.join(differences)}): start a new run"
        )
    return options
