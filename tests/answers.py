"""A function for workers, whose items say what befalls the worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from spectral_detect.parallel.task import Cost

Answer = tuple[str, int]


def answer(item: str) -> Answer:
    """What a worker does: its name says what befalls it."""
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
        return item * 100_000, os.getpid()
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
