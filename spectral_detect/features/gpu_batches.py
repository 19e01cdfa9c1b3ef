"""Compute features of many images on a device, in batches of equal images.

Batches stay within bounds of memory and are computed in a thread of their own.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from typing import Any, Generic, TypeVar

import numpy as np

from spectral_detect.errors import DeviceError, FeatureError
from spectral_detect.features.backend import Backend
from spectral_detect.features.cupy_backend import is_out_of_memory
from spectral_detect.features.extract import Stack, joined, stack_features
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spec import FeatureSpec

Ticket = TypeVar("Ticket")
Outcome = np.ndarray | FeatureError | MemoryError | None  # None: there was nothing to do

BATCH_BYTES = 64 * 2**20  # pixels; less keeps a device busy, and more makes the first images wait
MAX_IMAGES = 256  # in a batch
WAITING_BYTES = 512 * 2**20  # pixels in all batches that are not full
MAX_OVERTAKING = 1024  # images that may come after another and be done before it
MAX_UNDER_WAY = 2  # batches: the one that is computed, and the next so that the device need not wait
WORKING_VALUES = 9  # per pixel and plane, in the spec's precision: 3 to 5 in NumPy, the rest for cuFFT
SHARE_OF_MEMORY = 0.8  # of the free memory; the rest is fragmented
LOG = logging.getLogger(__name__)


@dataclass
class Batch(Generic[Ticket]):
    """Hold stacks of one kind and the ticket of each, by which the caller knows it again.

    Attributes
    ----------
    since : int
        Number of stacks of any kind that came before the first.
    tickets : list
        One for each stack.
    stacks : list of Stack
        In the same order.
    n_bytes : int
        Bytes of all stacks.
    """

    since: int
    tickets: list[Ticket] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    n_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Tell whether the batch holds enough bytes or images."""
        return self.n_bytes >= BATCH_BYTES or len(self.stacks) >= MAX_IMAGES

    def add(self, ticket: Ticket, stack: Stack) -> None:
        """Add a stack with its ticket."""
        self.tickets.append(ticket)
        self.stacks.append(stack)
        self.n_bytes += stack.nbytes


class Buckets(Generic[Ticket]):
    """Fill batches, one for each kind of stack."""

    def __init__(self) -> None:
        self._filling: dict[tuple[Any, ...], Batch[Ticket]] = {}  # the oldest first
        self._n_added = 0

    @property
    def n_bytes(self) -> int:
        """Return the bytes of pixels that wait."""
        return sum(batch.n_bytes for batch in self._filling.values())

    def add(self, ticket: Ticket, stack: Stack) -> Iterator[Batch[Ticket]]:
        """Add a stack to the batch of its kind; yield the batches that shall not wait any longer."""
        batch = self._filling.setdefault(stack.kind, Batch(self._n_added))
        batch.add(ticket, stack)
        self._n_added += 1
        if batch.is_full:
            yield self._filling.pop(stack.kind)
        while self.n_bytes > WAITING_BYTES:
            yield self._filling.pop(max(self._filling, key=lambda kind: self._filling[kind].n_bytes))
        if self._filling:
            oldest = next(iter(self._filling))
            if self._n_added - self._filling[oldest].since > MAX_OVERTAKING:
                yield self._filling.pop(oldest)

    def rest(self) -> Iterator[Batch[Ticket]]:
        """Yield all batches that still wait."""
        while self._filling:
            yield self._filling.pop(next(iter(self._filling)))


