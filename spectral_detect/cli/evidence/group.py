"""`spectral-detect group`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import click
import numpy as np

from spectral_detect.atomic_write import check_target
from spectral_detect.cli.shared.checks import check_output, check_outside, check_plot
from spectral_detect.cli.shared.failures import Failure, in_options, report_failure
from spectral_detect.cli.shared.found_images import FoundImages
from spectral_detect.cli.shared.options import feature_options, feature_spec, list_options
from spectral_detect.cli.shared.paths import named_places
from spectral_detect.cli.shared.progress import progress, show_counts
from spectral_detect.cli.shared.report_options import check_apart
from spectral_detect.cli.shared.result_stream import FORMATS, format_of, output_option, result_stream
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.folders.embedding import MIN_IMAGES, Method, embed
from spectral_detect.grouping.clusters import ALONE
from spectral_detect.grouping.images import MOST_IMAGES, Grouped, check_number, group_images
from spectral_detect.grouping.record import GroupRecord
from spectral_detect.grouping.rows import rows
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.writer import StreamFormat
from spectral_detect.parallel.work import Work
from spectral_detect.text import counted, visible

MOST_DRAWN = 14  # clusters with a colour of their own; more make no picture
MOST_COUNTED = 6  # clusters whose sizes the last line tells
PERPLEXITY = 30.0  # of t-SNE, or a quarter of the images


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@list_options
@click.option(
    "--min-size",
    type=click.IntRange(2, MOST_IMAGES),
    metavar="N",
    help="Call fewer than N images no cluster.  [default: a fiftieth of the images, and 5 or more]",
)
@click.option(
    "--format",
    "stream_format",
    type=click.Choice(FORMATS),
    help="Write a table, CSV or JSON Lines.  [default: by the suffix of --output, or table]",
)
@output_option
@click.option("--plot", metavar="FILE", help="Draw the images as points to FILE (.png, .svg or .pdf; extra plot).")
@click.option(
    "--plot-method",
    type=click.Choice(("pca", "tsne")),
    default="tsne",
    show_default=True,
    help="Place the points as `plot embedding` does; tsne is slow for thousands of images.",
)
@feature_options("residual")
@work_options
@device_option
@click.pass_context
def group(
    ctx: click.Context,
    paths: tuple[str, ...],
    files_from: str | None,
    null: bool,
    min_size: int | None,
    stream_format: StreamFormat | None,
    output: str | None,
    plot: str | None,
    plot_method: Method,
    features: str,
    encoder: str | None,
    bins: int | str | None,
    work: Work,
    limits: Limits,
) -> None:
    """Find which images come from one pipeline, without labels.

    PATH is a file, a folder or a pattern; local, or at a URL (s3://, https:// and others; extra `remote`). Images whose
    features lie close together get one number, the largest cluster 1; an image in no cluster is alone (-1 in CSV and
    JSON Lines). One pipeline can fall into several clusters, the more so where there is no other. No model judges.

    \b
    Examples:
      spectral-detect group examples/images --plot clusters.png
      spectral-detect group evidence/ --min-size 10 --output clusters.csv
    """
    _check_outputs(output, plot, [*paths, files_from, encoder])
    chosen = stream_format or format_of(output)
    named, listed = named_places(paths, files_from, null)
    if not named and files_from is None:
        raise click.UsageError("name files or folders to group, or --files-from")
    if plot is not None:
        check_outside(plot, named)
    images = FoundImages(named, listed, None, is_countable=False)
    files = list(islice(images.files, MOST_IMAGES + 1))
    check_number(len(files))
    bar = partial(progress, total=len(files))
    spec = feature_spec(features, bins, encoder)
    grouped = group_images(files, spec, work, min_size=min_size, limits=limits, progress=bar)
    summary = _summary(grouped) + images.skipped.clause()
    _write(grouped, chosen, output, summary)
    if plot is not None:
        _draw(grouped, plot_method, features, plot)
    ctx.exit(1 if any(record.error for record in grouped.records) else 0)


def _check_outputs(output: str | None, plot: str | None, inputs: Sequence[str | None]) -> None:
    """Refuse, before anything is computed, what cannot be written or drawn."""
    if output is not None:
        check_output(output, inputs)
        check_target(output)
    if plot is not None:
        check_plot(plot, inputs)
    check_apart(output=output, plot=plot)


def _write(grouped: Grouped, chosen: StreamFormat, output: str | None, summary: str) -> None:
    """Write the clusters, and name each file that failed."""
    worded = [replace(r, error=r.error and in_options(r.error)) for r in grouped.records]
    with result_stream(output) as stream:
        for line in rows(worded, chosen):
            stream.write(line)
        stream.write(f"\n{summary}\n" if chosen == "table" else "")
        stream.flush()
    if chosen != "table":
        for record in filter(_has_failed, worded):
            report_failure(record.path, record.error)
    if chosen != "table" or output is not None:
        show_counts(summary, output)
    n_distinct, least = grouped.clusters.n_distinct, grouped.clusters.min_size
    if n_distinct < 2 * least:
        note = f"{counted(n_distinct, 'distinct image')}: two clusters of {least} are the least that can be told apart"
        click.echo(f"warning: {note}; add images, or give a smaller --min-size", err=True)


def _has_failed(record: GroupRecord) -> bool:
    return record.error is not None


def _summary(grouped: Grouped) -> str:
    """Count clusters and images, in one line."""
    sizes = Counter(grouped.clusters.labels.tolist())
    n_alone = sizes.pop(ALONE, 0)
    largest = [str(sizes[k]) for k in sorted(sizes)]
    shown = ", ".join([*largest[:MOST_COUNTED], "..."[: 3 * (len(largest) > MOST_COUNTED)]]).removesuffix(", ")
    of_which = f" (of {shown} images)" if shown else ""
    n_failed = len(grouped.records) - len(grouped.features)
    n_images = counted(len(grouped.records), "image")
    return f"{n_images}: {counted(len(sizes), 'cluster')}{of_which}, {n_alone} alone, {n_failed} failed"


def _draw(grouped: Grouped, method: Method, features: str, plot: str) -> None:
    """Draw the images as points, coloured by their clusters."""
    from spectral_detect.report.pictures.folders import plot_embedding

    n_images = len(grouped.features)
    if n_images < MIN_IMAGES:
        raise Failure(f"{visible(plot)}: a picture needs at least {MIN_IMAGES} images, and here are {n_images}")
    labels = grouped.clusters.labels
    drawn = [k for k in range(1, labels.max() + 1) if k <= MOST_DRAWN]
    parts = [(f"cluster {k}", labels == k) for k in drawn]
    apart = [("smaller clusters", labels > MOST_DRAWN), ("alone", labels == ALONE)]
    parts += [part for part in apart if part[1].any()]
    n_gray = len(parts) - len(drawn)
    vectors = [grouped.features[is_in] for _, is_in in parts]
    perplexity = max(1.0, min(PERPLEXITY, np.floor(n_images / 4)))
    points = embed([name for name, _ in parts], vectors, method, perplexity=float(perplexity))
    plot_embedding(points, features, plot, n_gray=n_gray)
    show_counts(f"{counted(n_images, 'image')} drawn", plot)
