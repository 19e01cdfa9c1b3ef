"""One writer at a time for an output."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from spectral_detect.atomic_write import being_written, check_target, naming_output


class FileLock:
    """An advisory lock (flock), which ends with the process at the latest; some file systems have none."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def hold(self, path: str) -> None:
        """Lock a file, which is made if it is new.

        Raises
        ------
        OutputError
            The file cannot be written, or another process holds it.
        """
        check_target(path)
        with naming_output(repr(path)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            # the other process may just have put a new file, which it has locked, in the place of this one
            is_free = self.extend(descriptor) and _is_open_as(path, descriptor)
        finally:
            os.close(descriptor)
        if not is_free:
            self.release()
            raise being_written(path)

    def extend(self, descriptor: int) -> bool:
        """Lock an open file as well, through a copy of its descriptor; return whether nobody else holds it."""
        self._held.append(os.dup(descriptor))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True

    def release(self) -> None:
        """Let others write."""
        while self._held:
            os.close(self._held.pop())


def _is_open_as(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:  # the other process has just removed the empty file that it made
        return False


@contextmanager
def held(path: str) -> Iterator[FileLock]:
    """Hold an output; one that was made here and is still empty after a failure is removed.

    Raises
    ------
    OutputError
        See `FileLock.hold`.
    """
    is_new = not os.path.exists(path)
    lock = FileLock()
    lock.hold(path)
    try:
        yield lock
    except BaseException:
        if is_new:
            with suppress(OSError):
                if not os.path.getsize(path):
                    os.unlink(path)
        raise
    finally:
        lock.release()
