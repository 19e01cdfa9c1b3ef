"""Where results are written to: a format, a stream, colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO, cast

import click

from spectral_detect.cli.shared.failures import Failure
from spectral_detect.errors import OutputError
from spectral_detect.output_stream import OutputStream
from spectral_detect.text import visible

if TYPE_CHECKING:  # a help text needs none of it
    from spectral_detect.outputs.writer import StreamFormat, Style

FORMATS = ("table", "csv", "jsonl")


def _no_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    return None if value == "-" else value


output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    callback=_no_file,
    help="Write to FILE, and replace it; without it, or with -, to standard output.",
)


def format_of(output: str | None) -> StreamFormat:
    """Return the format that the suffix of `--output` names."""
    suffix = os.path.splitext(output or "")[1].lower()
    if suffix in (".csv", ".jsonl"):
        return cast("StreamFormat", suffix[1:])
    if output is None or suffix in ("", ".txt"):
        return "table"
    raise click.UsageError(f"--output ends in {visible(suffix)}: end it in .csv, .jsonl or .txt, or give --format")


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Let standard output raise `OutputError` if it cannot be written, so that no other error is taken for that."""
    stdout = sys.stdout
    if stdout is None:
        yield
        return
    try:
        with redirect_stdout(cast(TextIO, OutputStream(stdout, "standard output"))):
            yield
    except (BrokenPipeError, OutputError):
        try:
            stdout.flush()
        except OSError:  # the rest of the output has nowhere to go; at its end the interpreter would complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise


@contextmanager
def result_stream(output: str | None, *, append: bool = False) -> Iterator[TextIO]:
    """Open standard output or a file, begun or appended to; bytes of names that are not UTF-8 are written as they were.

    Raises
    ------
    OutputError
        The output cannot be written; standard output only within `checked_stdout`.
    """
    if output is not None:
        from spectral_detect.atomic_write import open_lines

        with open_lines(output, append=append) as stream:
            yield stream
        return
    if sys.stdout is None:
        raise Failure("standard output is closed; name a file with --output")
    text = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        yield text
        text.flush()
    finally:
        with suppress(OSError, OutputError):  # a failure to write was reported where it happened
            text.detach()  # closing it would close standard output


def style_for(ctx: click.Context, stream: TextIO) -> Style:
    """Return a function that colours text if a person looks on."""
    if ctx.color is False or not stream.isatty():
        return lambda text, colour: text
    return lambda text, colour: click.style(text, fg=colour)
