"""Turn a model into plain values for its file, and plain values back into a checked model.

The content of a model file is one dictionary: `format` and `format_version`; `header`, JSON text with all but the
arrays; `arrays`, the bytes of each as little-endian floating point; `sha256` of both. The hash tells damage; it is no
signature.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, get_args

import numpy as np

from spectral_detect.atomic_write import time_of_writing
from spectral_detect.detector.calibration import Calibration, CalibrationKind
from spectral_detect.detector.class_names import why_no_class_names
from spectral_detect.detector.content.classifier import classifier_from_plain, fits_together
from spectral_detect.detector.content.memory import (
    MARKS,
    marks_from_plain,
    plain_summary,
    summary_arrays,
    summary_from_plain,
)
from spectral_detect.detector.content.naming import naming_arrays, naming_from_plain, plain_naming
from spectral_detect.detector.content.numbers import are_scales, are_sound, count, name_of, number
from spectral_detect.detector.content.outsiders import outsider_arrays, outsiders_from_plain, plain_outsiders
from spectral_detect.detector.content.plain_pickle import unpickle_plain
from spectral_detect.detector.experience import Experience, FeatureCloud, Qualities
from spectral_detect.detector.metric_values import METRICS
from spectral_detect.detector.model import Model
from spectral_detect.detector.track_record import TrackRecord
from spectral_detect.errors import ModelFileError, OptionError
from spectral_detect.features.spec import FeatureSpec, FusedSpec
from spectral_detect.media.delivery import GRID_PX, Delivery
from spectral_detect.records import ABOVE_ALL, BELOW_ALL, CLASS_NAMES, LABELS

TYPES = ("<f2", "<f4", "<f8")
CLOUD_ARRAYS = ("mean", "scale", "directions", "variances", "limits")
CALIBRATION_NUMBERS = ("kind", "slope", "n_real", "n_fake")
MOST_CODINGS = 100
COUNTS = ("n_real", "n_fake", "n_unlabelled", "n_groups", "n_fewest_groups", "n_frames", "n_gray", "copies")
FORMAT = "spectral-detect model"
FORMAT_VERSION = 7
LIBRARIES = ("numpy", "scipy", "scikit-learn", "opencv-python-headless", "pillow", "spectral-detect")
SMALL = "small"
SCORE_TOLERANCE = 1e-6


# ------------------------------------------------------------------------------------------------------- from a model


def to_plain(model: Model) -> dict[str, Any]:
    """Return the content of a model file.

    The time of creation is that of SOURCE_DATE_EPOCH if it is set, so that the same training gives the same bytes.
    """
    fitted, arrays = _fitted(model), _arrays(model)
    within = {f"part_{k}": part for k, part in enumerate(model.parts)} | ({SMALL: model.small} if model.small else {})
    models = {name: pickle.dumps(to_plain(other), protocol=4) for name, other in within.items()}
    arrays["reference_scores"] = model.calibration.scores(model.decision_values(model.reference))
    header: dict[str, Any] = {
        "spec": model.spec.to_dict(),
        "parts": [{"name": part.name, "sha256": part.sha256} for part in model.parts],
        "classifier": {"kind": model.classifier.kind, **{k: v for k, v in fitted.items() if k not in arrays}},
        "calibration": {name: getattr(model.calibration, name) for name in CALIBRATION_NUMBERS},
        "threshold": model.threshold,
        "labels": LABELS,
        "training": model.training,
        "metrics": model.metrics,
        "experience": asdict(model.experience) if model.experience else None,
        "undecided": model.undecided,
        "track_record": [asdict(kind) for kind in model.track_record],
        "variance_of_rest": model.cloud.variance_of_rest if model.cloud else None,
        "delivery": asdict(model.delivery) if model.delivery else None,
        "summary": plain_summary(model.summary) if model.summary else None,
        "outsiders": plain_outsiders(model.outsiders) if model.outsiders else None,
        **({"class_names": list(model.class_names)} if model.class_names != CLASS_NAMES else {}),
        **({"naming": plain_naming(model.naming)} if model.naming else {}),
        "card": model.card,
        "created": time_of_writing(),
        "libraries": library_versions(),
        "shapes": {name: array.shape for name, array in arrays.items()},
        "types": {name: _smallest_type(array) for name, array in arrays.items()},
    }
    text = json.dumps(header)
    content = {
        name: np.ascontiguousarray(array, dtype=header["types"][name]).tobytes()
        for name, array in arrays.items()
        if array.size  # equal bytes would be one object, to which the pickle would refer
    } | models
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "header": text,
        "arrays": content,
        "sha256": content_sha256(text, content),
    }


def _fitted(model: Model) -> dict[str, Any]:
    return {k: v for k, v in vars(model.classifier).items() if not k.startswith("_")}


def _arrays(model: Model) -> dict[str, np.ndarray]:
    """Return all arrays of a model but the scores of its reference vectors."""
    arrays = {k: v for k, v in _fitted(model).items() if isinstance(v, np.ndarray)}
    arrays |= {"mean": model.mean, "scale": model.scale, "reference": model.reference}
    arrays |= {"calibration_values": model.calibration.values, "calibration_log_odds": model.calibration.log_odds}
    if model.cloud:
        arrays |= {f"cloud_{name}": getattr(model.cloud, name) for name in CLOUD_ARRAYS}
    if model.summary:
        arrays |= summary_arrays(model.summary)
    if len(model.file_marks):
        arrays[MARKS] = model.file_marks
    if model.outsiders:
        arrays |= outsider_arrays(model.outsiders, model.mean, model.scale)
    if model.naming:
        arrays |= naming_arrays(model.naming)
    return arrays


def _smallest_type(array: np.ndarray) -> str:
    """Return the least precision that holds every value exactly."""
    with np.errstate(over="ignore", invalid="ignore"):
        return next((kind for kind in TYPES if np.array_equal(array.astype(kind), array)), TYPES[-1])


def content_sha256(header: str, arrays: Mapping[str, bytes]) -> str:
    """Return the hash of header and arrays, which reveals a flipped bit even where no reference vector would."""
    digest = hashlib.sha256(header.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0" + arrays[name])
    return digest.hexdigest()


def library_versions(names: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Return the versions of Python and of the packages of these names, as far as they are installed."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for name in names:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


# --------------------------------------------------------------------------------------------------------- to a model


def from_plain(content: Any) -> Model:
    """Return the model of a file's content, whose reference vectors still have the scores stored with them.

    Raises
    ------
    ModelFileError
        If the content is not a model of this version, is damaged, does not fit together, or now scores differently.
    FeatureError
        If the feature spec is not one of this version.
    LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError
        If damaged content has another structure.
    """
    values = _of_this_version(content)
    if content_sha256(values["header"], values["arrays"]) != values["sha256"]:
        raise ModelFileError("damaged: its content does not have the hash stored with it", remedy="get it again")
    header = json.loads(values["header"], parse_constant=number)  # NaN and infinities are no numbers
    _check_texts(header)
    arrays = {
        name: _array(values["arrays"][name] if 0 not in shape else b"", header["types"][name], shape)
        for name, shape in header["shapes"].items()
    }
    parts = _parts(header.get("parts") or (), values["arrays"])
    model = _assemble(header, arrays, parts)
    _check_reference(model, arrays["reference_scores"])
    return _with_small(model, values["arrays"].get(SMALL))


def _check_reference(model: Model, expected: np.ndarray) -> None:
    with np.errstate(all="ignore"):  # damaged numbers may overflow; the scores then differ
        scores = model.calibration.scores(model.decision_values(model.reference))
    if scores.shape != expected.shape or not np.allclose(scores, expected, rtol=0, atol=SCORE_TOLERANCE):
        raise ModelFileError(
            "no longer gives the scores stored in it: the file is damaged, or this installation of NumPy computes "
            "differently",
            remedy="reinstall spectral-detect, or train the model again",
        )


def _check_texts(header: Any) -> None:
    """Raise `ModelFileError` if a text cannot be written; names of files that are not UTF-8 can."""
    try:
        json.dumps(header, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ModelFileError("damaged: a text that no file can hold (half a surrogate pair)") from None


def _parts(facts: Sequence[Mapping[str, Any]], content: Mapping[str, bytes]) -> tuple[Model, ...]:
    """Return the models of which a fused one was made, each a model file of its own within the file."""
    found = []
    for k, known in enumerate(facts):
        part = from_plain(unpickle_plain(content[f"part_{k}"]))
        if part.parts or part.calibration.kind == "none":
            raise ModelFileError("damaged: one of its parts cannot be one", remedy="fuse its models again")
        found.append(replace(part, name=name_of(known["name"]), sha256=str(known["sha256"])))
    return tuple(found)


def _with_small(model: Model, content: bytes | None) -> Model:
    """Return the model with that for small images, a model file of its own within the file, if there is one."""
    if content is None:
        return model
    small = from_plain(unpickle_plain(content))
    try:
        return model.with_small(small)
    except OptionError as error:
        raise ModelFileError(f"damaged: {error.problem}", remedy="train it again") from None


def _of_this_version(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ModelFileError("not a model of this program", remedy="`spectral-detect train` makes one")
    if values.get("format_version") != FORMAT_VERSION:
        raise ModelFileError(
            f"format version {values.get('format_version')!r}, this program reads {FORMAT_VERSION}",
            remedy="update spectral-detect or train the model again",
        )
    return values


def _array(content: bytes, kind: str, shape: list[int]) -> np.ndarray:
    if kind not in TYPES:
        raise ModelFileError("damaged: an array of an unknown type", remedy="train it again")
    with np.errstate(invalid="ignore"):  # a signalling NaN is found below
        array = np.frombuffer(content, dtype=kind).reshape(shape).astype(np.float64)
    if not are_sound(array):
        raise ModelFileError("damaged: an array holds NaN, infinity or a number beyond 1e30", remedy="train it again")
    return array


def _assemble(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], parts: tuple[Model, ...]) -> Model:
    if header["labels"] != LABELS:
        raise ModelFileError(f"its labels are not those of this program, {LABELS}")
    model = Model(
        spec=FusedSpec.of([part.spec for part in parts]) if parts else FeatureSpec.from_dict(header["spec"]),
        parts=parts,
        classifier=classifier_from_plain(header["classifier"], arrays),
        mean=arrays["mean"],
        scale=arrays["scale"],
        calibration=_calibration(header["calibration"], arrays),
        threshold=number(header["threshold"]),
        training=_with_counts(header["training"]),
        metrics=_metrics(header["metrics"]),
        experience=_experience(header["experience"]),
        cloud=_cloud(header["variance_of_rest"], arrays),
        undecided=_undecided(header["undecided"]),
        track_record=tuple(map(_track_record, header.get("track_record", ()))),
        summary=summary_from_plain(header["summary"], arrays),
        delivery=_delivery(header["delivery"]),
        outsiders=outsiders_from_plain(header.get("outsiders"), arrays),
        class_names=_class_names(header.get("class_names", CLASS_NAMES)),
        naming=naming_from_plain(header.get("naming"), arrays),
        file_marks=marks_from_plain(arrays),
        reference=arrays["reference"],
        card=str(header["card"]),
        created=str(header["created"]),
        libraries=dict(header["libraries"]),
    )
    if not fits_together(model):
        raise ModelFileError("damaged: its arrays do not fit together", remedy="train it again")
    return model


def _metrics(values: Mapping[str, Any]) -> dict[str, Any]:
    checked = _with_counts(values)
    for name in set(METRICS) & set(values):
        if values[name] is None:
            continue
        low, high = values[f"{name}_ci"]
        checked |= {name: number(values[name]), f"{name}_ci": [number(low), number(high)]}
    if "confusion" in values:
        for true, n in (("real", values["n_real"]), ("fake", values["n_fake"])):
            if not 0 < sum(count(values["confusion"][true][called]) for called in CLASS_NAMES) <= n:
                raise ModelFileError("damaged: its counts do not fit together", remedy="train it again")
    return checked


def _with_counts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy; `ModelFileError` if one of `COUNTS` is none."""
    return {name: count(value) if name in COUNTS else value for name, value in values.items()}


