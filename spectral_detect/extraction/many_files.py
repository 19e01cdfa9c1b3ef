"""Files -> feature vectors: in parallel, in order, bad files as results; for training and scanning alike."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from spectral_detect.errors import DeviceError
from spectral_detect.extraction.on_gpu import extract_on_device
from spectral_detect.extraction.one_file import (
    Edits,
    Extraction,
    Variants,
    as_extracted,
    extract_file,
    extract_video,
    failed,
)
from spectral_detect.extraction.work import FEW_FILES, Work, work_through
from spectral_detect.features.backend import Backend
from spectral_detect.features.cupy_backend import cupy_backend, device_problem, is_cupy_installed
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.sources.discovery import FoundFile, FoundVideo

Item = TypeVar("Item")
Result = TypeVar("Result")

LOG = logging.getLogger(__name__)


def extract_files(
    files: Iterable[FoundFile | FoundVideo],
    spec: FeatureSpec | None,
    work: Work | None = None,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> Generator[Extraction, None, None]:
    """`extract_file` or `extract_video` of each file, in the order given, whatever the number of workers.

    `files` is consumed lazily; no more than a few chunks per worker are under way at once.
    """
    return _one_by_one(extract_each(files, spec, as_extracted, work, edits=edits, examine=examine))


def _one_by_one(results: Generator[Variants, None, None]) -> Generator[Extraction, None, None]:
    with closing(results):
        for variants in results:
            yield from variants


def extract_each(
    files: Iterable[FoundFile | FoundVideo],
    spec: FeatureSpec | None,
    then: Callable[[Variants], Result],
    work: Work | None = None,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> Generator[Result, None, None]:
    """`then(variants)` of all that each file gave, in the order given.

    Parameters
    ----------
    then : picklable; it is called in the workers, so that what it makes of the features travels in their place. (Of
        features that come from a GPU in this process, where they are one vector an image.)

    Raises
    ------
    DeviceError : `work.device` is "gpu" and there is none, or it fails.
    """
    work = work or Work()
    if spec is not None:
        backend, files = device_for(files, work)
        if backend is not None:
            return extract_on_device(files, spec, then, work, backend, edits=edits, examine=examine)
    task = partial(_extract, spec=spec, then=then, work=work, edits=tuple(edits), examine=examine)
    return work_through(files, task, work, partial(_lost, then=then, edits=tuple(edits)))


def device_for(files: Iterable[Item], work: Work) -> tuple[Backend | None, Iterable[Item]]:
    """The GPU that is to make the features, None for the CPU, and the same files: a few are not worth starting one."""
    if not work.is_local:
        if work.device == "gpu":
            raise DeviceError("the workers of a cluster compute on their CPUs; leave --device gpu out, or the cluster")
        return None, files
    if work.device == "gpu":
        return cupy_backend(), files
    if work.device == "cpu" or not is_cupy_installed():
        return None, files
    first = list(islice(remaining := iter(files), FEW_FILES + 1))
    files = chain(first, remaining)
    if len(first) <= FEW_FILES:
        return None, files
    problem = device_problem()
    if problem is not None:
        LOG.warning("%s; the CPU does the work", problem)
    return None if problem else cupy_backend(), files


def _extract(
    found: FoundFile | FoundVideo,
    spec: FeatureSpec | None,
    then: Callable[[Variants], Result],
    work: Work,
    edits: Edits,
    examine: bool,
) -> Result:
    if isinstance(found, FoundVideo):
        return then(extract_video(found, spec, work.frames, work.max_pixels, edits=edits, examine=examine))
    return then(extract_file(found, spec, work.max_pixels, edits=edits, examine=examine))


def _lost(file: FoundFile | FoundVideo, reason: str, then: Callable[[Variants], Result], edits: Edits) -> Result:
    return then(failed({"path": file.path}, reason, edits))
