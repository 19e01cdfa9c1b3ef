"""`spectral-detect extract`."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import click

from spectral_detect._version import __version__
from spectral_detect.cli.shared.options import (
    Failure,
    check_output,
    expand,
    feature_options,
    feature_spec,
    progress,
    report_failure,
)
from spectral_detect.cli.shared.resume_options import (
    KnownBy,
    begun,
    check_named_once,
    earlier_rows,
    in_shard,
    remaining,
    resume_options,
    shard_option,
)
from spectral_detect.cli.shared.work_options import device_option, work_options

if TYPE_CHECKING:
    from spectral_detect.extraction.work import Work
    from spectral_detect.sources.sharding import Shard


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", metavar="FILE", help="FILE.npz or FILE.csv; or --resume FILE.csv.")
@resume_options
@shard_option
@feature_options("azimuthal")
@work_options
@device_option
@click.pass_context
def extract(
    ctx: click.Context,
    paths: tuple[str, ...],
    output: str | None,
    resume: bool,
    known_by: KnownBy,
    shard: Shard | None,
    features: str,
    bins: int | str | None,
    work: Work,
) -> None:
    """Write the features of images, with their paths, sizes and the feature spec, as NPZ or CSV.

    PATH is a file, a folder or a pattern; local, or at a URL (s3://, https:// and others; extra `remote`).

    NPZ: X (n_images, n_features), paths, sizes (n_images, 2: width, height), sha256, spec (JSON). CSV: the same with
    size_bytes, mtime_ns and tool_version, a row an image, written as they come, so that `--resume` can go on with it.
    The preset residual gives a row for each tile of an image, and tiles (left, top, side in pixels) says which.

    \b
    Example:
      spectral-detect extract examples/images --output features.npz
    """
    from spectral_detect.extraction.many_files import extract_files
    from spectral_detect.outputs.feature_writer import feature_writer, spec_as_text, write_csv
    from spectral_detect.outputs.made_with import MadeWith
    from spectral_detect.outputs.rows import FEATURES
    from spectral_detect.sources.discovery import find_images

    if output is None:
        raise click.UsageError("name the output: --output FILE, or --resume FILE.csv")
    spec = feature_spec(features, bins)
    write_features = feature_writer(output)
    suffix = os.path.splitext(output)[1].lower()
    if resume and suffix != ".csv":
        raise click.UsageError("an NPZ file is written whole, at the end: --resume goes on with a .csv")
    check_output(output, paths)
    files = list(find_images(expand(paths)))
    if not files:
        raise Failure("no image found")
    files = list(in_shard(files, shard))
    if resume:
        check_named_once(file.path for file in files)
    made_with = MadeWith({"tool_version": __version__, "spec": spec_as_text(spec)})
    with ExitStack() as stack:
        earlier = stack.enter_context(earlier_rows(resume, output, suffix[1:], FEATURES, made_with, known_by))
        left = [file for _, file in remaining(earlier, files, known_by)]
        extractions = stack.enter_context(closing(extract_files(left, spec, work)))
        if rows := begun(earlier):
            write_features = partial(write_csv, columns=rows.columns)
        failures = write_features(output, progress(extractions, total=len(left)), spec)
    for failure in failures:
        report_failure(failure.path, failure.error)
    ctx.exit(1 if failures else 0)
