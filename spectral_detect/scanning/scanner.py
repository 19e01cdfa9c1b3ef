"""Keep workers between calls, for a program that gets its images one by one."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future
from types import TracebackType
from typing import NoReturn

from spectral_detect.detector.model import Model
from spectral_detect.errors import OptionError, SpectralDetectError
from spectral_detect.extraction.many_files import worker_for
from spectral_detect.extraction.one_file import Found
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.pool import Pool
from spectral_detect.parallel.work import Work
from spectral_detect.provenance.findings import Depth
from spectral_detect.records import ImageRecord
from spectral_detect.scanning.images import content_of, require_settings, scan_here
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules

Worker = Pool[Found, ImageRecord]


class Scanner:
    """Score images that are in memory, in worker processes that stay between calls.

    A file that crashes its decoder, or takes longer than `work.timeout_s`, gives a record with `error` and costs one
    worker, which is started anew. Any number of threads may call `scan_bytes` at once; while all workers are busy they
    wait, and are served in the order in which they came. A scanner belongs to the process that made it.

    Parameters
    ----------
    model, rules, limits, provenance
        As `scan` takes them, for all images alike.
    work : Work, optional
        How many workers, at least 1, by default one per core; and how long an image may take, by default 60 s, without
        the time that it waits for a worker. They use no GPU and no cluster.

    Raises
    ------
    ModelFileError, ArgumentError, OptionError
        As `scan` does; and for a cluster, a GPU or no worker at all.

    Examples
    --------
    >>> with Scanner(load_model("world"), work=Work(jobs=2, timeout_s=20)) as scanner:
    ...     record = scanner.scan_bytes(content, name="upload 17")
    """

    def __init__(
        self,
        model: Model,
        *,
        rules: Rules | None = None,
        work: Work | None = None,
        limits: Limits | None = None,
        provenance: Depth = "header",
    ) -> None:
        require_settings(model, rules, work, limits)
        work = work or Work()
        if not work.is_local or work.device == "gpu" or work.n_workers == 0:
            raise OptionError("a Scanner has local worker processes", remedy="`jobs` from 1 up, no cluster and no GPU")
        self._judge, self._limits = Judge(model, rules or Rules(), provenance), limits or Limits()
        self._process = os.getpid()
        self._n_workers = work.n_workers
        extractor = self._judge.extractor(self._limits)
        self._idle = [worker_for(extractor, self._judge, timeout_s=work.timeout_s) for _ in range(work.n_workers)]
        self._waiting: deque[Future[Worker]] = deque()
        self._is_closed = False
        self._changed = threading.Condition()

    def scan_bytes(self, content: bytes, *, name: str = "") -> ImageRecord:
        """Score one image, as the function `scan_bytes` does.

        Raises
        ------
        ArgumentError
            The content is no bytes, or the name no text.
        OptionError
            The scanner is closed, or was made by another process.
        SpectralDetectError
            Worker processes cannot start.
        """
        found = content_of(content, name)
        if len(content) > self._limits.max_bytes:  # refused before it travels
            return scan_here(found, self._judge, self._limits)
        worker: Worker | None = None
        try:
            worker = self._take()
            (record,) = worker.map([found])
            return record
        except BaseException as error:
            # such as ctrl-C: what the worker answers to what it was sent is no other image's
            if worker is not None:
                worker.stop()
            if isinstance(error, OSError):
                why = f"worker processes cannot start ({error.strerror or error})"
                raise SpectralDetectError(
                    why, remedy="raise the limits of this process, or give fewer `jobs`"
                ) from error
            raise
        finally:
            if worker is not None:
                self._give_back(worker)

    def _take(self) -> Worker:
        """Return an idle worker, as soon as those that asked before have had one."""
        if os.getpid() != self._process:  # the workers answer the process that started them
            raise OptionError("the scanner was made by another process", remedy="make one in each, after the fork")
        with self._changed:
            if self._is_closed:
                raise _closed()
            if self._idle:
                return self._idle.pop()
            turn: Future[Worker] = Future()
            self._waiting.append(turn)
        try:
            return turn.result()
        except BaseException:  # ctrl-C; what came for it all the same goes to the next
            if not turn.cancel() and turn.exception() is None:
                self._give_back(turn.result())
            raise

    def _give_back(self, worker: Worker) -> None:
        with self._changed:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(worker)
                    return
            self._idle.append(worker)
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse those who wait and all later calls, wait for the images being scored, and stop the workers."""
        if os.getpid() != self._process:
            return
        with self._changed:
            self._is_closed = True
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_exception(_closed())
            self._changed.wait_for(lambda: len(self._idle) == self._n_workers)
            for worker in self._idle:
                worker.stop()

    def __enter__(self) -> Scanner:
        """Return itself; leaving the block closes it."""
        if self._is_closed:
            raise _closed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: its workers cannot travel."""
        raise OptionError("a Scanner cannot be sent to another process", remedy="make one there, of the same model")


def _closed() -> OptionError:
    return OptionError("the scanner is closed", remedy="make a new one")
