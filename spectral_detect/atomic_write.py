"""Write a file so that nobody ever sees half of it, and name the file when it cannot be written."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from spectral_detect.errors import OutputError
from spectral_detect.output_stream import OutputStream as OutputStream
from spectral_detect.output_stream import naming_output as naming_output
from spectral_detect.sources.urls import looks_like_url, without_credentials

LONGEST_LINE = 2**20
OPTIONS_FILE = "options.json"  # of a training run
asides: set[str] = set()  # the temporary files of outputs that this process is writing


def check_target(path: str | os.PathLike[str]) -> None:
    """Refuse an output that visibly cannot be written.

    Raises
    ------
    OutputError
        The name is empty, its folder does not exist, it is something else than a regular file, or another process is
        writing it (`outputs.lock`).
    """
    name = os.fspath(path)
    if not name:
        raise OutputError("the name of the output is empty")
    folder = os.path.dirname(os.path.realpath(name))
    if not os.path.isdir(folder):
        if looks_like_url(name):
            raise OutputError(f"{without_credentials(name)!r} cannot be written: outputs are local files")
        missing = folder if os.path.islink(name) else os.path.dirname(name)
        raise OutputError(f"{name!r} cannot be written: there is no folder {missing!r}", remedy="make it first")
    if os.path.isdir(name):
        raise OutputError(f"{name!r} cannot be written: Is a directory")
    if os.path.exists(name) and not os.path.isfile(name):
        raise OutputError(f"{name!r} cannot be written: it is not a regular file")
    check_unlocked(name)


def being_written(name: str) -> OutputError:
    """Return the error of an output whose lock another process holds."""
    return OutputError(f"{name!r} is being written by another process", remedy="wait for its end")


def check_unlocked(name: str) -> None:
    """Raise `OutputError` if another process holds the lock of a file and so is still writing it."""
    try:
        descriptor = os.open(name, os.O_RDONLY)
    except OSError:  # there is none yet; or whoever writes it will say why that cannot be
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise being_written(name) from None
    except OSError:  # a file system without locks
        return
    finally:
        os.close(descriptor)


@contextmanager
def open_lines(path: str, *, append: bool = False) -> Iterator[TextIO]:
    """Open an output for records of one or more lines of text, which leave whole as long as each is flushed.

    After a failure what follows the last record that was flushed is cut off. Bytes of names that are not UTF-8
    (`surrogateescape`) are written as they were.

    Raises
    ------
    OutputError
        The file cannot be opened or written; no other `OSError` of the block is touched.
    """
    name, records = repr(path), None
    try:
        with naming_output(name):
            # the buffer is longer than any record, so that each leaves whole
            below = open(path, "ab" if append else "wb", LONGEST_LINE)  # noqa: SIM115  # closed with the text
        records = _Records(below, name)
        with TextIOWrapper(cast(BinaryIO, records), encoding="utf-8", errors="surrogateescape", newline="") as text:
            yield text
    except OutputError:
        if records is not None and os.path.isfile(path):  # a device has nothing to keep
            with suppress(OSError):
                os.truncate(path, records.whole_end)
        raise


class _Records(OutputStream):
    """A stream of bytes that knows where the last record ends that has left whole."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        super().__init__(stream, name)
        self.whole_end = stream.tell() if stream.seekable() else 0

    def flush(self) -> None:
        super().flush()
        if self._stream.seekable():
            self.whole_end = self._stream.tell()


def write_aside(path: str | os.PathLike[str], content: bytes) -> None:
    """Write to a temporary name beside `path`, then rename; a link is followed.

    Raises
    ------
    OutputError
        The file cannot be written, or is something else than a file (a folder, a device, a pipe).
    """
    with stream_aside(path) as stream:
        stream.write(content)


@contextmanager
def stream_aside(path: str | os.PathLike[str], *, is_held: bool = False) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, renamed to it at the end, or removed after any failure.

    A link is followed. The file that is replaced hands on its permissions. One that another process is writing is not
    replaced; `is_held` says that this process itself holds its lock.

    Raises
    ------
    OutputError
        See `write_aside`. An `OSError` of the block that does not come from the stream passes through.
    """
    if not is_held:
        check_target(path)
    target = Path(os.path.realpath(path))
    name = repr(str(target))
    with naming_output(name):
        descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    asides.add(aside)
    try:
        with closing(OutputStream(open(descriptor, "w+b"), name)) as stream:
            yield cast(BinaryIO, stream)
            stream.flush()
            if not is_held:
                check_unlocked(str(target))
            with naming_output(name):
                os.chmod(aside, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
                os.replace(aside, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise
    finally:
        asides.discard(aside)


def check_new_folder(path: str | os.PathLike[str]) -> None:
    """Raise `OutputError` unless a folder of this name can be made, or is there and empty."""
    name = os.fspath(path)
    if not name:
        raise OutputError("the name of the output is empty")
    if not os.path.isdir(os.path.dirname(os.path.realpath(name))):
        raise OutputError(
            f"{name!r} cannot be written: there is no folder {os.path.dirname(name)!r}", remedy="make it first"
        )
    if os.path.lexists(name) and not os.path.isdir(name):
        raise OutputError(f"{name!r} is a file", remedy="name a new folder")
    if os.path.isdir(name) and os.listdir(name):
        raise OutputError(f"{name!r} is not empty", remedy="name a new folder")


def check_run_folder(path: str | os.PathLike[str]) -> None:
    """Raise `OutputError` as `check_new_folder` does, but accept a folder that holds only a dry run's options."""
    if not (os.path.isdir(path) and os.listdir(path) == [OPTIONS_FILE]):
        check_new_folder(path)


@contextmanager
def folder_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a temporary folder beside `path`, renamed to it at the end, or removed with its files after any failure.

    Raises
    ------
    OutputError
        See `check_new_folder`; or the folder cannot be made or renamed. Whoever writes files into it names them with
        `naming_output`: any other `OSError` of the block passes through.
    """
    check_new_folder(path)
    target = Path(os.path.realpath(path))
    name = repr(str(target))
    with naming_output(name):
        aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:40]}."))
    try:
        yield aside
        with naming_output(name):
            os.chmod(aside, 0o777 & ~_umask())
            os.replace(aside, target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def cut_torn_line(path: str | os.PathLike[str]) -> None:
    """Remove the bytes after the last line end: a disk that filled up may have taken only part of a line."""
    if not os.path.isfile(path):  # a device has no line to keep
        return
    with suppress(OSError), open(path, "r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        start = stream.seek(max(0, end - LONGEST_LINE))
        stream.truncate(start + stream.read(LONGEST_LINE).rfind(b"\n") + 1)


def time_of_writing() -> str:
    """Return the time in UTC for a file that tells it; that of SOURCE_DATE_EPOCH if it is set.

    Raises
    ------
    OutputError
        SOURCE_DATE_EPOCH is no time.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        time = datetime.fromtimestamp(int(epoch), timezone.utc) if epoch else datetime.now(timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise OutputError(
            f"SOURCE_DATE_EPOCH={epoch!r} is no time", remedy="set it to whole seconds since 1970, or unset it"
        ) from None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
