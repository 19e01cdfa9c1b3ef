"""Make an encoder out of a file and the settings that lie beside it, and find the file of one that a model needs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from spectral_detect.errors import FeatureError
from spectral_detect.features.encoder.file import read_content, sha256_of
from spectral_detect.features.encoder.network import check_runtime, try_encoder
from spectral_detect.features.encoder.onnx_header import FLOAT32, OnnxHeader, Port, layers_of, read_header
from spectral_detect.features.encoder.settings import DEFAULT_PX, MAX_PX, Encoder

MAX_SETTINGS_BYTES = 2**16
SETTINGS_SUFFIX = ".json"  # after the whole name: net.onnx.json lies beside net.onnx
SETTINGS = ("side", "crop", "tiles", "mean", "deviation", "output", "layers", "spectrum", "pool")
EXPORT_AGAIN = "export it with one input of shape (1, 3, height, width), float32; see docs/encoders.md"


# ------------------------------------------------------------------------------------------------------ a new encoder


def read_encoder(path: str | os.PathLike[str]) -> Encoder:
    """Return the encoder in an ONNX file, with the settings of the JSON file beside it, after it was tried once.

    Parameters
    ----------
    path : str or path-like
        The ONNX file. `PATH.json` may hold side, crop, tiles, mean, deviation, output, layers, spectrum and pool, see
        `Encoder`; what it leaves out, or all without such a file, is: the size of the network's input if it is fixed,
        else 224; the middle; the mean and deviation of ImageNet; the last output, no layers, no spectra.

    Raises
    ------
    FeatureError
        If it cannot be read, is no encoder of images, or does not give a vector of finite numbers.
    """
    name = os.fspath(path)
    content = read_content(name)
    try:
        header = read_header(content)
        given = _settings_beside(name)
        encoder = Encoder(
            name=os.path.basename(name),
            sha256=hashlib.sha256(content).hexdigest(),
            n_features=1,
            path=os.path.abspath(name),
            **_with_defaults(given, _input(header)),
            **_of_layers(given, content),
        )
        _check_outputs(header, encoder)
        return try_encoder(encoder, content)
    except FeatureError as error:
        raise FeatureError(f"the encoder {name!r}: {error.problem}", remedy=error.remedy) from None


def _settings_beside(path: str) -> dict[str, Any]:
    """Return what the JSON file beside an encoder says; nothing if there is none."""
    beside = f"{path}{SETTINGS_SUFFIX}"
    try:
        with open(beside, "rb") as stream:
            text = stream.read(MAX_SETTINGS_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise FeatureError(f"its settings {beside!r} cannot be read: {error.strerror}") from None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise FeatureError(f"its settings {beside!r} are no JSON", remedy="see docs/encoders.md") from None
    if not isinstance(values, dict) or not set(values) <= set(SETTINGS):
        raise FeatureError(f"its settings {beside!r}: give an object with {', '.join(SETTINGS)}, or some of them")
    return values


def _with_defaults(given: dict[str, Any], size: int | None) -> dict[str, Any]:
    """Return the settings of an encoder whose input has a fixed size, or none."""
    crop = given.get("crop", size or DEFAULT_PX)
    if size is not None and crop != size:
        raise FeatureError(f"its input is {size}x{size} pixels, but its settings have crop {crop!r}", remedy="leave it")
    found: dict[str, Any] = {"crop": crop, "side": given.get("side", crop), "tiles": given.get("tiles", 1)}
    for name in ("mean", "deviation"):
        if name in given:
            found[name] = _as_floats(given[name])
    output = given.get("output")
    if output is not None:
        found["outputs"] = tuple(output) if isinstance(output, list) else (output,)
    return found


def _of_layers(given: dict[str, Any], content: bytes) -> dict[str, Any]:
    """Return what the settings say of layers, each by the name of its tensor."""
    found: dict[str, Any] = {name: given[name] for name in ("spectrum", "pool") if name in given}
    named = given.get("layers", [])
    names = named if isinstance(named, list) else [named]
    if not names:
        return found
    there = layers_of(content)
    missing = [name for name in names if not isinstance(name, str) or name not in there]
    if missing:
        raise FeatureError(
            f"it has no layer {', '.join(map(repr, missing[:4]))}; it has {', '.join(map(repr, list(there)[:16]))}"
        )
    return {**found, "layers": tuple(there[name] for name in names)}


def _as_floats(values: Any) -> Any:
    are_numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    return tuple(map(float, values)) if are_numbers else values


def _input(header: OnnxHeader) -> int | None:
    """Return the side in pixels of the square that a network takes; None if it takes any."""
    if len(header.inputs) != 1:
        names = ", ".join(repr(port.name) for port in header.inputs[:4]) or "none"
        raise FeatureError(f"it has {len(header.inputs)} inputs ({names}), not one image", remedy=EXPORT_AGAIN)
    (port,) = header.inputs
    of_images = len(port.shape) == 4 and port.shape[0] in (1, None) and port.shape[1] in (3, None)
    if not of_images or port.kind != FLOAT32:
        raise FeatureError(f"its input {_shown(port)} is no RGB image", remedy=EXPORT_AGAIN)
    height, width = port.shape[2:]
    if height is not None and width is not None and height != width:
        raise FeatureError(f"its input {_shown(port)} is no square", remedy=EXPORT_AGAIN)
    size = height or width
    if size is not None and size > MAX_PX:
        raise FeatureError(f"its input {_shown(port)} is larger than {MAX_PX} pixels", remedy=EXPORT_AGAIN)
    return size


def _shown(port: Port) -> str:
    kind = "float32" if port.kind == FLOAT32 else f"elements of kind {port.kind}"
    return f"{port.name!r} ({', '.join('?' if length is None else str(length) for length in port.shape)}; {kind})"


def _check_outputs(header: OnnxHeader, encoder: Encoder) -> None:
    there = [port.name for port in header.outputs]
    missing = [name for name in encoder.outputs if name not in there]
    if missing or not there:
        raise FeatureError(
            f"it has no output {', '.join(map(repr, missing))}; it has {', '.join(map(repr, there[:16]))}"
        )


# --------------------------------------------------------------------------------------------------- of a saved model


def find_encoder(encoder: Encoder, places: Iterable[str | os.PathLike[str]]) -> Encoder:
    """Return the encoder with the path of its file, the first of `places` that is a file, once its hash is right.

    Raises
    ------
    FeatureError
        If none of them is a file, the first that is one is another file, or what runs it is not installed.
    """
    wanted = f"the encoder {encoder.name!r} (SHA-256 {encoder.sha256[:16]}...)"
    tried = [os.fspath(place) for place in places]
    path = next((os.path.abspath(place) for place in tried if os.path.isfile(place)), None)
    if path is None:
        missing = f"{wanted} is not there: {' or '.join(map(repr, tried))} is no file"
        raise FeatureError(missing, remedy="put its file beside the model, or name it with `encoder`")
    found = sha256_of(path)
    if found != encoder.sha256:
        raise FeatureError(
            f"{wanted} is needed, and {path!r} is another file ({found[:16]}...)",
            remedy="put the one beside the model that it was trained with, or name it with `encoder`",
        )
    check_runtime(encoder)
    return replace(encoder, path=path)


def is_file_of(encoder: Encoder, path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is that of the encoder."""
    return os.path.isfile(path) and sha256_of(os.path.abspath(path)) == encoder.sha256


def places_beside(encoder: Encoder, model: str, named: str | os.PathLike[str] | None) -> list[str]:
    """Return where the file of a model's encoder is looked for: where it is named, else beside the model."""
    return [str(Path(model).parent / encoder.name)] if named is None else [os.fspath(named)]
