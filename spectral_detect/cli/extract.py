"""`spectral-detect extract`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from spectral_detect.cli.options import (
    Failure,
    check_output,
    expand,
    feature_options,
    feature_spec,
    progress,
    report_failure,
    work_options,
)

if TYPE_CHECKING:
    from spectral_detect.pipeline import Work


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", required=True, metavar="FILE", help="FILE.npz or FILE.csv.")
@feature_options("azimuthal")
@work_options
@click.pass_context
def extract(
    ctx: click.Context,
    paths: tuple[str, ...],
    output: str,
    features: str,
    bins: int | str | None,
    work: Work,
) -> None:
    """Write the features of images, with their paths, sizes and the feature spec, as NPZ or CSV.

    NPZ: X (n_images, n_features), paths, sizes (n_images, 2: width, height), sha256, spec (JSON). CSV: the same, a row
    an image. The preset residual gives a row for each tile of an image, and tiles (left, top, side in pixels) says
    which.

    \b
    Example:
      spectral-detect extract examples/images --output features.npz
    """
    from spectral_detect.finding import find_images
    from spectral_detect.pipeline import extract_files
    from spectral_detect.report.features import feature_writer

    spec = feature_spec(features, bins)
    write_features = feature_writer(output)
    check_output(output, paths)
    files = list(find_images(expand(paths)))
    if not files:
        raise Failure("no image found")
    with closing(extract_files(files, spec, work)) as extractions:
        failures = write_features(output, progress(extractions, total=len(files)), spec)
    for failure in failures:
        report_failure(failure.path, failure.error)
    ctx.exit(1 if failures else 0)
