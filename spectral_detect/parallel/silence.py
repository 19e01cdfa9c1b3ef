"""Keep C libraries from writing to stderr: a file can make its decoder print, and its record says what is wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
_is_ours = False  # whether stderr is this program's, and may be pointed elsewhere for a while


def own_stderr() -> None:
    """Say that this process is the command line's: all that is written to stderr is written by this program."""
    global _is_ours
    _is_ours = True


def silence_for_good() -> None:
    """Send to nowhere whatever this process writes to the descriptor of stderr from now on."""
    global _is_ours
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)
    _is_ours = False


@contextmanager
def libraries_silenced() -> Iterator[None]:
    """Send to nowhere whatever is written to the descriptor of stderr, for as long as the block lasts.

    Only after `own_stderr`, for in a program that uses this package as a library other threads may write to it, and
    processes that they start would inherit what is set here; and only in the main thread, as in another one it would
    swallow what the main thread writes. After `silence_for_good`, as in worker processes, there is nothing to do.
    """
    in_turn = _is_ours and threading.current_thread() is threading.main_thread()
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
