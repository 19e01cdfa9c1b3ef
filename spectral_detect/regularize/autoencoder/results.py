"""Hold the results of the auto-encoder experiment.

Free of torch: reports import this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spectral_detect.regularize.autoencoder.fidelity import Fidelity
from spectral_detect.regularize.profiles import UPPER_QUARTER

LEAST = 1e-12  # divisor of a ratio


@dataclass(frozen=True)
class Measured:
    """Hold measures of a network on held-out images at some time of its training.

    Attributes
    ----------
    epoch : float
        Number of epochs done.
    mse : float
        Mean squared error of pixels from -1 to 1.
    spectral : float
        Spectral loss, unweighted; also for the network that is trained without it.
    signed_difference : float
        See `ProfileDifference`.
    """

    epoch: float
    mse: float
    spectral: float
    signed_difference: float


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Describe one trained network.

    Attributes
    ----------
    spectral_weight : float
        0 for the network without the loss.
    fidelity : Fidelity or None
        None if the network diverged.
    history : tuple of Measured
        At the end of each epoch, and three times in the first.
    examples : array (n, H, W, 3)
        Reconstructions of the first held-out images, from 0 to 1.
    seconds : float
        Duration of training and measuring.
    diverged_in : float or None
        Number of epochs after which the loss was no longer finite.
    """

    spectral_weight: float
    fidelity: Fidelity | None
    history: tuple[Measured, ...]
    examples: np.ndarray
    seconds: float
    diverged_in: float | None = None

    def numbers(self) -> dict[str, float | None]:
        """Return single numbers by name; None for those that a network that diverged does not have."""
        fidelity = self.fidelity
        return {
            "difference": None if fidelity is None else fidelity.difference.per_image,
            "difference_of_means": None if fidelity is None else fidelity.difference.of_means,
            "signed_difference": None if fidelity is None else fidelity.difference.signed,
            "mse": None if fidelity is None else fidelity.mse,
            "diverged_in": self.diverged_in,
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True, eq=False)
class Cell:
    """Hold one architecture, trained twice from the same seed: without the spectral loss, and with it."""

    upsampling: str
    kernel: int
    layers: int
    plain: Reconstruction
    corrected: Reconstruction

    @property
    def has_diverged(self) -> bool:
        """Tell whether either network diverged."""
        return self.plain.fidelity is None or self.corrected.fidelity is None

    @property
    def times_closer(self) -> float | None:
        """Return the factor by which the loss divides the per-image difference."""
        if self.plain.fidelity is None or self.corrected.fidelity is None:
            return None
        return self.plain.fidelity.difference.per_image / max(self.corrected.fidelity.difference.per_image, LEAST)

    @property
    def mse_ratio(self) -> float | None:
        """Return the factor by which the loss multiplies the mean squared error."""
        if self.plain.fidelity is None or self.corrected.fidelity is None:
            return None
        return self.corrected.fidelity.mse / max(self.plain.fidelity.mse, LEAST)

    def networks(self) -> Iterator[tuple[str, Reconstruction]]:
        """Yield the two networks with their names."""
        yield "plain", self.plain
        yield "corrected", self.corrected

    def numbers(self) -> dict[str, Any]:
        """Return single numbers by name: a row of a table."""
        row: dict[str, Any] = {"upsampling": self.upsampling, "kernel": self.kernel, "layers": self.layers}
        for name, network in self.networks():
            row |= {f"{name}_{key}": value for key, value in network.numbers().items()}
        return row | {"times_closer": self.times_closer, "mse_ratio": self.mse_ratio}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON: the numbers, and profile and history of either network."""
        record = self.numbers()
        for name, network in self.networks():
            record[f"{name}_profile"] = network.fidelity and network.fidelity.profile()
            record[f"{name}_history"] = [asdict(measured) for measured in network.history]
        return record


@dataclass(frozen=True, eq=False)
class Experiment:
    """Hold all cells of an experiment.

    Attributes
    ----------
    originals : Fidelity
        The held-out images compared with themselves.
    examples : array (n, H, W, 3)
        The first of them, from 0 to 1.
    cells : tuple of Cell
        The cells that are done.
    """

    originals: Fidelity
    examples: np.ndarray
    cells: tuple[Cell, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "measure": f"|ln profile - ln profile of the original|, rings from {UPPER_QUARTER:.4f} cycles per pixel on",
            "frequency": self.originals.frequency.tolist(),
            "real_profile": self.originals.profile(),
            "cells": [cell.to_dict() for cell in self.cells],
        }
