"""Connect to a Dask cluster: to a scheduler that the user names, or to a cluster started on this machine."""

from __future__ import annotations

import json
import logging
import os
import signal
from asyncio import wait_for
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from spectral_detect.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

ANSWER_S = 10.0  # a scheduler that a user names answers within it, or there is none
CONNECT_S = 60.0  # one that has answered, or runs in this process, may be busy: so may its machine


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
    """Give a client of the scheduler, or of a cluster on this machine that ends with the context.

    Raises
    ------
    ClusterError
        If there is no such scheduler, or a cluster on this machine cannot be started, which on one that is very busy
        may take too long.
    """
    from distributed import Client, LocalCluster
    from distributed import TimeoutError as DaskTimeoutError  # in Python 3.10 no OSError

    with ExitStack() as stack:
        try:
            if scheduler is None:
                cluster = LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,  # the memory is used by processes that Dask's workers start: Dask does not count it
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL + 1,
                    preload=[__name__],
                )
                stack.enter_context(_closing(cluster))
            address = cluster if scheduler is None else _answering(scheduler)
            client = Client(address, timeout=CONNECT_S, set_as_default=False, name="spectral-detect")
            stack.enter_context(_closing(client))
        except (OSError, DaskTimeoutError) as error:
            raise ClusterError(
                f"the Dask cluster did not start ({str(error) or f'no answer in {CONNECT_S:g} s'})",
                remedy="try again when the machine is less busy, with fewer jobs, or with the engine `local`",
            ) from None
        yield client


@contextmanager
def _closing(it: Client | LocalCluster) -> Iterator[None]:
    """Close it at the end; that this takes Dask too long is no failure, as all results are there by then."""
    from distributed import TimeoutError as DaskTimeoutError

    try:
        yield
    finally:
        with suppress(OSError, DaskTimeoutError):
            it.close()


def dask_setup(worker: object) -> None:
    """Ignore ctrl-C, called by Dask in each worker that `preload` names this module to: their parent ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answering(scheduler: str) -> str:
    """Return the address of a scheduler once it has answered: a client whose scheduler does not is slow to close."""
    from distributed import Security, rpc
    from distributed.utils import LoopRunner

    async def kind() -> str:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as there:
            return str((await wait_for(there.identity(), ANSWER_S))["type"])

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
        answer = str(error) or f"no answer in {ANSWER_S:g} s"
    if answer == "Scheduler":
        return address
    raise ClusterError(
        f"no Dask scheduler at {scheduler!r} ({answer})",
        remedy="name the HOST:PORT that `dask scheduler` prints, or the file of its --scheduler-file",
    )
