"""Write a copy of a labelled data set in which size, compression, colour and numbers tell the classes apart no more."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from spectral_detect.atomic_write import folder_aside, naming_output
from spectral_detect.audit.matched_recipe import Cut, Recipe, cut_file, smaller_than
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.parallel.task import Cost
from spectral_detect.parallel.work import Work, work_through
from spectral_detect.records import FAKE, REAL
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.lookalikes import groups_with_lookalikes

NAMES = {REAL: "real", FAKE: "fake"}
MANIFEST, DROPPED = "manifest.csv", "dropped.csv"


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


def write_matched(
    dataset: Dataset,
    output: str | os.PathLike[str],
    recipe: Recipe,
    work: Work | None = None,
    *,
    limits: Limits | None = None,
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
    reasons = _reasons_to_drop(dataset, recipe.side_px)
    fit = [k for k, reason in enumerate(reasons) if reason is None]
    names = {k: _safe_name(k, int(dataset.y[k]), dataset.samples[k].path) for k in fit}
    with (
        folder_aside(output) as folder,
        closing(
            work_through(_CutFile(recipe, limits or Limits()), (dataset.samples[k] for k in fit), work or Work())
        ) as cuts,
    ):
        with naming_output(repr(str(output))):
            for name in NAMES.values():
                (folder / name).mkdir()
        for k, cut in zip(fit, watch(cuts), strict=True):
            reasons[k] = cut.reason
            if cut.content is not None:
                with naming_output(repr(str(output))):
                    (folder / names[k]).write_bytes(cut.content)
        _require_both(reasons, dataset.y)
        for k in _surplus([k for k in fit if reasons[k] is None], dataset):
            reasons[k] = "surplus of its class"
            (folder / names[k]).unlink()
        match = _match(dataset, recipe, {k: names[k] for k in fit if reasons[k] is None}, reasons)
        with naming_output(repr(str(output))):
            _write_tables(folder, match)
    return match


@dataclass(frozen=True)
class _CutFile:
    """Cut the window of a file: a task for workers."""

    recipe: Recipe
    limits: Limits
    cost: Cost = field(default="short", init=False)

    def __call__(self, sample: Extraction) -> Cut:
        return cut_file(sample, self.recipe, self.limits.max_pixels)

    def failed(self, sample: Extraction, reason: str) -> Cut:
        return Cut(None, f"failed: {reason}")


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
            reason = smaller_than(side_px)
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
    groups = groups_with_lookalikes(dataset)
    dropped = [Dropped(f.path, None, f"failed: {f.error}") for f in dataset.failures]
    dropped += [Dropped(samples[k].path, y[k], reason) for k, reason in enumerate(reasons) if reason is not None]
    copies = (Copy(name, y[k], int(groups[k]), samples[k].path) for k, name in names.items())
    return Match(recipe, tuple(copies), tuple(dropped))


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
