"""Options and steps of `--resume` and `--shard`, which `scan`, `video` and `extract` share."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar, cast

import click

from spectral_detect.cli.shared.options import Failure, progress
from spectral_detect.cli.shared.result_stream import FORMATS, result_stream, style_for
from spectral_detect.sources.sharding import MOST_SHARDS, Shard
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.outputs.made_with import MadeWith
    from spectral_detect.outputs.resume import Resumed
    from spectral_detect.outputs.rows import RowFormat, RowKind
    from spectral_detect.outputs.table import Layout
    from spectral_detect.outputs.writer import RecordStream, StreamFormat
    from spectral_detect.records import FrameRecord, ImageRecord, VideoRecord
    from spectral_detect.sources.discovery import FoundFile, FoundVideo

F = TypeVar("F", bound=Callable[..., Any])
Found = TypeVar("Found", "FoundFile", "FoundVideo")
Record = TypeVar("Record", "ImageRecord", "VideoRecord", "FrameRecord")
KnownBy = Literal["size-mtime", "sha256"]


class ShardParam(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """Part I of N, written `I/N`."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
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


def resume_options(command: F) -> F:
    """Add `--resume` and `--known-by`; the command gets `resume` (whether to), `known_by`, and FILE as `output`."""

    @wraps(command)
    def with_resume(*args: Any, output: str | None, resume: str | None, known_by: KnownBy | None, **kwargs: Any) -> Any:
        if known_by is not None and resume is None:
            raise click.UsageError("--known-by says how --resume recognises unchanged files: give both")
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
            help="Go on with a .csv or .jsonl that an interrupted run left, or begin it; in place of --output. Keeps "
            "the rows of unchanged files, does files that failed or changed again, and removes the rows of deleted "
            "files. FILE ends up with the rows of one uninterrupted run, in the same order. Refuses rows made by "
            "another version, model or setting, and rows of files that still exist but are not named now.",
        ),
        click.option(
            "--known-by",
            type=click.Choice(("size-mtime", "sha256")),
            help="Let --resume recognise an unchanged file by its size and time of change, without reading it, or by "
            "its hash, for which it is read but not decoded; its row keeps its time.  [default: size-mtime]",
        ),
    )
    decorated = cast(F, with_resume)
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def in_shard(files: Iterable[Found], shard: Shard | None) -> Iterable[Found]:
    """Return the files that belong to this part."""
    return files if shard is None else (found for found in files if shard.holds(found.path))


@contextmanager
def earlier_rows(
    wanted: bool, output: str | None, stream_format: str, kind: RowKind, made_with: MadeWith | None, known_by: KnownBy
) -> Iterator[Resumed | None]:
    """Hold an output; give the rows that an earlier run left in it, or None if nothing is to be resumed."""
    if not wanted:
        with _held(output, stream_format):
            yield None
        return
    from spectral_detect.outputs.resume import resumed

    if stream_format not in ("csv", "jsonl"):
        raise click.UsageError("--resume goes on with rows: name a .csv or a .jsonl")
    with resumed(cast(str, output), cast("RowFormat", stream_format), kind, made_with, known_by) as earlier:
        yield earlier


@contextmanager
def _held(output: str | None, stream_format: str) -> Iterator[None]:
    """Keep other processes from writing the output, if it is a file that grows in its place."""
    from spectral_detect.outputs.lock import held

    is_device = output is not None and os.path.exists(output) and not os.path.isfile(output)
    if output is None or stream_format not in FORMATS or is_device:
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
    stack: ExitStack,
    ctx: click.Context,
    output: str | None,
    stream_format: StreamFormat,
    layout: Layout[Record],
    earlier: Resumed | None,
) -> tuple[RecordStream[Record], TextIO]:
    """Open the output for records, begun or appended to; return it with the stream below."""
    from spectral_detect.outputs.writer import RecordStream

    rows = begun(earlier)
    stream = stack.enter_context(result_stream(output, append=rows is not None))
    outcomes = rows.outcomes if rows else None
    return RecordStream(stream, stream_format, layout, style_for(ctx, stream), outcomes), stream


def check_named_once(paths: Iterable[str]) -> None:
    """Raise `Failure` if a path is named twice, so that a row could belong to either."""
    counts = Counter(paths)
    if twice := [path for path, count in counts.items() if count > 1]:
        raise Failure(f"{visible(twice[0])} is named twice: with --resume, name it once")
