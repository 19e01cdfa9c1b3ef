"""Read scores back, with their labels: what `evaluate --scores` and scans have written."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np

from spectral_detect.detector.metric_values import Metrics
from spectral_detect.detector.metrics import evaluate_scores
from spectral_detect.errors import DatasetError
from spectral_detect.records import ABOVE_ALL, BELOW_ALL, CLASS_NAMES, FAKE, LABELS, REAL
from spectral_detect.sources.text_encoding import how_to_convert, wide_encoding
from spectral_detect.text import short_repr, told_apart

JSON_LINES = (".jsonl", ".ndjson")
WHAT_TO_GIVE = "give a file that `evaluate --scores` or `scan --format csv` has written"
LARGEST_RATIO = 1000  # decimal logarithms; a record's are below the number of images
GUESSED_THRESHOLD = 0.5
TRUTHS = {**LABELS, "0": REAL, "1": FAKE}


@dataclass(frozen=True, eq=False)
class ScoredSet:
    """Scored, labelled images of both classes.

    Attributes
    ----------
    name : str
        What it is called in a figure.
    y, scores, groups : (n_images,) array
        Labels, scores in [0, 1], and groups: images of one group belong together.
    log10_ratios : (n_images,) array or None
        Likelihood ratios, NaN of an image without one; None if no image has one.
    threshold : float or None
        That of the verdicts; None if the file does not tell, or tells several.
    undecided : (float, float) or None
        Scores between which the model decides nothing, if all rows have the same.
    class_names : (str, str)
        What the classes are called in a figure.
    n_left_out : int
        Rows without a score: files that failed.
    """

    name: str
    y: np.ndarray
    scores: np.ndarray
    groups: np.ndarray
    log10_ratios: np.ndarray | None = None
    threshold: float | None = None
    n_left_out: int = 0
    undecided: tuple[float, float] | None = None
    class_names: tuple[str, str] = CLASS_NAMES
    __repr__ = short_repr

    def measure(self) -> Metrics:
        """Return all metrics with their intervals; those at a threshold mean nothing where it is not known."""
        threshold = GUESSED_THRESHOLD if self.threshold is None else self.threshold
        return evaluate_scores(self.y, self.scores, threshold, self.groups)


@dataclass(frozen=True)
class _Row:
    """What a figure needs of a row; a score of None stands for a file that failed."""

    label: int
    score: float | None
    log10_ratio: float | None
    group: str | None
    threshold: float | None
    undecided: tuple[float, float] | None
    model: str | None = None
    called: tuple[int, str] | None = None  # the class of the verdict, and the model's own name for it


def read_scored(labelled: Sequence[str], real: Sequence[str] = (), fake: Sequence[str] = ()) -> list[ScoredSet]:
    """Read files of scores.

    Parameters
    ----------
    labelled : sequence of str
        CSV files with the columns `label` (real or fake) and `score`, as `evaluate --scores` writes them; each gives a
        set of its own.
    real, fake : sequence of str
        Files of scores, CSV or JSON Lines, in which every image is real, or fake; together they give one more set.

    Raises
    ------
    DatasetError
        A file cannot be read, has no scores, is named for both classes, or its labels are verdicts; a set lacks a
        class, or several models gave its scores.
    """
    if both := {os.path.realpath(path) for path in real} & {os.path.realpath(path) for path in fake}:
        raise DatasetError(f"the scores of {both.pop()!r} are of real and of fake images", remedy="name it as one")
    names = told_apart([*labelled, *real, *fake])
    sets = [_set_of(name, path, _rows_of(path, None)) for name, path in zip(names, labelled, strict=False)]
    if real or fake:
        rows = [row for paths, label in ((real, REAL), (fake, FAKE)) for path in paths for row in _rows_of(path, label)]
        of_reals, of_fakes = names[len(labelled) :][: len(real)], names[len(labelled) + len(real) :]
        name = f"{', '.join(of_reals)} against {', '.join(of_fakes)}"
        sets.append(_set_of(name, name, rows))
    return sets


def _set_of(name: str, place: str, rows: Iterable[_Row]) -> ScoredSet:
    every = list(rows)
    scored = [row for row in every if row.score is not None]
    y = np.array([row.label for row in scored], dtype=int)
    counts = {label: int(np.sum(y == value)) for label, value in LABELS.items()}
    if not all(counts.values()):
        raise DatasetError(
            f"{place!r}: {counts['real']} real and {counts['fake']} fake images with a score",
            remedy="a figure of scores needs both classes",
        )
    if len(models := sorted({row.model for row in scored if row.model})) > 1:
        raise DatasetError(
            f"{place!r}: scores of {len(models)} models ({', '.join(models)}), which are on different scales",
            remedy="scan the images of both classes with one model",
        )
    called = dict(row.called for row in scored if row.called)
    thresholds, zones = {row.threshold for row in scored}, {row.undecided for row in scored}
    return ScoredSet(
        name,
        y,
        np.array([row.score for row in scored], dtype=float),
        _group_numbers(row.group for row in scored),
        ratios_of(row.log10_ratio for row in scored),
        thresholds.pop() if len(thresholds) == 1 else None,
        len(every) - len(scored),
        zones.pop() if len(zones) == 1 else None,
        (called.get(REAL, CLASS_NAMES[REAL]), called.get(FAKE, CLASS_NAMES[FAKE])),
    )


def ratios_of(ratios: Iterable[float | None]) -> np.ndarray | None:
    """Return (n,) likelihood ratios, NaN of an image without one; None if no image has one."""
    known = list(ratios)
    return None if set(known) <= {None} else np.array([math.nan if r is None else r for r in known])


def _group_numbers(groups: Iterable[str | None]) -> np.ndarray:
    """Return (n,) the number of each group; an image without one is a group of its own."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(k if name is None else name, len(numbers)) for k, name in enumerate(groups)])


