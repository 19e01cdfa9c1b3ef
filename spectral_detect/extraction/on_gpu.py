"""Files -> feature vectors by way of a GPU: the workers decode, and each file gets its results back together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TypeVar

from spectral_detect.errors import FeatureError
from spectral_detect.extraction.one_file import (
    Edits,
    Extraction,
    Variants,
    as_extracted,
    extract_video,
    failed,
    places_of_tiles,
    prepare_file,
    with_error,
)
from spectral_detect.extraction.work import Work, available_cores
from spectral_detect.features.backend import Backend
from spectral_detect.features.extract import Stack, cut_stack
from spectral_detect.features.gpu_batches import Outcome, features_as_done
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.images import DecodedImage
from spectral_detect.parallel.pool import in_order, map_as_done
from spectral_detect.sources.discovery import FoundFile, FoundVideo

Result = TypeVar("Result")

SHARED_BYTES = 2**30  # of decoded images between workers and this process, at the most
SCORED_CHUNK = 4  # of files whose features are there, handed over at once
DECODED_CHUNK = 2  # files handed over at once: each holds pixels where no shared memory is left


def extract_on_device(
    files: Iterable[FoundFile | FoundVideo],
    spec: FeatureSpec,
    then: Callable[[Variants], Result],
    work: Work,
    backend: Backend,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> Generator[Result, None, None]:
    """`extract_each` with the features of still images from a device: the workers decode, and transform only videos."""
    task = partial(_decode, spec=spec, work=work, edits=tuple(edits), examine=examine)
    lost = partial(_not_decoded, edits=tuple(edits))
    with (
        closing(_decoded(files, task, work, lost)) as decoded,
        closing(_stacks(decoded)) as stacks,
        closing(features_as_done(stacks, spec, backend)) as done,
        closing(_finished(_complete(done), then, spec, work)) as finished,
    ):
        yield from in_order(finished)


Decoded = tuple[tuple[Extraction, Stack | None], ...]  # of one file; no stack where there is nothing left to do
Ticket = tuple[int, int, int, Extraction]  # number of the file, of the variant, of all its variants; what is known


def _decode(found: FoundFile | FoundVideo, spec: FeatureSpec, work: Work, edits: Edits, examine: bool) -> Decoded:
    if isinstance(found, FoundVideo):
        frames = extract_video(found, spec, work.frames, work.max_pixels, edits=edits, examine=examine)
        return tuple((frame, None) for frame in frames)
    prepared = prepare_file(found, spec, work.max_pixels, edits, examine)
    return tuple(_cut(extraction, image, spec) for extraction, image in prepared)


def _cut(extraction: Extraction, image: DecodedImage | None, spec: FeatureSpec) -> tuple[Extraction, Stack | None]:
    if image is None:
        return extraction, None
    try:
        stack = cut_stack(image.pixels, spec, is_ycc=image.is_ycc)
        return replace(extraction, tiles=places_of_tiles(image.pixels, spec)), stack
    except (FeatureError, MemoryError) as error:
        return with_error(extraction, error), None


def _not_decoded(file: FoundFile | FoundVideo, reason: str, edits: Edits) -> Decoded:
    return tuple((failed, None) for failed in failed({"path": file.path}, reason, edits))


def _decoded(
    files: Iterable[FoundFile | FoundVideo],
    task: Callable[[FoundFile | FoundVideo], Decoded],
    work: Work,
    lost: Callable[[FoundFile | FoundVideo, str], Decoded],
) -> Generator[tuple[int, Decoded], None, None]:
    if work.jobs == 0:
        return ((number, task(file)) for number, file in enumerate(files))
    return map_as_done(
        task, files, jobs=work.jobs or available_cores(), timeout_s=work.timeout_s, lost=lost,
        largest_chunk=DECODED_CHUNK, shared_bytes=SHARED_BYTES,
    )  # fmt: skip


def _stacks(decoded: Iterable[tuple[int, Decoded]]) -> Generator[tuple[Ticket, Stack | None], None, None]:
    for number, variants in decoded:
        for k, (extraction, stack) in enumerate(variants):
            yield (number, k, len(variants), extraction), stack


Numbered = tuple[int, Variants]


def _finished(
    complete: Iterable[Numbered], then: Callable[[Variants], Result], spec: FeatureSpec, work: Work
) -> Generator[tuple[int, Result], None, None]:
    """`then` of each: the score of one vector is cheap, that of many tiles takes as long as decoding an image."""
    if work.jobs == 0 or then is as_extracted or spec.tiles_per_side is None:
        return ((number, then(variants)) for number, variants in complete)
    jobs = work.jobs or available_cores()
    results = map_as_done(
        partial(_then, then=then), complete, jobs=jobs, timeout_s=work.timeout_s, lost=partial(_not_done, then=then),
        largest_chunk=SCORED_CHUNK,
    )  # fmt: skip
    return _unnumbered(results)


def _then(item: Numbered, then: Callable[[Variants], Result]) -> tuple[int, Result]:
    number, variants = item
    return number, then(variants)


def _not_done(item: Numbered, reason: str, then: Callable[[Variants], Result]) -> tuple[int, Result]:
    number, variants = item
    return number, then(tuple(replace(v, features=None, tiles=None, error=reason) for v in variants))


def _unnumbered(results: Generator[tuple[int, Result], None, None]) -> Generator[Result, None, None]:
    with closing(results):
        for _, result in results:
            yield result


def _complete(done: Iterable[tuple[Ticket, Outcome]]) -> Iterator[tuple[int, Variants]]:
    """The variants of each file as soon as all of them are there."""
    begun: dict[int, dict[int, Extraction]] = {}
    for (number, k, n_variants, extraction), outcome in done:
        variants = begun.setdefault(number, {})
        variants[k] = _with_outcome(extraction, outcome)
        if len(variants) == n_variants:
            del begun[number]
            yield number, tuple(variants[k] for k in range(n_variants))


def _with_outcome(extraction: Extraction, outcome: Outcome) -> Extraction:
    if outcome is None:
        return extraction
    if isinstance(outcome, Exception):
        return with_error(extraction, outcome)
    return replace(extraction, features=outcome)
