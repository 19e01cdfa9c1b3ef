"""`spectral-detect scan`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import IO, TYPE_CHECKING, cast

import click

from spectral_detect.cli.shared.options import (
    Failure,
    FiniteRange,
    check_output,
    expand,
    judging_options,
    progress,
    report_failure,
    shows_progress,
)
from spectral_detect.cli.shared.result_stream import FORMATS, format_of
from spectral_detect.cli.shared.resume_options import (
    KnownBy,
    begun,
    earlier_rows,
    in_shard,
    open_records,
    remaining,
    resume_options,
    shard_option,
)
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.sources.urls import why_not_opened, without_credentials
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.detector.model import Model
    from spectral_detect.extraction.work import Work
    from spectral_detect.outputs.writer import StreamFormat
    from spectral_detect.scanning.judging import Rules
    from spectral_detect.sources.discovery import FoundFile
    from spectral_detect.sources.sharding import Shard

READ_BYTES = 2**16


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--model",
    metavar="MODEL",
    help="A model file, or the name of a shipped one.  [default: the shipped one for such images]",
)
@click.option("--files-from", metavar="FILE", help="Read paths or URLs, one a line, no patterns; - is standard input.")
@click.option("-0", "--null", is_flag=True, help="Paths in --files-from end in NUL instead of a new line.")
@click.option("--threshold", type=FiniteRange(0, 1), help="A score at or above it is fake.  [default: the model's]")
@click.option(
    "--format", "stream_format", type=click.Choice(FORMATS), help="[default: by suffix of --output, or table]"
)
@click.option("-o", "--output", metavar="FILE", help="Write there instead of standard output; replaces the file.")
@resume_options
@shard_option
@click.option("--fail-on-fake", is_flag=True, help="Exit with status 3 if an image is called fake and no file failed.")
@judging_options
@work_options
@device_option
@click.pass_context
def scan(
    ctx: click.Context,
    paths: tuple[str, ...],
    model: str | None,
    files_from: str | None,
    null: bool,
    threshold: float | None,
    stream_format: str | None,
    output: str | None,
    resume: bool,
    known_by: KnownBy,
    shard: Shard | None,
    fail_on_fake: bool,
    rules: Rules,
    work: Work,
) -> None:
    """Give a verdict on each image: files, folders, patterns, lists; local, or at URLs (s3://, https:// and others).

    Folders are searched recursively, links to folders are not followed. A verdict is worth what its model is worth on
    such images: see `spectral-detect models`. URLs need the extra `remote`; the credentials in them are not recorded.

    \b
    Examples:
      spectral-detect scan examples/images
      spectral-detect scan evidence/ --output verdicts.jsonl
      spectral-detect scan disk/ --resume verdicts.jsonl
      spectral-detect scan s3://bucket/evidence --resume verdicts.jsonl
      find . -name '*.jpg' -print0 | spectral-detect scan --files-from - -0 --format csv
    """
    from spectral_detect.detector.model_file import load_model, load_shipped_models
    from spectral_detect.outputs.rows import IMAGES
    from spectral_detect.outputs.writer import image_layout
    from spectral_detect.scanning.images import checked_models, scan_files
    from spectral_detect.scanning.judging import origin_of, settings_sha256

    detector = load_shipped_models() if model is None else load_model(model)
    if output is not None:
        check_output(output, [*paths, files_from, model])
    skipped: Counter[str] = Counter()
    judges: set[str | None] = set()
    files = in_shard(_first_checked(_find(paths, files_from, null, skipped), skipped), shard)
    chosen = cast("StreamFormat", stream_format or format_of(output))
    rules = replace(rules, threshold=threshold)
    models = checked_models(detector, rules)
    origin = origin_of(models, rules, settings_sha256(models, rules))
    with ExitStack() as stack:
        earlier = stack.enter_context(earlier_rows(resume, output, chosen, IMAGES, origin, known_by))
        left = (found for _, found in remaining(earlier, files, known_by))
        records = stack.enter_context(closing(scan_files(left, models, rules=rules, work=work)))
        layout = image_layout(with_posterior=rules.prevalence is not None, with_model=model is None)
        results, stream = open_records(stack, ctx, output, chosen, layout, earlier)
        hidden = output is None and sys.stdout.isatty()  # there the rows themselves show the progress
        rows = begun(earlier)
        total = rows.n_remaining if rows else _count(paths, files_from, hidden, shard)
        for record in progress(records, total=total, hidden=hidden):
            results.write(record)
            judges.add(record.model)
            if record.error and chosen != "table":
                report_failure(record.path, record.error)
        if chosen == "table":
            stream.write(f"\n{results.summary(skipped['other'])}\n")
            stream.write(_worth([m for m in models if m.name in judges], rules))
    if chosen != "table" and shows_progress():
        click.echo(results.summary(skipped["other"]), err=True)
    ctx.exit(1 if results.outcomes["failed"] else 3 if fail_on_fake and results.outcomes["fake"] else 0)


def _worth(judges: list[Model], rules: Rules) -> str:
    """What a verdict is worth at the prevalence; nothing where the verdicts are not those that were cross-validated."""
    from spectral_detect.report.metrics import prevalence_text

    if rules.prevalence is None:
        return ""
    if rules.threshold is not None or rules.min_confidence is not None or rules.stability:
        return "\n(what a verdict is worth is known for the model's own threshold and without further rules only)\n"
    return f"\n{prevalence_text(judges, rules.prevalence)}\n"


def _find(paths: tuple[str, ...], files_from: str | None, null: bool, skipped: Counter[str]) -> Iterator[FoundFile]:
    """Check the arguments now; find the images later."""
    from spectral_detect.sources.discovery import find_images

    if null and files_from is None:
        raise click.UsageError("-0 says how --files-from is read: give both")
    if not paths and files_from is None:
        raise click.UsageError("name files or folders to scan, or --files-from")
    listed = listed_paths(files_from, b"\0" if null else b"\n") if files_from is not None else ()
    return find_images(chain(expand(paths), listed), on_skip=lambda path: skipped.update(other=1))


def listed_paths(files_from: str, end: bytes) -> Iterable[str]:
    """The paths in a list, each followed by `end`."""
    try:
        stream: IO[bytes] = click.open_file(files_from, "rb")
    except OSError as error:
        raise Failure(f"{visible(without_credentials(files_from))}: {why_not_opened(files_from, error)}") from None
    return _split(stream, end)


def _split(stream: IO[bytes], end: bytes) -> Iterator[str]:
    """Paths between `end`s, of a stream that is never held whole."""
    rest = b""
    with stream:
        for block in iter(partial(stream.read, READ_BYTES), b""):
            *whole, rest = (rest + block).split(end)
            yield from (_listed_path(path, end) for path in whole if path)
    if rest:
        yield _listed_path(rest, end)


def _listed_path(path: bytes, end: bytes) -> str:
    if b"\0" in path:
        raise Failure("the list holds NUL characters: give -0 as well")
    if end == b"\n" and path.endswith(b"\r") and not os.path.lexists(path):
        path = path[:-1]  # a list from Windows
    return os.fsdecode(path)


def _first_checked(files: Iterator[FoundFile], skipped: Counter[str]) -> Iterator[FoundFile]:
    """The same files; an error, before any output is made, when there are none."""
    for first in files:
        return chain([first], files)
    raise Failure(f"no image found; {skipped['other']} other files or links to folders skipped")


def _count(paths: tuple[str, ...], files_from: str | None, hidden: bool, shard: Shard | None) -> int | None:
    """Images to come, counted only for a progress bar; unknown for a list, and at URLs, which would be listed twice."""
    from spectral_detect.sources.discovery import find_images
    from spectral_detect.sources.stores import is_url

    if hidden or files_from is not None or not shows_progress() or any(map(is_url, paths)):
        return None
    return sum(1 for _ in in_shard(find_images(expand(paths)), shard))
