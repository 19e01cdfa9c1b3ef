"""Define `spectral-detect regularize measure`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from spectral_detect.atomic_write import check_target, write_aside
from spectral_detect.cli.regularize.machine_options import device_option
from spectral_detect.cli.shared.checks import check_output, require_torch
from spectral_detect.cli.shared.failures import report_failure
from spectral_detect.cli.shared.progress import progress
from spectral_detect.regularize.choices import DeviceName, FdNetwork
from spectral_detect.regularize.profiles import MIN_REALS
from spectral_detect.regularize.reals import LARGEST_SIZE
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
@click.option("-o", "--output", metavar="FILE", help="Write all measures and mean profiles to FILE as JSON, too.")
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

    if output is not None:
        check_output(output)
        check_target(output)
    inception, network = _networks(fid, fd, device)
    failed: list[str] = []

    def fail(path: str, reason: str) -> None:
        failed.append(path)
        report_failure(path, reason)

    found = compare_folders(
        real,
        list(dict.fromkeys(fakes)),
        n=n,
        size=size,
        inception=inception,
        network=network,
        on_failure=fail,
        progress=progress,
    )
    names = {folder: cut_in_the_middle(visible(folder), LONGEST_NAME) for folder in found.folders}
    width = max(map(len, ("reals", *names.values())))
    click.echo(measures_heading(width))
    click.echo(measures_line("reals", found.reals, width))
    for folder, measures in found.folders.items():
        click.echo(measures_line(names[folder], measures, width))
        for warning in (w.partition(";")[0] for w in measures.warnings):
            click.echo(f"warning: {visible(folder)}: {warning}", err=True)
    click.echo(f"{found.n} images of each, {found.size} px", err=True)
    if output is not None:
        write_aside(Path(output), json.dumps({"real": real, **found.to_dict()}, indent=2).encode())
    ctx.exit(1 if failed else 0)


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
