"""Measure how far the radial profiles of generated images are from those of camera images: the spectral loss.

Durall, Keuper, Keuper, "Watch Your Up-Convolution", CVPR 2020, equations 4 and 9 to 11. The published code computes the
loss outside the graph, so that it scales the generator's loss and never turns its gradient; here it is differentiable.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from scipy.sparse import csc_array
from torch import Tensor, nn
from torch.nn import functional

from spectral_detect.errors import FeatureError
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spectrum import ring_operator
from spectral_detect.regularize.bank import RealBank, check_loss, needs_bank, real_bank
from spectral_detect.regularize.choices import (
    ComparedPer,
    LossSettings,
    ProfileNormalisation,
    SpectralDistance,
    SpectralFeatures,
)
from spectral_detect.regularize.detector_features import DetectorFeatures
from spectral_detect.regularize.distances import BankDistance, SpectralDiscriminator
from spectral_detect.regularize.profiles import GRAY, ROUNDING_POWER, RealProfile, mean_profile
from spectral_detect.regularize.reals import N_PROFILES, read_reals
from spectral_detect.text import counted

if TYPE_CHECKING:
    from typing_extensions import Unpack

BOUND_SD = 3.0  # distance of a log profile's bounds from its mean, in standard deviations of the reals
AT_BOUND = 4.0  # argument of the logistic function at the bounds, where it is 0.02 and 0.98
LEAST_SPREAD = 0.1  # distance of the bounds, in natural logarithms, if all reals agree
FAR = 10.0  # spans of black to white, beyond which no generator's first images lie
MARGIN = 1e-7  # distance kept by the paper's normalisation from 0 and 1, where cross-entropy is infinite


class RadialProfile(nn.Module):
    """Average the power of a batch azimuthally, differentiably; rings and scale are those of `azimuthal_average`.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the images.

    Attributes
    ----------
    frequency : array (n_rings,)
        Mean radius of each ring in cycles per pixel, from the zero frequency on.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        rings = ring_operator(shape, None, "zero_frequency", "float64", numpy_backend())
        columns = csc_array(rings.matrix)  # every frequency of the half spectrum is in one ring
        self.shape = shape
        self.frequency = rings.frequency
        self.ring: Tensor
        self.weight: Tensor
        self.register_buffer("ring", torch.from_numpy(columns.indices.astype(np.int64)), persistent=False)
        weight = columns.data / (shape[0] * shape[1])  # |DFT|^2 / (H W) is the scale of `power_spectrum`
        self.register_buffer("weight", torch.from_numpy(weight), persistent=False)

    def forward(self, gray: Tensor) -> Tensor:
        """Return the mean of |DFT|^2 / (H W) over each ring: (N, H, W) -> (N, n_rings), in the precision of `gray`."""
        transform = torch.fft.rfft2(gray)
        power = (transform * transform.conj()).real.flatten(1)
        profile = power.new_zeros(len(power), len(self.frequency))
        return torch.index_add(profile, 1, self.ring, power * self.weight.to(power.dtype))


