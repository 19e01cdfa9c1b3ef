"""Hold the options of the auto-encoder experiment; free of torch, so that the command line can take its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spectral_detect.regularize.choices import ProfileDistance, ProfileNormalisation, Upsampling

Target = Literal["own", "mean"]
DEFAULT_UPSAMPLINGS: tuple[Upsampling, ...] = ("transconv", "upconv-nearest")
DEFAULT_KERNELS = {1: (3, 5, 7, 9, 11), 3: (3, 5)}  # by number of layers: three layers of 11x11 take an hour
OTHER_KERNELS = (3, 5)  # for other numbers of layers


@dataclass(frozen=True)
class Architecture:
    """Describe an auto-encoder.

    Attributes
    ----------
    upsampling : {"transconv", "upconv-nearest", "upconv-bilinear"}
        How the decoder doubles the size.
    kernel : int
        Side of the decoder's kernels, odd.
    layers : int
        Number of the decoder's layers.
    channels : int
        Filters of all hidden layers.
    """

    upsampling: Upsampling
    kernel: int
    layers: int
    channels: int = 32


@dataclass(frozen=True)
class Settings:
    """Tell how all networks of an experiment are trained.

    Attributes
    ----------
    epochs : int
        Passes over the images.
    batch_size : int
        Images in a step.
    spectral_weight : float
        Weight of the spectral loss beside the mean squared error, in the networks that are corrected.
    warm_up : float
        Epochs over which the weight rises from 0.
    normalisation, distance
        See `SpectralLoss`.
    target : {"own", "mean"}
        "own": each image's own profile. "mean": the mean profile of the training images.
    learning_rate : float
        Highest learning rate; it rises over a fifth of the steps and falls to 0 along a cosine.
    seed : int
        Decides weights and batches.
    """

    epochs: int = 2
    batch_size: int = 8
    spectral_weight: float = 1e-3
    warm_up: float = 0.0
    normalisation: ProfileNormalisation = "log"
    distance: ProfileDistance = "mse"
    target: Target = "own"
    learning_rate: float = 5e-3
    seed: int = 0
