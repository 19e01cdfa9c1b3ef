"""Send objects between two processes through a pipe, and their large arrays through memory that both map.

A megabyte through a pipe costs the receiver 0.6 to 0.9 ms, in shared memory next to nothing. The memory has no name, so
that the system frees it with the last process that holds it, however that process ends.
"""

from __future__ import annotations

import os
import pickle
import weakref
from collections.abc import Iterator
from mmap import mmap
from multiprocessing.connection import Connection
from typing import Any

BLOCK = 2**16  # bytes; an array takes whole blocks
LEAST_SHARED = 2**14  # bytes; copying less through the pipe is faster than making an array in shared memory
READ_BYTES = 2**18  # a pipe holds less
MUCH = 2**16  # bytes in one go: the sender may be waiting to get rid of more
HEAD, LONG_HEAD = 4, 12  # bytes before a message of a `Connection`: its length, or -1 and the length


class Channel:
    """Send or receive at one end of the pipe.

    The memory begins with a byte for each of its blocks, which is not 0 while the block is in use. The sender looks for
    free blocks and takes them, the receiver frees them when nothing refers to them any more; neither waits for the
    other. An array for which there is no room goes through the pipe, where the sender waits for the receiver.

    Parameters
    ----------
    connection : Connection
        The end of the pipe.
    memory : mmap or None
        The memory, see `mapped`; None sends everything through the pipe. Both ends must have it, or neither.

    Attributes
    ----------
    is_pressed : bool
        Whether so much came at once that the sender may be waiting to get rid of more.
    """

    def __init__(self, connection: Connection[Any, Any], memory: mmap | None = None) -> None:
        self._connection = connection
        self._come = bytearray()
        self.is_pressed = False
        self._memory = memory
        self._n_blocks = 0 if memory is None else len(memory) // (BLOCK + 1)
        self._start = 0 if memory is None else len(memory) - self._n_blocks * BLOCK

    def send(self, message: object) -> None:
        """Send an object that can be pickled; large arrays in it go through the memory."""
        if self._memory is None:
            self._connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
            return
        places: list[tuple[int, int]] = []

        def stays_in_pickle(buffer: pickle.PickleBuffer) -> bool:
            place = self._placed(buffer.raw())
            if place is not None:
                places.append(place)
            return place is None

        content = pickle.dumps(message, protocol=5, buffer_callback=stays_in_pickle)
        self._connection.send_bytes(pickle.dumps((content, places), pickle.HIGHEST_PROTOCOL))

    def receive(self) -> list[Any]:
        """Wait for bytes, and return the messages that are complete; arrays in the memory stay there until dropped.

        All that have come are read at once: a message by itself would cost two system calls.

        Raises
        ------
        EOFError
            The other end is gone, and all that it sent has been returned.
        """
        come = os.read(self._connection.fileno(), READ_BYTES)
        if not come:
            raise EOFError
        self.is_pressed = len(come) >= MUCH
        self._come += come
        return [self._unpickled(message) for message in self._complete()]

    def _complete(self) -> Iterator[bytes]:
        """Yield the bytes of each message that is complete, as `Connection.send_bytes` sent it, and drop them."""
        at, come = 0, self._come
        while len(come) - at >= HEAD:
            start, size = at + HEAD, int.from_bytes(come[at : at + HEAD], "big", signed=True)
            if size < 0:
                start, size = at + LONG_HEAD, int.from_bytes(come[at + HEAD : at + LONG_HEAD], "big")
            if len(come) < start + size or len(come) < start:
                break
            at = start + size
            yield bytes(come[start:at])
        del come[:at]

    def _unpickled(self, message: bytes) -> Any:
        if self._memory is None:
            return pickle.loads(message)
        content, places = pickle.loads(message)
        return pickle.loads(content, buffers=[self._received(*place) for place in places])

    def _placed(self, content: memoryview) -> tuple[int, int] | None:
        """Copy bytes into the memory, and return the first block and the length; None if small or without room."""
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

        assert self._memory is not None  # a sender without memory names no places
        array = np.frombuffer(self._memory, np.uint8, size, self._start + first * BLOCK)
        weakref.finalize(array, _free, self._memory, first, -(-size // BLOCK)).atexit = False
        return array


def _free(memory: mmap, first: int, n_blocks: int) -> None:
    memory[first : first + n_blocks] = bytes(n_blocks)


def shared_memory(n_bytes: int) -> int | None:
    """Return a descriptor of new memory, which another process can inherit; None if the system has none or it is small.

    The system takes pages for it only as they are used.
    """
    n_blocks = n_bytes // BLOCK
    if n_blocks < 2 or not hasattr(os, "memfd_create"):
        return None
    descriptor = os.memfd_create("spectral-detect")
    os.ftruncate(descriptor, n_blocks * BLOCK)
    return descriptor


def mapped(descriptor: int | None) -> mmap | None:
    """Map the memory of a descriptor, and close the descriptor; None if there is none."""
    if descriptor is None:
        return None
    try:
        return mmap(descriptor, 0)
    finally:
        os.close(descriptor)
