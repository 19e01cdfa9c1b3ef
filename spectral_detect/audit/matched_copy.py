"""Write a copy of a labelled data set in which size, compression, colour and numbers tell the classes apart no more."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from spectral_detect.atomic_write import folder_aside, naming_output
from spectral_detect.audit.dataset_audit import DatasetAudit
from spectral_detect.audit.matched_format import Cut, cut_file, smaller_than
from spectral_detect.detector.experience import MIN_OF_CODING
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.media.delivery import Delivery
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.parallel.task import Cost
from spectral_detect.parallel.work import Work, work_through
from spectral_detect.records import CLASS_NAMES, FAKE, REAL
from spectral_detect.text import file_stem
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.delivered import DELIVERY_FILE, Delivered
from spectral_detect.training.lookalikes import groups_with_lookalikes

MANIFEST, DROPPED = "manifest.csv", "dropped.csv"
IN_BOTH, COPY = "in both classes", "exact copy"  # why a file is dropped


@dataclass(frozen=True)
class CopiedFile:
    """A row of the manifest; `path` is relative to the manifest, `source` is the original file."""

    path: str
    label: int
    group: int
    source: str


@dataclass(frozen=True)
class DroppedFile:
    """A file that is not in the copy; in `reason`, the text after a colon is about this file alone."""

    path: str
    label: int | None
    reason: str


@dataclass(frozen=True)
class MatchedCopy:
    """The files of a matched copy, and the files that are not in it.

    Attributes
    ----------
    delivered : Delivered
        How the copy was made, and of what.
    codings_apart : mapping of str to (int, int)
        Coding of originals that tells the classes apart, and that the copy cannot hide -> number of reals and of fakes.
    """

    format: Delivery
    copied: tuple[CopiedFile, ...]
    dropped: tuple[DroppedFile, ...]
    delivered: Delivered
    codings_apart: Mapping[str, tuple[int, int]]

    @property
    def n_real(self) -> int:
        """Return the number of real images in the copy."""
        return sum(file.label == REAL for file in self.copied)

    @property
    def n_fake(self) -> int:
        """Return the number of fake images in the copy."""
        return sum(file.label == FAKE for file in self.copied)

    @property
    def n_dropped(self) -> Mapping[str, int]:
        """Return the number of dropped files for each reason, the most frequent first."""
        return dict(Counter(file.reason.split(":")[0] for file in self.dropped).most_common())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "side_px": self.format.side_px,
            "jpeg_qualities": sorted({*self.format.qualities}),
            "n_real": self.n_real,
            "n_fake": self.n_fake,
            "dropped": self.n_dropped,
            "codings": dict(self.delivered.codings),
            "codings_apart": {kind: list(counts) for kind, counts in self.codings_apart.items()},
        }


@dataclass(frozen=True)
class AuditedCopy:
    """A matched copy, its folder, and its own audit."""

    output: str
    copy: MatchedCopy
    audit: DatasetAudit

    @property
    def is_unfair(self) -> bool:
        """Return whether the copy's metadata or pixels still tell the classes apart."""
        return self.audit.is_unfair or bool(self.copy.codings_apart)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"output": self.output, **self.copy.to_dict(), "audit": self.audit.to_dict()}


