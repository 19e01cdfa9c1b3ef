"""Where results go: a format, a stream, colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Literal, TextIO

import click

from spectral_detect.atomic_write import LONGEST_LINE, cut_torn_line
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.outputs.writer import Style

FORMATS = ("table", "csv", "jsonl")


def format_of(output: str | None) -> str:
    """The format that the suffix of `--output` names."""
    suffix = os.path.splitext(output or "")[1].lower()
    if suffix in (".csv", ".jsonl"):
        return suffix[1:]
    if output is None or suffix in ("", ".txt"):
        return "table"
    raise click.UsageError(f"--output ends in {visible(suffix)}: end it in .csv, .jsonl or .txt, or give --format")


@contextmanager
def result_stream(output: str | None, *, append: bool = False) -> Iterator[TextIO]:
    """Standard output or a file, begun or gone on with; bytes of names that are not UTF-8 go out as they are."""
    if output is None:
        if sys.stdout is None:
            raise Failure("standard output is closed; name a file with --output")
        text = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", errors="surrogateescape", newline="")
        try:
            yield text
        finally:
            with suppress(OSError):  # what could not be written was reported where it happened
                text.detach()  # closing it would close standard output
        return
    try:
        # the buffer is longer than any record, so that each leaves whole
        mode: Literal["a", "w"] = "a" if append else "w"
        with open(output, mode, LONGEST_LINE, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            yield stream
    except OSError as error:
        cut_torn_line(output)
        raise Failure(f"{visible(output)} cannot be written: {error.strerror}") from None


def style_for(ctx: click.Context, stream: TextIO) -> Style:
    """Colours, where a person looks on."""
    if ctx.color is False or not stream.isatty():
        return lambda text, colour: text
    return lambda text, colour: click.style(text, fg=colour)
