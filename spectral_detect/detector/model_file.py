"""Save and load a model.

A model file is a pickle of one dictionary of plain values: `header`, JSON text with all but the arrays, and `arrays`,
the bytes of each as little-endian floating point. Model files come from strangers, so no more than that is unpickled.
A hash tells damage; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import platform
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args

import numpy as np

from spectral_detect.atomic_write import write_aside
from spectral_detect.detector.calibration import Calibration, CalibrationKind
from spectral_detect.detector.classifiers import Classifier, KMeans, LogisticRegression, Svm
from spectral_detect.detector.experience import Experience
from spectral_detect.detector.metric_values import METRICS
from spectral_detect.detector.model import Model
from spectral_detect.detector.plain_pickle import unpickle_plain
from spectral_detect.detector.shipped import find_model, shipped_models
from spectral_detect.errors import FeatureError, ModelFileError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.records import LABELS
from spectral_detect.sources.urls import looks_like_url, without_credentials

MAX_FILE_BYTES = 256 * 2**20
SCORE_TOLERANCE = 1e-6
TYPES = ("<f2", "<f4", "<f8")
CALIBRATION_NUMBERS = ("kind", "slope", "n_real", "n_fake")
FORMAT = "spectral-detect model"
FORMAT_VERSION = 3
KINDS: dict[str, Any] = {c.kind: c for c in (Svm, LogisticRegression, KMeans)}


# ----------------------------------------------------------------------------------------------------------- saving


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file, aside and then renamed.

    The time of creation is that of SOURCE_DATE_EPOCH where it is set, so that the same training gives the same bytes.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    write_aside(path, pickle.dumps(_to_plain(model), protocol=4))


def _to_plain(model: Model) -> dict[str, Any]:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    created = datetime.fromtimestamp(int(epoch), timezone.utc) if epoch else datetime.now(timezone.utc)
    fitted = {k: v for k, v in vars(model.classifier).items() if not k.startswith("_")}
    arrays = {k: v for k, v in fitted.items() if isinstance(v, np.ndarray)}
    arrays |= {"mean": model.mean, "scale": model.scale, "reference": model.reference}
    arrays |= {"calibration_values": model.calibration.values, "calibration_log_odds": model.calibration.log_odds}
    arrays["reference_scores"] = model.scores(model.reference)
    header: dict[str, Any] = {
        "spec": model.spec.to_dict(),
        "classifier": {"kind": model.classifier.kind, **{k: v for k, v in fitted.items() if k not in arrays}},
        "calibration": {name: getattr(model.calibration, name) for name in CALIBRATION_NUMBERS},
        "threshold": model.threshold,
        "labels": LABELS,
        "training": model.training,
        "metrics": model.metrics,
        "experience": asdict(model.experience) if model.experience else None,
        "card": model.card,
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "libraries": _library_versions(),
        "shapes": {name: array.shape for name, array in arrays.items()},
        "types": {name: _smallest_type(array) for name, array in arrays.items()},
    }
    text = json.dumps(header)
    content = {
        name: np.ascontiguousarray(array, dtype=header["types"][name]).tobytes() for name, array in arrays.items()
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "header": text,
        "arrays": content,
        "sha256": _digest(text, content),
    }


def _smallest_type(array: np.ndarray) -> str:
    """The least precision that holds every value exactly."""
    with np.errstate(over="ignore"):
        return next((kind for kind in TYPES if np.array_equal(array.astype(kind), array)), TYPES[-1])


def _digest(header: str, arrays: Mapping[str, bytes]) -> str:
    """Of all that counts in a file, so that a flipped bit is noticed even where no reference vector would."""
    digest = hashlib.sha256(header.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0" + arrays[name])
    return digest.hexdigest()


def _library_versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("numpy", "scipy", "scikit-learn", "opencv-python-headless", "pillow", "spectral-detect")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


# ---------------------------------------------------------------------------------------------------------- loading


def load_model(name_or_path: str | os.PathLike[str]) -> Model:
    """Read a model file without running anything from it, and check that it still scores as when it was saved.

    Parameters
    ----------
    name_or_path : a file, or the name of a shipped model; an existing file wins.

    Raises
    ------
    ModelFileError : missing, not a model file, hostile, damaged, from a later version, or its reference vectors now
        score differently by more than 1e-6.
    """
    given = os.fspath(name_or_path)
    if looks_like_url(given) and not os.path.lexists(given):
        raise ModelFileError(f"{without_credentials(given)!r}: models are read from local files; download it first")
    name = str(find_model(given))
    content = _read(name)
    try:
        values = _of_this_version(unpickle_plain(content))
        if _digest(values["header"], values["arrays"]) != values["sha256"]:
            raise ModelFileError("damaged: its content does not have the hash stored with it; get it again")
        header = json.loads(values["header"])
        arrays = {k: _array(values["arrays"][k], header["types"][k], s) for k, s in header["shapes"].items()}
        model = _assemble(header, arrays)
    except ModelFileError as error:
        raise ModelFileError(f"{name!r}: {error}") from None
    except FeatureError as error:
        raise ModelFileError(f"{name!r}: {error}; train it again") from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"{name!r} is damaged ({type(error).__name__}: {error}); train it again") from None
    _check_reference(model, arrays["reference_scores"], name)
    return replace(model, name=Path(name).stem, sha256=hashlib.sha256(content).hexdigest())


def load_shipped_models() -> list[Model]:
    """All models that come with the program, for `scan`, which picks one for each image.

    Raises
    ------
    ModelFileError : there are none, or one of them is damaged.
    """
    models = [load_model(path) for path in shipped_models().values()]
    if not models:
        raise ModelFileError("the shipped models are missing; reinstall, or name a file with --model")
    return models


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            content = stream.read(min(size, MAX_FILE_BYTES))
    except OSError as error:
        shipped = ", ".join(shipped_models()) or "none"
        raise ModelFileError(f"{path!r} cannot be read: {error.strerror}; the shipped models: {shipped}") from None
    if size > MAX_FILE_BYTES:
        raise ModelFileError(f"{path!r} is larger than any model ({MAX_FILE_BYTES} bytes)")
    return content


def _of_this_version(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ModelFileError("not a model of this program; `spectral-detect train` makes one")
    if values.get("format_version") != FORMAT_VERSION:
        raise ModelFileError(
            f"format version {values.get('format_version')!r}, this program reads {FORMAT_VERSION}; "
            "update spectral-detect or train the model again"
        )
    return values


def _array(content: bytes, kind: str, shape: list[int]) -> np.ndarray:
    if kind not in TYPES:
        raise ModelFileError("damaged: an array of an unknown type; train it again")
    array = np.frombuffer(content, dtype=kind).reshape(shape).astype(np.float64)
    if not np.isfinite(array).all():
        raise ModelFileError("damaged: an array holds NaN or infinity; train it again")
    return array


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ModelFileError("damaged: something else stands where a finite number belongs; train it again")
    return float(value)


def _assemble(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Model:
    if header["labels"] != LABELS:
        raise ModelFileError(f"its labels are not those of this program, {LABELS}")
    model = Model(
        spec=FeatureSpec.from_dict(header["spec"]),
        classifier=_classifier(header["classifier"], arrays),
        mean=arrays["mean"],
        scale=arrays["scale"],
        calibration=_calibration(header["calibration"], arrays),
        threshold=_number(header["threshold"]),
        training=dict(header["training"]),
        metrics=_metrics(header["metrics"]),
        experience=_experience(header["experience"]),
        reference=arrays["reference"],
        card=str(header["card"]),
        created=str(header["created"]),
        libraries=dict(header["libraries"]),
    )
    if not _fits_together(model):
        raise ModelFileError("damaged: its arrays do not fit together; train it again")
    return model


def _metrics(values: Mapping[str, Any]) -> dict[str, Any]:
    for name in set(METRICS) & set(values):
        if values[name] is None:
            continue
        _number(values[name])
        low, high = values[f"{name}_ci"]
        _number(low), _number(high)
    return dict(values)


def _experience(values: Mapping[str, Any] | None) -> Experience | None:
    if values is None:
        return None
    least, most, distance, rate = (_number(values[f.name]) for f in fields(Experience)[:4])
    seen = values["jpeg_qualities"]
    qualities = None if seen is None else (int(_number(seen[0])), int(_number(seen[1])))
    return Experience(int(least), int(most), distance, rate, qualities, bool(values["has_seen_others"]))


def _calibration(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Calibration:
    kind, slope, n_real, n_fake = (values[name] for name in CALIBRATION_NUMBERS)
    knots, log_odds = arrays["calibration_values"], arrays["calibration_log_odds"]
    is_sound = kind in get_args(CalibrationKind) and _number(slope) > 0 and min(_number(n_real), _number(n_fake)) >= 0
    is_rising = knots.ndim == 1 and knots.shape == log_odds.shape and len(knots) > 0 and not _falls(knots, log_odds)
    if not (is_sound and is_rising):
        raise ModelFileError("damaged: its calibration is none; train it again")
    return Calibration(kind, float(slope), int(n_real), int(n_fake), knots, log_odds)


def _falls(*arrays: np.ndarray) -> bool:
    return any(bool((np.diff(array) <= 0).any()) for array in arrays)


def _classifier(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Classifier:
    kind = KINDS[values["kind"]]
    numbers = {k: _number(v) for k, v in values.items() if k != "kind"}
    classifier: Classifier = kind(**numbers, **{f.name: arrays[f.name] for f in fields(kind) if f.name not in numbers})
    return classifier


def _fits_together(model: Model) -> bool:
    n_features = len(model.mean)
    group_sizes = model.spec.group_sizes or (n_features,)
    if sum(group_sizes) != n_features:
        return False
    classifier = model.classifier
    if isinstance(classifier, Svm):
        n = len(classifier.dual_coef)
        fitting = (
            classifier.support_vectors.shape == (n, n_features)
            and classifier.dual_coef.shape == (n,)
            and classifier.gamma.shape == (len(group_sizes),)
            and classifier.group_sizes.tolist() == list(group_sizes)
        )
    elif isinstance(classifier, LogisticRegression):
        fitting = classifier.weights.shape == (n_features,)
    else:
        fitting = isinstance(classifier, KMeans) and classifier.centres.shape == (2, n_features)
    n_reference = len(model.reference)
    return (
        fitting
        and n_reference > 0
        and model.reference.shape == (n_reference, n_features)
        and model.mean.shape == model.scale.shape == (n_features,)
        and bool((model.scale > 0).all())
    )


def _check_reference(model: Model, expected: np.ndarray, name: str) -> None:
    with np.errstate(all="ignore"):  # damaged numbers may overflow, and then the scores differ
        scores = model.scores(model.reference)
    if scores.shape != expected.shape or not np.allclose(scores, expected, rtol=0, atol=SCORE_TOLERANCE):
        raise ModelFileError(
            f"{name!r} no longer gives the scores stored in it: the file is damaged, or this installation of NumPy "
            "computes differently; reinstall spectral-detect, or train the model again"
        )
