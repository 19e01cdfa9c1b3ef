"""Options and steps of `--resume` and `--shard`, which `scan`, `video` and `extract` share."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TextIO, TypeVar, cast

import click

from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.options import together
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.result_stream import FORMATS, format_of, output_option, result_stream, style_for
from spectral_detect.outputs.lock import held
from spectral_detect.outputs.made_with import MadeWith
from spectral_detect.outputs.resume import KnownBy, Resumed, resumed
from spectral_detect.outputs.rows import RowFormat, RowKind
from spectral_detect.outputs.table import Layout
from spectral_detect.outputs.writer import RecordStream, StreamFormat
from spectral_detect.records import FrameRecord, ImageRecord, VideoRecord
from spectral_detect.sources.discovery import FoundFile, FoundVideo
from spectral_detect.sources.sharding import MOST_SHARDS, Shard
from spectral_detect.text import visible

F = TypeVar("F", bound=Callable[..., Any])
Found = TypeVar("Found", FoundFile, FoundVideo)
Record = TypeVar("Record", ImageRecord, VideoRecord, FrameRecord)


@dataclass(frozen=True)
class Target:
    """Where the rows of a command go, and whether an earlier run is gone on with.

    Attributes
    ----------
    output : str or None
        The file; None is standard output.
    row_format : {"table", "csv", "jsonl"} or None
        How rows are written; None for a file that is written whole, at the end.
    is_resumed : bool
        Whether to go on with the file.
    known_by : {"size-mtime", "sha256"}
        How an unchanged file is recognised.
    has_bom : bool
        Whether new CSV begins with a byte order mark.
    """

    output: str | None
    row_format: StreamFormat | None
    is_resumed: bool = False
    known_by: KnownBy = "size-mtime"
    has_bom: bool = False

    @property
    def is_table(self) -> bool:
        """Whether people read it."""
        return self.row_format == "table"

    @property
    def shows_rows(self) -> bool:
        """Whether the rows themselves show the progress, on a terminal."""
        return self.output is None and sys.stdout.isatty()


ROW_FORMATS: dict[str, StreamFormat] = {".csv": "csv", ".jsonl": "jsonl"}


class ShardParam(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """Part I of N, written `I/N`."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """Parse `I/N`."""
        try:
            return value if isinstance(value, Shard) else Shard.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


shard_option = click.option(
    "--shard",
    type=ShardParam(),
    help=f"Take part I of N (at most {MOST_SHARDS}) of all files. A hash of its path alone puts a file in a part, "
    "on any machine. Name the same paths for each part, and join the outputs with `spectral-detect merge`.",
)


_output_options = together(
    click.option(
        "--format",
        "row_format",
        type=click.Choice(FORMATS),
        help="Write a table, CSV or JSON Lines.  [default: by the suffix of --output, or table]",
    ),
    output_option,
    click.option(
        "--csv-bom",
        is_flag=True,
        help="Begin CSV with a byte order mark, so that Excel shows letters such as umlauts as they are.",
    ),
)

_resume_options = together(
    click.option(
        "--resume",
        metavar="FILE",
        help="Go on with a .csv or .jsonl that an interrupted run left, or begin it; in place of --output. Keeps "
        "the rows of unchanged files, does files that failed or changed again, and removes the rows of deleted "
        "files. FILE ends up with the rows of one uninterrupted run, in the same order. Refuses rows made by "
        "another version, model or setting, rows of files that still exist but are not named now, and rows none of "
        "whose files is there, as in another working folder.",
    ),
    click.option(
        "--known-by",
        type=click.Choice(("size-mtime", "sha256")),
        help="Let --resume recognise an unchanged file by its size and time of change, without reading it, or by "
        "its hash, for which it is read but not decoded; its row keeps its time.  [default: size-mtime]",
    ),
)


def target_options(command: F) -> F:
    """Hand `--format`, `--output`, `--csv-bom`, `--resume` and `--known-by` to the command as one `target`."""

    @wraps(command)
    def with_format(*args: Any, row_format: StreamFormat | None, csv_bom: bool, target: Target, **kwargs: Any) -> Any:
        chosen = row_format or format_of(target.output)
        if csv_bom and chosen != "csv":
            raise click.UsageError("--csv-bom goes with CSV: give --format csv, or end the output in .csv")
        if target.is_resumed and target.output and chosen == "table":
            raise click.UsageError("--resume goes on with rows: name a .csv or a .jsonl")
        return command(*args, target=replace(target, row_format=chosen, has_bom=csv_bom), **kwargs)

    return _output_options(resume_options(cast(F, with_format)))


def resume_options(command: F) -> F:
    """Hand `--output`, `--resume` and `--known-by` to the command as one `target`; `--output` is the command's own."""

    @wraps(command)
    def with_resume(*args: Any, output: str | None, resume: str | None, known_by: KnownBy | None, **kwargs: Any) -> Any:
        if known_by is not None and resume is None:
            raise click.UsageError("--known-by says how --resume recognises unchanged files: give both")
        if resume is not None and output is not None and os.path.realpath(resume) != os.path.realpath(output):
            raise click.UsageError(
                "--resume takes the output itself, and --output names another file: give one of them"
            )
        file = resume if output is None else output
        row_format = ROW_FORMATS.get(os.path.splitext(file or "")[1].lower())
        target = Target(file, row_format, resume is not None, known_by or "size-mtime")
        return command(*args, target=target, **kwargs)

    return _resume_options(cast(F, with_resume))


