"""Files -> feature vectors: in parallel, in order, bad files as results; for training and scanning alike."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Any, Literal, TypeVar

import numpy as np

from spectral_detect.augment import Edit
from spectral_detect.backend import Backend
from spectral_detect.batching import Outcome, features_as_done
from spectral_detect.cluster import SHARD_FILES, map_in_cluster
from spectral_detect.device import cupy_backend, device_problem, is_cupy_installed
from spectral_detect.errors import DeviceError, FeatureError, ImageReadError, VideoReadError
from spectral_detect.features import Stack, cut_stack, extract_features, tile_corners
from spectral_detect.finding import FoundFile, FoundVideo
from spectral_detect.images import MAX_PIXELS, DecodedImage, decode, fingerprint, read_file, shows_no_colour
from spectral_detect.metadata import Metadata
from spectral_detect.remote import Remote
from spectral_detect.spec import FeatureSpec
from spectral_detect.video import Frame, FrameOptions, open_video, video_sha256
from spectral_detect.workers import LARGEST_CHUNK, in_order, map_as_done, map_in_workers

Item = TypeVar("Item")
Result = TypeVar("Result")

Engine = Literal["local", "dask"]
DeviceChoice = Literal["auto", "cpu", "gpu"]

FEW_FILES = 24  # one worker is done sooner than several would start
TOO_LITTLE_MEMORY = "not enough memory for this image; see --max-pixels and --jobs"
NO_FRAME = "no frame could be judged; see --crop, or get an intact copy"
SHARED_BYTES = 2**30  # of decoded images between workers and this process, at the most
SCORED_CHUNK = 4  # of files whose features are there, handed over at once
DECODED_CHUNK = 2  # files handed over at once: each holds pixels where no shared memory is left
CONSTANT_IMAGE = "constant image: there is no spectrum to judge"
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """How files are worked through.

    Attributes
    ----------
    jobs : worker processes, one per core by default; 0 works in the calling process, where neither a decoder that
        crashes nor one that takes too long can be stopped. With Dask: of the cluster on this machine.
    max_pixels : an image whose header announces more is refused before it is decoded.
    timeout_s : a file that takes longer is given up.
    frames : which frames of a video are looked at, and what of them.
    device : what makes the features of still images: "gpu", "cpu", or "auto", a GPU where one can be used and there are
        more than a few files. A cluster's workers use none.
    engine : "dask" works on a Dask cluster, see `cluster.map_in_cluster`.
    scheduler : address of that cluster's scheduler, or the file that holds it; None starts a cluster on this machine.
        An address alone says "dask" as well.
    """

    jobs: int | None = None
    max_pixels: int = MAX_PIXELS
    timeout_s: float = 60.0
    frames: FrameOptions = field(default_factory=FrameOptions)
    device: DeviceChoice = "auto"
    engine: Engine = "local"
    scheduler: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether no cluster has a part in it."""
        return self.engine == "local" and self.scheduler is None


@dataclass(frozen=True)
class FramePlace:
    """A frame of a video, or a face in it: see `video.Frame`."""

    index: int
    time_s: float | None
    track: int
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Extraction:
    """What one file gave: features, or the reason why there are none.

    Attributes
    ----------
    features : (n_features,) or (n_tiles, n_features), see `extract_features`.
    edit : what was done to the image before.
    metadata : what else its header says.
    frame : where in a video the image is; None of a still.
    remote : where it was read, if at a URL.
    tiles : (n_tiles, 3) left edge, upper edge and side in pixels, as stored; None where the spec cuts no tiles.
    """

    path: str
    sha256: str | None = None
    size_bytes: int | None = None
    mtime_ns: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    is_constant: bool = False
    features: np.ndarray | None = None
    tiles: np.ndarray | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    fingerprint: int | None = None
    edit: Edit | None = None
    metadata: Metadata | None = None
    frame: FramePlace | None = None
    remote: Remote | None = None


