"""Hold each library to one thread.

The cores belong to the worker processes: threads that wait for one another on busy cores took ten times as long over
the kernel of an SVM. And sums that are shared by threads differ in their last digits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from spectral_detect.locks import ForkSafeLock

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)


class _Held:
    """Counts who computes on one thread: the first sets it, and the last puts back what was set before."""

    limit: Any

    def __init__(self) -> None:
        self.lock = ForkSafeLock()
        self._begin_anew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self.n, self.limit = 0, None

    def take(self) -> None:
        with self.lock:
            if self.n == 0:
                self.limit = _linear_algebra().limit(limits=1, user_api="blas")
            self.n += 1

    def give_back(self) -> None:
        with self.lock:
            self.n -= 1
            if self.n == 0:
                self.limit.restore_original_limits()


_held = _Held()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread in this process, as workers do, so that a score is the same to its last digit."""
    _held.take()
    try:
        yield
    finally:
        _held.give_back()


@cache
def _linear_algebra() -> Any:
    """Return what is known of the libraries that NumPy calls."""
    import numpy as np  # noqa: F401  # loads them
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
