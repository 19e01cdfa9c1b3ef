"""The options of a training run, and what a run was trained with when it is taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from spectral_detect.atomic_write import OPTIONS_FILE
from spectral_detect.errors import CheckpointError, FeatureError

RUN_SCHEMA = "spectral-detect/gan/1"
MAY_CHANGE = frozenset(("data", "epochs", "device", "threads", "fid", "compile"))  # when taken up again

MOST = {"size": 128, "channels": 512, "batch_size": 2**16, "threads": 1024}

ObjectiveName = Literal["dcgan", "lsgan", "dragan", "wgan-gp"]
Upsampling = Literal["transconv", "upconv-nearest", "upconv-bilinear"]
Topology = Literal["baseline", "v1", "v2", "v3", "v4"]


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that a run of `regularize train` depends on.

    Attributes
    ----------
    data : folder of camera images.
    objective, upsampling, topology, size, channels : of the networks and their losses.
    spectral_weight : lambda of Durall et al., CVPR 2020, equation 9: L = L_G + lambda L_spectral.
    normalisation, distance, per : of the spectral loss, see `SpectralLoss`.
    n_profiles : real images whose mean profile is its target.
    epochs : passes over the images. `batch_size` : images of a step.
    learning_rate : None takes that of the objective's paper.
    n_watched : samples and reals that each epoch's measures are taken of.
    fid : file of Inception's weights; None measures no FID.
    """

    data: str
    objective: ObjectiveName = "dcgan"
    upsampling: Upsampling = "transconv"
    topology: Topology = "baseline"
    size: int = 64
    channels: int = 64
    spectral_weight: float = 0.0
    normalisation: Literal["log", "paper"] = "log"
    distance: Literal["bce", "mse", "l1"] = "bce"
    per: Literal["batch", "image"] = "batch"
    n_profiles: int = 1000
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float | None = None
    seed: int = 0
    n_watched: int = 1000
    device: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int | None = None
    compile: bool = False
    fid: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"schema": RUN_SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingOptions:
        """The inverse of `to_dict`; `CheckpointError` for anything else."""
        named = {key: value for key, value in values.items() if key != "schema"}
        if values.get("schema") != RUN_SCHEMA or set(named) != {f.name for f in fields(cls)}:
            raise CheckpointError("not the options of a training run of this version")
        try:
            options = cls(**named)
        except TypeError as error:
            raise CheckpointError(f"not the options of a training run: {error}") from None
        options.check()
        return options

    def check(self) -> None:
        """`FeatureError` for a value that there is not; what strangers write into a file is checked as well."""
        for name, names in (("objective", ObjectiveName), ("upsampling", Upsampling), ("topology", Topology)):
            if getattr(self, name) not in get_args(names):
                raise FeatureError(f"{name} {getattr(self, name)!r}: it is one of {', '.join(get_args(names))}")
        for name in ("size", "channels", "epochs", "batch_size", "n_watched", "n_profiles", "threads"):
            value, most = getattr(self, name), MOST.get(name, 2**31)
            is_whole = type(value) is int and 1 <= value <= most
            if not is_whole and not (name == "threads" and value is None):
                raise FeatureError(f"{name} {value!r}: it is a whole number from 1 to {most}")

    def differences(self, other: TrainingOptions) -> list[str]:
        """In words, the options in which a run cannot be continued with those of `other`."""
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{name} {mine[name]!r}, not {theirs[name]!r}"
            for name in mine
            if name not in MAY_CHANGE and mine[name] != theirs[name]
        ]


def read_options(run: Path) -> TrainingOptions:
    """The options of a run.

    Raises
    ------
    CheckpointError : there are none, or the file is damaged.
    """
    path = run / OPTIONS_FILE
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error.strerror}; name the folder of a run") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{str(path)!r} is damaged: not JSON") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{str(path)!r} does not hold the options of a run")
    return TrainingOptions.from_dict(values)
