"""Start a worker process that talks through a pipe, and serve as one: both sides of the pipe."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from spectral_detect.parallel.shared_memory import Channel, mapped, shared_memory
from spectral_detect.parallel.silence import silence_for_good
from spectral_detect.parallel.threads import ONE_THREAD

Item = TypeVar("Item")
Numbered = tuple[int, Item]

MB = 2**20


def kept_bytes() -> int:
    """Return up to which size of an array glibc is asked to keep the memory: the pixels of 40 million."""
    try:
        version = (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")
        is_new = tuple(map(int, version.split("."))) >= (2, 35)
    except (AttributeError, OSError, ValueError):  # another C library, which knows none of this
        is_new = False
    return (128 if is_new else 32) * MB  # before 2.35 it ignores more than 32 MB, as if nothing were asked for


WORKER_ENVIRONMENT = {
    **ONE_THREAD,
    # glibc otherwise hands the arrays of each image back to the system, and new pages cost as much as the spectrum
    "MALLOC_MMAP_THRESHOLD_": str(kept_bytes()),
    "MALLOC_TRIM_THRESHOLD_": str(256 * MB),
}


class WorkerProcess(Generic[Item]):
    """Start and hold a worker process; this is the side of the process that uses it.

    Attributes
    ----------
    items : deque
        The numbered items that were handed over and are not answered yet; the worker is at the first.
    has_started : bool
        Whether it has said that it received the task.
    deadline : float
        When it must have answered the first item, by `time.monotonic`.
    """

    def __init__(self, task: bytes, shared_bytes: int, folder: str | None) -> None:
        self.connection, theirs = Pipe()
        memory = shared_memory(shared_bytes)
        descriptors = [theirs.fileno(), *([] if memory is None else [memory])]
        path = [os.path.abspath(entry) for entry in sys.path]
        # not the way of multiprocessing, which would import the caller's main module anew
        call = f"from {__name__} import serve\nserve(*{descriptors}, folder={folder!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path[:] = {path!r}\n{call}"],
            pass_fds=descriptors,
            env={**os.environ, **WORKER_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # ctrl-C is for the parent, which then stops its workers
        )
        theirs.close()
        self.answers = Channel(self.connection, mapped(memory))
        self._send(task)
        self.has_started = False
        self.items: deque[Numbered[Item]] = deque()
        self.deadline = float("inf")

    def _send(self, pickled: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: reading will find the end of the pipe
            self.connection.send_bytes(pickled)

    def hand(self, chunk: list[Numbered[Item]], timeout_s: float) -> None:
        """Hand over items; the clock of the first starts now if the worker has nothing else to do."""
        self._send(pickle.dumps([item for _, item in chunk]))
        if self.has_started and not self.items:
            self.deadline = time.monotonic() + timeout_s
        self.items.extend(chunk)

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        self.connection.close()


def serve(descriptor: int, memory: int | None = None, *, folder: str | None = None) -> None:
    """Serve as a worker: receive a task, then lists of items until the parent is gone; answer each item."""
    connection: Connection[Any, Any] = Connection(descriptor)
    answers = Channel(connection, mapped(memory))
    if folder is not None:
        _enter(folder)
    try:
        task = connection.recv()
        answers.send("started")
        silence_for_good()  # a file can make its decoder print
        while True:
            for item in connection.recv():
                answers.send(task(item))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _enter(folder: str) -> None:
    """Change to a folder; if it does not exist, to one that is deleted: relative names must not mean other files."""
    try:
        os.chdir(folder)
    except OSError:
        with tempfile.TemporaryDirectory() as deleted:
            os.chdir(deleted)
