"""Connect to a Dask cluster: to a scheduler that the user names, or to a cluster started on this machine."""

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
    """Silence Dask's log: errors of this package say what goes wrong."""
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
    """Give a client of the scheduler, or of a cluster on this machine that ends with the context."""
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        if scheduler is None:
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # the memory is used by processes that Dask's workers start, and Dask does not count
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL + 1,
                preload=[__name__],
            )
            address = stack.enter_context(cluster)
        else:
            address = _answering(scheduler)
        yield stack.enter_context(Client(address, timeout=CONNECT_S, set_as_default=False, name="spectral-detect"))


def dask_setup(worker: object) -> None:
    """Ignore ctrl-C, called by Dask in each worker that `preload` names this module to: their parent ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answering(scheduler: str) -> str:
    """Return the address of a scheduler once it has answered: a client whose scheduler does not is slow to close."""
    from distributed import Security, rpc
    from distributed.utils import LoopRunner

    async def kind() -> str:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as there:
            return str((await wait_for(there.identity(), CONNECT_S))["type"])

    try:
        if os.path.isfile(scheduler):
            with open(scheduler, encoding="utf-8") as stream:
                address = str(json.load(stream)["address"])
        elif ":" in scheduler:
            address = scheduler
        else:
            raise ValueError("no such file, and no HOST:PORT")
        answer = LoopRunner().run_sync(kind)
    except Exception as error:  # a server that does not speak Dask's protocol makes it raise errors of any type
        answer = str(error) or f"no answer in {CONNECT_S:g} s"
    if answer == "Scheduler":
        return address
    raise ClusterError(
        f"no Dask scheduler at {scheduler!r} ({answer})",
        remedy="name the HOST:PORT that `dask scheduler` prints, or the file of its --scheduler-file",
    )
