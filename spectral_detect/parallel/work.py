"""Work through many items in this process, in worker processes or on a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal, TypeVar, get_args

from spectral_detect.arguments import is_number, require_choice, require_whole
from spectral_detect.errors import OptionError
from spectral_detect.parallel.pool import map_in_workers
from spectral_detect.parallel.task import Task
from spectral_detect.parallel.threads import one_thread

Item = TypeVar("Item")
Result = TypeVar("Result")

DeviceChoice = Literal["auto", "cpu", "gpu"]
Engine = Literal["local", "dask"]

FEW = 24  # items of a short task: one worker is done with so many before several have started


@dataclass(frozen=True)
class Work:
    """Say where items are worked through; no result depends on it, but for the last digits of a score.

    Attributes
    ----------
    jobs : int or None
        Worker processes; None means one for each core, and 0 works in the calling process, where a decoder can neither
        be stopped after `timeout_s` nor crash alone. With Dask, the workers of the cluster on this machine.
    timeout_s : float
        An item that takes longer is given up.
    device : {"auto", "cpu", "gpu"}
        Where the features of still images are computed; "auto" takes a GPU if one can be used and there are more than
        `FEW` files. The workers of a cluster use no GPU.
    engine : {"local", "dask"}
        "dask" works on a Dask cluster; see `dask_map.map_in_cluster`.
    scheduler : str or None
        Address of that cluster's scheduler, or the file that holds it; None starts a cluster on this machine. Giving
        an address implies the engine "dask".

    Raises
    ------
    OptionError
        A value is none of these.
    """

    jobs: int | None = None
    timeout_s: float = 60.0
    device: DeviceChoice = "auto"
    engine: Engine = "local"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        require_whole("jobs", self.jobs, 0, "one per core")
        if not (is_number(self.timeout_s) and self.timeout_s > 0):
            raise OptionError(f"timeout_s is {self.timeout_s!r}", remedy="it must be a number of seconds above 0")
        require_choice("device", self.device, get_args(DeviceChoice))
        require_choice("engine", self.engine, get_args(Engine))

    @property
    def is_local(self) -> bool:
        """Whether no cluster takes part."""
        return self.engine == "local" and self.scheduler is None

    @property
    def n_workers(self) -> int:
        """Return the number of worker processes; 0 means the calling process."""
        return available_cores() if self.jobs is None else self.jobs


def work_through(task: Task[Item, Result], items: Iterable[Item], work: Work) -> Generator[Result, None, None]:
    """Yield `task(item)` of each item, in the order given, in as many processes as `work` says.

    Raises
    ------
    ExtraMissingError, ClusterError
        If the Dask cluster cannot be used: from this call, not with the first result. See `dask_map.map_in_cluster`.
    """
    if not work.is_local:
        from spectral_detect.parallel.dask_map import map_in_cluster  # with asyncio, which all others do without

        return map_in_cluster(task, items, scheduler=work.scheduler, jobs=work.n_workers, timeout_s=work.timeout_s)
    jobs, items = _chosen_jobs(task, items, work)
    if jobs == 0:
        return _in_this_process(task, items)
    return map_in_workers(task, items, jobs=jobs, timeout_s=work.timeout_s)


def _in_this_process(task: Task[Item, Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    for item in items:
        with one_thread():
            result = task(item)
        yield result


def _chosen_jobs(task: Task[Item, Result], items: Iterable[Item], work: Work) -> tuple[int, Iterable[Item]]:
    """Return how many worker processes are worth their start, and the same items."""
    if work.jobs is None and task.cost != "long":
        are_few, items = look_ahead(items)
        return (1 if are_few else work.n_workers), items
    return work.n_workers, items


def look_ahead(items: Iterable[Item]) -> tuple[bool, Iterable[Item]]:
    """Return whether there are no more than `FEW` items, and the same items."""
    remaining = iter(items)
    first = list(islice(remaining, FEW + 1))
    return len(first) <= FEW, chain(first, remaining)


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
