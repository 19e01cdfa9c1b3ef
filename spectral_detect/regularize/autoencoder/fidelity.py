"""How true to their originals reconstructed images are: the measure of the auto-encoder experiment, and its results.

Free of torch: reports import this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.errors import FeatureError
from spectral_detect.regularize.profiles import UPPER_QUARTER, log_profiles, radial_profiles


@dataclass(frozen=True)
class ProfileDifference:
    """Difference of log profiles over the upper quarter of the frequencies, in natural logarithms.

    Attributes
    ----------
    per_image : mean over images and rings of |output - original|, each image against its own original.
    of_means : mean over rings of |mean profile of the outputs - mean profile of the originals|.
    signed : mean over images and rings of output - original: positive where high frequencies were added.
    """

    per_image: float
    of_means: float
    signed: float


@dataclass(frozen=True, eq=False)
class Fidelity:
    """What a network makes of images that it was not trained on.

    Attributes
    ----------
    difference : see `ProfileDifference`.
    mse : mean squared error of pixels from -1 to 1.
    frequency : (n_rings,) in cycles per pixel.
    mean_log, sd_log : (n_rings,) mean and standard deviation of the log profiles of the outputs.
    """

    difference: ProfileDifference
    mse: float
    frequency: np.ndarray
    mean_log: np.ndarray
    sd_log: np.ndarray


@dataclass(frozen=True)
class Measured:
    """A network after so many epochs, on held-out images.

    `spectral` is the spectral loss, unweighted, also of the network that is trained without it.
    """

    epoch: float
    mse: float
    spectral: float
    signed_difference: float


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One trained network.

    Attributes
    ----------
    spectral_weight : 0 for the network without the loss.
    fidelity : None when the network diverged.
    history : at the end of each epoch, and thrice in the first.
    examples : (n, H, W, 3) reconstructions of the first held-out images, from 0 to 1.
    seconds : of training and measuring.
    diverged_in : after how many epochs its loss ceased to be a number.
    """

    spectral_weight: float
    fidelity: Fidelity | None
    history: tuple[Measured, ...]
    examples: np.ndarray
    seconds: float
    diverged_in: float | None = None


@dataclass(frozen=True, eq=False)
class Cell:
    """One architecture, trained twice from the same seed: without the spectral loss, and with it."""

    upsampling: str
    kernel: int
    layers: int
    plain: Reconstruction
    corrected: Reconstruction

    @property
    def has_diverged(self) -> bool:
        return self.plain.fidelity is None or self.corrected.fidelity is None

    @property
    def times_closer(self) -> float | None:
        """By how much the loss divides the per-image difference."""
        if self.plain.fidelity is None or self.corrected.fidelity is None:
            return None
        return self.plain.fidelity.difference.per_image / max(self.corrected.fidelity.difference.per_image, 1e-12)

    @property
    def mse_ratio(self) -> float | None:
        """What the loss costs: its network's MSE by that of the plain one."""
        if self.plain.fidelity is None or self.corrected.fidelity is None:
            return None
        return self.corrected.fidelity.mse / max(self.plain.fidelity.mse, 1e-12)


@dataclass(frozen=True, eq=False)
class Experiment:
    """A grid of cells.

    Attributes
    ----------
    originals : `Fidelity` of the held-out images to themselves.
    examples : (n, H, W, 3) the first of them, from 0 to 1.
    """

    originals: Fidelity
    examples: np.ndarray
    cells: tuple[Cell, ...]


def compare_profiles(outputs: np.ndarray, originals: np.ndarray, frequency: np.ndarray) -> ProfileDifference:
    """How far log profiles are from those of the originals over the upper quarter of the frequencies.

    Parameters
    ----------
    outputs, originals : (N, n_rings) natural logarithms of radial profiles, row by row of the same image.
    frequency : (n_rings,) cycles per pixel; the rings from `UPPER_QUARTER` on count, each alike.
    """
    if outputs.shape != originals.shape or outputs.shape[1:] != frequency.shape:
        raise FeatureError(f"log profiles of shapes {outputs.shape} and {originals.shape}: give one per image of each")
    gap = (outputs - originals)[:, frequency >= UPPER_QUARTER]
    return ProfileDifference(float(np.abs(gap).mean()), float(np.abs(gap.mean(axis=0)).mean()), float(gap.mean()))


def measure_fidelity(outputs: np.ndarray, originals: np.ndarray) -> Fidelity:
    """Compare (N, H, W, 3) reconstructions with their originals, both from 0 to 1."""
    profiles, frequency = radial_profiles(outputs)
    logs, true = log_profiles(profiles), log_profiles(radial_profiles(originals)[0])
    mse = 4 * float(np.mean(np.square(outputs - originals, dtype=np.float64)))  # pixels from -1 to 1
    return Fidelity(
        compare_profiles(logs, true, frequency[1:]), mse, frequency[1:], logs.mean(axis=0), logs.std(axis=0)
    )
