"""Files -> feature vectors: in parallel, in order, bad files as results; for training and scanning alike."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np

from spectral_detect.augment import Edit
from spectral_detect.errors import FeatureError, ImageReadError
from spectral_detect.features import extract_features, tile_corners
from spectral_detect.finding import FoundFile
from spectral_detect.images import MAX_PIXELS, decode, fingerprint, read_file
from spectral_detect.spec import FeatureSpec
from spectral_detect.workers import map_in_workers

FEW_FILES = 24  # one worker is done sooner than several would start
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


def extract_file(
    file: FoundFile,
    spec: FeatureSpec,
    max_pixels: int = MAX_PIXELS,
    *,
    edit: Edit | None = None,
    with_fingerprint: bool = False,
) -> Extraction:
    """Read, hash, decode, edit and transform one file; whatever is wrong with it becomes `Extraction.error`."""
    known: dict[str, Any] = {"path": file.path}
    try:
        if file.problem:
            raise ImageReadError(file.problem)
        read = read_file(file.path)
        known |= {"sha256": read.sha256, "size_bytes": len(read.content), "mtime_ns": read.mtime_ns}
        image = decode(read.content, max_pixels=max_pixels, colour=spec.needs_colour)
        known |= {"width": image.width, "height": image.height, "format": image.format, "warnings": image.warnings}
        if edit is not None:
            image = edit.apply(image, read.sha256)
            known["edit"] = edit
        known["features"] = extract_features(image.pixels, spec, is_ycc=image.is_ycc)
        known["tiles"] = _tiles(image.pixels, spec)
        if with_fingerprint:
            known["fingerprint"] = fingerprint(image)
    except (ImageReadError, FeatureError) as error:
        return Extraction(**known, error=str(error))
    except MemoryError:
        return Extraction(**known, error="not enough memory for this image; see --max-pixels and --jobs")
    if image.is_constant:
        known |= {"is_constant": True, "warnings": (*image.warnings, CONSTANT_IMAGE)}
    return Extraction(**known)


def _tiles(pixels: np.ndarray, spec: FeatureSpec) -> np.ndarray | None:
    if spec.tiles_per_side is None:
        return None
    side, corners = tile_corners((pixels.shape[0], pixels.shape[1]), spec)
    return np.array([(x, y, side) for y, x in corners], dtype=np.int32)


def extract_files(
    files: Iterable[FoundFile],
    spec: FeatureSpec,
    work: Work | None = None,
    *,
    edit: Edit | None = None,
    with_fingerprint: bool = False,
) -> Generator[Extraction, None, None]:
    """`extract_file` of each file, in the order given, whatever the number of workers.

    `files` is consumed lazily; no more than a few chunks per worker are under way at once.
    """
    work = work or Work()
    task = partial(extract_file, spec=spec, max_pixels=work.max_pixels, edit=edit, with_fingerprint=with_fingerprint)
    remaining = iter(files)
    if work.jobs == 0:
        return (task(file) for file in remaining)
    jobs = work.jobs
    if jobs is None:
        first = list(islice(remaining, FEW_FILES + 1))
        remaining = chain(first, remaining)
        jobs = 1 if len(first) <= FEW_FILES else available_cores()
    return map_in_workers(task, remaining, jobs=jobs, timeout_s=work.timeout_s, lost=_lost)


def _lost(file: FoundFile, reason: str) -> Extraction:
    return Extraction(file.path, error=reason)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