class Device:
    """Turn batches into feature vectors; tiles that do not fit into memory go in smaller parts, or to the CPU."""

    def __init__(self, spec: FeatureSpec, backend: Backend) -> None:
        self._spec = spec
        self._backend = backend
        self._max_bytes = sys.maxsize  # for one attempt; less after each time that memory ran out

    def outcomes(self, batch: Batch[Ticket]) -> list[tuple[Ticket, Outcome]]:
        """Return the ticket and the outcome of each stack; the stacks of one batch fail together.

        Raises
        ------
        DeviceError
            If the device failed otherwise than by running out of memory.
        """
        ends = np.cumsum([len(stack.tiles) for stack in batch.stacks])
        try:
            vectors = self._vectors(_joined(batch))
        except (FeatureError, MemoryError) as error:
            return [(ticket, error) for ticket in batch.tickets]
        except RuntimeError as error:  # the errors of CUDA's libraries are such
            raise DeviceError(f"the GPU failed ({error})", remedy="`device=cpu` does without it") from error
        parts = np.split(vectors, ends[:-1])
        if self._spec.tiles_per_side is None:
            parts = [part[0] for part in parts]
        return list(zip(batch.tickets, parts, strict=True))

    def _vectors(self, stack: Stack) -> np.ndarray:
        each = working_bytes(stack, self._spec)
        parts: list[np.ndarray] = []
        while len(stack):
            some = stack[: self._at_once(each)]
            vectors = self._attempt(some)
            if vectors is None:  # by now the arrays of the attempt are freed
                self._backend.release()
                if len(some) > 1:
                    self._max_bytes = len(some) // 2 * each
                    continue
                LOG.warning("%dx%d pixels do not fit into the GPU's memory: done on the CPU", *some.tiles.shape[2:0:-1])
                vectors = stack_features(some, self._spec, numpy_backend())
            parts.append(vectors)
            stack = stack[len(some) :]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _at_once(self, each: int) -> int:
        return max(1, int(min(self._max_bytes, SHARE_OF_MEMORY * self._backend.free_bytes())) // each)

    def _attempt(self, stack: Stack) -> np.ndarray | None:
        """Return the vectors of all tiles; None if memory ran out."""
        try:
            vectors = stack_features(stack.map(self._backend.xp.asarray), self._spec, self._backend)
            return np.asarray(self._backend.to_host(vectors))
        except Exception as error:  # each of CUDA's libraries has its own errors
            if is_out_of_memory(error):
                return None
            raise


def _joined(batch: Batch[Any]) -> Stack:
    """Join the tiles of all stacks and drop these: they may lie in memory that others wait for."""
    stack = joined(batch.stacks)
    batch.stacks.clear()
    return stack


def working_bytes(stack: Stack, spec: FeatureSpec) -> int:
    """Return the memory in bytes that the features of one tile take at most."""
    n_pixels = prod(stack.tiles.shape[1:3])
    if stack.middle is not None:
        n_pixels += 3 * prod(stack.middle.shape[1:3])
    elif spec.needs_colour:
        n_pixels *= 3
    return int(n_pixels * np.dtype(spec.precision).itemsize * WORKING_VALUES)


def features_as_done(
    stacks: Iterable[tuple[Ticket, Stack | None]], spec: FeatureSpec, backend: Backend
) -> Generator[tuple[Ticket, Outcome], None, None]:
    """Yield the ticket and the feature vectors of each stack, in the order in which they are done.

    Parameters
    ----------
    stacks : iterable of (ticket, Stack or None)
        Taken while the device works on earlier ones; a ticket without a stack is given back at once, with None.
    spec : FeatureSpec
        What to compute.
    backend : Backend
        The device.

    Raises
    ------
    DeviceError
        See `Device.outcomes`.
    """
    buckets, device = Buckets[Ticket](), Device(spec, backend)
    under_way: deque[Future[list[tuple[Ticket, Outcome]]]] = deque()

    def done(most: int) -> Iterator[tuple[Ticket, Outcome]]:
        """Yield finished outcomes; wait for others until no more than `most` batches are under way."""
        while under_way and (len(under_way) > most or under_way[0].done()):
            yield from under_way.popleft().result()

    thread = ThreadPoolExecutor(1)  # a single one: CuPy keeps FFT plans by thread
    try:
        for ticket, stack in stacks:
            if stack is None:
                yield ticket, None
                continue
            for batch in buckets.add(ticket, stack):
                under_way.append(thread.submit(device.outcomes, batch))
            yield from done(MAX_UNDER_WAY)
        for batch in buckets.rest():
            under_way.append(thread.submit(device.outcomes, batch))
            yield from done(MAX_UNDER_WAY)
        yield from done(0)
    finally:
        thread.shutdown(cancel_futures=True)
