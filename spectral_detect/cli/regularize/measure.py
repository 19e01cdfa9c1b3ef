"""Define `spectral-detect regularize measure`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from spectral_detect.atomic_write import check_target, write_aside
from spectral_detect.cli.regularize.machine_options import device_option
from spectral_detect.cli.shared.checks import check_output, check_outside, require_torch
from spectral_detect.cli.shared.failures import Failure, NamedFailures
from spectral_detect.cli.shared.progress import progress
from spectral_detect.regularize.choices import DeviceName, FdNetwork
from spectral_detect.regularize.profiles import MIN_REALS
from spectral_detect.regularize.reals import LARGEST_SIZE
from spectral_detect.sources.formats import SUFFIXES, VIDEO_SUFFIXES
from spectral_detect.sources.location import Location
from spectral_detect.text import cut_in_the_middle, visible

if TYPE_CHECKING:
    from spectral_detect.regularize.gan.monitor import Embed

LEAST_PX = 16  # that the detector's features need
LONGEST_NAME = 32


@click.command()
@click.option("--real", required=True, metavar="DIR", help="Compare with the camera images in DIR.")
@click.option(
    "--fake", "fakes", required=True, multiple=True, metavar="DIR", help="Measure the images in DIR; may be repeated."
)
@click.option(
    "--n",
    "n",
    type=click.IntRange(MIN_REALS),
    default=1000,
    show_default=True,
    help="Compare this many images of each folder, or as many as the smallest has (of camera images half).",
)
@click.option(
    "--size",
    type=click.IntRange(LEAST_PX, LARGEST_SIZE),
    help="Bring all images to this many pixels on a side.  [default: the shorter side of the first generated one]",
)
@click.option(
    "--fid",
    metavar="WEIGHTS",
    help="Also measure the FID (extra fid), with the file of Inception's weights that torch-fidelity publishes.",
)
@click.option("--fd", type=click.Choice(get_args(FdNetwork)), help="Also measure the FD by this network.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write all measures and mean profiles to FILE as JSON, too; - is standard output.",
)
@device_option("Compute the FID and the FD")
@click.pass_context
def measure(
    ctx: click.Context,
    real: str,
    fakes: tuple[str, ...],
    n: int,
    size: int | None,
    fid: str | None,
    fd: FdNetwork | None,
    output: str | None,
    device: DeviceName,
) -> None:
    """Measure the images of any generator as `train` does.

    Prints a row for camera images against other camera images, to which no generator can come nearer, and one for each
    folder: the distance of the mean log profiles, over all frequencies and over the highest quarter, how well a
    detector of this program, freshly trained, tells the two apart (AUROC), Frechet distances, and the diversity.
    Images become their central square, reduced to --size. PyTorch is needed for --fid and --fd alone.

    \b
    Example:
      spectral-detect regularize measure --real faces/ --fake mine/ --fake theirs/ --size 64
    """
    from spectral_detect.regularize.measuring import compare_folders
    from spectral_detect.report.gan import measures_heading, measures_line

    folders = {os.path.realpath(folder): folder for folder in fakes}
    if os.path.realpath(real) in folders:
        raise Failure(f"{visible(real)} is the folder of --real and of --fake: nothing would be measured")
    if output is not None and output != "-":
        _check_json(output, (real, *fakes))
    inception, network = _networks(fid, fd, device)
    failures = NamedFailures()
    found = compare_folders(
        real,
        list(folders.values()),
        n=n,
        size=size,
        inception=inception,
        network=network,
        on_failure=failures,
        progress=progress,
    )
    names = {folder: cut_in_the_middle(visible(folder), LONGEST_NAME) for folder in found.folders}
    width = max(map(len, ("reals", *names.values())))
    to_stderr = output == "-"
    failures.say_rest()
    click.echo(measures_heading(width), err=to_stderr)
    click.echo(measures_line("reals", found.reals, width), err=to_stderr)
    for folder, measures in found.folders.items():
        click.echo(measures_line(names[folder], measures, width), err=to_stderr)
        for warning in (w.partition(";")[0] for w in measures.warnings):
            click.echo(f"warning: {visible(folder)}: {warning}", err=True)
    click.echo(f"{found.n} images of each, {found.size} px", err=True)
    text = json.dumps({"real": real, **found.to_dict()}, indent=2)
    if to_stderr:
        click.echo(text)
    elif output is not None:
        write_aside(Path(output), text.encode())
    ctx.exit(1 if failures.n else 0)


def _check_json(output: str, folders: Iterable[str]) -> None:
    check_output(output)
    if os.path.splitext(output)[1].lower() in SUFFIXES | VIDEO_SUFFIXES:
        raise Failure(f"--output {visible(output)}: JSON named like an image or a video; end it in .json")
    check_outside(output, [Location(folder) for folder in folders])
    check_target(output)


def _networks(
    fid: str | None, fd: FdNetwork | None, device: DeviceName
) -> tuple[Embed | None, tuple[str, Embed] | None]:
    """Return what computes the features of Inception and of another network, as far as they are asked for."""
    if fid is None and fd is None:
        return None, None
    require_torch()
    from spectral_detect.regularize.gan.embeddings import load_network
    from spectral_detect.regularize.gan.inception import load_inception
    from spectral_detect.regularize.torch_device import choose_device

    place = choose_device(device)
    inception = None if fid is None else load_inception(fid, place)
    return inception, None if fd is None else (fd, load_network(fd, place))
