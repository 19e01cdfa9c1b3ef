"""`spectral-detect merge`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import cast

import click

from spectral_detect.cli.shared.checks import check_output
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.paths import expand, expand_local, named_places
from spectral_detect.media.video import VIDEOS_ARE_LOCAL
from spectral_detect.outputs.merge import Merged, merging
from spectral_detect.outputs.rows import FRAMES, VIDEOS, RowFormat, RowKind
from spectral_detect.sources.discovery import find_images, find_videos
from spectral_detect.sources.location import Location
from spectral_detect.text import visible

MOST_SHOWN = 20
NOT_CHECKED = "note: not checked whether a file or a whole shard is missing: name what was scanned with --expect"
OUTPUTS_ARE_LOCAL = "outputs are merged from local files only; download it first"


@click.command()
@click.argument("outputs", nargs=-1, required=True, metavar="OUTPUT...")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="Write the joined rows to FILE, in the format of the outputs."
)
@click.option(
    "--expect",
    multiple=True,
    metavar="PATH",
    help="Expect rows for this file, folder, pattern or URL; may be given several times.",
)
@click.option(
    "--files-from", metavar="FILE", help="Expect rows for the paths and URLs in FILE, one a line; - is standard input."
)
@click.option("-0", "--null", is_flag=True, help="Read --files-from with a NUL after each path instead of a new line.")
@click.option(
    "--group-by", type=click.Choice(("parent",)), help="Expect videos that were found by `video --group-by parent`."
)
@click.pass_context
def merge(
    ctx: click.Context,
    outputs: tuple[str, ...],
    output: str,
    expect: tuple[str, ...],
    files_from: str | None,
    null: bool,
    group_by: str | None,
) -> None:
    """Join the outputs of shards into one.

    OUTPUT is a .csv or .jsonl of `scan --shard`, `video --shard` or `extract --shard`. All must be made by one version,
    with the same models, features and settings. With --expect or --files-from, rows get the order in which one scan of
    these files would write them; files without a row are named. Without them, rows are sorted by path, which is the
    order of a scan of one folder. If two outputs have rows for a file, the first without an error is taken. Rows of
    `video --per-frame` do not say how they were made and are joined unchecked. The exit status is 1 if an expected
    file has no row or a record has an error.

    \b
    Examples:
      spectral-detect merge part1.jsonl part2.jsonl --output all.jsonl
      spectral-detect merge 'parts/*.csv' --output all.csv --expect evidence/
    """
    _, listed = named_places((), files_from, null)
    sources = [place.path for place in expand_local(outputs, OUTPUTS_ARE_LOCAL)]
    row_format = _common_format([*sources, output])
    check_output(output, [*sources, *expect, files_from])
    with merging(output, row_format, sources) as merger:
        if merger.kind is None:
            raise Failure(f"none of the {len(sources)} outputs has a row")
        if expect or files_from is not None:
            merger.expect(_found(expect, listed, merger.kind, group_by == "parent"))
        merged = merger.write()
    _report(merged, len(sources))
    if not expect and files_from is None:
        click.echo(NOT_CHECKED, err=True)
    ctx.exit(1 if merged.n_missing or merged.outcomes["failed"] else 0)


def _common_format(names: Sequence[str]) -> RowFormat:
    suffixes = {os.path.splitext(name)[1].lower() for name in names}
    if suffixes not in ({".csv"}, {".jsonl"}):
        raise click.UsageError("the outputs and --output all end in .csv, or all in .jsonl")
    return cast(RowFormat, suffixes.pop()[1:])


def _found(named: Iterable[str], listed: Iterable[Location], kind: RowKind, group_by_parent: bool) -> Iterator[str]:
    """Find files as the command that writes this kind of rows does."""
    if kind in (VIDEOS, FRAMES):
        paths = chain(expand_local(named, VIDEOS_ARE_LOCAL), listed)
        return (video.path for video in find_videos(paths, group_by_parent=group_by_parent))
    return (file.path for file in find_images(chain(expand(named), listed)))


def _report(merged: Merged, n_sources: int) -> None:
    """Print the counts as the result, and name duplicate, unexpected and missing files on stderr."""
    assert merged.kind is not None
    counts = [f"{merged.outcomes[name]} {name}" for name in ("real", "fake", "inconclusive", "failed")]
    by_outcome = f": {', '.join(counts)}" if merged.kind.schema else f" of {merged.n_files} files"
    noun = merged.kind.noun if merged.n_rows == 1 else f"{merged.kind.noun}s"
    outputs = "output" if n_sources == 1 else "outputs"
    click.echo(f"{n_sources} {outputs} merged: {merged.n_rows} {noun}{by_outcome}")
    _name(merged.duplicates, merged.n_duplicates, f"in more than one place ({merged.n_conflicts} with other results)")
    _name(merged.unexpected, merged.n_unexpected, "not expected")
    _name(merged.missing, merged.n_missing, "missing")


def _name(paths: Sequence[str], n_all: int, problem: str) -> None:
    if not n_all:
        return
    click.echo(f"{n_all} {'file' if n_all == 1 else 'files'} {problem}:", err=True)
    for path in paths[:MOST_SHOWN]:
        click.echo(f"  {visible(path)}", err=True)
    if n_all > MOST_SHOWN:
        click.echo(f"  ... and {n_all - MOST_SHOWN} more", err=True)