class SpectralLoss(nn.Module):
    """Measure the distance of generated images' spectra to those of camera images, differentiably.

    Parameters
    ----------
    reals : RealProfile
        Profiles of camera images of this size; `from_folder` and `from_images` make it.
    features : {"profile", "azimuthal", "residual"}
        What is compared. "profile": the radial profile of the gray image. "azimuthal", "residual": the features that a
        detector of this program judges, with pixels rounded to 8 bits as in a file, and whitened by the camera images,
        so that each direction counts alike in which these vary.
    normalisation : {"log", "paper"}
        How the profile AI is brought to (0, 1), which the cross-entropy needs. "log": the logistic function of the log
        profile, with bounds per ring taken from the reals (mean +- 3 standard deviations at 0.02 and 0.98), so that all
        frequencies count alike. "paper": AI / AI_0, as in the paper; power falls so fast with the frequency that the
        highest frequencies hardly count.
    distance : {"bce", "mse", "l1", "energy", "mmd", "discriminator"}
        "bce": binary cross-entropy, equation 11. "mse", "l1": between the log profiles, in natural logarithms, or the
        whitened features. "energy", "mmd": energy distance, or maximum mean discrepancy with Gaussian kernels, between
        the distribution of the batch's whitened log profiles or features and that of the camera images; so not only
        their mean must agree. "discriminator": a small network learns to tell the batch's from those of camera images,
        see `discriminator_loss`.
    per : {"batch", "image"}
        "batch" compares the batch's mean normalised (or log) profile with that of the reals. "image" compares each
        image's, as the paper does, which also makes images more alike in spectrum than camera images are.
    value_range : tuple of float
        (black, white) of the images that the loss is given; a generator that ends in tanh gives -1 and 1.
    bank : RealBank or callable, optional
        Spectra of camera images, or what makes them of `features`; all need it but "bce", "mse" and "l1" of the
        profile. `from_folder` and `from_images` give it.

    Raises
    ------
    FeatureError
        The combination does not exist, or (when called) the images have another size.

    Warns
    -----
    UserWarning
        At the first batch: its values can hardly be in `value_range`.

    Examples
    --------
    >>> spectral = SpectralLoss.from_folder("faces/", 64)                                    # doctest: +SKIP
    >>> loss = adversarial + spectral_weight * spectral(generator(z))                        # doctest: +SKIP

    Notes
    -----
    L = -1/K sum_k [t_k ln o_k + (1 - t_k) ln(1 - o_k)], with o the normalised profile of generated images and t that of
    the reals. The zero frequency, which holds the brightness, takes no part. The least value of L is not 0 but `floor`,
    the entropy of t; with "discriminator", ln 2 is where the network cannot tell. See `BankDistance` for the distances
    between distributions, and `SpectralDiscriminator`. `state_dict` does not hold what the loss compares with: make it
    again, from the same images.
    """

    def __init__(
        self,
        reals: RealProfile,
        *,
        features: SpectralFeatures = "profile",
        normalisation: ProfileNormalisation = "log",
        distance: SpectralDistance = "bce",
        per: ComparedPer = "batch",
        value_range: tuple[float, float] = (-1.0, 1.0),
        bank: RealBank | Callable[[SpectralFeatures], RealBank] | None = None,
    ) -> None:
        super().__init__()
        check_loss(features, normalisation, distance, per, value_range)
        self.reals, self.normalisation, self.distance, self.per = reals, normalisation, distance, per
        self.features, self.value_range = features, value_range
        self._has_looked = False
        self.profile = RadialProfile(reals.shape)
        self.mean: Tensor
        self.scale: Tensor
        target = reals.mean_ratio if normalisation == "paper" else reals.mean_log
        self.register_buffer("mean", torch.from_numpy(target), persistent=False)
        spread = np.maximum(BOUND_SD * reals.sd_log, LEAST_SPREAD) / AT_BOUND
        self.register_buffer("scale", torch.from_numpy(spread), persistent=False)
        self.seen = None if features == "profile" else DetectorFeatures(features, reals.shape)
        self.to_bank: BankDistance | SpectralDiscriminator | None = None
        if needs_bank(features, distance):
            made = _fitting(bank(features) if callable(bank) else bank, reals.shape, features)
            learns = distance == "discriminator"
            self.to_bank = SpectralDiscriminator(made) if learns else BankDistance(made, distance, per)

    @classmethod
    def from_images(cls, images: np.ndarray, **settings: Unpack[LossSettings]) -> SpectralLoss:
        """Make the loss from at least 50 camera images, (N, H, W, 3) or (N, H, W), uint8 or from 0 to 1.

        Parameters
        ----------
        images : array
            The camera images.
        **settings
            `features`, `normalisation`, `distance`, `per` and `value_range`, see `SpectralLoss`.
        """
        check_loss(**settings)
        return cls(mean_profile(images), bank=partial(real_bank, images), **settings)

    @classmethod
    def from_folder(
        cls,
        folder: str | os.PathLike[str],
        size: int,
        *,
        n_images: int = N_PROFILES,
        **settings: Unpack[LossSettings],
    ) -> SpectralLoss:
        """Make the loss from `n_images` camera images of a folder, brought to `size` pixels; see `reals.read_reals`.

        It warns of images that cannot be used.

        Parameters
        ----------
        folder : str or path-like
            Holds the camera images.
        size : int
            Pixels on a side of the generated images.
        n_images : int
            How many are drawn at random, always the same ones.
        **settings
            As for `from_images`.

        Raises
        ------
        DatasetError
            Fewer than 50 images can be read and are large enough.
        """
        check_loss(**settings)
        failures: list[str] = []
        images = read_reals(
            os.fspath(folder), size, n_images=n_images, on_failure=lambda *failure: failures.append(": ".join(failure))
        )
        if failures:
            warnings.warn(f"{counted(len(failures), 'image')} not used, the first: {failures[0]}", stacklevel=2)
        return cls.from_images(images, **settings)

    def extra_repr(self) -> str:
        """Return the settings, for `repr`."""
        names = ("features", "normalisation", "distance", "per", "value_range")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    @property
    def floor(self) -> float:
        """Return the value for images like the reals: cross-entropy of the target with itself, or 0.

        It is the least one but for "energy" and "mmd", which are estimates, and "discriminator", which may be deceived.
        """
        if self.distance not in ("bce", "discriminator"):
            return 0.0
        if self.to_bank is not None:
            return math.log(2)
        target = self._target().double()
        return float(functional.binary_cross_entropy(target, target))

    def forward(self, images: Tensor, like: Tensor | None = None) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        images : Tensor (N, 3, H, W), (N, 1, H, W) or (N, H, W)
            Generated images in `value_range`. Half precision is computed in single.
        like : Tensor, optional
            Images of the same shape whose own profiles are the target, as for an auto-encoder. By default the target is
            the mean profile of the reals.
        """
        self._check(images)
        if like is not None and like.shape[0] != images.shape[0]:
            raise FeatureError(f"like holds {like.shape[0]} images, and there are {images.shape[0]}")
        self._warn_of_range(images)
        with torch.autocast(images.device.type, enabled=False):
            if self.to_bank is not None:
                vectors = None if like is None else self.vectors(like.detach())
                return cast(Tensor, self.to_bank(self.vectors(images), vectors))
            profile = self.profiles(images)
            target = None if like is None else self.profiles(like.detach())
            return self._distance(profile, target)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the network of distance "discriminator" learns by, in turn with the generator.

        Give `parameters()` to the optimiser of the image discriminator, and add this to that one's loss.

        Parameters
        ----------
        real, fake : Tensor
            Camera images and generated ones, as for `forward`. No gradient flows to them.

        Raises
        ------
        FeatureError
            The distance is another one, in which nothing learns.
        """
        if not isinstance(self.to_bank, SpectralDiscriminator):
            raise FeatureError(f"distance {self.distance!r} learns nothing: this is for 'discriminator'")
        with torch.autocast(fake.device.type, enabled=False):
            return self.to_bank.learning_loss(self.vectors(real.detach()), self.vectors(fake.detach()))

    def profiles(self, images: Tensor) -> Tensor:
        """Return the gray images' profiles, (N, n_rings) from the zero frequency on, on the scale 0 to 1."""
        self._check(images)
        black, white = self.value_range
        return torch.as_tensor(self.profile(_gray(_single(images), black, white)))

    def vectors(self, images: Tensor) -> Tensor:
        """Return what is compared: (N, n_rings - 1) log profiles, or (N, n_features) features of the detector."""
        if self.seen is None:
            return _log(self.profiles(images))
        self._check(images)
        black, white = self.value_range
        return cast(Tensor, self.seen((_single(images) - black) * (255 / (white - black))))

    def _check(self, images: Tensor) -> None:
        height, width = self.profile.shape
        shape = tuple(images.shape) if isinstance(images, Tensor) else ()
        if not (len(shape) > 2 and shape[0] and shape[-2:] == (height, width) and shape[1:-2] in ((), (1,), (3,))):
            found = f"a tensor of shape {shape}" if isinstance(images, Tensor) else f"a {type(images).__name__}"
            size = f"{width}x{height} pixels"
            raise FeatureError(f"{found}: this loss is for (N, 3, H, W), (N, 1, H, W) or (N, H, W) of {size}")
        if not images.is_floating_point():
            raise FeatureError(f"a tensor of {images.dtype}: this loss is for floating values in `value_range`")

    def _warn_of_range(self, images: Tensor) -> None:
        """Warn at the first batch, and only there, of values that `value_range` can hardly be meant for."""
        if self._has_looked:
            return
        self._has_looked = True
        black, white = self.value_range
        low, high = (float(end) for end in images.detach().aminmax())
        is_far = max(black - low, high - white) > FAR * (white - black)
        if is_far or low >= (black + white) / 2:
            what = "far beyond" if is_far else "none of them dark, for"
            warnings.warn(
                f"the spectral loss was given values from {low:g} to {high:g}, {what} value_range={self.value_range}: "
                "give the values of black and of white",
                stacklevel=5,  # the caller of the module
            )

    def _distance(self, profile: Tensor, like: Tensor | None) -> Tensor:
        if self.normalisation == "paper":
            ratio = self._gather(_ratio(profile))
            target = self._target() if like is None else self._gather(_ratio(like))
            return functional.binary_cross_entropy(ratio, target.to(ratio).expand_as(ratio))
        log = self._gather(_log(profile))
        mean = (self.mean if like is None else self._gather(_log(like))).to(log).expand_as(log)
        if self.distance == "mse":
            return functional.mse_loss(log, mean)
        if self.distance == "l1":
            return functional.l1_loss(log, mean)
        centre, scale = self.mean.to(log), self.scale.to(log)
        return functional.binary_cross_entropy_with_logits((log - centre) / scale, ((mean - centre) / scale).sigmoid())

    def _gather(self, rows: Tensor) -> Tensor:
        """Replace the rows by their mean, (1, n_rings), if the loss is per batch."""
        return rows.mean(dim=0, keepdim=True) if self.per == "batch" else rows

    def _target(self) -> Tensor:
        """Return the reals' mean profile in (0, 1), (n_rings,)."""
        return self.mean.clamp(MARGIN, 1 - MARGIN) if self.normalisation == "paper" else torch.full_like(self.mean, 0.5)


