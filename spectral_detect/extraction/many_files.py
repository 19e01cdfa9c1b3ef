"""Many files become feature vectors: in parallel, in order; for training and scanning alike."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from spectral_detect.errors import DatasetError, DeviceError
from spectral_detect.extraction.on_gpu import extract_on_gpu
from spectral_detect.extraction.one_file import Extraction, Extractor, Found, Keep, Variants
from spectral_detect.features.backend import Backend
from spectral_detect.features.cupy_backend import cupy_backend, device_problem, is_cupy_installed
from spectral_detect.parallel.pool import Pool
from spectral_detect.parallel.task import Cost, Task
from spectral_detect.parallel.work import Work, look_ahead, work_through

Item = TypeVar("Item")
Result = TypeVar("Result")

LOG = logging.getLogger(__name__)


def extract_files(
    files: Iterable[Found], extractor: Extractor, work: Work | None = None
) -> Generator[Extraction, None, None]:
    """Yield the results of each file, in the order given, whatever the number of workers; see `extract_then`."""
    return _one_by_one(extract_then(files, extractor, Keep(), work))


def require_one_length(vectors: Iterable[np.ndarray]) -> None:
    """Raise `DatasetError` if images have features of different lengths, as with one value per ring."""
    if len({vector.shape[-1] for vector in vectors}) > 1:
        raise DatasetError(
            "images of different sizes give features of different lengths", remedy="give a number: `n_bins`"
        )


def _one_by_one(results: Generator[Variants, None, None]) -> Generator[Extraction, None, None]:
    with closing(results):
        for variants in results:
            yield from variants


def extract_then(
    files: Iterable[Found], extractor: Extractor, then: Task[Variants, Result], work: Work | None = None
) -> Generator[Result, None, None]:
    """Yield `then(variants)` of all that each file gave, in the order given.

    Parameters
    ----------
    files : iterable
        Consumed lazily; no more than a few chunks per worker are under way at once.
    then : Task
        Called in the workers, so that its result travels in place of the features. With features that come from a GPU
        in this process it is called here if its cost is "trivial".

    Raises
    ------
    DeviceError
        `work.device` is "gpu" and there is none, or it fails.
    """
    work = work or Work()
    if extractor.spec is not None and extractor.spec.needs_cpu and work.is_local:
        if work.device == "gpu":
            why = "of small images" if extractor.spec.scales else "of an encoder, or fused"
            LOG.warning("the features %r are %s: the CPU computes them", extractor.spec.name, why)
    elif extractor.spec is not None:
        backend, files = device_for(files, work)
        if backend is not None:
            return extract_on_gpu(files, extractor, then, work, backend)
    return work_through(_Chain(extractor, then), files, work)


def worker_for(extractor: Extractor, then: Task[Variants, Result], *, timeout_s: float) -> Pool[Found, Result]:
    """Return a pool of one worker, for many calls, that does with a file what `extract_then` does."""
    return Pool(pickle.dumps(_Chain(extractor, then)), jobs=1, timeout_s=timeout_s)


@dataclass(frozen=True)
class _Chain(Generic[Result]):
    """Extraction, and a task on its results."""

    extractor: Extractor
    then: Task[Variants, Result]

    @property
    def cost(self) -> Cost:
        return self.extractor.cost

    def __call__(self, found: Found) -> Result:
        return self.then(self.extractor(found))

    def failed(self, found: Found, reason: str) -> Result:
        return self.then(self.extractor.failed(found, reason))


def device_for(files: Iterable[Item], work: Work) -> tuple[Backend | None, Iterable[Item]]:
    """Return the GPU that computes the features, None for the CPU, and the same files: a few are not worth a GPU."""
    if not work.is_local:
        if work.device == "gpu":
            raise DeviceError(
                "the workers of a cluster compute on their CPUs", remedy="leave `device=gpu` out, or the cluster"
            )
        return None, files
    if work.device == "gpu":
        return cupy_backend(), files
    if work.device == "cpu" or not is_cupy_installed():
        return None, files
    are_few, files = look_ahead(files)
    if are_few:
        return None, files
    problem = device_problem()
    if problem is not None:
        LOG.warning("%s; the CPU does the work", problem)
    return None if problem else cupy_backend(), files
