"""`spectral-detect extract`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

import click

from spectral_detect._version import __version__
from spectral_detect.atomic_write import check_target
from spectral_detect.cli.shared.checks import check_output
from spectral_detect.cli.shared.failures import Failure, report_failure
from spectral_detect.cli.shared.options import feature_options, feature_spec
from spectral_detect.cli.shared.paths import expand
from spectral_detect.cli.shared.progress import progress, show_counts
from spectral_detect.cli.shared.resume_options import (
    Target,
    begun,
    check_named_once,
    earlier_rows,
    in_shard,
    remaining,
    resume_options,
    shard_option,
)
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.extraction.many_files import extract_files
from spectral_detect.extraction.one_file import Extraction, Extractor
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.feature_writer import feature_writer, spec_as_text, write_csv
from spectral_detect.outputs.made_with import MadeWith
from spectral_detect.outputs.rows import FEATURES
from spectral_detect.parallel.work import Work
from spectral_detect.sources.discovery import FoundFile, find_images
from spectral_detect.sources.sharding import Shard
from spectral_detect.text import counted


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE.npz or FILE.csv; or go on with --resume FILE.csv.")
@resume_options
@shard_option
@feature_options("azimuthal")
@work_options
@device_option
@click.pass_context
def extract(
    ctx: click.Context,
    paths: tuple[str, ...],
    target: Target,
    shard: Shard | None,
    features: str,
    encoder: str | None,
    bins: int | str | None,
    work: Work,
    limits: Limits,
) -> None:
    """Write the features of images as NPZ or CSV.

    PATH is a file, a folder or a pattern; local, or at a URL (s3://, https:// and others; extra `remote`).

    NPZ: X (n_images, n_features), paths, sizes (n_images, 2: width, height), sha256, spec (JSON). CSV: the same with
    size_bytes, mtime_ns and tool_version, a row an image, written as they come, so that `--resume` can go on with it.
    The preset residual gives a row for each tile of an image, and tiles (left, top, side in pixels) says which.

    \b
    Example:
      spectral-detect extract examples/images --output features.npz
    """
    if target.output is None:
        raise click.UsageError("name the output: --output FILE, or --resume FILE.csv")
    feature_writer(target.output)
    if target.is_resumed and target.row_format != "csv":
        raise click.UsageError("an NPZ file is written whole, at the end: --resume goes on with a .csv")
    check_output(target.output, [*paths, encoder])
    if target.row_format != "csv":
        check_target(target.output)  # before anything is computed: an NPZ file is written at the end
    files = list(find_images(expand(paths)))
    if not files:
        raise Failure("no image found")
    files = list(in_shard(files, shard))
    if target.is_resumed:
        check_named_once(file.path for file in files)
    failures = _extract(files, target, feature_spec(features, bins, encoder), work, limits)
    for failure in failures:
        report_failure(failure.path, failure.error)
    n_read = len(files) - len(failures)
    show_counts(
        f"{counted(n_read, 'image')}, {len(failures)} failed", target.output if n_read or not failures else None
    )
    ctx.exit(1 if failures else 0)


def _extract(
    files: Sequence[FoundFile], target: Target, spec: FeatureSpec, work: Work, limits: Limits
) -> list[Extraction]:
    """Write the features of the files that are left to do; return those that failed."""
    output = target.output or ""
    write_features = feature_writer(output)
    made_with = MadeWith({"tool_version": __version__, "spec": spec_as_text(spec)})
    with ExitStack() as stack:
        earlier = stack.enter_context(earlier_rows(target, FEATURES, made_with))
        left = [file for _, file in remaining(earlier, files, target.known_by)]
        extractions = stack.enter_context(closing(extract_files(left, Extractor(spec, limits=limits), work)))
        if rows := begun(earlier):
            write_features = partial(write_csv, columns=rows.columns)
        return write_features(output, progress(extractions, total=len(left)), spec)
