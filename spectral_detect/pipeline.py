"""Files -> feature vectors: in parallel, in order, bad files as results; for training and scanning alike."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np

from spectral_detect.errors import FeatureError, ImageReadError
from spectral_detect.features import FeatureSpec, extract_features
from spectral_detect.images import MAX_PIXELS, FoundFile, decode, fingerprint, read_file

FEW_FILES = 24  # one worker is done sooner than several would start
LARGEST_CHUNK = 16  # files handed to a worker at once
WORKER_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    # glibc otherwise hands the arrays of each image back to the system, and new pages cost as much as the spectrum
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
}
WORKER_DIED = "the worker process died over this file (out of memory, or a decoder crashed); check it apart"
CONSTANT_IMAGE = "constant image: there is no spectrum to judge"


@dataclass(frozen=True)
class Work:
    """How files are worked through.

    Attributes
    ----------
    jobs : worker processes, one per core by default; 0 works in the calling process, where neither a decoder that
        crashes nor one that takes too long can be stopped.
    max_pixels : an image whose header announces more is refused before it is decoded.
    timeout_s : a file that takes longer is given up.
    """

    jobs: int | None = None
    max_pixels: int = MAX_PIXELS
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Extraction:
    """What one file gave: features, or the reason why there are none."""

    path: str
    sha256: str | None = None
    size_bytes: int | None = None
    mtime_ns: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    is_constant: bool = False
    features: np.ndarray | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    fingerprint: int | None = None


def extract_file(
    file: FoundFile, spec: FeatureSpec, max_pixels: int = MAX_PIXELS, *, with_fingerprint: bool = False
) -> Extraction:
    """Read, hash, decode and transform one file; whatever is wrong with it becomes `Extraction.error`."""
    known: dict[str, Any] = {"path": file.path}
    try:
        if file.problem:
            raise ImageReadError(file.problem)
        read = read_file(file.path)
        known |= {"sha256": read.sha256, "size_bytes": len(read.content), "mtime_ns": read.mtime_ns}
        image = decode(read.content, max_pixels=max_pixels)
        known |= {"width": image.width, "height": image.height, "format": image.format, "warnings": image.warnings}
        known["features"] = extract_features(image.pixels, spec)
        if with_fingerprint:
            known["fingerprint"] = fingerprint(image.pixels)
    except (ImageReadError, FeatureError) as error:
        return Extraction(**known, error=str(error))
    except MemoryError:
        return Extraction(**known, error="not enough memory for this image; see --max-pixels and --jobs")
    if image.is_constant:
        known |= {"is_constant": True, "warnings": (*image.warnings, CONSTANT_IMAGE)}
    return Extraction(**known)


def extract_files(
    files: Iterable[FoundFile], spec: FeatureSpec, work: Work | None = None, *, with_fingerprint: bool = False
) -> Iterator[Extraction]:
    """`extract_file` of each file, in the order given, whatever the number of workers.

    `files` is consumed lazily; no more than a few chunks per worker are under way at once.
    """
    work = work or Work()
    task = partial(extract_file, spec=spec, max_pixels=work.max_pixels, with_fingerprint=with_fingerprint)
    remaining = iter(files)
    if work.jobs == 0:
        return map(task, remaining)
    jobs = work.jobs
    if jobs is None:
        first = list(islice(remaining, FEW_FILES + 1))
        remaining = chain(first, remaining)
        jobs = 1 if len(first) <= FEW_FILES else available_cores()
    return _extract_in_workers(remaining, _Workers(task, jobs, work.timeout_s))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _extract_in_workers(files: Iterator[FoundFile], workers: _Workers) -> Iterator[Extraction]:
    chunks = _growing_chunks(files)
    waiting: deque[tuple[list[FoundFile], Future[list[Extraction]]]] = deque()
    try:
        while True:
            for chunk in islice(chunks, 3 * workers.jobs - len(waiting)):
                waiting.append((chunk, workers.submit(chunk)))
            if not waiting:
                return
            chunk, future = waiting.popleft()
            try:
                extractions = future.result()
            except BrokenExecutor:
                extractions = workers.one_by_one(chunk)
            yield from extractions
    finally:
        workers.stop()


def _growing_chunks(files: Iterator[FoundFile]) -> Iterator[list[FoundFile]]:
    """Small at first, so that all workers start at once; then large, so that handing out costs little."""
    size = 1
    while chunk := list(islice(files, size)):
        yield chunk
        size = min(2 * size, LARGEST_CHUNK)


Task = Callable[[FoundFile], Extraction]


class _Workers:
    """A pool of processes that outlives the death of any of them."""

    def __init__(self, task: Task, jobs: int, timeout_s: float) -> None:
        self.jobs = jobs
        self._run = partial(_run_chunk, task, timeout_s)
        self._timeout_s = timeout_s
        self._pool: Any = None

    def submit(self, chunk: list[FoundFile]) -> Future[list[Extraction]]:
        future: Future[list[Extraction]]
        try:
            self._pool = self._pool or _start_pool(self.jobs)
            future = self._pool.submit(self._run, chunk)
        except BrokenExecutor:
            self._pool = _start_pool(self.jobs)
            future = self._pool.submit(self._run, chunk)
        return future

    def one_by_one(self, chunk: list[FoundFile]) -> list[Extraction]:
        """A worker died over one of several files: each again, alone, so that only the culprit fails."""
        extractions = []
        pool = _start_pool(1)
        try:
            for file in chunk:
                pool.submit(int).result()  # a worker has started: the clock is the file's alone
                started = time.monotonic()
                try:
                    extractions += pool.submit(self._run, [file]).result()
                except BrokenExecutor:
                    extractions.append(Extraction(file.path, error=self._reason(time.monotonic() - started)))
                    pool = _start_pool(1)
        finally:
            pool.shutdown(kill_workers=True)
        return extractions

    def _reason(self, elapsed_s: float) -> str:
        if elapsed_s >= self._timeout_s:
            return f"given up after {self._timeout_s:g} s; see --timeout"
        return WORKER_DIED

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)


def _start_pool(jobs: int) -> Any:
    # loky, unlike the standard library's spawning pools, does not import the caller's main module anew
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(jobs, env=WORKER_ENVIRONMENT, initializer=_start_worker)


def _start_worker() -> None:
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is the parent's to handle
    cv2.setNumThreads(1)


def _run_chunk(task: Task, timeout_s: float, chunk: list[FoundFile]) -> list[Extraction]:
    import faulthandler

    extractions = []
    with open(os.devnull, "w") as nowhere:
        for file in chunk:
            # a watchdog that ends the process even when a decoder never returns to Python
            faulthandler.dump_traceback_later(timeout_s, exit=True, file=nowhere)
            extractions.append(task(file))
        faulthandler.cancel_dump_traceback_later()
    return extractions
