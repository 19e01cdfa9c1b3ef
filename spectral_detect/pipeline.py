"""Files -> feature vectors: in parallel, in order, bad files as results; for training and scanning alike."""

from __future__ import annotations

import os
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
from spectral_detect.images import MAX_PIXELS, FoundFile, decode, read_file

FEW_FILES = 24  # done in this process sooner than workers would start
LARGEST_CHUNK = 16  # files handed to a worker at once
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
WORKER_DIED = "the worker process died over this file (out of memory, or a decoder crashed); check it apart"
CONSTANT_IMAGE = "constant image: there is no spectrum to judge"


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


def extract_file(file: FoundFile, spec: FeatureSpec, max_pixels: int = MAX_PIXELS) -> Extraction:
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
    except (ImageReadError, FeatureError) as error:
        return Extraction(**known, error=str(error))
    except MemoryError:
        return Extraction(**known, error="not enough memory for this image; see --max-pixels and --jobs")
    if image.is_constant:
        known |= {"is_constant": True, "warnings": (*image.warnings, CONSTANT_IMAGE)}
    return Extraction(**known)


def extract_files(
    files: Iterable[FoundFile], spec: FeatureSpec, *, jobs: int | None = None, max_pixels: int = MAX_PIXELS
) -> Iterator[Extraction]:
    """`extract_file` of each file, in the order given, whatever the number of workers.

    Parameters
    ----------
    files : consumed lazily; no more than a few chunks per worker are under way at once.
    jobs : worker processes; 1 works in this process; default one per core, or this process for a few files.
    """
    task = partial(extract_file, spec=spec, max_pixels=max_pixels)
    remaining = iter(files)
    if jobs is None:
        first = list(islice(remaining, FEW_FILES + 1))
        remaining = chain(first, remaining)
        jobs = 1 if len(first) <= FEW_FILES else available_cores()
    return map(task, remaining) if jobs == 1 else _extract_in_workers(remaining, task, jobs)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Task = Callable[[FoundFile], Extraction]


def _extract_in_workers(files: Iterator[FoundFile], task: Task, jobs: int) -> Iterator[Extraction]:
    chunks = _growing_chunks(files)
    waiting: deque[tuple[list[FoundFile], Future[list[Extraction]]]] = deque()
    workers = _Workers(task, jobs)
    try:
        while True:
            for chunk in islice(chunks, 3 * jobs - len(waiting)):
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


class _Workers:
    """A pool of processes that outlives the death of any of them."""

    def __init__(self, task: Task, jobs: int) -> None:
        self._task = task
        self._jobs = jobs
        self._pool = _start_pool(jobs)

    def submit(self, chunk: list[FoundFile]) -> Future[list[Extraction]]:
        future: Future[list[Extraction]]
        try:
            future = self._pool.submit(_run_chunk, self._task, chunk)
        except BrokenExecutor:
            self._pool = _start_pool(self._jobs)
            future = self._pool.submit(_run_chunk, self._task, chunk)
        return future

    def one_by_one(self, chunk: list[FoundFile]) -> list[Extraction]:
        """A worker died over one of several files: each again, alone, so that only the culprit fails."""
        extractions = []
        pool = _start_pool(1)
        for file in chunk:
            try:
                extractions += pool.submit(_run_chunk, self._task, [file]).result()
            except BrokenExecutor:
                extractions.append(Extraction(file.path, error=WORKER_DIED))
                pool = _start_pool(1)
        pool.shutdown(kill_workers=True)
        return extractions

    def stop(self) -> None:
        self._pool.shutdown(kill_workers=True)


def _start_pool(jobs: int) -> Any:
    # loky, unlike the standard library's spawning pools, does not import the caller's main module anew
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(jobs, env=ONE_THREAD, initializer=_start_worker)


def _start_worker() -> None:
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is the parent's to handle
    cv2.setNumThreads(1)


def _run_chunk(task: Task, chunk: list[FoundFile]) -> list[Extraction]:
    return [task(file) for file in chunk]
