"""A task for workers, whose items say what happens to the worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from spectral_detect.parallel.task import Cost

Answer = tuple[str, int]
N_LONG = 700  # times a long item is repeated: 2 MB


def answer(item: str) -> Answer:
    """Return the item and the worker; the beginning of the item says what happens before."""
    if item.startswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if item.startswith("leave"):
        os._exit(0)
    if item.startswith("hang"):
        while True:
            time.sleep(1)
    if item.startswith("slow"):
        time.sleep(0.3)
    if item.startswith("long"):
        return item * N_LONG, os.getpid()
    return item, os.getpid()


@dataclass(frozen=True)
class Answering:
    """A task for workers."""

    function: Callable[[str], Answer] = answer
    cost: Cost = "short"

    def __call__(self, item: str) -> Answer:
        return self.function(item)

    def failed(self, item: str, reason: str) -> Answer:
        return f"{item}: {reason}", 0
