"""Paths, patterns, URLs and lists of them become locations."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import IO

import click

from spectral_detect.cli.shared.failures import Failure
from spectral_detect.sources import discovery
from spectral_detect.sources.discovery import expand_arguments
from spectral_detect.sources.location import Location
from spectral_detect.sources.stores import is_url, locate
from spectral_detect.sources.text_encoding import BOM, how_to_convert, wide_encoding
from spectral_detect.sources.urls import why_not_opened, without_credentials
from spectral_detect.text import visible

READ_BYTES, LONGEST_PATH = 2**16, 2**20


def expand(paths: Iterable[str]) -> list[Location]:
    """Return the files and folders that exist, also at URLs, with patterns expanded; `Failure` if one is not there."""
    try:
        return expand_arguments(paths)
    except FileNotFoundError as error:
        raise _not_there(str(error)) from None


def expand_local(paths: Iterable[str], reason: str) -> list[Location]:
    """Do what `expand` does where URLs cannot be read, for that reason."""
    found: list[Location] = []
    for path in paths:
        if is_url(path):
            raise Failure(f"'{visible(without_credentials(path))}': {reason}")
        try:
            found += discovery.expand_local(path)
        except FileNotFoundError as error:
            raise _not_there(str(error)) from None
    return found


def _not_there(path: str) -> Failure:
    if "://" in path and not is_url(path):
        return Failure(f"'{visible(without_credentials(path))}': no such file, and no store is known by such a URL")
    return Failure(f"'{visible(path)}': no such file or folder, and no file matches it as a pattern")


def named_places(paths: Iterable[str], files_from: str | None, null: bool) -> tuple[list[Location], Iterator[Location]]:
    """Return the places that arguments name, and those in the list of `--files-from`, which is read as it is needed.

    Raises
    ------
    click.UsageError
        `--null` without a list.
    Failure
        Something named is not there.
    """
    if null and files_from is None:
        raise click.UsageError("-0 says how --files-from is read: give both")
    listed = _listed_paths(files_from, b"\0" if null else b"\n") if files_from is not None else iter(())
    return expand(paths), map(locate, listed)


def _listed_paths(files_from: str, end: bytes) -> Iterator[str]:
    """Read the paths in a list, each followed by `end`."""
    try:
        stream: IO[bytes] = click.open_file(files_from, "rb")
    except OSError as error:
        raise Failure(f"{visible(without_credentials(files_from))}: {why_not_opened(files_from, error)}") from None
    return _split(stream, end)


def _split(stream: IO[bytes], end: bytes) -> Iterator[str]:
    """Yield the paths between `end`s of a stream that is never held whole."""
    with stream:
        rest = _start_of_text(stream)
        for block in chain((b"",), iter(partial(stream.read, READ_BYTES), b"")):
            *whole, rest = (rest + block).split(end)
            if len(rest) > LONGEST_PATH:
                raise Failure(f"the list holds a path of more than {LONGEST_PATH} bytes: is it a list of paths?")
            yield from (_listed_path(path, end) for path in whole if path)
    if rest:
        yield _listed_path(rest, end)


def _start_of_text(stream: IO[bytes]) -> bytes:
    """Read the start of a list, without its byte order mark; `Failure` if it is in UTF-16 or UTF-32."""
    start = stream.read(READ_BYTES)
    if (encoding := wide_encoding(start)) is not None:
        raise Failure(f"the list is in {encoding}, not in UTF-8; {how_to_convert(encoding)}")
    return start.removeprefix(BOM)


def _listed_path(path: bytes, end: bytes) -> str:
    if b"\0" in path:
        raise Failure("the list holds NUL characters: give -0 as well")
    if end == b"\n" and path.endswith(b"\r") and not os.path.lexists(path):
        path = path[:-1]  # a list from Windows
    return os.fsdecode(path)