def in_shard(files: Iterable[Found], shard: Shard | None) -> Iterable[Found]:
    """Return the files that belong to this part."""
    return files if shard is None else (found for found in files if shard.holds(found.path))


@contextmanager
def earlier_rows(target: Target, kind: RowKind, made_with: MadeWith | None) -> Iterator[Resumed | None]:
    """Hold an output; give the rows that an earlier run left in it, or None if nothing is to be resumed."""
    if not target.is_resumed:
        with _held(target):
            yield None
        return
    name, row_format = cast(str, target.output), cast(RowFormat, target.row_format)
    with resumed(name, row_format, kind, made_with, target.known_by) as earlier:
        yield earlier


@contextmanager
def _held(target: Target) -> Iterator[None]:
    """Keep other processes from writing the output, if it is a file that grows in its place."""
    output = target.output
    is_device = output is not None and os.path.exists(output) and not os.path.isfile(output)
    if output is None or target.row_format not in FORMATS or is_device:
        yield
        return
    with held(output):
        yield


def remaining(
    earlier: Resumed | None, files: Iterable[Found], known_by: KnownBy, companion: Resumed | None = None
) -> Iterator[tuple[int, Found]]:
    """Return the files that are left to do, with their places among all; report on stderr how much is kept."""
    if earlier is None:
        return enumerate(files)
    looked_at = progress(files, hidden=earlier.is_new, unit="files looked at")  # hashing them may take hours
    left = earlier.remaining(looked_at, known_by, companion)
    if not earlier.is_new:
        parts = [f"{earlier.n_kept} {'row' if earlier.n_kept == 1 else 'rows'} kept"]
        if earlier.n_gone:
            parts.append(f"{earlier.n_gone} removed (the file has gone)")
        again = f", of which {earlier.n_again} failed or changed" if earlier.n_again else ""
        parts.append(f"{earlier.n_remaining} {'file' if earlier.n_remaining == 1 else 'files'} to do{again}")
        click.echo(f"{visible(earlier.output)}: {', '.join(parts)}", err=True)
    return left


def begun(earlier: Resumed | None) -> Resumed | None:
    """Return the earlier output if it has rows, to which new ones are appended."""
    return None if earlier is None or earlier.is_new else earlier


def open_records(
    stack: ExitStack, ctx: click.Context, target: Target, layout: Layout[Record], earlier: Resumed | None
) -> tuple[RecordStream[Record], TextIO]:
    """Open the output for records, begun or appended to; return it with the stream below."""
    rows = begun(earlier)
    stream = stack.enter_context(result_stream(target.output, append=rows is not None))
    outcomes, noted = (rows.outcomes, rows.noted) if rows else (None, None)
    row_format, style = cast(StreamFormat, target.row_format), style_for(ctx, stream)
    return RecordStream(stream, row_format, layout, style, outcomes, noted=noted, has_bom=target.has_bom), stream


def check_named_once(paths: Iterable[str]) -> None:
    """Raise `Failure` if a path is named twice, so that a row could belong to either."""
    counts = Counter(paths)
    if twice := [path for path, count in counts.items() if count > 1]:
        raise Failure(f"{visible(twice[0])} is named twice: with --resume, name it once")
