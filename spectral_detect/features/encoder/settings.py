"""Say which image encoder gives features, and how an image is prepared for it: the part of a `FeatureSpec`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from spectral_detect.errors import FeatureError

Runtime = Literal["opencv", "onnxruntime"]
Spectrum = Literal["magnitude", "phase"]

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DEFAULT_PX = 224
MAX_PX = 2048
MAX_OUTPUT = 100_000  # features
MAX_OUTPUTS = 16
MAX_NAME = 200  # characters
TILES = (1, 5)
OF_LAYERS = ("layers", "spectrum", "pool")
TUPLES = ("mean", "deviation", "outputs", "layers")


@dataclass(frozen=True)
class Encoder:
    """Name an ONNX file, and say how an image becomes what it takes. The weights are not in it.

    Attributes
    ----------
    name, sha256 : str
        The file's name without folders, and the hash of its bytes.
    n_features : int
        Length of the vector that it gives.
    side : int or None
        The image is reduced to this length of its shorter side, by areas; None leaves it as it is. A smaller image is
        enlarged only as far as the square needs.
    crop : int
        Side in pixels of the square that the network sees.
    tiles : {1, 5}
        1: the square in the middle. 5: those in the corners as well; the features are the mean over them.
    mean, deviation : (float, float, float)
        Of red, green and blue on the scale 0 to 1: the network sees (value - mean) / deviation.
    outputs : tuple of str
        Names of the network's outputs, joined in this order; empty for the last one.
    runtime : {"opencv", "onnxruntime"}
        What runs it.
    layers : tuple of str
        Names of tensors within the network, joined in this order after `outputs`.
    spectrum : {"magnitude", "phase"} or None
        Each feature map counts by its 2-D Fourier transform: the log magnitude or the phase of each frequency. None: by
        its mean and deviation.
    pool : int or None
        The magnitudes of a map are averaged to at most so many rows, and half as many columns and one; None: all.
    path : str
        Where the file is on this machine; no part of the settings, which are equal wherever it lies.
    """

    name: str
    sha256: str
    n_features: int
    side: int | None = DEFAULT_PX
    crop: int = DEFAULT_PX
    tiles: int = 1
    mean: tuple[float, float, float] = IMAGENET_MEAN
    deviation: tuple[float, float, float] = IMAGENET_DEVIATION
    outputs: tuple[str, ...] = ()
    runtime: Runtime = "opencv"
    layers: tuple[str, ...] = ()
    spectrum: Spectrum | None = None
    pool: int | None = None
    path: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise FeatureError(f"encoder: {problem}")

    @classmethod
    def from_dict(cls, values: Any) -> Encoder:
        """Return the settings that `to_dict` gave these values.

        Raises
        ------
        FeatureError
            If a field is missing, unknown or of the wrong kind.
        """
        expected = {f.name for f in fields(cls)} - {"path"}
        if not isinstance(values, Mapping) or set(values) != expected - (set(OF_LAYERS) - set(values)):
            raise FeatureError(f"an encoder has the fields {sorted(expected)}")
        tuples = {name: _as_tuple(values[name]) for name in TUPLES if name in values}
        return cls(**{**values, **tuples})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a model file or JSON."""
        values = asdict(self) | {name: list(getattr(self, name)) for name in TUPLES}
        del values["path"]
        for name in OF_LAYERS:  # so that other encoders keep the hash that they had before there were layers
            if not values[name]:
                del values[name]
        return values

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is taken from the network; none for its last output."""
        return (*self.outputs, *self.layers)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _problems(encoder: Encoder) -> Sequence[str]:
    """Return what is wrong with the settings, in words; they may come from a stranger's file."""
    checks = (
        (is_file_name(encoder.name), "name: the name of a file, without folders"),
        (
            isinstance(encoder.sha256, str) and re.fullmatch("[0-9a-f]{64}", encoder.sha256) is not None,
            "sha256: 64 hexadecimal digits",
        ),
        (_is_count(encoder.n_features, MAX_OUTPUT), f"n_features: a whole number from 1 to {MAX_OUTPUT}"),
        (
            _is_count(encoder.crop, MAX_PX) and (encoder.side is None or _is_count(encoder.side, MAX_PX)),
            f"side, crop: whole numbers of pixels up to {MAX_PX}, or null as the side for the image as it is",
        ),
        (
            type(encoder.side) is not int or type(encoder.crop) is not int or encoder.side >= encoder.crop,
            "side: not smaller than crop",
        ),
        (type(encoder.tiles) is int and encoder.tiles in TILES, "tiles: 1, the middle, or 5, the corners as well"),
        (_are_numbers(encoder.mean), "mean: three numbers, of red, green and blue on the scale 0 to 1"),
        (
            _are_numbers(encoder.deviation) and min(encoder.deviation) > 0,
            "deviation: three numbers above 0, of red, green and blue on the scale 0 to 1",
        ),
        (_are_outputs(encoder.outputs), f"output: a name, or up to {MAX_OUTPUTS} names, of the network's outputs"),
        (_are_outputs(encoder.layers), f"layers: up to {MAX_OUTPUTS} names of layers of the network"),
        (encoder.spectrum in (None, *get_args(Spectrum)), f"spectrum: {' or '.join(get_args(Spectrum))}, or left out"),
        (
            encoder.pool is None or (encoder.spectrum == "magnitude" and _is_count(encoder.pool, MAX_PX)),
            "pool: a whole number of rows, with the magnitude alone",
        ),
        (encoder.spectrum != "phase" or encoder.tiles == 1, "tiles: phases have no mean, so that they go with 1"),
        (encoder.runtime in get_args(Runtime), f"runtime: {' or '.join(get_args(Runtime))}"),
    )
    return [problem for is_right, problem in checks if not is_right]


def is_file_name(name: Any) -> bool:
    """Tell whether a text is the name of a file and leads to no other folder."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= MAX_NAME
        and name not in (".", "..")
        and not set(name) & {"/", "\\", "\0"}
        and os.path.basename(name) == name
    )


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _are_numbers(values: Any) -> bool:
    return (
        isinstance(values, tuple)
        and len(values) == 3
        and all(type(value) in (int, float) and abs(value) <= sys.float_info.max for value in values)
    )


def _are_outputs(names: Any) -> bool:
    return (
        isinstance(names, tuple)
        and len(names) <= MAX_OUTPUTS
        and all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for name in names)
    )