Edits = Sequence[Edit | None]
Variants = tuple[Extraction, ...]  # of one file: a result for each edit, of a video for each frame and edit


def extract_file(
    file: FoundFile,
    spec: FeatureSpec | None,
    max_pixels: int = MAX_PIXELS,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> Variants:
    """Read, hash and decode one file, and transform it once for each edit.

    Parameters
    ----------
    spec : None extracts no features (an empty vector), for a look at the file alone.
    edits : what is done to the image before; None leaves it as it is.
    examine : also find its fingerprint, and whether it shows any colour.

    Returns
    -------
    A result for each edit; whatever is wrong with the file or the edited image becomes `Extraction.error`.
    """
    prepared = prepare_file(file, spec, max_pixels, edits, examine)
    return tuple(_transform(extraction, image, spec) for extraction, image in prepared)


Prepared = tuple[Extraction, DecodedImage | None]  # what is known so far; no image where something is wrong


def prepare_file(
    file: FoundFile, spec: FeatureSpec | None, max_pixels: int, edits: Edits, examine: bool
) -> Iterator[Prepared]:
    """The part of `extract_file` before the features: one edited image after another."""
    known: dict[str, Any] = {"path": file.path, "remote": file.remote}
    try:
        if file.problem:
            raise ImageReadError(file.problem)
        read = read_file(file.remote or file.path)
        known |= {"sha256": read.sha256, "size_bytes": len(read.content), "mtime_ns": read.mtime_ns}
        colour = examine or edits != (None,) or spec is None or spec.needs_colour
        image = decode(read.content, max_pixels=max_pixels, colour=colour)
        known |= {"width": image.width, "height": image.height, "format": image.format, "warnings": image.warnings}
        known["metadata"] = image.metadata
        if examine:
            known["fingerprint"] = fingerprint(image)
            known["metadata"] = replace(image.metadata, is_gray=shows_no_colour(image)) if image.metadata else None
    except ImageReadError as error:
        return ((failed, None) for failed in _failed(known, str(error), edits))
    except MemoryError:
        return ((failed, None) for failed in _failed(known, TOO_LITTLE_MEMORY, edits))
    if image.is_constant:
        known |= {"is_constant": True, "warnings": (*image.warnings, CONSTANT_IMAGE)}
    return (_prepare(image, edit, known) for edit in edits)


def extract_video(
    found: FoundVideo,
    spec: FeatureSpec | None,
    options: FrameOptions,
    max_pixels: int = MAX_PIXELS,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> Variants:
    """`extract_file` of a video: a result for each frame (or face) and edit, all with the path and hash of the video.

    A video that cannot be read gives one result for each edit, with `Extraction.error`.
    """
    try:
        with open_video(found, options, max_pixels=max_pixels) as video:
            sha256, size_bytes, mtime_ns = video_sha256(found)
            known = {"path": found.path, "sha256": sha256, "size_bytes": size_bytes, "mtime_ns": mtime_ns}
            frames = [result for f in video.frames() for result in extract_frame(f, spec, known, edits, examine)]
            if not frames:
                raise VideoReadError(NO_FRAME)
            notes = tuple(video.warnings)
            return tuple(replace(frame, warnings=notes + frame.warnings) for frame in frames)
    except VideoReadError as error:
        return _failed({"path": found.path}, str(error), edits)


def extract_frame(
    frame: Frame, spec: FeatureSpec | None, video: dict[str, Any], edits: Edits = (None,), examine: bool = False
) -> Iterator[Extraction]:
    """One frame, once for each edit; `video` holds what is known of all frames."""
    image = frame.image
    place = FramePlace(frame.index, frame.time_s, frame.track, frame.box)
    known = {**video, "width": image.width, "height": image.height, "format": image.format, "frame": place}
    known["metadata"] = image.metadata or Metadata(image.format, image.width, image.height)
    if examine:
        known["fingerprint"] = fingerprint(image)
    if image.is_constant:
        known |= {"is_constant": True, "warnings": (CONSTANT_IMAGE,)}
    return (_transform(*_prepare(image, edit, known), spec) for edit in edits)


def _prepare(image: DecodedImage, edit: Edit | None, known: dict[str, Any]) -> Prepared:
    try:
        if edit:
            image = edit.apply(image, known["sha256"])
            known = known | {"metadata": image.metadata or known["metadata"]}
        return Extraction(**known, edit=edit), image
    except (ImageReadError, FeatureError, MemoryError) as error:
        return _with_error(Extraction(**known, edit=edit), error), None


def _transform(extraction: Extraction, image: DecodedImage | None, spec: FeatureSpec | None) -> Extraction:
    if image is None:
        return extraction
    if spec is None:
        return replace(extraction, features=np.empty(0, np.float32))
    try:
        features = extract_features(image.pixels, spec, is_ycc=image.is_ycc)
        return replace(extraction, features=features, tiles=_tiles(image.pixels, spec))
    except (FeatureError, MemoryError) as error:
        return _with_error(extraction, error)


def _with_error(extraction: Extraction, error: Exception) -> Extraction:
    reason = TOO_LITTLE_MEMORY if isinstance(error, MemoryError) else str(error)
    return replace(extraction, error=reason, features=None, tiles=None)


def _failed(known: dict[str, Any], error: str, edits: Edits) -> Variants:
    return tuple(Extraction(**known, edit=edit, error=error) for edit in edits)


def _tiles(pixels: np.ndarray, spec: FeatureSpec) -> np.ndarray | None:
    if spec.tiles_per_side is None:
        return None
    side, corners = tile_corners((pixels.shape[0], pixels.shape[1]), spec)
    return np.array([(x, y, side) for y, x in corners], dtype=np.int32)


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


def as_extracted(variants: Variants) -> Variants:
    """For `extract_each`: all that one file gave together."""
    return variants


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
            raise DeviceError("the workers of a cluster compute on their CPUs; leave --device out, or --engine dask")
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
        return replace(extraction, tiles=_tiles(image.pixels, spec)), stack
    except (FeatureError, MemoryError) as error:
        return _with_error(extraction, error), None


def _not_decoded(file: FoundFile | FoundVideo, reason: str, edits: Edits) -> Decoded:
    return tuple((failed, None) for failed in _failed({"path": file.path}, reason, edits))


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
        return _with_error(extraction, outcome)
    return replace(extraction, features=outcome)


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


def work_through(
    items: Iterable[Item],
    task: Callable[[Item], Result],
    work: Work,
    lost: Callable[[Item, str], Result],
    few: int = FEW_FILES,
) -> Generator[Result, None, None]:
    """`task(item)` of each item, in the order given, in as many processes as `work` says; see `map_in_workers`.

    What is wrong with a Dask cluster is an error of the call, not of the first result.

    `few` items one worker is done with sooner than several would start; 0 where each takes seconds.
    """
    remaining = iter(items)
    chunk = LARGEST_CHUNK if few else 1
    if not work.is_local:
        return map_in_cluster(
            task, remaining, scheduler=work.scheduler, jobs=work.jobs or available_cores(), timeout_s=work.timeout_s,
            lost=lost, largest_shard=SHARD_FILES if few else 1, largest_chunk=chunk,
        )  # fmt: skip
    if work.jobs == 0:
        return (task(item) for item in remaining)
    jobs = work.jobs
    if jobs is None:
        first = list(islice(remaining, few + 1))
        remaining = chain(first, remaining)
        jobs = 1 if len(first) <= few else available_cores()
    return map_in_workers(task, remaining, jobs=jobs, timeout_s=work.timeout_s, lost=lost, largest_chunk=chunk)


def _lost(file: FoundFile | FoundVideo, reason: str, then: Callable[[Variants], Result], edits: Edits) -> Result:
    return then(_failed({"path": file.path}, reason, edits))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
