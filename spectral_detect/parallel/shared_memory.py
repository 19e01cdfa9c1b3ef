"""A pipe between two processes, beside it memory that both see: what is large does not go through the pipe.

A megabyte through a pipe costs the receiver 0.6 to 0.9 ms, in shared memory next to nothing. The memory has no name: it
is gone with the last process that holds it, however that ends.
"""

from __future__ import annotations

import os
import pickle
import weakref
from mmap import mmap
from multiprocessing.connection import Connection
from typing import Any

BLOCK = 2**16  # bytes; memory is given out in whole blocks
LEAST_SHARED = 2**14  # bytes; a copy of less is made faster than an array in shared memory


class Channel:
    """One end of the pipe.

    The memory begins with a byte for each of its blocks, which is not 0 while the block is in use. The sender looks for
    free blocks and takes them, the receiver frees them when nothing refers to them any more; neither waits for the
    other. What finds no room goes through the pipe, which lets the sender wait for the receiver.
    """

    def __init__(self, connection: Connection[Any, Any], memory: mmap | None = None) -> None:
        self._connection = connection
        self._memory = memory
        self._n_blocks = 0 if memory is None else len(memory) // (BLOCK + 1)
        self._start = 0 if memory is None else len(memory) - self._n_blocks * BLOCK

    def send(self, message: object) -> None:
        """Send anything that can be pickled; large arrays in it by way of the memory."""
        if self._memory is None:
            self._connection.send(message)
            return
        places: list[tuple[int, int]] = []

        def stays(buffer: pickle.PickleBuffer) -> bool:
            place = self._placed(buffer.raw())
            if place is not None:
                places.append(place)
            return place is None

        content = pickle.dumps(message, protocol=5, buffer_callback=stays)
        self._connection.send((content, places))

    def receive(self) -> Any:
        """Return the next message. Arrays that came by way of the memory stay there until they are dropped."""
        if self._memory is None:
            return self._connection.recv()
        content, places = self._connection.recv()
        return pickle.loads(content, buffers=[self._received(*place) for place in places])

    def _placed(self, content: memoryview) -> tuple[int, int] | None:
        """Return first block and length of a copy in the memory; None where it had no room, or is not worth it."""
        memory, size = self._memory, content.nbytes
        n_blocks = -(-size // BLOCK)
        first = -1 if memory is None or size < LEAST_SHARED else memory.find(bytes(n_blocks), 0, self._n_blocks)
        if memory is None or first < 0:
            return None
        memory[first : first + n_blocks] = b"\1" * n_blocks
        at = self._start + first * BLOCK
        memory[at : at + size] = content
        return first, size

    def _received(self, first: int, size: int) -> Any:
        import numpy as np

        assert self._memory is not None  # of the sender's messages only those from there say so
        array = np.frombuffer(self._memory, np.uint8, size, self._start + first * BLOCK)
        weakref.finalize(array, _free, self._memory, first, -(-size // BLOCK)).atexit = False
        return array


def _free(memory: mmap, first: int, n_blocks: int) -> None:
    memory[first : first + n_blocks] = bytes(n_blocks)


def shared_memory(n_bytes: int) -> int | None:
    """Return a descriptor of `n_bytes` that another process may be given, None where there can be none."""
    n_blocks = n_bytes // BLOCK
    if n_blocks < 2 or not hasattr(os, "memfd_create"):
        return None
    descriptor = os.memfd_create("spectral-detect")
    os.ftruncate(descriptor, n_blocks * BLOCK)
    return descriptor


def mapped(descriptor: int | None) -> mmap | None:
    """Map the memory behind a descriptor, and close the descriptor."""
    if descriptor is None:
        return None
    try:
        return mmap(descriptor, 0)
    finally:
        os.close(descriptor)
