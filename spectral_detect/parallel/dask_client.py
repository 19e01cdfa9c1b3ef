"""The connection to a Dask cluster: a scheduler that is named, or a cluster on this machine."""

from __future__ import annotations

import json
import logging
import os
import signal
from asyncio import wait_for
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from spectral_detect.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0


@contextmanager
def silent_log() -> Iterator[None]:
    """Nothing of Dask's log: what goes wrong is told by the errors of this room."""
    import distributed  # noqa: F401  # it sets the levels of its loggers

    names = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


@contextmanager
def connected(scheduler: str | None, jobs: int) -> Iterator[Client]:
    """A client of the scheduler, or of a cluster on this machine that lives as long."""
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        if scheduler is None:
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # what needs memory are the workers' workers, which Dask does not count
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL + 1,
                preload=[__name__],
            )
            address = stack.enter_context(cluster)
        else:
            address = _reached(scheduler)
        yield stack.enter_context(Client(address, timeout=CONNECT_S, set_as_default=False, name="spectral-detect"))


def dask_setup(worker: object) -> None:
    """What the cluster on this machine does in its worker processes: ctrl-C is for the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _reached(scheduler: str) -> str:
    """The address of a scheduler that answers; a client whose scheduler does not takes long to be rid of."""
    from distributed import Security, rpc
    from distributed.utils import LoopRunner

    async def kind() -> str:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as there:
            return str((await wait_for(there.identity(), CONNECT_S))["type"])

    try:
        if ":" not in scheduler and not os.path.isfile(scheduler):
            raise ValueError("no such file, and no HOST:PORT")
        address = _address_in(scheduler) if os.path.isfile(scheduler) else scheduler
        answer = LoopRunner().run_sync(kind)
    except Exception as error:  # what does not speak Dask's language makes it raise whatever there is
        answer = str(error) or f"no answer in {CONNECT_S:g} s"
    if answer == "Scheduler":
        return address
    raise ClusterError(
        f"no Dask scheduler at {scheduler!r} ({answer}); name the HOST:PORT that `dask scheduler` prints, or the file "
        "of its --scheduler-file"
    )


def _address_in(scheduler_file: str) -> str:
    with open(scheduler_file, encoding="utf-8") as stream:
        return str(json.load(stream)["address"])
