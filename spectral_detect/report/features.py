"""Feature vectors as NPZ or CSV."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable

import numpy as np

from spectral_detect.errors import OutputError
from spectral_detect.features import FeatureSpec
from spectral_detect.files import LONGEST_LINE, cut_torn_line, write_aside
from spectral_detect.pipeline import Extraction
from spectral_detect.report.streams import csv_line

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
    """`X`, `paths`, `sizes` (width, height), `sha256`, `spec` (JSON), written aside and renamed."""
    everything = list(extractions)
    read = [(e, e.features) for e in everything if e.features is not None]
    if len({features.shape for _, features in read}) > 1:
        raise OutputError(f"{output!r}: {UNEQUAL}")
    if not read:
        return everything
    content = io.BytesIO()
    np.savez_compressed(
        content,
        X=np.array([features for _, features in read]),
        paths=np.array([e.path for e, _ in read], dtype=np.str_),
        sizes=np.array([(e.width, e.height) for e, _ in read], dtype=np.int64).reshape(-1, 2),
        sha256=np.array([e.sha256 for e, _ in read], dtype=np.str_),
        spec=np.array(json.dumps(spec.to_dict())),
    )
    write_aside(output, content.getvalue())
    return [e for e in everything if e.features is None]


def write_csv(output: str, extractions: Iterable[Extraction], spec: FeatureSpec) -> list[Extraction]:
    """`path, width, height, sha256, spec, f0, f1, ...`, a row an image, as they come."""
    failures = []
    spec_json = json.dumps(spec.to_dict())
    digits = 9 if spec.precision == "float32" else 17  # enough to read the same number back
    n_features = None
    try:
        with open(output, "w", LONGEST_LINE, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            for e in extractions:
                if e.features is None:
                    failures.append(e)
                    continue
                if n_features is None:
                    n_features = len(e.features)
                    names = [f"f{k}" for k in range(n_features)]
                    stream.write(csv_line(["path", "width", "height", "sha256", "spec", *names]))
                if len(e.features) != n_features:
                    raise OutputError(f"{output!r}, at {e.path!r}: {UNEQUAL}")
                numbers = [float(f"{v:.{digits}g}") for v in e.features]
                stream.write(csv_line([e.path, e.width, e.height, e.sha256, spec_json, *numbers]))
                stream.flush()
    except OSError as error:
        cut_torn_line(output)
        raise OutputError(f"{output!r} cannot be written: {error.strerror}") from None
    return failures


WRITERS: dict[str, Writer] = {".npz": write_npz, ".csv": write_csv}
