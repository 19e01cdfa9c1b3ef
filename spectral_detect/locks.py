"""Locks that a process made by a fork finds free."""

from __future__ import annotations

import os
from threading import RLock
from types import TracebackType


class ForkSafeLock:
    """A lock for `with`, which one thread may take again.

    A fork copies a lock as it is: one that another thread held at that time would be held for ever, and the new process
    would wait for a thread that it does not have.
    """

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


SETTINGS_OF_THE_PROCESS = ForkSafeLock()
"""Held by whoever changes a setting of the whole process for a while: filters of warnings, limits of Pillow."""