def _fitting(bank: RealBank | None, shape: tuple[int, int], features: SpectralFeatures) -> RealBank:
    if bank is None or bank.features != features or tuple(bank.shape) != tuple(shape):
        height, width = shape
        raise FeatureError(
            f"this loss compares with a bank of {features!r} of camera images of {width}x{height} pixels",
            remedy="use `SpectralLoss.from_images` or `from_folder`, or give that of `real_bank`",
        )
    return bank


def _single(images: Tensor) -> Tensor:
    return images if images.dtype == torch.float64 else images.float()


def _gray(images: Tensor, black: float, white: float) -> Tensor:
    """Turn (N, C, H, W) or (N, H, W) into gray (N, H, W) on the scale 0 to 1, in one pass for colour."""
    if images.ndim == 3 or images.shape[1] == 1:
        return (images.flatten(0, -3) - black) / (white - black)
    weights = images.new_tensor(GRAY).div(white - black).expand(len(images), 1, 3)
    offset = images.new_tensor(-black / (white - black))
    return torch.baddbmm(offset, weights, images.flatten(2)).reshape(len(images), *images.shape[-2:])


def _ratio(profile: Tensor) -> Tensor:
    """Return AI / AI_0, below 1: no coefficient of an image without negative values exceeds that of frequency zero."""
    return (profile[:, 1:] / profile[:, :1].clamp_min(ROUNDING_POWER)).clamp(MARGIN, 1 - MARGIN)


def _log(profile: Tensor) -> Tensor:
    """Return what `log_profiles` returns, differentiably.

    Without the noise of rounding, images with almost no power at a frequency had gradients that drowned all others:
    over four epochs the spectral distance of a DCGAN fell to 0.83 instead of 0.36, and with "mse" not at all.
    """
    return (profile[:, 1:] + ROUNDING_POWER).log()
