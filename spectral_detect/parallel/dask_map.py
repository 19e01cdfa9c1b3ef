"""Apply a task to many items on a Dask cluster: in order, in batches that run again if a worker is lost.

A task of Dask costs its scheduler about a millisecond, and a graph of a million of them never begins. So items go out
in batches, a bounded number of them ahead of the results. All that travels is bytes: the scheduler needs neither this
package nor NumPy. Our task, which holds the models, goes to each worker once: it is the result of a Dask task on which
the batches depend, and which Dask computes again if the workers that hold it are lost. A worker of the cluster works
through a batch in a process of a `Pool`, so that a file that crashes its decoder costs neither batch nor worker.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from importlib.util import find_spec
from itertools import islice
from operator import methodcaller
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from uuid import uuid4

from spectral_detect._version import __version__
from spectral_detect.errors import DASK_MISSING, ClusterError, ExtraMissingError
from spectral_detect.parallel.dask_client import connected, silent_log
from spectral_detect.parallel.pool import Pool, chunk_for, in_order
from spectral_detect.parallel.task import Task

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALLEST_BATCH, LARGEST_BATCH = 16, 256  # items
PLACED = 2  # batches per thread that are sent to a worker of our choice, before all others
MOST_AHEAD = 6  # batches per thread of the cluster that are under way, or done before their turn has come
POLL_S = 1.0  # between two looks at the number of workers
PATIENCE = 5  # looks in a row that find no worker, before a warning; Dask restarts a worker that died in less
KILLED = "worker after worker of the cluster died with this file or those beside it; check it with `engine=local`"

logger = logging.getLogger(__name__)


def map_in_cluster(
    task: Task[Item, Result],
    items: Iterable[Item],
    *,
    scheduler: str | None,
    jobs: int,
    timeout_s: float,
) -> Generator[Result, None, None]:
    """Connect, and return a generator of `task(item)` of each item, in the order given; closing it withdraws the rest.

    Parameters
    ----------
    task : Task
        Picklable, by names that can be imported on the cluster.
    items : iterable
        Consumed lazily, no more than a bounded number ahead of the results. Relative paths in them begin in the present
        folder, wherever a worker of the cluster was started.
    scheduler : str or None
        Its address (host:port), or the file into which it wrote that. None starts a cluster of `jobs` worker processes
        on this machine, and ends it.
    timeout_s : float
        An item that takes longer is given up.

    Raises
    ------
    ExtraMissingError
        If Dask is not installed.
    ClusterError
        If no scheduler answers or a worker has another version of this package; from the generator also if that
        happens later.
    """
    if find_spec("distributed") is None:
        raise ExtraMissingError(f"`engine=dask` {DASK_MISSING}")
    pools = WorkerPools(__version__, pickle.dumps(task), timeout_s, chunk_for(task), _present_folder())
    results = _results(scheduler, jobs, lambda client: _Run(client, task, items, pools))
    next(results)  # connects: a scheduler that is not there is an error now, before any output is begun
    return cast("Generator[Result, None, None]", results)


def _present_folder() -> str | None:
    with suppress(FileNotFoundError):
        return os.getcwd()
    return None


def _results(
    scheduler: str | None, jobs: int, start: Callable[[Client], _Run[Any, Result]]
) -> Generator[Result | None, None, None]:
    """Yield None once the cluster can be used, then the results."""
    with silent_log(), ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions of Dask that differ, and models of more than 10 MB
            run = start(stack.enter_context(connected(scheduler, jobs)))
        yield None
        yield from run.results()


class _Run(Generic[Item, Result]):
    """Send batches to the cluster, and collect their results."""

    def __init__(self, client: Client, task: Task[Item, Result], items: Iterable[Item], pools: WorkerPools) -> None:
        self._client = client
        self._task = task
        self._items = iter(items)
        self._name = f"spectral-detect-{uuid4().hex}"
        self._pools = client.submit(pickle.loads, pickle.dumps(pools), key=(f"{self._name}-pools", 0), pure=False)
        self._under_way: dict[Future[bytes], tuple[int, list[Item]]] = {}
        self._finished: SimpleQueue[Future[bytes]] = SimpleQueue()  # `as_completed` could not wait for a second only
        self._n_batches = self._n_items = self._n_yielded = 0
        self._has_results = False
        self._threads: list[str] = []  # of each thread of the cluster, the address of its worker
        self._looked, self._n_looks_in_vain = float("-inf"), 0
        self._look_for_workers()

    def results(self) -> Iterator[Result]:
        """Yield the results of all items, in order."""
        for batch in in_order(self._batches_as_done()):
            yield from batch
            self._n_yielded += 1

    def _batches_as_done(self) -> Iterator[tuple[int, list[Result]]]:
        while True:
            self._look_for_workers()
            self._submit()
            if not self._under_way:
                return
            with suppress(Empty):
                future = self._finished.get(timeout=POLL_S)
                number, batch = self._under_way.pop(future)
                self._has_results = True
                yield number, self._outcome(future, batch)

    def _submit(self) -> None:
        """Send batches, as far as they may be ahead of the results.

        The first two for each thread are placed: Dask would give all to the one worker that holds our task, where four
        videos of a second took three seconds on two workers. Those beyond it queues, for the least busy worker; they
        are sent when a first one is done, or Dask would fill each worker with them before it places the others.
        """
        n_threads = max(1, len(self._threads))
        most = (MOST_AHEAD if self._has_results else PLACED) * n_threads
        while self._n_batches - self._n_yielded < most and (batch := self._next_batch(n_threads)):
            place: dict[str, Any] = {}
            if self._threads and self._n_batches < PLACED * n_threads:
                place = {"workers": self._threads[self._n_batches % n_threads], "allow_other_workers": True}
            work, key = methodcaller("work_through", pickle.dumps(batch)), (self._name, self._n_batches)
            future = self._client.submit(work, self._pools, key=key, pure=False, **place)
            self._under_way[future] = self._n_batches, batch
            self._n_batches += 1
            future.add_done_callback(self._finished.put)

    def _next_batch(self, n_threads: int) -> list[Item]:
        """Return the next items: few at first, and never so many that other threads wait long for the last batch."""
        size = min(max(SMALLEST_BATCH, self._n_items // (4 * n_threads)), LARGEST_BATCH)
        batch = list(islice(self._items, 1 if self._task.cost == "long" else size))
        self._n_items += len(batch)
        return batch

    def _outcome(self, future: Future[bytes], batch: list[Item]) -> list[Result]:
        from distributed import CancelledError, KilledWorker

        try:  # it waits for a batch that was done, but lost with its worker: Dask computes that again
            return cast("list[Result]", pickle.loads(future.result()))
        except CancelledError:
            raise _lost_scheduler() from None
        except KilledWorker as error:
            if error.task == self._pools.key:
                raise _unfit("(one after the other)", error) from None
            return [self._task.failed(item, KILLED) for item in batch]
        except ClusterError:
            raise
        except Exception as error:
            raise _unfit("(one of several)", error) from None

    def _look_for_workers(self) -> None:
        """Ask once in a while for the workers that there are, and warn if there are none for long."""
        if time.monotonic() - self._looked < POLL_S:
            return
        try:
            n_threads = self._client.nthreads()
            new = set(n_threads) - set(self._threads)
            gone = new - _fit(self._client, list(new))
        except OSError:
            raise _lost_scheduler() from None
        self._threads = [worker for worker, n in n_threads.items() if worker not in gone for _ in range(n)]
        self._n_looks_in_vain = 0 if self._threads else self._n_looks_in_vain + 1
        if self._n_looks_in_vain == PATIENCE:
            address = self._client.scheduler.address
            logger.warning("waiting for workers: the scheduler has none; start some with: dask worker %s", address)
        self._looked = time.monotonic()


class WorkerPools:
    """Hold a task and, in a worker of the cluster, the processes that work on it, one for each thread that has a batch.

    Dask keeps it as the result of a Dask task: copies it to each worker that needs it, and drops it there when the run
    is over or its client is gone. Its processes, which take longer to start than many a batch, live as long as it does.
    """

    def __init__(self, version: str, task: bytes, timeout_s: float, largest_chunk: int, folder: str | None) -> None:
        self._arguments = version, task, timeout_s, largest_chunk, folder
        self._version = version
        self._new_pool = partial(
            Pool[Any, Any], task, jobs=1, timeout_s=timeout_s, largest_chunk=largest_chunk, folder=folder
        )
        self._idle: deque[Pool[Any, Any]] = deque()

    def __reduce__(self) -> tuple[type[WorkerPools], tuple[object, ...]]:
        return WorkerPools, self._arguments

    def __del__(self) -> None:
        for pool in self._idle:
            pool.stop()

    def work_through(self, batch: bytes) -> bytes:
        """Return the pickled results of pickled items; called in a thread of a Dask worker."""
        from distributed import get_worker

        worker = get_worker()
        key = cast(str, worker.get_current_task())
        _check_version(__version__, worker.address, self._version)
        try:
            pool = self._idle.pop()
        except IndexError:  # not asked beforehand: another thread could take the last
            pool = self._new_pool()
        results = []
        for result in pool.map(pickle.loads(batch)):
            results.append(result)
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled":  # nobody waits for it; Dask itself would let it go on
                pool.stop()
                raise ClusterError("withdrawn")
        self._idle.append(pool)
        return pickle.dumps(results)


def _fit(client: Client, workers: list[str]) -> set[str]:
    """Return the workers that can do the work, refuse those that cannot, and leave out those that have just gone.

    Without this question a worker that joins without this package would be sent our task again and again, for ever.
    """
    answers = client.run(_installed, workers=workers, on_error="return") if workers else {}
    here = {worker: answer for worker, answer in answers.items() if not isinstance(answer, OSError)}
    for worker, answer in here.items():
        if not isinstance(answer, str):
            raise _unfit(worker, answer)
        _check_version(answer, worker, __version__)
    return set(here)


def _installed() -> str:
    return __version__


def _check_version(theirs: str, worker: str, ours: str) -> None:
    if theirs != ours:
        raise ClusterError(
            f"the cluster's worker {worker} has spectral-detect {theirs}, whose results may differ from "
            f"those of {ours}",
            remedy=f"install {ours} on all hosts",
        )


def _unfit(worker: str, error: Exception) -> ClusterError:
    return ClusterError(
        f"the cluster's worker {worker} cannot do this work ({type(error).__name__}: {error})",
        remedy=f"install spectral-detect {__version__}, with the same libraries, on all hosts",
    )


def _lost_scheduler() -> ClusterError:
    return ClusterError(
        "the connection to Dask's scheduler was lost", remedy="what was written is whole: `resume` goes on with it"
    )