def _rows_of(path: str, label: int | None) -> Iterator[_Row]:
    """Yield the rows of a file, all of them of this class if one is given."""
    for number, values in _records(path):
        place = f"{path!r}, row {number}"
        low, high = (_number(values, f"undecided_{end}", place, BELOW_ALL, ABOVE_ALL) for end in ("low", "high"))
        yield _Row(
            _truth(values, place) if label is None else label,
            _number(values, "score", place, 0, 1),
            _number(values, "log10_likelihood_ratio", place, -LARGEST_RATIO, LARGEST_RATIO),
            str(values["group"]) if values.get("group") not in (None, "") else None,
            _number(values, "threshold", place, 0, ABOVE_ALL),
            None if low is None or high is None else (low, high),
            f"{values.get('model')} ({str(values['model_sha256'])[:12]})" if values.get("model_sha256") else None,
            _called(values),
        )


def _called(values: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return the class of a verdict and the model's own name for it; None if it has none."""
    label, name = LABELS.get(str(values.get("verdict"))), values.get("class_name")
    return (label, str(name)) if label is not None and name else None


def _records(path: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the number and the values of each row that a file holds."""
    text = _text_of(path)
    try:
        if path.lower().endswith(JSON_LINES):
            records: Iterable[Any] = (json.loads(line) for line in text.split("\n") if line.strip())
        else:
            records = csv.DictReader(StringIO(text, newline=""))
        for number, values in enumerate(records, 1):
            if not isinstance(values, dict) or "score" not in values:
                raise DatasetError(f"{path!r} has no column `score`", remedy=WHAT_TO_GIVE)
            yield number, values
    except (csv.Error, ValueError, RecursionError) as error:
        raise DatasetError(f"{path!r} is neither CSV nor JSON Lines of scores: {error}", remedy=WHAT_TO_GIVE) from None


def _text_of(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise DatasetError(f"{path!r} cannot be read: {error.strerror}") from None
    if (encoding := wide_encoding(content)) is not None:
        raise DatasetError(f"{path!r} is in {encoding}, not in UTF-8", remedy=how_to_convert(encoding))
    return content.decode("utf-8-sig", "surrogateescape")


def _truth(values: Mapping[str, Any], place: str) -> int:
    """Return the label of a row; a scan's is its verdict, which says nothing of the truth."""
    if values.get("schema"):
        raise DatasetError(
            f"{place}: a scan does not know which images are real, and its labels are its own verdicts",
            remedy="scan real and fake images into two files, and name them by `real` and `fake`",
        )
    label = str(values.get("label") or "").strip().lower()
    if label not in TRUTHS:
        raise DatasetError(
            f"{place}: label {label!r}, neither real nor fake", remedy="or name files of one class by `real` and `fake`"
        )
    return TRUTHS[label]


def _number(
    values: Mapping[str, Any], name: str, place: str, low: float = -math.inf, high: float = math.inf
) -> float | None:
    """Return the number in a column, None if it is empty or not there."""
    value = values.get(name)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and low <= number <= high):
        limits = f" from {low:g} to {high:g}" if math.isfinite(low) else ""
        raise DatasetError(f"{place}: {name} {value!r} is not a number{limits}", remedy=WHAT_TO_GIVE)
    return number
