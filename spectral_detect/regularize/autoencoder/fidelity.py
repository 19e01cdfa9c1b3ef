"""Measure how true reconstructed images are to their originals.

Free of torch: reports import this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.errors import FeatureError
from spectral_detect.regularize.profiles import UPPER_QUARTER, log_profiles, radial_profiles


@dataclass(frozen=True)
class ProfileDifference:
    """Hold the difference of log profiles over the upper quarter of the frequencies, in natural logarithms.

    Attributes
    ----------
    per_image : float
        Mean over images and rings of |output - original|, each image against its own original.
    of_means : float
        Mean over rings of |mean profile of the outputs - mean profile of the originals|.
    signed : float
        Mean over images and rings of output - original: positive if high frequencies were added.
    """

    per_image: float
    of_means: float
    signed: float


@dataclass(frozen=True, eq=False)
class Fidelity:
    """Tell how true a network's reconstructions are, for images that it was not trained on.

    Attributes
    ----------
    difference : ProfileDifference
        Difference of the spectra.
    mse : float
        Mean squared error of pixels from -1 to 1.
    frequency : array (n_rings,)
        Cycles per pixel.
    mean_log, sd_log : array (n_rings,)
        Mean and standard deviation of the log profiles of the outputs.
    """

    difference: ProfileDifference
    mse: float
    frequency: np.ndarray
    mean_log: np.ndarray
    sd_log: np.ndarray

    def profile(self) -> dict[str, list[float]]:
        """Return the log profiles as plain values, for JSON."""
        return {"mean_log": self.mean_log.tolist(), "sd_log": self.sd_log.tolist()}


def compare_profiles(outputs: np.ndarray, originals: np.ndarray, frequency: np.ndarray) -> ProfileDifference:
    """Measure how far log profiles are from those of the originals over the upper quarter of the frequencies.

    Parameters
    ----------
    outputs, originals : array (N, n_rings)
        Natural logarithms of radial profiles; a row of either belongs to the same image.
    frequency : array (n_rings,)
        Cycles per pixel; the rings from `UPPER_QUARTER` on count, each alike.

    Raises
    ------
    FeatureError
        The shapes differ.
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