def write_matched(
    dataset: Dataset,
    output: str | os.PathLike[str],
    matched: Delivery,
    work: Work | None = None,
    *,
    limits: Limits | None = None,
    progress: Callable[[Iterable[Cut]], Iterable[Cut]] = iter,
) -> MatchedCopy:
    """Write `real/` and `fake/`, equally many images of each, `manifest.csv` and `dropped.csv` into a new folder.

    Dropped are files that cannot be read, gray images, exact copies (if a file is in both classes, all of them), images
    smaller than the window, and the surplus of the larger class: whole groups first, chosen by a hash of the content.

    Parameters
    ----------
    dataset : Dataset
        Images of both classes, as `read_dataset` gives them.
    output : str or path
        A folder that is empty or does not exist. It appears only when it is complete.
    matched : Delivery
        The size and the quality of all images.
    work : Work, optional
        How to run.
    limits : Limits, optional
        Which images are refused.
    progress : callable
        Passes the cut images on, to show progress.

    Raises
    ------
    DatasetError
        No image is left of a class.
    OutputError
        The folder is not empty, or cannot be written.
    """
    reasons = _reasons_to_drop(dataset, matched.side_px)
    fit = [k for k, reason in enumerate(reasons) if reason is None]
    task = _CutFile(matched, limits or Limits())
    names = {k: _safe_name(k, int(dataset.y[k]), dataset.samples[k].path) for k in fit}
    with (
        folder_aside(output) as folder,
        closing(work_through(task, [dataset.samples[k] for k in fit], work or Work())) as cuts,
    ):
        with naming_output(repr(str(output))):
            for name in CLASS_NAMES:
                (folder / name).mkdir()
        alike: dict[str, list[int]] = {}  # places of the files whose cuts are the same
        fingerprints: dict[int, int | None] = {}
        for k, cut in zip(fit, progress(cuts), strict=True):
            reasons[k], fingerprints[k] = cut.reason, cut.fingerprint
            if cut.content is not None:
                alike.setdefault(sha256(cut.content).hexdigest(), []).append(k)
                with naming_output(repr(str(output))):
                    (folder / names[k]).write_bytes(cut.content)
        for k, reason in _copies(alike.values(), dataset.y):
            reasons[k] = reason
            (folder / names[k]).unlink()
        _require_both(reasons, dataset.y)
        for k in _surplus([k for k in fit if reasons[k] is None], dataset):
            reasons[k] = "surplus of its class"
            (folder / names[k]).unlink()
        left = {k: names[k] for k in fit if reasons[k] is None}
        copy = _listed(dataset, matched, left, reasons, _groups(dataset, {k: fingerprints[k] for k in left}))
        with naming_output(repr(str(output))):
            _write_tables(folder, copy)
    return copy


@dataclass(frozen=True)
class _CutFile:
    """Cut the window of a file: a task for workers."""

    matched: Delivery
    limits: Limits
    cost: Cost = field(default="short", init=False)

    def __call__(self, sample: Extraction) -> Cut:
        return cut_file(sample, self.matched, self.limits.max_pixels)

    def failed(self, sample: Extraction, reason: str) -> Cut:
        return Cut(None, f"failed: {reason}")


def _reasons_to_drop(dataset: Dataset, side_px: int) -> list[str | None]:
    """Return the reason to drop each sample, as far as its header and hash tell; None to keep it."""
    labels_of: dict[object, set[int]] = {}
    for label, file in zip(dataset.y.tolist(), dataset.files, strict=True):
        labels_of.setdefault(file, set()).add(label)
    seen: set[object] = set()
    reasons: list[str | None] = []
    for sample, file in zip(dataset.samples, dataset.files, strict=True):
        reason = None
        if sample.metadata and sample.metadata.is_gray:
            reason = "gray"
        elif len(labels_of[file]) > 1:
            reason = IN_BOTH
        elif file in seen:
            reason = COPY
        elif min(sample.width or 0, sample.height or 0) < side_px:
            reason = smaller_than(side_px)
        seen.add(file)
        reasons.append(reason)
    return reasons


def _copies(alike: Iterable[Sequence[int]], y: np.ndarray) -> Iterator[tuple[int, str]]:
    """Yield the places and reasons of files to drop, as other files hold the same picture."""
    for places in alike:
        if len(set(y[list(places)].tolist())) > 1:
            yield from ((k, IN_BOTH) for k in places)
        else:
            yield from ((k, COPY) for k in places[1:])


