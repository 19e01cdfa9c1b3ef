"""What `scan`, `video` and `extract` share of `--resume` and `--shard`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar, cast

import click

from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.result_stream import result_stream, style_for
from spectral_detect.sources.sharding import MOST_SHARDS, Shard
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.outputs.made_with import Origin
    from spectral_detect.outputs.resume import Resumed
    from spectral_detect.outputs.rows import Kind, RowFormat
    from spectral_detect.outputs.writer import Layout, RecordStream, StreamFormat
    from spectral_detect.records import FrameRecord, ImageRecord, VideoRecord
    from spectral_detect.sources.discovery import FoundFile, FoundVideo

F = TypeVar("F", bound=Callable[..., Any])
Found = TypeVar("Found", "FoundFile", "FoundVideo")
Record = TypeVar("Record", "ImageRecord", "VideoRecord", "FrameRecord")
KnownBy = Literal["size-mtime", "sha256"]


class ShardParam(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """One of N parts."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        try:
            return value if isinstance(value, Shard) else Shard.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


shard_option = click.option(
    "--shard",
    type=ShardParam(),
    help=f"Part I of N (at most {MOST_SHARDS}) of all files, by a hash of each path: the same on any machine, "
    "beside any other files. Name the same paths for each part; `spectral-detect merge` joins them.",
)


def resume_options(command: F) -> F:
    """`--resume` and `--known-by`, handed to the command as `resume` (whether) and `known_by`, and as `output`."""

    @wraps(command)
    def with_resume(*args: Any, output: str | None, resume: str | None, known_by: KnownBy | None, **kwargs: Any) -> Any:
        if known_by is not None and resume is None:
            raise click.UsageError("--known-by says what --resume goes by: give both")
        if resume is not None and output is not None and os.path.realpath(resume) != os.path.realpath(output):
            raise click.UsageError(
                "--resume takes the output itself, and --output names another file: give one of them"
            )
        known = known_by or "size-mtime"
        output = resume if output is None else output
        return command(*args, output=output, resume=resume is not None, known_by=known, **kwargs)

    options = (
        click.option(
            "--resume",
            metavar="FILE",
            help="In place of --output: go on with a .csv or .jsonl that an interrupted run left, or begin it. Rows of "
            "files that are what they were are kept; files that failed or changed are done again; rows of deleted "
            "files go. It ends with the rows of one uninterrupted run, in the same order. Refused where rows were made "
            "by another version, model or setting, or are of files that are still there but not named now.",
        ),
        click.option(
            "--known-by",
            type=click.Choice(("size-mtime", "sha256")),
            help="With --resume: a file is the same by its size and time of change (nothing is read), or by its hash "
            "(it is read, but not decoded; its row keeps the time it has).  [default: size-mtime]",
        ),
    )
    decorated = cast(F, with_resume)
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def in_shard(files: Iterable[Found], shard: Shard | None) -> Iterable[Found]:
    """Those that belong to this part."""
    return files if shard is None else (found for found in files if shard.holds(found.path))


@contextmanager
def earlier_rows(
    wanted: bool, output: str | None, stream_format: str, kind: Kind, origin: Origin | None, known_by: KnownBy
) -> Iterator[Resumed | None]:
    """The output with what an earlier run left in it; None where nothing is resumed."""
    if not wanted:
        yield None
        return
    from spectral_detect.outputs.resume import resumed

    if stream_format not in ("csv", "jsonl"):
        raise click.UsageError("--resume goes on with rows: name a .csv or a .jsonl")
    with resumed(cast(str, output), cast("RowFormat", stream_format), kind, origin, known_by) as earlier:
        yield earlier


def remaining(
    earlier: Resumed | None, files: Iterable[Found], known_by: KnownBy, companion: Resumed | None = None
) -> Iterator[tuple[int, Found]]:
    """The files that are left to do, with their places among all; says on stderr what is kept of the output."""
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
    """The earlier output if it has rows, which are then gone on with."""
    return None if earlier is None or earlier.is_new else earlier


def open_records(
    stack: ExitStack,
    ctx: click.Context,
    output: str | None,
    stream_format: StreamFormat,
    layout: Layout[Record],
    earlier: Resumed | None,
) -> tuple[RecordStream[Record], TextIO]:
    """Where records are written to, begun or gone on with, and the stream below."""
    from spectral_detect.outputs.writer import RecordStream

    rows = begun(earlier)
    stream = stack.enter_context(result_stream(output, append=rows is not None))
    outcomes = rows.outcomes if rows else None
    return RecordStream(stream, stream_format, layout, style_for(ctx, stream), outcomes), stream


def check_named_once(paths: Iterable[str]) -> None:
    """`Failure` where rows could belong to one of two files."""
    counts = Counter(paths)
    if twice := [path for path, count in counts.items() if count > 1]:
        raise Failure(f"{visible(twice[0])} is named twice: with --resume, name it once")
