"""Name the choices that networks and losses offer; free of torch, so that the command line can list them."""

from __future__ import annotations

from typing import Literal, TypedDict

ProfileNormalisation = Literal["log", "paper"]  # how a radial profile is brought to (0, 1)
ProfileDistance = Literal["bce", "mse", "l1"]
# the last three between distributions, not their means
SpectralDistance = Literal["bce", "mse", "l1", "energy", "mmd", "discriminator"]
SpectralFeatures = Literal["profile", "azimuthal", "residual"]  # the last two as the detector's presets
ComparedPer = Literal["batch", "image"]  # whose profile is compared with that of the reals
Upsampling = Literal["transconv", "upconv-nearest", "upconv-bilinear"]
FdNetwork = Literal["random", "efficientnet-lite0"]  # whose features a Frechet distance compares
DeviceName = Literal["auto", "cpu", "gpu"]


class LossSettings(TypedDict, total=False):
    """Settings of `SpectralLoss`, which says what they mean and what they are if left out."""

    features: SpectralFeatures
    normalisation: ProfileNormalisation
    distance: SpectralDistance
    per: ComparedPer
    value_range: tuple[float, float]