def _require_both(reasons: Sequence[str | None], y: np.ndarray) -> None:
    for label, name in enumerate(CLASS_NAMES):
        reasons_of_class = [reason for reason, other in zip(reasons, y, strict=True) if other == label]
        if None not in reasons_of_class:
            counts = ", ".join(f"{n} {reason}" for reason, n in Counter(reasons_of_class).most_common())
            raise DatasetError(f"no {name} image is left ({counts})")


def _surplus(kept: Sequence[int], dataset: Dataset) -> list[int]:
    """Return the images that the larger class has too many of, chosen by a hash of the group, then of the file."""
    first_of: dict[int, str] = {}
    for k in kept:
        group, content = int(dataset.groups[k]), str(dataset.samples[k].sha256)
        first_of[group] = min(first_of.get(group, content), content)

    def order(k: int) -> tuple[str, str]:
        keys = first_of[int(dataset.groups[k])], str(dataset.samples[k].sha256)
        return sha256(keys[0].encode()).hexdigest(), sha256(keys[1].encode()).hexdigest()

    classes = [sorted((k for k in kept if dataset.y[k] == label), key=order) for label in (REAL, FAKE)]
    return max(classes, key=len)[min(map(len, classes)) :]


def _safe_name(number: int, label: int, path: str) -> str:
    return f"{CLASS_NAMES[label]}/{number:06d}_{file_stem(path, 40)}.jpg"


def _groups(dataset: Dataset, fingerprints: Mapping[int, int | None]) -> list[int]:
    """Return the groups of the cuts with these fingerprints; images that look the same, whole or cut, share one."""
    cuts = replace(dataset, groups=groups_with_lookalikes(dataset)).select(np.array([*fingerprints]))
    pairs = zip(cuts.samples, fingerprints.values(), strict=True)
    samples = tuple(replace(sample, fingerprint=of_cut) for sample, of_cut in pairs)
    return [int(group) for group in groups_with_lookalikes(replace(cuts, samples=samples))]


def _listed(
    dataset: Dataset,
    matched: Delivery,
    names: Mapping[int, str],
    reasons: Sequence[str | None],
    groups: Sequence[int],
) -> MatchedCopy:
    y, samples = dataset.y.tolist(), dataset.samples
    dropped = [DroppedFile(f.path, None, f"failed: {f.error}") for f in dataset.failures]
    dropped += [DroppedFile(samples[k].path, y[k], reason) for k, reason in enumerate(reasons) if reason is not None]
    copied = (
        CopiedFile(name, y[k], group, samples[k].path) for (k, name), group in zip(names.items(), groups, strict=True)
    )
    originals = dataset.select(np.array([*names]))
    delivered = Delivered.of_originals(matched, originals)
    return MatchedCopy(matched, tuple(copied), tuple(dropped), delivered, _codings_apart(originals, delivered))


def _codings_apart(originals: Dataset, delivered: Delivered) -> dict[str, tuple[int, int]]:
    """Count the originals of each class in codings that a model of the copy will not judge, if they are many."""
    real, fake = (Counter(c.kind for c in codings if c is not None) for codings in originals.codings_by_class())
    counts = {kind: (real[kind], fake[kind]) for kind in sorted({*real, *fake} - {*delivered.codings})}
    return {kind: both for kind, both in counts.items() if max(both) >= MIN_OF_CODING}


def _write_tables(folder: Path, copy: MatchedCopy) -> None:
    copied = ((c.path, CLASS_NAMES[c.label], c.group, c.source) for c in copy.copied)
    dropped = ((d.path, "" if d.label is None else CLASS_NAMES[d.label], d.reason) for d in copy.dropped)
    for name, rows in (
        (MANIFEST, _lines(("path", "label", "group", "source"), copied)),
        (DROPPED, _lines(("path", "label", "reason"), dropped)),
    ):
        (folder / name).write_bytes("".join(rows).encode("utf-8", "surrogateescape"))
    (folder / DELIVERY_FILE).write_text(copy.delivered.to_json(), encoding="utf-8")


def _lines(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    yield csv_line(header)
    yield from map(csv_line, rows)
