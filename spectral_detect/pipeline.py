"""Files -> feature vectors: in parallel, in order, bad files as results; for training and scanning alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np

from spectral_detect.augment import Edit
from spectral_detect.errors import FeatureError, ImageReadError
from spectral_detect.features import extract_features, tile_corners
from spectral_detect.finding import FoundFile
from spectral_detect.images import MAX_PIXELS, DecodedImage, decode, fingerprint, read_file, shows_no_colour
from spectral_detect.metadata import Metadata
from spectral_detect.spec import FeatureSpec
from spectral_detect.workers import map_in_workers

Item = TypeVar("Item")
Result = TypeVar("Result")

FEW_FILES = 24  # one worker is done sooner than several would start
TOO_LITTLE_MEMORY = "not enough memory for this image; see --max-pixels and --jobs"
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
    """What one file gave: features, or the reason why there are none.

    Attributes
    ----------
    features : (n_features,) or (n_tiles, n_features), see `extract_features`.
    edit : what was done to the image before.
    metadata : what else its header says.
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


Edits = Sequence[Edit | None]


def extract_file(
    file: FoundFile,
    spec: FeatureSpec | None,
    max_pixels: int = MAX_PIXELS,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> tuple[Extraction, ...]:
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
    known: dict[str, Any] = {"path": file.path}
    try:
        if file.problem:
            raise ImageReadError(file.problem)
        read = read_file(file.path)
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


def _transform(image: DecodedImage, spec: FeatureSpec | None, edit: Edit | None, known: dict[str, Any]) -> Extraction:
    try:
        if spec is None:
            return Extraction(**known, edit=edit, features=np.empty(0, np.float32))
        if edit:
            image = edit.apply(image, known["sha256"])
            known = known | {"metadata": image.metadata}
        features = extract_features(image.pixels, spec, is_ycc=image.is_ycc)
        return Extraction(**known, edit=edit, features=features, tiles=_tiles(image.pixels, spec))
    except (ImageReadError, FeatureError) as error:
        return Extraction(**known, edit=edit, error=str(error))
    except MemoryError:
        return Extraction(**known, edit=edit, error=TOO_LITTLE_MEMORY)


def _failed(known: dict[str, Any], error: str, edits: Edits) -> tuple[Extraction, ...]:
    return tuple(Extraction(**known, edit=edit, error=error) for edit in edits)


def _tiles(pixels: np.ndarray, spec: FeatureSpec) -> np.ndarray | None:
    if spec.tiles_per_side is None:
        return None
    side, corners = tile_corners((pixels.shape[0], pixels.shape[1]), spec)
    return np.array([(x, y, side) for y, x in corners], dtype=np.int32)


def extract_files(
    files: Iterable[FoundFile],
    spec: FeatureSpec | None,
    work: Work | None = None,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> Generator[Extraction, None, None]:
    """`extract_file` of each file, in the order given, whatever the number of workers; the edits of a file in a row.

    `files` is consumed lazily; no more than a few chunks per worker are under way at once.
    """
    work = work or Work()
    edits = tuple(edits)
    task = partial(extract_file, spec=spec, max_pixels=work.max_pixels, edits=edits, examine=examine)
    with closing(work_through(files, task, work, partial(_lost, edits=edits))) as results:
        for result in results:
            yield from result


def work_through(
    items: Iterable[Item], task: Callable[[Item], Result], work: Work, lost: Callable[[Item, str], Result]
) -> Generator[Result, None, None]:
    """`task(item)` of each item, in the order given, in as many processes as `work` says; see `map_in_workers`."""
    remaining = iter(items)
    if work.jobs == 0:
        return (task(item) for item in remaining)
    jobs = work.jobs
    if jobs is None:
        first = list(islice(remaining, FEW_FILES + 1))
        remaining = chain(first, remaining)
        jobs = 1 if len(first) <= FEW_FILES else available_cores()
    return map_in_workers(task, remaining, jobs=jobs, timeout_s=work.timeout_s, lost=lost)


def _lost(file: FoundFile, reason: str, edits: Edits) -> tuple[Extraction, ...]:
    return _failed({"path": file.path}, reason, edits)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
