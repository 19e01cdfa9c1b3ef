"""Apply a task to many items in worker processes: an item that kills its worker costs no other item.

Process pools of the standard library and of loky share one queue for all results: a worker that is killed while it
writes leaves that queue blocked for ever, and a worker that dies takes the whole pool with it. Decoders that read
hostile files do die and do hang. Here each worker has a pipe of its own, so that its death is an end of file on that
pipe, the item that it was working on is known, and nothing else is lost.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from multiprocessing.connection import wait
from time import sleep
from typing import Any, Generic, TypeVar

from spectral_detect.errors import SpectralDetectError
from spectral_detect.lazy import cached_property
from spectral_detect.parallel.task import Task
from spectral_detect.parallel.worker_process import WORKER_ENVIRONMENT as WORKER_ENVIRONMENT
from spectral_detect.parallel.worker_process import Numbered, WorkerProcess

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST_CHUNK = 16  # items of a short task that are handed over at once
LONGEST_WAIT_S = 3600.0  # the system call refuses more than some weeks
MOST_AHEAD = 8  # chunks per worker that may be done before their turn has come
NAP_S = 0.003  # while answers gather: to wake up for each takes as long as all else that is done with it
DIED = "the worker process died over this file (out of memory, or a decoder crashed); check it apart"


def map_in_workers(
    task: Task[Item, Result], items: Iterable[Item], *, jobs: int, timeout_s: float
) -> Generator[Result, None, None]:
    """Yield `task(item)` of each item, in the order given, computed in `jobs` processes; see `map_as_done`."""
    with closing(map_as_done(task, items, jobs=jobs, timeout_s=timeout_s)) as done:
        yield from in_order(done)


def in_order(numbered: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """Yield results that are numbered from 0 in the order of their numbers, each as soon as its turn comes."""
    early: dict[int, Result] = {}
    turn = 0
    for number, result in numbered:
        early[number] = result
        while turn in early:
            yield early.pop(turn)
            turn += 1


def map_as_done(
    task: Task[Item, Result],
    items: Iterable[Item],
    *,
    jobs: int,
    timeout_s: float,
    largest_chunk: int | None = None,
    shared_bytes: int = 0,
) -> Generator[tuple[int, Result], None, None]:
    """Yield the number of each item and `task(item)`, as soon as it is done, computed in `jobs` processes.

    Parameters
    ----------
    items : iterable
        Consumed lazily, no more than a bounded number ahead of the results. Names of files, not their content: a chunk
        that fills the buffer of a pipe (200 kB) would wait for a worker which waits until its answer is read.
    timeout_s : float
        An item that takes longer costs its worker, which is replaced.
    largest_chunk : int, optional
        Items handed over at once; by default as the cost of the task suggests.
    shared_bytes : int
        Memory of all workers together through which large arrays come back; see `shared_memory`.

    Returns
    -------
    generator
        Closing it stops the workers.
    """
    chunk = largest_chunk or chunk_for(task)
    pool: Pool[Item, Result] = Pool(
        pickle.dumps(task), jobs=jobs, timeout_s=timeout_s, largest_chunk=chunk, shared_bytes=shared_bytes // jobs
    )
    try:
        yield from pool.map_as_done(items)
    finally:
        pool.stop()


def chunk_for(task: Task[Any, Any]) -> int:
    """Return how many items of a task are handed over at once."""
    return 1 if task.cost == "long" else LARGEST_CHUNK


def _growing_chunks(items: Iterator[Numbered[Item]], largest: int = LARGEST_CHUNK) -> Iterator[list[Numbered[Item]]]:
    """Yield small chunks, so that all workers start at once, then large ones, which cost less to hand out."""
    size = 1
    while chunk := list(islice(items, size)):
        yield chunk
        size = min(2 * size, largest)


class Pool(Generic[Item, Result]):
    """Worker processes for one task, and the chunks that a lost worker has left undone; see `map_as_done`.

    Parameters
    ----------
    task : bytes
        The pickled task, which goes to the workers; unpickled here only if an item fails.
    shared_bytes : int
        Memory of each worker through which large arrays come back.
    folder : str or None
        Where relative names of files begin; None means the present folder.
    """

    def __init__(
        self,
        task: bytes,
        *,
        jobs: int,
        timeout_s: float,
        largest_chunk: int = LARGEST_CHUNK,
        shared_bytes: int = 0,
        folder: str | None = None,
    ) -> None:
        self._pickled = task
        self._jobs = jobs
        self._timeout_s = timeout_s
        self._largest_chunk = largest_chunk
        self._shared_bytes = shared_bytes
        self._folder = folder
        self._workers: list[WorkerProcess[Item]] = []
        self._left: deque[list[Numbered[Item]]] = deque()
        self._n_handed = 0

    @cached_property
    def _task(self) -> Task[Item, Result]:
        task: Task[Item, Result] = pickle.loads(self._pickled)
        return task

    def map(self, items: Iterable[Item]) -> Generator[Result, None, None]:
        """Yield the results of `map_as_done` in the order given."""
        with closing(self.map_as_done(items)) as done:
            yield from in_order(done)

    def map_as_done(self, items: Iterable[Item]) -> Generator[tuple[int, Result], None, None]:
        """Yield the number of each item and its result; the workers stay if the generator is read to its end."""
        chunks = _growing_chunks(enumerate(items), self._largest_chunk)
        done: set[int] = set()
        n_in_order = self._n_handed = 0
        self._replace_dead()
        try:
            while True:
                self._hand_out(chunks, n_in_order)
                if self._is_idle:
                    return
                collected = list(self._collect())  # all at once: the caller may take long over each, and clocks run
                done.update(number for number, _ in collected)
                while n_in_order in done:
                    done.remove(n_in_order)
                    n_in_order += 1
                yield from collected
        finally:
            if not self._is_idle:
                self.stop()

    @property
    def _is_idle(self) -> bool:
        return not any(worker.items for worker in self._workers)

    def _hand_out(self, chunks: Iterator[list[Numbered[Item]]], n_in_order: int) -> None:
        """Give another chunk to each worker that has less than one; start workers only for chunks that exist."""
        for slot in range(self._jobs):
            if slot < len(self._workers) and len(self._workers[slot].items) >= self._largest_chunk:
                continue
            chunk = self._next_chunk(chunks, n_in_order)
            if chunk is None:
                return
            if slot == len(self._workers):
                self._workers.append(self._new_worker())
            self._workers[slot].hand(chunk, self._timeout_s)

    def _new_worker(self) -> WorkerProcess[Item]:
        return WorkerProcess(self._pickled, self._shared_bytes, self._folder)

    def _replace_dead(self) -> None:
        """Replace workers that died while they had nothing to do, which costs no item."""
        for slot, worker in enumerate(self._workers):
            if worker.process.poll() is not None:
                worker.stop()
                self._workers[slot] = self._new_worker()

    def _next_chunk(self, chunks: Iterator[list[Numbered[Item]]], n_in_order: int) -> list[Numbered[Item]] | None:
        if self._left:
            return self._left.popleft()
        if self._n_handed - n_in_order > MOST_AHEAD * self._largest_chunk * self._jobs:
            return None
        chunk = next(chunks, None)
        if chunk is not None:
            self._n_handed = chunk[-1][0] + 1
        return chunk

    def _collect(self) -> Iterator[tuple[int, Result]]:
        """Wait for any worker, then yield the results that have come."""
        deadline = min(worker.deadline for worker in self._workers)
        patience = None if deadline == float("inf") else min(max(0.0, deadline - time.monotonic()), LONGEST_WAIT_S)
        ready = wait([worker.connection for worker in self._workers], patience)
        if self._naps(ready):
            sleep(NAP_S)
        for slot, worker in enumerate(self._workers):
            if worker.connection in ready:
                yield from self._receive(slot, worker)
            elif time.monotonic() >= worker.deadline:
                yield from self._replace(slot, worker, f"given up after {self._timeout_s:g} s; see `timeout_s`")

    def _naps(self, ready: Sequence[object]) -> bool:
        """Tell whether more answers will come soon; not if their senders wait, or have nothing else to do."""
        workers = [worker for worker in self._workers if worker.connection in ready]
        return any(len(worker.items) > 1 for worker in workers) and not any(
            worker.answers.is_pressed for worker in workers
        )

    def _receive(self, slot: int, worker: WorkerProcess[Item]) -> Iterator[tuple[int, Result]]:
        try:
            messages = worker.answers.receive()
        except (EOFError, OSError):
            if not worker.has_started:
                status = worker.process.wait()
                raise SpectralDetectError(
                    f"worker processes cannot start (status {status})", remedy="`jobs=0` does without them"
                ) from None
            yield from self._replace(slot, worker, DIED)
            return
        for message in messages:
            if worker.has_started:
                yield worker.items.popleft()[0], message
            worker.has_started = True
        if messages:
            worker.deadline = time.monotonic() + self._timeout_s if worker.items else float("inf")

    def _replace(self, slot: int, worker: WorkerProcess[Item], reason: str) -> Iterator[tuple[int, Result]]:
        """Give up only the item that the worker was at; the items that it had not begun are handed out again."""
        worker.stop()
        self._workers[slot] = self._new_worker()
        if worker.items:
            number, item = worker.items.popleft()
            yield number, self._task.failed(item, reason)
        if worker.items:
            self._left.append(list(worker.items))

    def stop(self) -> None:
        """Stop the workers; another `map` starts new ones."""
        for worker in self._workers:
            worker.stop()
        self._workers.clear()
        self._left.clear()
