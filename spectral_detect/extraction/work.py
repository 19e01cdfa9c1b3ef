"""How many files, or other items, are worked through: in this process, in workers, or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal, TypeVar

from spectral_detect.media.images import MAX_PIXELS
from spectral_detect.media.video import FrameOptions
from spectral_detect.parallel.dask_map import SHARD_FILES, map_in_cluster
from spectral_detect.parallel.pool import LARGEST_CHUNK, map_in_workers

Item = TypeVar("Item")
Result = TypeVar("Result")

DeviceChoice = Literal["auto", "cpu", "gpu"]
Engine = Literal["local", "dask"]

FEW_FILES = 24  # one worker is done sooner than several would start


@dataclass(frozen=True)
class Work:
    """How files are worked through.

    Attributes
    ----------
    jobs : worker processes, one per core by default; 0 works in the calling process, where neither a decoder that
        crashes nor one that takes too long can be stopped. With Dask: of the cluster on this machine.
    max_pixels : an image whose header announces more is refused before it is decoded.
    timeout_s : a file that takes longer is given up.
    frames : which frames of a video are looked at, and what of them.
    device : what makes the features of still images: "gpu", "cpu", or "auto", a GPU where one can be used and there are
        more than a few files. A cluster's workers use none.
    engine : "dask" works on a Dask cluster, see `cluster.map_in_cluster`.
    scheduler : address of that cluster's scheduler, or the file that holds it; None starts a cluster on this machine.
        An address alone says "dask" as well.
    """

    jobs: int | None = None
    max_pixels: int = MAX_PIXELS
    timeout_s: float = 60.0
    frames: FrameOptions = field(default_factory=FrameOptions)
    device: DeviceChoice = "auto"
    engine: Engine = "local"
    scheduler: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether no cluster has a part in it."""
        return self.engine == "local" and self.scheduler is None


def work_through(
    items: Iterable[Item],
    task: Callable[[Item], Result],
    work: Work,
    lost: Callable[[Item, str], Result],
    few: int = FEW_FILES,
) -> Generator[Result, None, None]:
    """`task(item)` of each item, in the order given, in as many processes as `work` says; see `map_in_workers`.

    What is wrong with a Dask cluster is an error of the call, not of the first result.

    `few` items one worker is done with sooner than several would start; 0 where each takes seconds.
    """
    remaining = iter(items)
    chunk = LARGEST_CHUNK if few else 1
    if not work.is_local:
        return map_in_cluster(
            task, remaining, scheduler=work.scheduler, jobs=work.jobs or available_cores(), timeout_s=work.timeout_s,
            lost=lost, largest_shard=SHARD_FILES if few else 1, largest_chunk=chunk,
        )  # fmt: skip
    if work.jobs == 0:
        return (task(item) for item in remaining)
    jobs = work.jobs
    if jobs is None:
        first = list(islice(remaining, few + 1))
        remaining = chain(first, remaining)
        jobs = 1 if len(first) <= few else available_cores()
    return map_in_workers(task, remaining, jobs=jobs, timeout_s=work.timeout_s, lost=lost, largest_chunk=chunk)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
