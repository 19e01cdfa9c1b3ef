"""Measure how far a batch of spectra is from those of camera images: by the means, the distributions, or a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spectral_detect.errors import FeatureError
from spectral_detect.regularize.bank import RealBank
from spectral_detect.regularize.choices import ComparedPer, SpectralDistance

SCALE = 0.75  # argument of the logistic function at one standard deviation: 4 at three, as for the mean profile
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the Gaussian kernels, in medians of the squared distance between reals
N_PAIRED = 1000  # reals whose distances to each other are measured
N_HIDDEN = 64  # units of the spectral discriminator
TINY = 1e-6  # under a root whose gradient would be infinite at 0


class Whitening(nn.Module):
    """Give (N, n_features) vectors about unit variance in all directions in which those of a bank vary."""

    def __init__(self, bank: RealBank) -> None:
        super().__init__()
        self.mean: Tensor
        self.matrix: Tensor
        keep(self, "mean", bank.mean)
        keep(self, "matrix", bank.whitening)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return (N, n_directions) whitened vectors, in the precision of these."""
        return (vectors - self.mean.to(vectors)) @ self.matrix.to(vectors)


class BankDistance(nn.Module):
    """Measure the distance of whitened spectra from those of a bank, differentiably.

    Parameters
    ----------
    bank : RealBank
        Spectra of camera images.
    distance : {"bce", "mse", "l1", "energy", "mmd"}
        See `SpectralLoss`.
    per : {"batch", "image"}
        Whether "bce", "mse" and "l1" compare the batch's mean or each image.

    Notes
    -----
    With x generated, y real, and x', y' others of the same kind:
    energy: (2 E|x - y| - E|x - x'| - E|y - y'|) / E|y - y'|, Szekely and Rizzo, 2013;
    mmd: E k(x, x') - 2 E k(x, y) + E k(y, y'), k being a mean of Gaussian kernels, Gretton et al., 2012, equation 3.
    No image is paired with itself, so that neither is biased: both are about 0 for camera images, at times below.
    """

    def __init__(self, bank: RealBank, distance: SpectralDistance, per: ComparedPer) -> None:
        super().__init__()
        self.distance, self.per = distance, per
        self.whiten = Whitening(bank)
        self.reals: Tensor
        whitened = (bank.vectors - bank.mean) @ bank.whitening
        keep(self, "reals", whitened)
        between = _squared_distances(*2 * [torch.from_numpy(whitened[:N_PAIRED]).double()])
        self.median = float(between[~torch.eye(len(between), dtype=torch.bool)].median().clamp_min(TINY))
        self.mean_distance = float(_mean_of_pairs((between + TINY).sqrt()))
        self.mean_kernel = float(_mean_of_pairs(self._kernel(between)))

    def forward(self, vectors: Tensor, like: Tensor | None = None) -> Tensor:
        """Return the distance of (N, n_features) vectors from the bank, or from other vectors.

        Raises
        ------
        FeatureError
            There is a single vector, which is no distribution.
        """
        x = self.whiten(vectors)
        y = None if like is None else self.whiten(like)
        if self.distance in ("energy", "mmd"):
            if len(x) < 2:
                raise FeatureError(f"distance {self.distance!r} is between distributions: give a batch of 2 or more")
            return self._energy(x, y) if self.distance == "energy" else self._mmd(x, y)
        x = self._gather(x)
        target = torch.zeros_like(x) if y is None else self._gather(y)
        if self.distance == "bce":
            return functional.binary_cross_entropy_with_logits(x / SCALE, (target / SCALE).sigmoid())
        return functional.l1_loss(x, target) if self.distance == "l1" else functional.mse_loss(x, target)

    def _gather(self, rows: Tensor) -> Tensor:
        return rows.mean(dim=0, keepdim=True) if self.per == "batch" else rows

    def _energy(self, x: Tensor, y: Tensor | None) -> Tensor:
        among = self.mean_distance if y is None else _mean_of_pairs(_distances(y, y))
        apart = _distances(x, self.reals.to(x) if y is None else y).mean()
        return (2 * apart - _mean_of_pairs(_distances(x, x)) - among) / self.mean_distance

    def _mmd(self, x: Tensor, y: Tensor | None) -> Tensor:
        among = self.mean_kernel if y is None else _mean_of_pairs(self._kernel(_squared_distances(y, y)))
        across = self._kernel(_squared_distances(x, self.reals.to(x) if y is None else y)).mean()
        return _mean_of_pairs(self._kernel(_squared_distances(x, x))) - 2 * across + among

    def _kernel(self, squared: Tensor) -> Tensor:
        kernels = [(-squared / (2 * width * self.median)).exp() for width in WIDTHS]
        return torch.stack(kernels).mean(dim=0)


class SpectralDiscriminator(nn.Module):
    """Tell generated from camera images by their spectra: a small network, which learns in turn with the generator.

    Its loss for the generator is -ln of the probability that the network gives to "camera image"; ln 2 where the
    network cannot tell.

    Parameters
    ----------
    bank : RealBank
        Spectra of camera images, which say how vectors are whitened.

    Notes
    -----
    Chen et al., "SSD-GAN: Measuring the Realness in the Spatial and Spectral Domains", AAAI 2021, has a single layer on
    the radial profile, and judges by a mean of its output and the image discriminator's; so both share one loss. Here
    there is a hidden layer, so that not only means must agree, and its own loss with its own weight, which goes with
    every objective.
    """

    def __init__(self, bank: RealBank) -> None:
        super().__init__()
        self.whiten = Whitening(bank)
        n_directions = bank.whitening.shape[1]
        self.network = nn.Sequential(nn.Linear(n_directions, N_HIDDEN), nn.LeakyReLU(0.2), nn.Linear(N_HIDDEN, 1))

    def forward(self, vectors: Tensor, like: Tensor | None = None) -> Tensor:
        """Return the generator's loss for (N, n_features) vectors.

        Raises
        ------
        FeatureError
            There are others to compare with; it knows camera images alone.
        """
        if like is not None:
            raise FeatureError("distance 'discriminator' compares with all camera images: leave `like` out")
        return functional.softplus(-self._logits(vectors)).mean()

    def learning_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return its own loss, the cross-entropy of both kinds of vectors; 2 ln 2 where it cannot tell."""
        return functional.softplus(-self._logits(real)).mean() + functional.softplus(self._logits(fake)).mean()

    def _logits(self, vectors: Tensor) -> Tensor:
        return torch.as_tensor(self.network(self.whiten(vectors).float()))


def keep(module: nn.Module, name: str, values: np.ndarray) -> None:
    """Keep an array as a buffer of a module, which moves with it and is not saved with it."""
    module.register_buffer(name, torch.from_numpy(np.array(values, np.float64)), persistent=False)


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return (N, M) squared distances by a product, whose gradient is finite where they are 0."""
    squares = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)[None] - 2 * x @ y.T
    return squares.clamp_min(0)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return (_squared_distances(x, y) + TINY).sqrt()


def _mean_of_pairs(values: Tensor) -> Tensor:
    """Return the mean of (N, N) values without those on the diagonal."""
    n = len(values)
    return (values.sum() - values.diagonal().sum()) / (n * (n - 1))