def _experience(values: Mapping[str, Any] | None) -> Experience | None:
    if values is None:
        return None
    least, most = count(values["min_side_px"]), count(values["max_side_px"])
    codings = {name_of(kind): _qualities(seen) for kind, seen in values["codings"].items()}
    if len(codings) > MOST_CODINGS:
        raise ModelFileError("damaged: it has seen more codings than there are", remedy="train it again")
    return Experience(least, most, number(values["refusal_rate"]), codings, number(values["portrait_share"]))


def _qualities(seen: Sequence[Any] | None) -> Qualities:
    return None if seen is None else (count(seen[0]), count(seen[1]))


def _undecided(values: Sequence[Any] | None) -> tuple[float, float] | None:
    if values is None:
        return None
    low, high = map(number, values)
    if not BELOW_ALL <= low <= high <= ABOVE_ALL:
        raise ModelFileError("damaged: its range of undecided scores is not valid", remedy="train it again")
    return low, high


def _track_record(values: Mapping[str, Any]) -> TrackRecord:
    shares = [values["decided"], *(values[name] for name in ("fake_right", "real_right") if values[name] is not None)]
    if not all(0 <= number(share) <= 1 for share in shares):
        raise ModelFileError("damaged: its track record is not valid", remedy="train it again")
    return TrackRecord(
        coding=None if values["coding"] is None else name_of(values["coding"]),
        qualities=_qualities(values["qualities"]),
        n_files=count(values["n_files"]),
        n_groups=count(values["n_groups"]),
        decided=values["decided"],
        fake_right=values["fake_right"],
        real_right=values["real_right"],
    )


