"""One writer at a time for an output."""

from __future__ import annotations

import os
from types import ModuleType

from spectral_detect.atomic_write import check_target
from spectral_detect.errors import OutputError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not there on Windows
    fcntl = None


class FileLock:
    """An advisory lock (flock), gone with the process at the latest; some file systems have none."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def hold(self, path: str) -> None:
        """Lock a file, begun if it is new; `OutputError` where it cannot be written or another process holds it."""
        check_target(path)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(f"{path!r} cannot be written: {error.strerror}") from None
        try:
            # the other process may just have put a new file, which it has locked, in the place of this one
            is_free = self.extend(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path))
        finally:
            os.close(descriptor)
        if not is_free:
            self.release()
            raise OutputError(f"{path!r} is being written by another process; wait for its end")

    def extend(self, descriptor: int) -> bool:
        """Lock an open file as well; whether nobody else holds it. A copy of the descriptor stays open for it."""
        if fcntl is None:
            return True
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
