"""Run an encoder: squares of an image become one vector of finite numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from spectral_detect.errors import FeatureError
from spectral_detect.features.encoder.file import content_of
from spectral_detect.features.encoder.map_spectra import spectra
from spectral_detect.features.encoder.onnx_header import read_header, with_outputs
from spectral_detect.features.encoder.pixels import squares
from spectral_detect.features.encoder.settings import MAX_OUTPUT, Encoder
from spectral_detect.locks import ForkSafeLock

Network = Callable[[np.ndarray], list[np.ndarray]]  # a (1, 3, crop, crop) image becomes the outputs
SILENT = 0  # of OpenCV's log
_TURNS = ForkSafeLock()
NEEDS_RUNTIME = "the extra onnx may: pip install '.[onnx]' in the checkout"


def encode(image: np.ndarray, encoder: Encoder, *, is_ycc: bool = False, orientation: int = 1) -> np.ndarray:
    """Return the (n_features,) features of one image, the mean over its squares.

    Parameters
    ----------
    image : (H, W) or (H, W, 3) array
        As `extract_features` takes it; `is_ycc` and `orientation` as in `pixels.squares`.

    Raises
    ------
    FeatureError
        If the encoder's file is not there or has changed, cannot be run, or gives something else than at first.
    """
    try:
        network = _network_of(encoder, encoder.path, os.getpid())
        seen = squares(image, encoder, is_ycc=is_ycc, orientation=orientation)
        vectors = [_vector(network(square[None]), encoder) for square in seen]
    except FeatureError as error:
        raise FeatureError(f"the encoder {encoder.name!r}: {error.problem}", remedy=error.remedy) from None
    vector = np.asarray(vectors[0] if len(vectors) == 1 else np.mean(vectors, axis=0))
    if len(vector) != encoder.n_features:
        raise FeatureError(
            f"the encoder {encoder.name!r} gave {len(vector)} numbers, not {encoder.n_features}",
            remedy="export it with outputs of fixed size",
        )
    return vector


def try_encoder(encoder: Encoder, content: bytes) -> Encoder:
    """Return the encoder with what runs it and the number of its features, found on a gray square.

    Raises
    ------
    FeatureError
        If nothing that is installed runs it, or it gives no vector of finite numbers.
    """
    gray = squares(np.full((encoder.crop, encoder.crop), 128, np.uint8), encoder)[:1]
    try:
        outputs, runtime = _opencv(content, encoder)(gray), "opencv"
    except FeatureError as problem:
        if not is_installed("onnxruntime"):
            raise FeatureError(str(problem), remedy=NEEDS_RUNTIME) from None
        outputs, runtime = _onnxruntime(content, encoder)(gray), "onnxruntime"
    return replace(encoder, n_features=len(_vector(outputs, encoder)), runtime=runtime)  # type: ignore[arg-type]


def check_runtime(encoder: Encoder) -> None:
    """Raise `FeatureError` if what runs the encoder is not installed."""
    if encoder.runtime == "onnxruntime" and not is_installed("onnxruntime"):
        raise FeatureError(f"the encoder {encoder.name!r}: OpenCV cannot run it", remedy=NEEDS_RUNTIME)


def is_installed(package: str) -> bool:
    """Tell whether an optional package is installed."""
    return find_spec(package) is not None


@lru_cache(4)
def _network_of(encoder: Encoder, path: str, process: int) -> Network:
    """Return the network, built once in each process: one that was forked must not share what its parent runs."""
    build = _opencv if encoder.runtime == "opencv" else _onnxruntime
    return build(content_of(encoder), encoder)


def _refuse_weights_elsewhere(content: bytes) -> None:
    if read_header(content).has_weights_elsewhere:
        raise FeatureError("its weights lie in other files", remedy="save it as one file")


def _onnxruntime(content: bytes, encoder: Encoder) -> Network:
    from spectral_detect.features.encoder.onnx_runtime import session

    _refuse_weights_elsewhere(content)
    return session(with_outputs(content, encoder.layers, typed=False), encoder.names)


def _opencv(content: bytes, encoder: Encoder) -> Network:
    import cv2

    _refuse_weights_elsewhere(content)
    try:
        with _quiet():
            whole = with_outputs(content, encoder.layers, typed=True)
            net: Any = cv2.dnn.readNetFromONNX(np.frombuffer(whole, np.uint8))
        names = list(encoder.names) or [port.name for port in read_header(content).outputs][-1:]
    except cv2.error as error:
        raise FeatureError(f"OpenCV cannot read it ({_reason(error)})") from None

    def run(image: np.ndarray) -> list[np.ndarray]:
        try:
            with _quiet():  # alone: between the two, another thread would put its image into this network
                net.setInput(image)
                return [np.array(output) for output in net.forward(names)]
        except cv2.error as error:
            raise FeatureError(f"OpenCV cannot run it ({_reason(error)})") from None

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from writing to stderr what its exception says as well; threads take turns."""
    import cv2

    with _TURNS:
        before = cv2.utils.logging.setLogLevel(SILENT)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(before)


def _reason(error: Any) -> str:
    """Return why OpenCV failed, without the place in its source."""
    return str(getattr(error, "err", "") or error).strip().partition("\n")[0][:200]


def _vector(outputs: list[np.ndarray], encoder: Encoder) -> np.ndarray:
    """Return the outputs of one image as one vector."""
    vector = np.concatenate([_flat(np.asarray(output), encoder) for output in outputs])
    if not 1 <= len(vector) <= MAX_OUTPUT:
        raise FeatureError(
            f"its output has {len(vector)} numbers, more than {MAX_OUTPUT}",
            remedy="name another output, or give `pool` beside a spectrum of magnitudes",
        )
    if not np.isfinite(vector).all():
        raise FeatureError("its output is not finite (NaN or infinity)", remedy="export it in float32")
    return vector


def _flat(output: np.ndarray, encoder: Encoder) -> np.ndarray:
    """Return one output as a vector: of maps (1, C, h, w) mean and deviation of each, of tokens (1, n, C) the first."""
    is_of_one = output.ndim == 1 or (output.ndim in (2, 3, 4) and len(output) == 1)
    if output.dtype.kind != "f" or not is_of_one or not output.size:
        raise FeatureError(
            f"its output of shape {output.shape}, {output.dtype}, is no vector of one image",
            remedy="name another output",
        )
    values = output.astype(np.float32)
    if encoder.spectrum is not None:
        if output.ndim != 4:
            raise FeatureError(f"its output of shape {output.shape} has no maps", remedy="name layers that have maps")
        return spectra(values[0], encoder.spectrum, encoder.pool)
    if output.ndim == 4:
        maps = values[0].reshape(output.shape[1], -1)
        return np.concatenate([maps.mean(axis=1), maps.std(axis=1)])
    return values[0, 0] if output.ndim == 3 else values.reshape(-1)