def _class_names(values: Sequence[Any]) -> tuple[str, str]:
    first, second = map(str, values)
    if why := why_no_class_names(first, second):
        raise ModelFileError(f"damaged: {why}", remedy="train it again")
    return first, second


def _cloud(variance_of_rest: Any, arrays: Mapping[str, np.ndarray]) -> FeatureCloud | None:
    if variance_of_rest is None:
        return None
    found = {name: arrays[f"cloud_{name}"] for name in CLOUD_ARRAYS}
    cloud = FeatureCloud(**found, variance_of_rest=number(variance_of_rest))
    n_directions, n_features = cloud.directions.shape
    fits = cloud.mean.shape == cloud.scale.shape == (n_features,) == arrays["mean"].shape
    fits &= cloud.variances.shape == (n_directions,) and cloud.limits.shape == (2,)
    positive = (cloud.scale, cloud.variances, cloud.limits, np.array(cloud.variance_of_rest))
    if not (fits and all(map(are_scales, positive))):
        raise ModelFileError("damaged: its arrays do not fit together", remedy="train it again")
    return cloud


def _delivery(values: Mapping[str, Any] | None) -> Delivery | None:
    if values is None:
        return None
    side_px, *qualities = map(count, (values["side_px"], *values["qualities"]))
    if side_px < GRID_PX or not qualities or not 1 <= min(qualities) <= max(qualities) <= 100:
        raise ModelFileError("damaged: its delivery is not valid", remedy="train it again")
    return Delivery(side_px, tuple(qualities))


def _calibration(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Calibration:
    kind, slope, n_real, n_fake = (values[name] for name in CALIBRATION_NUMBERS)
    knots, log_odds = arrays["calibration_values"], arrays["calibration_log_odds"]
    is_sound = kind in get_args(CalibrationKind) and number(slope) > 0
    is_rising = knots.ndim == 1 and knots.shape == log_odds.shape and len(knots) > 0 and not _falls(knots, log_odds)
    if not (is_sound and is_rising):
        raise ModelFileError("damaged: its calibration is not valid", remedy="train it again")
    return Calibration(kind, float(slope), count(n_real), count(n_fake), knots, log_odds)


def _falls(*arrays: np.ndarray) -> bool:
    return any(bool((np.diff(array) <= 0).any()) for array in arrays)
