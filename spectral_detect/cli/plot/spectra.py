"""`spectral-detect plot spectra`."""

from __future__ import annotations

from typing import get_args

import click

from spectral_detect.cli.plot.folders import FailedFiles, folders_to_draw, say_drawn, under_bar
from spectral_detect.cli.plot.options import folders_argument, output_option
from spectral_detect.cli.shared.work_options import work_options
from spectral_detect.folders.spectra import SMALLEST_SIDE_PX, HighPass, common_side, mean_spectra
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.report.pictures.folders import plot_spectra
from spectral_detect.text import visible

LARGEST_SIDE_PX = 4096


@click.command()
@folders_argument
@output_option("spectra.png")
@click.option(
    "--side",
    type=click.IntRange(SMALLEST_SIDE_PX, LARGEST_SIDE_PX),
    help="Cut squares of so many pixels from the centres; smaller images fail.  [default: the largest power of two "
    "that fits into every image, for which all are read twice]",
)
@click.option(
    "--high-pass",
    type=click.Choice(get_args(HighPass)),
    default="median",
    show_default=True,
    help="Take away low frequencies. median: the image less its median over 3x3 pixels, as published; laplacian: as "
    "the detectors do.",
)
@work_options
@click.pass_context
def spectra(
    ctx: click.Context,
    folders: tuple[str, ...],
    output: str,
    side: int | None,
    high_pass: HighPass,
    work: Work,
    limits: Limits,
) -> None:
    """Draw the mean two-dimensional spectra of folders, on one scale of colours.

    Each is the mean over a folder's images of the log power spectrum, after a high-pass filter, with the zero frequency
    in the middle. Below: the differences from the FIRST folder's. Nothing is resampled: images of different sizes are
    brought together by their centres.

    \b
    Example:
      spectral-detect plot spectra examples/images/real examples/images/fake
    """
    failed = FailedFiles()
    found = folders_to_draw(folders, output)
    if side is None:
        side, smallest = common_side(found, work, limits=limits, progress=under_bar(found), on_failure=failed)
        click.echo(f"note: {side}x{side} pixels of each image; the smallest is {visible(smallest)}", err=True)
    drawn = mean_spectra(found, side, high_pass, work, limits=limits, progress=under_bar(found), on_failure=failed)
    plot_spectra(drawn, high_pass, output)
    say_drawn(output, [(spectrum.name, spectrum.n_images) for spectrum in drawn])
    ctx.exit(failed.status)
