"""Write a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from spectral_detect.errors import OutputError
from spectral_detect.sources.urls import looks_like_url, without_credentials

LONGEST_LINE = 2**20
OPTIONS_FILE = "options.json"  # of a training run
PICTURE_SOFTWARE = "spectral-detect"  # in the pictures that this program draws


def check_target(path: str | os.PathLike[str]) -> None:
    """`OutputError` for what can be seen beforehand: no name, no folder to be in, not a regular file."""
    name = os.fspath(path)
    if not name:
        raise OutputError("the name of the output is empty")
    folder = os.path.dirname(os.path.realpath(name))
    if not os.path.isdir(folder):
        reason = "outputs are local files" if looks_like_url(name) else "No such file or directory"
        raise OutputError(f"{without_credentials(name)!r} cannot be written: {reason}")
    if os.path.isdir(name):
        raise OutputError(f"{name!r} cannot be written: Is a directory")
    if os.path.exists(name) and not os.path.isfile(name):
        raise OutputError(f"{name!r} cannot be written: it is not a regular file")


def write_aside(path: str | os.PathLike[str], content: bytes) -> None:
    """Write to a temporary name beside `path`, then rename; a link is followed.

    Raises
    ------
    OutputError : the file cannot be written, or is something else than a file (a folder, a device, a pipe).
    """
    with stream_aside(path) as stream:
        stream.write(content)


@contextmanager
def stream_aside(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A temporary file beside `path`, renamed to it at the end, or removed after any failure; a link is followed.

    The file that it replaces keeps its permissions.

    Raises
    ------
    OutputError : see `write_aside`.
    """
    check_target(path)
    target = Path(os.path.realpath(path))
    try:
        descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
        try:
            with open(descriptor, "w+b") as stream:
                yield stream
                stream.flush()
                os.chmod(aside, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
                os.replace(aside, target)
        except BaseException:
            os.unlink(aside)
            raise
    except OSError as error:
        raise OutputError(f"{str(target)!r} cannot be written: {error.strerror}") from None


def check_new_folder(path: str | os.PathLike[str]) -> None:
    """`OutputError` unless a folder of this name can be made, or is there and empty."""
    name = os.fspath(path)
    if not name:
        raise OutputError("the name of the output is empty")
    if not os.path.isdir(os.path.dirname(os.path.realpath(name))):
        raise OutputError(f"{name!r} cannot be written: No such file or directory")
    if os.path.lexists(name) and not os.path.isdir(name):
        raise OutputError(f"{name!r} is a file; name a new folder")
    if os.path.isdir(name) and os.listdir(name):
        raise OutputError(f"{name!r} is not empty; name a new folder")


def check_run_folder(path: str | os.PathLike[str]) -> None:
    """`check_new_folder`, but for a folder in which a dry run has left its options."""
    if not (os.path.isdir(path) and os.listdir(path) == [OPTIONS_FILE]):
        check_new_folder(path)


@contextmanager
def folder_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside `path`, renamed to it at the end, or removed with its files after any failure.

    Raises
    ------
    OutputError : see `check_new_folder`; or something inside cannot be written.
    """
    check_new_folder(path)
    target = Path(os.path.realpath(path))
    try:
        aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:40]}."))
        try:
            yield aside
            os.chmod(aside, 0o777 & ~_umask())
            os.replace(aside, target)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    except OSError as error:
        raise OutputError(f"{str(target)!r} cannot be written: {error.strerror}") from None


def cut_torn_line(path: str | os.PathLike[str]) -> None:
    """Remove what follows the last line end: a disk that filled up, say, took only part of a line."""
    if not os.path.isfile(path):  # a device has no line to keep
        return
    with suppress(OSError), open(path, "r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        start = stream.seek(max(0, end - LONGEST_LINE))
        stream.truncate(start + stream.read(LONGEST_LINE).rfind(b"\n") + 1)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
