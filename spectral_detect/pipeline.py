"""Files -> feature vectors: in parallel, in order, bad files as results; for training and scanning alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np

from spectral_detect.augment import Edit
from spectral_detect.errors import FeatureError, ImageReadError, VideoReadError
from spectral_detect.features import extract_features, tile_corners
from spectral_detect.finding import FoundFile, FoundVideo
from spectral_detect.images import MAX_PIXELS, DecodedImage, decode, fingerprint, read_file, shows_no_colour
from spectral_detect.metadata import Metadata
from spectral_detect.remote import Remote
from spectral_detect.spec import FeatureSpec
from spectral_detect.video import Frame, FrameOptions, open_video, video_sha256
from spectral_detect.workers import LARGEST_CHUNK, map_in_workers

Item = TypeVar("Item")
Result = TypeVar("Result")

FEW_FILES = 24  # one worker is done sooner than several would start
TOO_LITTLE_MEMORY = "not enough memory for this image; see --max-pixels and --jobs"
NO_FRAME = "no frame could be judged; see --crop, or get an intact copy"
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
    frames : which frames of a video are looked at, and what of them.
    """

    jobs: int | None = None
    max_pixels: int = MAX_PIXELS
    timeout_s: float = 60.0
    frames: FrameOptions = field(default_factory=FrameOptions)


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
        return _failed(known, str(error), edits)
    except MemoryError:
        return _failed(known, TOO_LITTLE_MEMORY, edits)
    if image.is_constant:
        known |= {"is_constant": True, "warnings": (*image.warnings, CONSTANT_IMAGE)}
    return tuple(_transform(image, spec, edit, known) for edit in edits)


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
    return (_transform(image, spec, edit, known) for edit in edits)


def _transform(image: DecodedImage, spec: FeatureSpec | None, edit: Edit | None, known: dict[str, Any]) -> Extraction:
    try:
        if spec is None:
            return Extraction(**known, edit=edit, features=np.empty(0, np.float32))
        if edit:
            image = edit.apply(image, known["sha256"])
            known = known | {"metadata": image.metadata or known["metadata"]}
        features = extract_features(image.pixels, spec, is_ycc=image.is_ycc)
        return Extraction(**known, edit=edit, features=features, tiles=_tiles(image.pixels, spec))
    except (ImageReadError, FeatureError) as error:
        return Extraction(**known, edit=edit, error=str(error))
    except MemoryError:
        return Extraction(**known, edit=edit, error=TOO_LITTLE_MEMORY)


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
    with closing(extract_each(files, spec, as_extracted, work, edits=edits, examine=examine)) as results:
        for result in results:
            yield from result


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
    then : picklable; it is called in the workers, so that what it makes of the features travels in their place.
    """
    work = work or Work()
    task = partial(_extract, spec=spec, then=then, work=work, edits=tuple(edits), examine=examine)
    return work_through(files, task, work, partial(_lost, then=then, edits=tuple(edits)))


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

    `few` items one worker is done with sooner than several would start; 0 where each takes seconds.
    """
    remaining = iter(items)
    if work.jobs == 0:
        return (task(item) for item in remaining)
    jobs = work.jobs
    if jobs is None:
        first = list(islice(remaining, few + 1))
        remaining = chain(first, remaining)
        jobs = 1 if len(first) <= few else available_cores()
    chunk = LARGEST_CHUNK if few else 1
    return map_in_workers(task, remaining, jobs=jobs, timeout_s=work.timeout_s, lost=lost, largest_chunk=chunk)


def _lost(file: FoundFile | FoundVideo, reason: str, then: Callable[[Variants], Result], edits: Edits) -> Result:
    return then(_failed({"path": file.path}, reason, edits))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
