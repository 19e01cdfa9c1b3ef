"""Write feature vectors as NPZ or CSV."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from spectral_detect._version import __version__
from spectral_detect.atomic_write import open_lines, write_aside
from spectral_detect.errors import OutputError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.records import FEATURE_COLUMNS, TILE_COLUMNS

Writer = Callable[[str, Iterable[Extraction], FeatureSpec], list[Extraction]]

UNEQUAL = "features of unequal length (images of different sizes, no bins) make no table; set `n_bins`"


def feature_writer(output: str) -> Writer:
    """Return the writer for the suffix of `output`: it writes the vectors and returns the files that failed.

    Raises
    ------
    OutputError
        The suffix is not that of a format.
    """
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in WRITERS:
        raise OutputError(f"{output!r}: end it in .npz or .csv")
    return WRITERS[suffix]


def write_npz(output: str, extractions: Iterable[Extraction], spec: FeatureSpec) -> list[Extraction]:
    """Write `X`, `paths`, `sizes` (width, height), `sha256`, `spec` (JSON), and `tiles` if any, aside, and rename."""
    everything = list(extractions)
    read = [(e, np.atleast_2d(e.features)) for e in everything if e.features is not None]
    if len({rows.shape[1] for _, rows in read}) > 1:
        raise OutputError(f"{output!r}: {UNEQUAL}")
    if everything and not read:
        return everything
    of_row = [e for e, rows in read for _ in rows]
    columns: dict[str, Any] = {
        "X": np.concatenate([rows for _, rows in read]) if read else np.empty((0, 0)),
        "paths": np.array([e.path for e in of_row], dtype=np.str_),
        "sizes": np.array([(e.width, e.height) for e in of_row], dtype=np.int64).reshape(-1, 2),
        "sha256": np.array([e.sha256 for e in of_row], dtype=np.str_),
        "spec": np.array(spec_as_text(spec)),
    }
    if spec.gives_tiles:
        tiles = [e.tiles for e, _ in read if e.tiles is not None]
        columns["tiles"] = np.concatenate([np.empty((0, 3), np.int32), *tiles])
    content = io.BytesIO()
    np.savez_compressed(content, **columns)
    write_aside(output, content.getvalue())
    return [e for e in everything if e.features is None]


def write_csv(
    output: str, extractions: Iterable[Extraction], spec: FeatureSpec, columns: Sequence[str] = ()
) -> list[Extraction]:
    """Write a row per vector, as they come: FEATURE_COLUMNS, TILE_COLUMNS if any, `f0, f1, ...`.

    Parameters
    ----------
    output : str
        The file.
    extractions : iterable of Extraction
        The vectors, and the files that failed.
    spec : FeatureSpec
        The features.
    columns : sequence of str
        The columns of the rows that `output` has already, to which rows are appended; () begins the file.

    Returns
    -------
    list of Extraction
        The files that failed.

    Raises
    ------
    OutputError
        The file cannot be written, or vectors are not of one length.
    """
    failures = []
    n_features = len(columns) - len(_csv_header(spec, 0)) if columns else None
    with open_lines(output, append=bool(columns)) as stream:
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
        if n_features is None:
            stream.write(csv_line(_csv_header(spec, 0)))
    return failures


def spec_as_text(spec: FeatureSpec) -> str:
    """Return a feature spec as the text that stands in each row."""
    return json.dumps(spec.to_dict())


def _csv_header(spec: FeatureSpec, n_features: int) -> list[str]:
    tile = TILE_COLUMNS if spec.gives_tiles else ()
    return [*FEATURE_COLUMNS, *tile, *(f"f{k}" for k in range(n_features))]


def _csv_rows(e: Extraction, spec: FeatureSpec) -> Iterator[list[Any]]:
    file = [e.path, e.width, e.height, e.sha256, e.size_bytes, e.mtime_ns, __version__, spec_as_text(spec)]
    digits = 9 if spec.precision == "float32" else 17  # enough to read the same number back
    for k, vector in enumerate(np.atleast_2d(np.asarray(e.features))):
        tile = [] if e.tiles is None else e.tiles[k].tolist()
        yield [*file, *tile, *(float(f"{v:.{digits}g}") for v in vector)]


WRITERS: dict[str, Writer] = {".npz": write_npz, ".csv": write_csv}
