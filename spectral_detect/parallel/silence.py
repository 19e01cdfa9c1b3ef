"""Keep C libraries from writing to stderr: a file can make its decoder print, and its record says what is wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
_already = False  # whether all that is written to stderr goes to nowhere, in this process


def silence_for_good() -> None:
    """Send to nowhere whatever this process writes to the descriptor of stderr from now on."""
    global _already
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)
    _already = True


@contextmanager
def libraries_silenced() -> Iterator[None]:
    """Send to nowhere whatever is written to the descriptor of stderr, for as long as the block lasts.

    Only in the main thread, where nothing of ours is written at the same time: in another thread it would swallow what
    the main thread writes. Nothing is done after `silence_for_good`, as in worker processes.
    """
    in_turn = not _already and threading.current_thread() is threading.main_thread()
    descriptors = _stderr_and_nowhere() if in_turn else None
    if descriptors is None:
        yield
        return
    stderr, nowhere = descriptors
    try:
        os.dup2(nowhere, STDERR)
        yield
    finally:
        os.dup2(stderr, STDERR)
        os.close(stderr)
        os.close(nowhere)


def _stderr_and_nowhere() -> tuple[int, int] | None:
    """Return a second descriptor of stderr and one of the null device; None if stderr is closed or none is left."""
    try:
        stderr = os.dup(STDERR)
    except OSError:
        return None
    try:
        return stderr, os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        os.close(stderr)
        return None
