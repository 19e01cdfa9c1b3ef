"""`spectral-detect plot profiles`."""

from __future__ import annotations

from dataclasses import replace

import click

from spectral_detect.cli.plot.folders import FailedFiles, folders_to_draw, say_drawn, under_bar
from spectral_detect.cli.plot.options import folders_argument, output_option
from spectral_detect.cli.shared.work_options import work_options
from spectral_detect.features.spec import MAX_BINS, MIN_BINS, FeatureSpec
from spectral_detect.folders.profiles import PROFILES, mean_profiles
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.report.pictures.folders import plot_profiles


@click.command()
@folders_argument
@output_option("profiles.png")
@click.option(
    "--features",
    type=click.Choice(tuple(PROFILES)),
    default="azimuthal",
    show_default=True,
    help="azimuthal: what the detectors see, contrast and the image's border left out; power: the plain power; durall: "
    "the published computation.",
)
@click.option(
    "--bins",
    type=click.IntRange(MIN_BINS, MAX_BINS),
    default=FeatureSpec.preset("azimuthal").n_bins,
    show_default=True,
    help="Set the length of the profile.",
)
@work_options
@click.pass_context
def profiles(
    ctx: click.Context,
    folders: tuple[str, ...],
    output: str,
    features: str,
    bins: int,
    work: Work,
    limits: Limits,
) -> None:
    """Draw the mean azimuthal profiles of folders, and how far they are apart.

    Above: mean and standard deviation of the log power over the images of each folder, against the frequency. Below:
    the difference of the means from the FIRST folder's, in its standard deviations. Name the camera images first.

    \b
    Example:
      spectral-detect plot profiles examples/images/real examples/images/fake
    """
    failed = FailedFiles()
    found = folders_to_draw(folders, output, least=2)
    spec = replace(PROFILES[features], n_bins=bins)
    drawn = mean_profiles(found, spec, work, limits=limits, progress=under_bar(found), on_failure=failed)
    plot_profiles(drawn, features, output)
    say_drawn(output, [(profile.name, profile.n_images) for profile in drawn])
    ctx.exit(failed.status)
