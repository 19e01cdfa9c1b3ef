"""A function over many items on a Dask cluster: in order, as shards that run again where a worker is lost.

A task costs Dask's scheduler about a millisecond, and a graph of a million of them is never begun: work goes out as
shards of a few hundred items, no more of them at once than keep the cluster busy. All that travels are bytes, so that
the scheduler looks into nothing and needs this package no more than numpy. The function and its models are a task
of their own, that Dask computes again where they are lost with a worker. In a cluster's worker a shard is worked
through by a process of `workers`, so that a file that crashes its decoder costs neither the shard nor the worker.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
import warnings
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from itertools import islice
from operator import methodcaller
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from uuid import uuid4

from spectral_detect._version import __version__
from spectral_detect.errors import DASK_MISSING, ClusterError, ExtraMissingError
from spectral_detect.parallel.dask_client import connected, silent_log
from spectral_detect.parallel.pool import Pool, chunk_for
from spectral_detect.parallel.task import Task

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

SHARD_FILES = 256
SHARD_BYTES = 2**23  # of results, of which some shards wait for their turn
LEAST_SHARD = 16  # at the beginning and at the end, so that all workers have work
UNDER_WAY = 2  # shards per thread of the cluster: one is worked at, one is there when it is done
MOST_AHEAD = 6  # shards per thread that are under way, or done before their turn has come
ANYWHERE = "anywhere"
POLL_S = 1.0
PATIENCE_S = 5.0  # without any worker, before a word is said; a nanny starts one anew in less
SAME_EVERYWHERE = f"install spectral-detect {__version__}, with the same libraries, on all hosts"

logger = logging.getLogger(__name__)


def map_in_cluster(
    task: Task[Item, Result],
    items: Iterable[Item],
    *,
    scheduler: str | None,
    jobs: int,
    timeout_s: float,
    largest_shard: int | None = None,
) -> Generator[Result, None, None]:
    """`pool.map_in_workers` on a cluster: `task(item)` of each item, in the order given.

    Parameters
    ----------
    task : picklable, by names that can be imported on the cluster.
    items : consumed lazily, no more than a bounded number ahead of the results; relative paths in them begin in the
        present folder, wherever a worker of the cluster was started.
    scheduler : its address (host:port), or the file into which it wrote that; None starts a cluster of `jobs` worker
        processes on this machine, and ends it.
    largest_shard : items of one task.

    Returns
    -------
    A generator, connected to the scheduler; closing it withdraws what is not done.

    Raises
    ------
    ExtraMissingError : Dask is not installed.
    ClusterError : no scheduler answers; later also where it is lost, or a worker has another version of this package.
    """
    if find_spec("distributed") is None:
        raise ExtraMissingError(f"--engine dask {DASK_MISSING}")
    crews = Crews(pickle.dumps(task), timeout_s=timeout_s, largest_chunk=chunk_for(task), folder=_present_folder())
    shards = _Shards(items, largest_shard or (1 if task.cost == "long" else SHARD_FILES))
    results = _results(crews, task, shards, scheduler, jobs)
    next(results)  # connected: a scheduler that is not there is an error now, before any output is begun
    return cast("Generator[Result, None, None]", results)


def _present_folder() -> str | None:
    with suppress(FileNotFoundError):
        return os.getcwd()
    return None


def _results(
    crews: Crews, task: Task[Item, Result], shards: _Shards[Item], scheduler: str | None, jobs: int
) -> Generator[Result | None, None, None]:
    """None once it is connected, then the results."""
    with silent_log(), ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions of Dask, and of models beyond 10 MB
            client = stack.enter_context(connected(scheduler, jobs))
            workers = _Workers(client)
            workers.refresh()  # all of them checked
            run = _Run(client, workers, crews, task, shards)
        yield None
        yield from run.results()


class Crews:
    """What a run does to its items; on the cluster also the processes that do it.

    A task's result that lives where Dask keeps it: copied to each worker process that needs it, dropped there when the
    run is over or its client has gone. The worker processes of `workers` that it has started live as long as it does,
    for they take longer to start than many a shard. Each thread of a Dask worker works with one of them, so that
    `--nthreads` is the number of cores in use.
    """

    def __init__(self, task: bytes, *, timeout_s: float, largest_chunk: int, folder: str | None) -> None:
        self._version = __version__
        self._task = task
        self._settings: dict[str, Any] = {"timeout_s": timeout_s, "largest_chunk": largest_chunk, "folder": folder}
        self.__setstate__({})

    def __getstate__(self) -> dict[str, Any]:
        return {"_version": self._version, "_task": self._task, "_settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._idle: list[Pool[Any, Any]] = []
        self._lock = Lock()

    def __del__(self) -> None:
        for crew in self._idle:
            crew.stop()

    def work_through(self, shard: bytes) -> bytes:
        """Pickled items -> pickled results; in a thread of a Dask worker."""
        _check_same(__version__, _this_worker(), self._version)
        crew = self._take()
        results = []
        for result in crew.map(pickle.loads(shard)):
            results.append(result)
            if _is_withdrawn():
                crew.stop()
                raise ClusterError("withdrawn")
        with self._lock:
            self._idle.append(crew)
        return pickle.dumps(results)

    def _take(self) -> Pool[Any, Any]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Pool(self._task, jobs=1, **self._settings)


def _check_same(theirs: str, worker: str, ours: str) -> None:
    if theirs != ours:
        raise ClusterError(
            f"the cluster's worker {worker} has spectral-detect {theirs}, whose results may differ from those of "
            f"{ours}; install {ours} on all hosts"
        )


def _installed() -> str:
    return __version__


def _this_worker() -> str:
    from distributed import get_worker

    return str(get_worker().address)


def _is_withdrawn() -> bool:
    """Whether nobody waits for the task of this thread any more; Dask itself lets it go on to its end."""
    from distributed import get_worker

    worker = get_worker()
    task = worker.state.tasks.get(cast(str, worker.get_current_task()))
    return task is None or task.state == "cancelled"


class _Shards(Generic[Item]):
    """Items in shards that are small at first and at last, and large between.

    It looks ahead at twice as many items as have gone out, so that it begins at once, and knows the end in time.
    """

    def __init__(self, items: Iterable[Item], largest: int) -> None:
        self._items = iter(items)
        self._largest = largest
        self._least = min(LEAST_SHARD, largest)
        self._ahead: deque[Item] = deque()
        self._n_gone = 0

    def next(self, n_threads: int) -> list[Item]:
        """The next items; none at the end."""
        looked_at = min(max(self._least, self._n_gone // n_threads), self._largest) * 2 * n_threads
        self._ahead.extend(islice(self._items, max(0, looked_at - len(self._ahead))))
        size = min(max(self._least, len(self._ahead) // (2 * n_threads)), self._largest)
        shard = [self._ahead.popleft() for _ in range(min(size, len(self._ahead)))]
        self._n_gone += len(shard)
        return shard

    def heed(self, n_items: int, n_bytes: int) -> None:
        """So many items gave results of so many bytes: keep to `SHARD_BYTES` from now on."""
        self._largest = max(1, min(self._largest, SHARD_BYTES * n_items // n_bytes))
        self._least = min(self._least, self._largest)


class _Run(Generic[Item, Result]):
    """The shards that are under way, and the results that wait for their turn."""

    def __init__(
        self,
        client: Client,
        workers: _Workers,
        crews: Crews,
        task: Task[Item, Result],
        shards: _Shards[Item],
    ) -> None:
        self._client = client
        self._workers = workers
        self._task = task
        self._shards = shards
        self._name = f"spectral-detect-{uuid4().hex}"
        self._crews = client.submit(pickle.loads, pickle.dumps(crews), key=(f"{self._name}-crews", 0), pure=False)
        self._under_way: dict[int, tuple[Future[bytes], list[Item], str]] = {}
        self._busy: Counter[str] = Counter()  # shards under way, by the worker they were meant for
        self._finished: SimpleQueue[int] = SimpleQueue()
        self._done: dict[int, list[Result]] = {}
        self._n_submitted = self._n_yielded = 0

    def results(self) -> Iterator[Result]:
        """Those of all items, in order."""
        while True:
            self._submit()
            if not self._under_way:
                return
            self._collect()
            while self._n_yielded in self._done:
                yield from self._done.pop(self._n_yielded)
                self._n_yielded += 1

    def _submit(self) -> None:
        """Give every worker something to do, as far as it may be ahead of the results.

        Left to itself Dask gives the first shards all to the worker that has the crews, and has them stolen late.
        """
        self._workers.refresh()
        n_threads = max(1, self._workers.n_threads)
        while (
            self._n_submitted - self._n_yielded < MOST_AHEAD * n_threads
            and (place := self._workers.least_busy(self._busy))
            and (shard := self._shards.next(n_threads))
        ):
            task = methodcaller("work_through", pickle.dumps(shard))
            key = (self._name, self._n_submitted)
            where = {} if place == ANYWHERE else {"workers": [place], "allow_other_workers": True}
            future = self._client.submit(task, self._crews, key=key, pure=False, **where)
            self._under_way[self._n_submitted] = future, shard, place
            self._busy[place] += 1
            self._n_submitted += 1
            future.add_done_callback(lambda future: self._finished.put(future.key[1]))

    def _collect(self) -> None:
        """Wait a moment for any shard, then take its results."""
        with suppress(Empty):
            number = self._finished.get(timeout=POLL_S)
            future, shard, place = self._under_way.pop(number)
            self._busy[place] -= 1
            self._done[number] = self._outcome(future, shard)

    def _outcome(self, future: Future[bytes], shard: list[Item]) -> list[Result]:
        from distributed import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise ClusterError(LOST_SCHEDULER)
        try:
            results = future.result()
        except KilledWorker as error:
            if error.task == self._crews.key:
                raise ClusterError(_unfit("(one after the other)", error)) from None
            return [self._task.failed(item, KILLED) for item in shard]
        except ClusterError:
            raise
        except Exception as error:
            raise ClusterError(_unfit("(one of several)", error)) from None
        self._shards.heed(len(shard), len(results))
        return cast("list[Result]", pickle.loads(results))


KILLED = "worker after worker of the cluster died with this file or those beside it; check it with --engine local"
LOST_SCHEDULER = "the connection to Dask's scheduler was lost; what was written is whole: --resume goes on with it"


class _Workers:
    """How many there are, asked once in a while; refuses those that cannot do the work, says so when there is none."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._threads: dict[str, int] = {}
        self._checked: set[str] = set()
        self._asked, self._last_seen = float("-inf"), time.monotonic()
        self._has_told = False

    @property
    def n_threads(self) -> int:
        """Of all workers."""
        return sum(self._threads.values())

    def least_busy(self, busy: Counter[str]) -> str | None:
        """The worker that is to have the next shard; None when all have enough, `ANYWHERE` when there is none."""
        if not self._threads:
            return ANYWHERE if busy[ANYWHERE] < UNDER_WAY else None
        worker = min(self._threads, key=lambda worker: busy[worker] / self._threads[worker])
        return worker if busy[worker] < UNDER_WAY * self._threads[worker] else None

    def refresh(self) -> None:
        """Ask again, if it is time."""
        now = time.monotonic()
        if now - self._asked < POLL_S:
            return
        try:
            threads = {worker: n for worker, n in self._client.nthreads().items() if n}
            self._check([address for address in threads if address not in self._checked])
        except OSError:
            raise ClusterError(LOST_SCHEDULER) from None
        self._asked, self._threads = now, threads
        self._tell(now)

    def _check(self, workers: list[str]) -> None:
        """Ask what they have installed; Dask waits for ever for a worker that has not even this module."""
        answers = self._client.run(_installed, workers=workers, on_error="return") if workers else {}
        for worker, answer in answers.items():
            if isinstance(answer, str):
                _check_same(answer, worker, __version__)
                self._checked.add(worker)
            elif not isinstance(answer, OSError):  # that one has gone in the meantime
                raise ClusterError(_unfit(worker, answer))

    def _tell(self, now: float) -> None:
        if self._threads:
            self._last_seen, self._has_told = now, False
        elif not self._has_told and now - self._last_seen >= PATIENCE_S:
            self._has_told = True
            address = self._client.scheduler.address
            logger.warning("waiting for workers: the scheduler has none; start some with: dask worker %s", address)


def _unfit(worker: str, error: Exception) -> str:
    problem = f"{type(error).__name__}: {error}"
    return f"the cluster's worker {worker} cannot do this work ({problem}); {SAME_EVERYWHERE}"
