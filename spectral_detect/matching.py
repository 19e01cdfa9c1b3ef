"""A copy of a labelled data set in which size, compression, colour and numbers no longer tell the classes apart.

Every image goes through the same steps, whatever its label: a window about the centre, without resampling, saved as
JPEG.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image

from spectral_detect.audit import near_pairs
from spectral_detect.augment import as_rgb
from spectral_detect.csvrows import csv_line
from spectral_detect.dataset import Dataset
from spectral_detect.errors import DatasetError, ImageReadError
from spectral_detect.files import folder_aside
from spectral_detect.images import decode, read_file, shows_no_colour
from spectral_detect.pipeline import TOO_LITTLE_MEMORY, Extraction, Work, work_through
from spectral_detect.records import FAKE, REAL

GRID_PX = 16  # the largest block of a JPEG with 4:2:0 chroma: the window starts on this grid, and so keeps the old one
FILLING_SHARE = 0.9  # of each class can fill the window
LOW_QUALITY_SHARE = 0.05  # of all images may have been saved at a lower quality than the copy
HIGHEST_QUALITY = 90
LOSSLESS = 100
NAMES = {REAL: "real", FAKE: "fake"}
MANIFEST, DROPPED = "manifest.csv", "dropped.csv"

Quality = int | Literal["reals"] | None


@dataclass(frozen=True)
class Recipe:
    """What is done to each image.

    Attributes
    ----------
    side_px : of the square window.
    qualities : of the JPEG files; each image gets one of them, by a hash of its content.
    """

    side_px: int
    qualities: tuple[int, ...]

    def quality_of(self, content_sha256: str) -> int:
        """The same for the same content, whatever its label."""
        return self.qualities[int(sha256(f"quality {content_sha256}".encode()).hexdigest(), 16) % len(self.qualities)]


@dataclass(frozen=True)
class Copy:
    """A row of the manifest; `path` is relative to it."""

    path: str
    label: int
    group: int
    source: str


@dataclass(frozen=True)
class Dropped:
    """A file that is not in the copy; what follows a colon in `reason` is about this file alone."""

    path: str
    label: int | None
    reason: str


@dataclass(frozen=True)
class Match:
    """What was written and what was not."""

    recipe: Recipe
    copies: tuple[Copy, ...]
    dropped: tuple[Dropped, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        kept = Counter(copy.label for copy in self.copies)
        return {
            "side_px": self.recipe.side_px,
            "jpeg_qualities": sorted({*self.recipe.qualities}),
            "n_real": kept[REAL],
            "n_fake": kept[FAKE],
            "dropped": dict(Counter(d.reason.split(":")[0] for d in self.dropped).most_common()),
        }


def choose_recipe(dataset: Dataset, *, side_px: int | None = None, quality: Quality = None) -> Recipe:
    """A window and a quality for all images, from sizes and qualities alone.

    Parameters
    ----------
    side_px : None takes the largest multiple of 16 that at least 90 % of the colour images of each class can fill.
    quality : None takes the lowest that at least 5 % of all images have, at most 90: of an image saved again at a
        higher quality than before, the first compression can still be seen. "reals" draws from those of the real JPEGs.

    Raises
    ------
    DatasetError : a class has no colour image, none so large, or no JPEG among the reals to draw from.
    """
    usable = dataset.select(np.array([not (s.metadata and s.metadata.is_gray) for s in dataset.samples], dtype=bool))
    if not (usable.n_real and usable.n_fake):
        raise DatasetError(f"{usable.n_real} real and {usable.n_fake} fake images in colour: matching needs both")
    if side_px is None:
        side_px = min(_filled_side(usable.samples, usable.y == label) for label in NAMES)
    return Recipe(side_px, _qualities(usable, quality))


def _filled_side(samples: Sequence[Extraction], is_chosen: np.ndarray) -> int:
    sides = np.array([min(s.width or 0, s.height or 0) for s in samples])[is_chosen]
    side = int(np.quantile(sides, 1 - FILLING_SHARE, method="lower")) // GRID_PX * GRID_PX
    if side < GRID_PX:
        raise DatasetError(f"more than a tenth of a class is smaller than {GRID_PX} pixels: leave those images out")
    return side


def _qualities(dataset: Dataset, quality: Quality) -> tuple[int, ...]:
    if isinstance(quality, int):
        return (quality,)
    found = [s.metadata.nearest_quality if s.metadata else None for s in dataset.samples]
    if quality is None:
        lowest = np.quantile([LOSSLESS if q is None else q for q in found], LOW_QUALITY_SHARE, method="lower")
        return (min(HIGHEST_QUALITY, int(lowest)),)
    of_reals = sorted(q for q, label in zip(found, dataset.y, strict=True) if label == REAL and q is not None)
    if not of_reals:
        raise DatasetError("no real image is a JPEG, whose quality could be taken; name a quality")
    return tuple(of_reals)


def write_matched(
    dataset: Dataset,
    output: str | os.PathLike[str],
    recipe: Recipe,
    work: Work | None = None,
    *,
    watch: Callable[[Iterable[Cut]], Iterable[Cut]] = iter,
) -> Match:
    """Write `real/` and `fake/`, as many images of each, `manifest.csv` and `dropped.csv` into a new folder.

    Dropped are files that cannot be read, gray images, exact copies (of a file that is in both classes, all), images
    smaller than the window, and of the larger class, whole groups first, what a hash of the content picks.

    Parameters
    ----------
    dataset : both classes, as `read_dataset` gives it.
    output : a folder that is empty or does not exist. Nobody ever sees half of it.
    watch : may look at what comes by, for a progress bar.

    Raises
    ------
    DatasetError : nothing is left of a class.
    OutputError : the folder is not empty, or cannot be written.
    """
    work = work or Work()
    reasons = _reasons_to_drop(dataset, recipe.side_px)
    fit = [k for k, reason in enumerate(reasons) if reason is None]
    task = partial(cut_file, recipe=recipe, max_pixels=work.max_pixels)
    with folder_aside(output) as folder:
        for name in NAMES.values():
            (folder / name).mkdir()
        names: dict[int, str] = {}
        with closing(work_through([dataset.samples[k] for k in fit], task, work, _lost)) as cuts:
            for k, cut in zip(fit, watch(cuts), strict=True):
                reasons[k] = cut.reason
                if cut.content is not None:
                    names[k] = _safe_name(k, int(dataset.y[k]), dataset.samples[k].path)
                    (folder / names[k]).write_bytes(cut.content)
        _require_both(reasons, dataset.y)
        for k in _surplus(list(names), dataset):
            reasons[k] = "surplus of its class"
            (folder / names.pop(k)).unlink()
        match = _match(dataset, recipe, names, reasons)
        _write_tables(folder, match)
    return match


@dataclass(frozen=True)
class Cut:
    """A JPEG file, or the reason why there is none."""

    content: bytes | None
    reason: str | None = None


def cut_file(sample: Extraction, recipe: Recipe, max_pixels: int) -> Cut:
    """The window of one file, saved as JPEG."""
    try:
        read = read_file(sample.path)
        if read.sha256 != sample.sha256:
            raise ImageReadError("changed while it was read")
        image = decode(read.content, max_pixels=max_pixels, colour=True)
        if min(image.pixels.shape[:2]) < recipe.side_px:  # of a truncated file some rows are missing
            return Cut(None, _smaller(recipe.side_px))
        window = central_window(as_rgb(image.pixels, image.is_ycc), recipe.side_px)
        content = _as_jpeg(window, recipe.quality_of(read.sha256))
        if shows_no_colour(decode(content, colour=True)):
            return Cut(None, "gray in the window")
    except ImageReadError as error:
        return Cut(None, f"failed: {error}")
    except MemoryError:
        return Cut(None, f"failed: {TOO_LITTLE_MEMORY}")
    return Cut(content)


def central_window(pixels: np.ndarray, side_px: int) -> np.ndarray:
    """(side, side, ...) about the centre, from a corner on the grid of JPEG's blocks."""
    top, left = ((length - side_px) // 2 // GRID_PX * GRID_PX for length in pixels.shape[:2])
    return pixels[top : top + side_px, left : left + side_px]


def _as_jpeg(rgb: np.ndarray, quality: int) -> bytes:
    stream = BytesIO()
    PIL.Image.fromarray(rgb).convert("RGB").save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return stream.getvalue()


def _lost(sample: Extraction, reason: str) -> Cut:
    return Cut(None, f"failed: {reason}")


def _smaller(side_px: int) -> str:
    return f"smaller than {side_px}x{side_px}"


def _reasons_to_drop(dataset: Dataset, side_px: int) -> list[str | None]:
    """Of each sample, as far as its header and hash tell."""
    labels_of: dict[str | None, set[int]] = {}
    for label, sample in zip(dataset.y.tolist(), dataset.samples, strict=True):
        labels_of.setdefault(sample.sha256, set()).add(label)
    seen: set[str | None] = set()
    reasons: list[str | None] = []
    for sample in dataset.samples:
        reason = None
        if sample.metadata and sample.metadata.is_gray:
            reason = "gray"
        elif len(labels_of[sample.sha256]) > 1:
            reason = "in both classes"
        elif sample.sha256 in seen:
            reason = "exact copy"
        elif min(sample.width or 0, sample.height or 0) < side_px:
            reason = _smaller(side_px)
        seen.add(sample.sha256)
        reasons.append(reason)
    return reasons


def _require_both(reasons: Sequence[str | None], y: np.ndarray) -> None:
    for label, name in NAMES.items():
        mine = [reason for reason, of in zip(reasons, y, strict=True) if of == label]
        if None not in mine:
            counts = ", ".join(f"{n} {reason}" for reason, n in Counter(mine).most_common())
            raise DatasetError(f"no {name} image is left ({counts})")


def _surplus(kept: Sequence[int], dataset: Dataset) -> list[int]:
    """What the larger class has too many of: ordered by a hash of the group, then of the file."""
    first_of: dict[int, str] = {}
    for k in kept:
        group, content = int(dataset.groups[k]), str(dataset.samples[k].sha256)
        first_of[group] = min(first_of.get(group, content), content)

    def order(k: int) -> tuple[str, str]:
        keys = first_of[int(dataset.groups[k])], str(dataset.samples[k].sha256)
        return sha256(keys[0].encode()).hexdigest(), sha256(keys[1].encode()).hexdigest()

    classes = [sorted((k for k in kept if dataset.y[k] == label), key=order) for label in NAMES]
    return max(classes, key=len)[min(map(len, classes)) :]


def _safe_name(number: int, label: int, path: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9-]+", "_", Path(path).stem)[:40]
    return f"{NAMES[label]}/{number:06d}_{stem}.jpg"


def _match(dataset: Dataset, recipe: Recipe, names: dict[int, str], reasons: Sequence[str | None]) -> Match:
    y, samples = dataset.y.tolist(), dataset.samples
    groups = _groups_with_lookalikes(dataset)
    dropped = [Dropped(f.path, None, f"failed: {f.error}") for f in dataset.failures]
    dropped += [Dropped(samples[k].path, y[k], reason) for k, reason in enumerate(reasons) if reason is not None]
    copies = (Copy(name, y[k], int(groups[k]), samples[k].path) for k, name in names.items())
    return Match(recipe, tuple(copies), tuple(dropped))


def _groups_with_lookalikes(dataset: Dataset) -> np.ndarray:
    """(n_samples,) groups, those of lookalikes joined."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = int(dataset.groups.max()) + 1
    pairs = np.concatenate([np.stack(block) for block in near_pairs(dataset)] or [np.empty((2, 0), int)], axis=1)
    first, second = dataset.groups[pairs]
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1][dataset.groups])


def _write_tables(folder: Path, match: Match) -> None:
    copies = ((c.path, NAMES[c.label], c.group, c.source) for c in match.copies)
    dropped = ((d.path, "" if d.label is None else NAMES[d.label], d.reason) for d in match.dropped)
    for name, rows in (
        (MANIFEST, _lines(("path", "label", "group", "source"), copies)),
        (DROPPED, _lines(("path", "label", "reason"), dropped)),
    ):
        (folder / name).write_bytes("".join(rows).encode("utf-8", "surrogateescape"))


def _lines(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    yield csv_line(header)
    yield from map(csv_line, rows)
