"""Keep workers between calls, for a program that gets its images one by one."""

from __future__ import annotations

import queue
from types import TracebackType

from spectral_detect.detector.model import Model
from spectral_detect.errors import OptionError
from spectral_detect.extraction.many_files import worker_for
from spectral_detect.extraction.one_file import Found
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.pool import Pool
from spectral_detect.parallel.work import Work
from spectral_detect.provenance.findings import Depth
from spectral_detect.records import ImageRecord
from spectral_detect.scanning.images import content_of, require_settings
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules


class Scanner:
    """Score images that are in memory, in worker processes that stay between calls.

    A file that crashes its decoder, or takes longer than `work.timeout_s`, gives a record with `error` and costs one
    worker, which is started anew. Any number of threads may call `scan_bytes` at once; while all workers are busy they
    wait.

    Parameters
    ----------
    model, rules, limits, provenance
        As `scan` takes them.
    work : Work, optional
        How many workers, at least 1, by default one per core; and their time limit. They use no GPU and no cluster.

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
        judge = Judge(model, rules or Rules(), provenance)
        self._n_workers = work.n_workers
        self._free: queue.LifoQueue[Pool[Found, ImageRecord] | None] = queue.LifoQueue()  # None: it is closed
        for _ in range(work.n_workers):
            self._free.put(worker_for(judge.extractor(limits), judge, timeout_s=work.timeout_s))

    def scan_bytes(self, content: bytes, *, name: str = "") -> ImageRecord:
        """Score one image, as the function `scan_bytes` does.

        Raises
        ------
        ArgumentError
            The content is no bytes, or the name no text.
        OptionError
            The scanner is closed.
        SpectralDetectError
            Worker processes cannot start.
        """
        found = content_of(content, name)
        pool = self._free.get()
        if pool is None:
            self._free.put(None)  # for the others that wait
            raise OptionError("the scanner is closed", remedy="make a new one")
        try:
            (record,) = pool.map([found])
            return record
        finally:
            self._free.put(pool)

    def close(self) -> None:
        """Wait for the images that are being scored, and stop the workers."""
        while self._n_workers and (pool := self._free.get()) is not None:
            pool.stop()
            self._n_workers -= 1
        self._free.put(None)

    def __enter__(self) -> Scanner:
        """Return itself; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
