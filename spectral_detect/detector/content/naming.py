"""Turn a naming into plain values for a model file, and plain values back into a checked naming."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from spectral_detect.detector.content.numbers import are_scales, count, name_of, numbers_of
from spectral_detect.detector.naming import CAMERA, Naming, NamingKind, NamingReport
from spectral_detect.errors import ModelFileError

ARRAYS = ("mean", "scale", "coefficients", "intercepts", "support_vectors", "gamma", "group_sizes")
DAMAGED = "damaged: how it names generators is not valid"


def naming_arrays(naming: Naming) -> dict[str, np.ndarray]:
    """Return the arrays by their names in a model file."""
    return {f"naming_{name}": getattr(naming, name) for name in ARRAYS}


def plain_naming(naming: Naming) -> dict[str, Any]:
    """Return all but the arrays, for the header of a model file."""
    values = {name: getattr(naming, name) for name in ("kind", "slope", "limit")}
    return {"names": list(naming.names), **values, "report": plain_report(naming.report)}


def plain_report(report: NamingReport | None) -> dict[str, Any] | None:
    """Return the plain values of a report."""
    if report is None:
        return None
    return {**vars(report), "confusion": report.confusion.tolist()}


def naming_from_plain(values: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray]) -> Naming | None:
    """Return the naming of a header and arrays; None if a model has none.

    Raises
    ------
    ModelFileError
        It is not valid. Whether its arrays fit together is asked of `Naming.fits`.
    LookupError, TypeError, ValueError, AttributeError
        If damaged content has another structure.
    """
    if values is None:
        return None
    names = tuple(map(name_of, values["names"]))
    slope, limit = numbers_of([values["slope"], values["limit"]])
    is_sound = names[:1] == (CAMERA,) and len(names) == len(set(names)) > 1 and values["kind"] in get_args(NamingKind)
    if not is_sound or slope <= 0 or not are_scales(arrays["naming_scale"]):
        raise ModelFileError(DAMAGED, remedy="train it again")
    return Naming(
        names=names,
        kind=values["kind"],
        **{name: arrays[f"naming_{name}"] for name in ARRAYS},
        slope=slope,
        limit=limit,
        report=_report(values["report"], names),
    )


def _report(values: Mapping[str, Any], names: tuple[str, ...]) -> NamingReport:
    n_files, n_groups = (tuple(map(count, values[key])) for key in ("n_files", "n_groups"))
    confusion = np.array([[count(n) for n in row] for row in values["confusion"]])
    auroc, refused = (dict(values[key]) for key in ("open_set_auroc", "open_set_refused"))
    fits = len(n_files) == len(n_groups) == len(names) and confusion.shape == (len(names), len(names) + 1)
    fits &= {*auroc, *refused} <= set(names)
    if not fits or not all(0 <= share <= 1 for share in numbers_of([*auroc.values(), *refused.values()])):
        raise ModelFileError(DAMAGED, remedy="train it again")
    return NamingReport(n_files, n_groups, confusion, auroc, refused)
