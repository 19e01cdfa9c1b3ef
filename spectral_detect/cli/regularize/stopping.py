"""Stop a training by ctrl-C so that it is saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Stop:
    """Hold the signals that asked for an end, and whether training has begun, so that there is something to save."""

    received: list[int] = field(default_factory=list)
    may_wait: bool = False


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Let the first ctrl-C or SIGTERM during training ask for an end between two steps; a second one ends at once.

    A signal that is ignored, as `nohup` does with SIGHUP, stays ignored.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.getsignal(s) for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN}

    def ask(number: int, frame: Any) -> None:
        handler = before[signal.Signals(number)]
        if (stop.received or not stop.may_wait) and callable(handler):
            handler(number, frame)
        stop.received.append(number)
        click.echo("stopping after this step; once more to stop at once", err=True)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
