"""Feature vectors as NPZ or CSV."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from spectral_detect.csvrows import csv_line
from spectral_detect.errors import OutputError
from spectral_detect.files import LONGEST_LINE, cut_torn_line, write_aside
from spectral_detect.pipeline import Extraction
from spectral_detect.spec import FeatureSpec

Writer = Callable[[str, Iterable[Extraction], FeatureSpec], list[Extraction]]

UNEQUAL = "features of unequal length (images of different sizes, no bins) make no table; set a number of bins"


def feature_writer(output: str) -> Writer:
    """The writer for the suffix of `output`: it writes what was read and returns what failed.

    Raises
    ------
    OutputError : no such format.
    """
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in WRITERS:
        raise OutputError(f"{output!r}: end it in .npz or .csv")
    return WRITERS[suffix]


def write_npz(output: str, extractions: Iterable[Extraction], spec: FeatureSpec) -> list[Extraction]:
    """`X`, `paths`, `sizes` (width, height), `sha256`, `spec` (JSON), `tiles` if any; written aside and renamed."""
    everything = list(extractions)
    read = [(e, np.atleast_2d(e.features)) for e in everything if e.features is not None]
    if len({rows.shape[1] for _, rows in read}) > 1:
        raise OutputError(f"{output!r}: {UNEQUAL}")
    if not read:
        return everything
    of_row = [e for e, rows in read for _ in rows]
    columns: dict[str, Any] = {
        "X": np.concatenate([rows for _, rows in read]),
        "paths": np.array([e.path for e in of_row], dtype=np.str_),
        "sizes": np.array([(e.width, e.height) for e in of_row], dtype=np.int64).reshape(-1, 2),
        "sha256": np.array([e.sha256 for e in of_row], dtype=np.str_),
        "spec": np.array(json.dumps(spec.to_dict())),
    }
    if spec.tiles_per_side is not None:
        columns["tiles"] = np.concatenate([e.tiles for e, _ in read if e.tiles is not None])
    content = io.BytesIO()
    np.savez_compressed(content, **columns)
    write_aside(output, content.getvalue())
    return [e for e in everything if e.features is None]


def write_csv(output: str, extractions: Iterable[Extraction], spec: FeatureSpec) -> list[Extraction]:
    """`path, width, height, sha256, spec[, tile_x, tile_y, tile_side], f0, f1, ...`, a row a vector, as they come."""
    failures = []
    n_features = None
    try:
        with open(output, "w", LONGEST_LINE, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            for e in extractions:
                if e.features is None:
                    failures.append(e)
                    continue
                if n_features is None:
                    n_features = e.features.shape[-1]
                    stream.write(csv_line(_csv_header(spec, n_features)))
                if e.features.shape[-1] != n_features:
                    raise OutputError(f"{output!r}, at {e.path!r}: {UNEQUAL}")
                stream.writelines(csv_line(row) for row in _csv_rows(e, spec))
                stream.flush()
    except OSError as error:
        cut_torn_line(output)
        raise OutputError(f"{output!r} cannot be written: {error.strerror}") from None
    return failures


def _csv_header(spec: FeatureSpec, n_features: int) -> list[str]:
    tile = [] if spec.tiles_per_side is None else ["tile_x", "tile_y", "tile_side"]
    return ["path", "width", "height", "sha256", "spec", *tile, *(f"f{k}" for k in range(n_features))]


def _csv_rows(e: Extraction, spec: FeatureSpec) -> Iterator[list[Any]]:
    spec_json = json.dumps(spec.to_dict())
    digits = 9 if spec.precision == "float32" else 17  # enough to read the same number back
    for k, vector in enumerate(np.atleast_2d(np.asarray(e.features))):
        tile = [] if e.tiles is None else e.tiles[k].tolist()
        yield [e.path, e.width, e.height, e.sha256, spec_json, *tile, *(float(f"{v:.{digits}g}") for v in vector)]


WRITERS: dict[str, Writer] = {".npz": write_npz, ".csv": write_csv}
