"""Read a folder of images as squares of one size; they are kept in a cache beside the images.

Free of torch: the worker processes that decode import this module.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from spectral_detect.atomic_write import write_aside
from spectral_detect.errors import DatasetError, FeatureError, ImageReadError, OutputError
from spectral_detect.media.edits import as_rgb
from spectral_detect.media.images import MAX_PIXELS, decode
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.task import Cost
from spectral_detect.parallel.work import FEW, Work, work_through
from spectral_detect.regularize.profiles import MIN_REALS
from spectral_detect.sources.discovery import FoundFile, find_images
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file
from spectral_detect.sources.urls import without_credentials

N_PROFILES = 1000  # images whose mean profile is the target of the spectral loss
CACHE = ".spectral-detect"  # a folder beside the images
CACHE_VERSION = 2
LEAST_SIZE, LARGEST_SIZE = 8, 4096
DAMAGED = (OSError, ValueError, EOFError)  # raised for a missing or damaged cache file

Square = np.ndarray | str  # (size, size, 3) uint8, or the reason why there is none
OnFailure = Callable[[str, str], None]  # path, reason


def _ignore(path: str, reason: str) -> None:
    """Do nothing: the default for callers that need not hear of bad files."""


def read_reals(
    folder: str,
    size: int,
    work: Work | None = None,
    limits: Limits | None = None,
    *,
    n_images: int | None = None,
    on_failure: OnFailure = _ignore,
    progress: Callable[[Iterable[Square]], Iterable[Square]] = iter,
) -> np.ndarray:
    """Read the images of a folder as squares; they are decoded once, then read from the cache beside them.

    Parameters
    ----------
    folder : str
        Searched as by `find_images`.
    size : int
        Pixels on a side, see `read_square`.
    n_images : int, optional
        How many files are read, drawn at random and always the same ones; default all.
    on_failure : callable
        Called with path and reason of each file that gave no square; the others are read.
    progress : callable
        Passes the squares on as they come, to show how many are read.

    Returns
    -------
    array (N, size, size, 3) uint8
        RGB, in the order of the paths; memory-mapped if it comes from the cache.

    Raises
    ------
    DatasetError
        There is no such folder, or fewer than `MIN_REALS` images in it can be used.

    Notes
    -----
    The cache is in `.spectral-detect/` in the folder or, if that cannot be written, the user's cache folder. It is made
    again when names, sizes or times of files change, and kept only if no file failed: bad files are named each time.
    """
    files = files_of(folder)
    if n_images is not None:
        if n_images < MIN_REALS:
            raise DatasetError(f"{n_images} images: at least {MIN_REALS} are needed")
        files = [files[k] for k in sorted(np.random.default_rng(0).permutation(len(files))[:n_images])]
    caches = [place / f"images-{size}-{_key(files, size)}.npy" for place in _cache_folders(folder)]
    cached = _load_images(caches, (len(files), size, size, 3))
    if cached is not None:
        return cached
    squares, n_failed = [], 0
    for file, square in zip(files, progress(_squares(files, size, work or Work(), limits or Limits())), strict=True):
        if isinstance(square, str):
            on_failure(file.path, square)
            n_failed += 1
        else:
            squares.append(square)
    _require_enough(len(squares), folder, size, n_failed)
    images = np.stack(squares)
    if not n_failed:
        _keep(caches, images)
    return images


def read_square(file: FoundFile, size: int, max_pixels: int = MAX_PIXELS) -> Square:
    """Return the central square of an image, reduced to `size` pixels by area averaging; or why there is none.

    An image with a shorter side below `size` is refused: enlarged, it would have the spectrum of the enlargement.
    """
    if file.problem:
        return file.problem
    try:
        image = decode(read_file(file.location).content, max_pixels=max_pixels, colour=True)
    except ImageReadError as error:
        return str(error)
    rgb = as_rgb(image.pixels, image.is_ycc)
    if rgb.ndim == 2:
        rgb = np.repeat(rgb[..., None], 3, axis=2)
    height, width = rgb.shape[:2]
    side = min(height, width)
    if side < size:
        return f"{width}x{height} pixels, smaller than the {size} asked for; give larger images or a smaller `size`"
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(rgb[top : top + side, left : left + side])
    return square if side == size else np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA))


def files_of(folder: str) -> list[FoundFile]:
    """Return the images of a folder on this machine; `DatasetError` if there is none of that name."""
    if not os.path.isdir(folder):
        name = without_credentials(folder)
        raise DatasetError(f"{name!r} is not a folder", remedy="name one on this machine that holds images")
    return list(find_images([Location(folder)]))


def _squares(files: list[FoundFile], size: int, work: Work, limits: Limits) -> Iterator[Square]:
    if not LEAST_SIZE <= size <= LARGEST_SIZE:
        raise FeatureError(f"size {size}: it is {LEAST_SIZE} to {LARGEST_SIZE} pixels")
    if work.jobs is None and len(files) < FEW and work.is_local:
        work = replace(work, jobs=0)
    return work_through(_ReadSquare(size, limits), files, work)


@dataclass(frozen=True)
class _ReadSquare:
    """Read a file as a square: a task for workers."""

    size: int
    limits: Limits
    cost: Cost = field(default="short", init=False)

    def __call__(self, file: FoundFile) -> Square:
        return read_square(file, self.size, self.limits.max_pixels)

    def failed(self, file: FoundFile, reason: str) -> Square:
        return reason


def _require_enough(n: int, folder: str, size: int, n_failed: int) -> None:
    if n < MIN_REALS:
        failed = f", and {n_failed} that could not be used" if n_failed else ""
        raise DatasetError(
            f"{folder!r} holds {n} images of at least {size}x{size} pixels{failed}",
            remedy=f"at least {MIN_REALS} are needed: add images" + ", or take a smaller `size`" * bool(n_failed),
        )


def _key(files: Iterable[FoundFile], size: int) -> str:
    """Hash all that the cache depends on: names, sizes and times of the files."""
    digest = hashlib.sha256(f"{CACHE_VERSION} {size}".encode())
    for file in files:
        with suppress(OSError):
            status = os.stat(file.path)
            digest.update(os.fsencode(file.path.rpartition(os.sep)[2]) + b"\0")
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _cache_folders(folder: str) -> list[Path]:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [Path(folder) / CACHE, Path(home) / "spectral-detect"]


def _keep(caches: Iterable[Path], images: np.ndarray) -> None:
    """Write to the first place that can be written; a cache that cannot be kept is no error."""
    stream = io.BytesIO()
    np.save(stream, images, allow_pickle=False)
    for cache in caches:
        with suppress(OSError, OutputError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            write_aside(cache, stream.getvalue())
            return


def _load_images(caches: Iterable[Path], shape: tuple[int, ...]) -> np.ndarray | None:
    for cache in caches:
        with suppress(*DAMAGED):
            images = np.load(cache, mmap_mode="r", allow_pickle=False)
            if images.shape == shape and images.dtype == np.uint8:
                return np.asarray(images)
    return None
