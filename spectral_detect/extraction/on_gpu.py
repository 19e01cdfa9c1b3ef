"""Files become feature vectors on a GPU: the workers decode, and each file gets its results back together."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from spectral_detect.errors import FeatureError
from spectral_detect.extraction.one_file import Extraction, Extractor, Found, Variants, places_of_tiles, with_error
from spectral_detect.features.backend import Backend
from spectral_detect.features.extract import Stack, cut_stack
from spectral_detect.features.gpu_batches import Outcome, features_as_done
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.images import DecodedImage
from spectral_detect.parallel.pool import in_order, map_as_done
from spectral_detect.parallel.task import Cost, Task
from spectral_detect.parallel.work import Work
from spectral_detect.sources.discovery import FoundVideo

Result = TypeVar("Result")

SHARED_BYTES = 2**30  # of decoded images between workers and this process, at the most
DECODED_CHUNK = 2  # files handed over at once: each holds pixels if no shared memory is left
FINISHED_CHUNK = 4  # files handed over at once once their features are there

Decoded = tuple[tuple[Extraction, Stack | None], ...]  # of one file; no stack if there is nothing left to do
Ticket = tuple[int, int, int, Extraction]  # number of the file, of the variant, of all its variants; what is known
Numbered = tuple[int, Variants]


def extract_on_gpu(
    files: Iterable[Found], extractor: Extractor, then: Task[Variants, Result], work: Work, backend: Backend
) -> Generator[Result, None, None]:
    """Do what `extract_then` does with the features of still images from a GPU: the workers transform only videos."""
    spec = extractor.spec
    assert spec is not None  # without features there is nothing for a GPU to do
    with (
        closing(_decode_all(files, _Decode(extractor, spec), work)) as decoded,
        closing(_stacks(decoded)) as stacks,
        closing(features_as_done(stacks, spec, backend)) as done,
        closing(_finish_all(_complete(done), _Finish(then), work)) as finished,
    ):
        yield from in_order(finished)


@dataclass(frozen=True)
class _Decode:
    """A file up to its features: the stacks of tiles that the GPU transforms."""

    extractor: Extractor
    spec: FeatureSpec
    cost: Cost = field(default="short", init=False)

    def __call__(self, found: Found) -> Decoded:
        if isinstance(found, FoundVideo):
            return tuple((frame, None) for frame in self.extractor.of_video(found))
        return tuple(self._cut(*prepared) for prepared in self.extractor.prepare(found))

    def failed(self, found: Found, reason: str) -> Decoded:
        return tuple((failure, None) for failure in self.extractor.failed(found, reason))

    def _cut(self, extraction: Extraction, image: DecodedImage | None) -> tuple[Extraction, Stack | None]:
        if image is None:
            return extraction, None
        try:
            stack = cut_stack(image.pixels, self.spec, is_ycc=image.is_ycc)
            return replace(extraction, tiles=places_of_tiles(image.pixels, self.spec)), stack
        except (FeatureError, MemoryError) as error:
            return with_error(extraction, error), None


@dataclass(frozen=True)
class _Finish(Generic[Result]):
    """The task after the features, on numbered files."""

    then: Task[Variants, Result]

    @property
    def cost(self) -> Cost:
        return self.then.cost

    def __call__(self, item: Numbered) -> tuple[int, Result]:
        return item[0], self.then(item[1])

    def failed(self, item: Numbered, reason: str) -> tuple[int, Result]:
        return item[0], self.then.failed(item[1], reason)


def _decode_all(files: Iterable[Found], task: _Decode, work: Work) -> Generator[tuple[int, Decoded], None, None]:
    if work.jobs == 0:
        return ((number, task(file)) for number, file in enumerate(files))
    return map_as_done(
        task, files, jobs=work.n_workers, timeout_s=work.timeout_s, largest_chunk=DECODED_CHUNK,
        shared_bytes=SHARED_BYTES,
    )  # fmt: skip


def _stacks(decoded: Iterable[tuple[int, Decoded]]) -> Generator[tuple[Ticket, Stack | None], None, None]:
    for number, variants in decoded:
        for k, (extraction, stack) in enumerate(variants):
            yield (number, k, len(variants), extraction), stack


def _finish_all(
    complete: Iterable[Numbered], task: _Finish[Result], work: Work
) -> Generator[tuple[int, Result], None, None]:
    """Finish each file: here if that is trivial, as the score of one vector; in workers if it takes long."""
    if work.jobs == 0 or task.cost == "trivial":
        return (task(item) for item in complete)
    finished = map_as_done(
        task, complete, jobs=work.n_workers, timeout_s=work.timeout_s, largest_chunk=FINISHED_CHUNK
    )  # fmt: skip
    return _without_second_number(finished)


def _without_second_number(
    results: Generator[tuple[int, tuple[int, Result]], None, None],
) -> Generator[tuple[int, Result], None, None]:
    with closing(results):
        for _, result in results:
            yield result


def _complete(done: Iterable[tuple[Ticket, Outcome]]) -> Iterator[Numbered]:
    """Yield the variants of each file as soon as all of them are there."""
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
