"""Hold the options of a training run, check them, and compare them when a run is resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from spectral_detect.atomic_write import OPTIONS_FILE
from spectral_detect.errors import CheckpointError, FeatureError
from spectral_detect.regularize.bank import check_loss
from spectral_detect.regularize.choices import (
    ComparedPer,
    DeviceName,
    FdNetwork,
    ProfileNormalisation,
    SpectralDistance,
    SpectralFeatures,
    Upsampling,
)

RUN_SCHEMA = "spectral-detect/gan/1"
# options that may change when a run is resumed
MAY_CHANGE = frozenset(("data", "epochs", "device", "threads", "fid", "fd", "compile", "keep_weights"))
# options that runs begun before they came do not name
ADDED = {"features": "profile", "fd": None, "final_epochs": 0, "keep_weights": 0, "spectral_from": 1}

SIZES = (32, 64, 128)  # pixels on a side
MOST = {"size": max(SIZES), "channels": 512, "batch_size": 2**16, "threads": 1024}

ObjectiveName = Literal["dcgan", "lsgan", "dragan", "wgan-gp"]
Topology = Literal["baseline", "v1", "v2", "v3", "v4"]


@dataclass(frozen=True)
class TrainingOptions:
    """Hold everything that a run of `regularize train` depends on.

    Attributes
    ----------
    data : str
        Folder of camera images.
    objective : {"dcgan", "lsgan", "dragan", "wgan-gp"}
        What generator and discriminator minimise, see `objectives`.
    upsampling, topology, size, channels
        See `networks.Generator`.
    spectral_weight : float
        lambda in Durall et al., CVPR 2020, equation 9: L = L_G + lambda L_spectral.
    spectral_from : int
        The first epoch in which G learns by the spectral loss; before, it is only reported.
    features, normalisation, distance, per
        See `SpectralLoss`.
    n_profiles : int
        Number of real images whose mean profile is the target of the spectral loss.
    epochs : int
        Passes over the images.
    batch_size : int
        Images in a step.
    learning_rate : float or None
        None takes that of the objective's paper.
    final_epochs : int
        In the last so many epochs the learning rate falls evenly from a tenth: the generator settles, and with it the
        spectrum.
    seed : int
        Decides weights, batches and latent vectors.
    n_watched : int
        Number of samples, and of reals, that the monitor compares after each epoch.
    device : {"auto", "cpu", "gpu"}
        See `choose_device`.
    threads : int or None
        Threads of the CPU; None takes one per core.
    compile : bool
        Whether PyTorch compiles the networks.
    fid : str or None
        File of Inception's weights; None measures no FID.
    fd : {"random", "efficientnet-lite0"} or None
        Network whose features another Frechet distance compares, see `load_network`; None measures none.
    keep_weights : int
        Keep the generator's weights every so many epochs, and the initial ones; 0 keeps none. See `kept_weights`.
    """

    data: str
    objective: ObjectiveName = "dcgan"
    upsampling: Upsampling = "transconv"
    topology: Topology = "baseline"
    size: int = 64
    channels: int = 64
    spectral_weight: float = 0.0
    spectral_from: int = 1
    normalisation: ProfileNormalisation = "log"
    features: SpectralFeatures = "profile"
    distance: SpectralDistance = "bce"
    per: ComparedPer = "batch"
    n_profiles: int = 1000
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float | None = None
    final_epochs: int = 0
    seed: int = 0
    n_watched: int = 1000
    device: DeviceName = "auto"
    threads: int | None = None
    compile: bool = False
    fid: str | None = None
    fd: FdNetwork | None = None
    keep_weights: int = 0

    @property
    def weight_in_words(self) -> str:
        """Return weight and first epoch of the spectral loss in words."""
        if not self.spectral_weight:
            return "no spectral loss"
        begin = f" from epoch {self.spectral_from}" if self.spectral_from > 1 else ""
        return f"spectral weight {self.spectral_weight:g}{begin}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"schema": RUN_SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingOptions:
        """Make options from what `to_dict` gave.

        Raises
        ------
        CheckpointError
            The values are not those of a training run of this version.
        FeatureError
            See `check`.
        """
        named = {key: value for key, value in values.items() if key != "schema"}
        named = {**ADDED, **named}
        if values.get("schema") != RUN_SCHEMA or set(named) != {f.name for f in fields(cls)}:
            raise CheckpointError("not the options of a training run of this version")
        try:
            options = cls(**named)
        except TypeError as error:
            raise CheckpointError(f"not the options of a training run: {error}") from None
        options.check()
        return options

    def check(self) -> None:
        """Refuse values that no run can have; a file may come from anybody.

        Raises
        ------
        FeatureError
            A name that is no choice, or a number out of range.
        """
        for name, names in (("objective", ObjectiveName), ("upsampling", Upsampling), ("topology", Topology)):
            if getattr(self, name) not in get_args(names):
                raise FeatureError(f"{name} {getattr(self, name)!r}: it is one of {', '.join(get_args(names))}")
        if type(self.final_epochs) is not int or not 0 <= self.final_epochs <= self.epochs:
            raise FeatureError(
                f"`final_epochs` {self.final_epochs!r}: it is a whole number up to `epochs`, which is {self.epochs}"
            )
        if type(self.keep_weights) is not int or not 0 <= self.keep_weights < 2**31:
            raise FeatureError(f"keep_weights {self.keep_weights!r}: it is a whole number from 0 on")
        if self.fd not in (None, *get_args(FdNetwork)):
            raise FeatureError(f"fd {self.fd!r}: it is one of {', '.join(get_args(FdNetwork))}")
        check_loss(self.features, self.normalisation, self.distance, self.per)
        for name in ("size", "channels", "epochs", "batch_size", "n_watched", "n_profiles", "threads", "spectral_from"):
            value, most = getattr(self, name), MOST.get(name, 2**31)
            is_whole = type(value) is int and 1 <= value <= most
            if not is_whole and not (name == "threads" and value is None):
                raise FeatureError(f"{name} {value!r}: it is a whole number from 1 to {most}")

    def check_spectral_from(self, *, is_new: bool) -> None:
        """Refuse a run in which `spectral_from` says in vain when the spectral loss begins; `epochs` may be raised.

        A run that is gone on with keeps its weight, so that only a new one is refused for having none.

        Raises
        ------
        FeatureError
            The loss would never be used.
        """
        if is_new and self.spectral_from > 1 and not self.spectral_weight:
            raise FeatureError(
                f"`spectral_from={self.spectral_from}` says when the spectral loss begins, and its weight is 0",
                remedy="give `spectral_weight` as well, or leave both out",
            )
        if self.spectral_weight and self.spectral_from > self.epochs:
            raise FeatureError(
                f"`spectral_from={self.spectral_from}` lies beyond the last epoch, {self.epochs}: the spectral loss "
                "would never be used",
                remedy=f"give `epochs={self.spectral_from}` or more, or begin earlier",
            )

    def differences(self, other: TrainingOptions) -> list[str]:
        """Say in words which options differ from those of `other` though a resumed run must keep them."""
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{name} {mine[name]!r}, not {theirs[name]!r}"
            for name in mine
            if name not in MAY_CHANGE and mine[name] != theirs[name]
        ]


def read_options(run: Path) -> TrainingOptions:
    """Read the options of a run from its folder.

    Raises
    ------
    CheckpointError
        The file is missing or damaged.
    """
    path = run / OPTIONS_FILE
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(
            f"{str(path)!r} cannot be read: {error.strerror}",
            remedy="name the folder of a run, or begin one without `resume`",
        ) from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{str(path)!r} is damaged: not JSON") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{str(path)!r} does not hold the options of a run")
    return TrainingOptions.from_dict(values)
