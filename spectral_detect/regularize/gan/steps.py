"""Train generator and discriminator step by step, with the spectral loss or without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spectral_detect.errors import SpectralDetectError
from spectral_detect.regularize.bank import RealBank
from spectral_detect.regularize.gan.checkpoints import (
    Checkpoint,
    load_module,
    load_optimizer,
    module_tensors,
    optimizer_tensors,
)
from spectral_detect.regularize.gan.networks import LATENT, Discriminator, Generator
from spectral_detect.regularize.gan.objectives import OBJECTIVES, PENALTY_WEIGHT
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.loss import SpectralLoss
from spectral_detect.regularize.profiles import RealProfile
from spectral_detect.regularize.torch_device import memory_format, mixed_precision, put_on

FINAL_RATE = 0.1  # of the learning rate, in the first of the last epochs if the options name some
SPECTRAL_RATE = 2e-3  # of the spectral discriminator, throughout: at D's it falls behind and is deceived
N_SETTLING = 20  # batches


class Diverged(SpectralDetectError):
    """Training has diverged: a loss, or a sample, is no longer a finite number."""


def rate_factor(epoch: int, epochs: int, final_epochs: int) -> float:
    """Return what the learning rate is multiplied by in an epoch, from 1 on: 1, and from a tenth down in the last ones.

    At a constant tenth, high frequencies still jump from one epoch to the next.
    """
    left = epochs - epoch + 1  # with this one
    return 1.0 if left > final_epochs else FINAL_RATE * left / final_epochs


class Gan:
    """Train generator G and discriminator D by steps of their optimisers.

    Parameters
    ----------
    options : TrainingOptions
        Options of the run.
    reals : RealProfile
        Profile of the real images, which the spectral loss compares with.
    device : torch.device
        See `choose_device`.
    bank : RealBank, optional
        Their spectra, if the spectral loss compares with these.
    """

    def __init__(
        self, options: TrainingOptions, reals: RealProfile, device: torch.device, bank: RealBank | None = None
    ) -> None:
        self.options, self.device, self.objective = options, device, OBJECTIVES[options.objective]
        self.spectral_weight = options.spectral_weight
        torch.manual_seed(options.seed)
        settings = options.size, options.upsampling, options.topology, options.channels
        self.G = put_on(device, Generator(*settings))
        self.D = put_on(device, Discriminator(options.size, self.objective.normalisation, options.channels))
        self.spectral = spectral_loss_of(options, reals, bank).to(device)
        self.rate = rate = options.learning_rate or self.objective.learning_rate
        self.judges = nn.ModuleList((self.D, self.spectral))  # the latter has parameters if it is a discriminator
        learned: list[dict[str, Any]] = [
            {"params": self.D.parameters()},
            {"params": self.spectral.parameters(), "lr": SPECTRAL_RATE},
        ]
        self.adam_g = torch.optim.Adam(self.G.parameters(), rate, self.objective.betas)
        self.adam_d = torch.optim.Adam(learned, rate, self.objective.betas)
        self.random = torch.Generator()
        self.generate: Callable[[Tensor], Tensor] = self.G
        self.judge: Callable[[Tensor], Tensor] = self.D
        if options.compile:
            self.generate, self.judge = torch.compile(self.G), torch.compile(self.D)

    def step_d(self, x: Tensor) -> dict[str, Tensor]:
        """Let D learn to tell real images x from G(z); return the losses by name."""
        with torch.no_grad(), mixed_precision(self.device):
            fake = self.generate(self.latent(len(x))).float()
        with mixed_precision(self.device):
            d_real, d_fake = self.judge(x).float(), self.judge(fake).float()
        losses = {"loss_d": self.objective.loss_d(d_real, d_fake)}
        loss = losses["loss_d"]
        if self.objective.penalty is not None:
            losses["penalty"] = self.objective.penalty(self.D, x, fake, self.random)
            loss = loss + PENALTY_WEIGHT * losses["penalty"]
        if self.options.distance == "discriminator" and self.spectral_weight:
            loss = loss + self.spectral.discriminator_loss(x, fake)
        _descend(self.adam_d, loss)
        return losses

    def step_g(self, n: int) -> dict[str, Tensor]:
        """Let G learn to pass for real and to have the reals' profile: L_G + lambda L_spectral, equation 9."""
        self.judges.requires_grad_(False)
        with mixed_precision(self.device):
            fake = self.generate(self.latent(n))
            d_fake = self.judge(fake).float()
        losses = {"loss_g": self.objective.loss_g(d_fake)}
        if self.has_spectral_loss:
            losses["spectral_loss"] = self.spectral_loss(fake)
        _descend(self.adam_g, losses["loss_g"] + self.spectral_weight * losses.get("spectral_loss", 0.0))
        self.judges.requires_grad_(True)
        return losses

    def begin_epoch(self, epoch: int) -> None:
        """Set the rate of G and D and the weight of the spectral loss as the options say, epochs from 1 on."""
        options = self.options
        factor = rate_factor(epoch, options.epochs, options.final_epochs)
        self.spectral_weight = options.spectral_weight if epoch >= options.spectral_from else 0.0
        for optimizer in (self.adam_g, self.adam_d):
            optimizer.param_groups[0]["lr"] = factor * self.rate

    @property
    def has_spectral_loss(self) -> bool:
        """Tell whether there is one to report: a spectral discriminator that has learned nothing has none."""
        return bool(self.spectral_weight) or self.options.distance != "discriminator"

    def spectral_loss(self, fake: Tensor) -> Tensor:
        """Return the spectral loss, also if it is only reported (weight 0); then no gradient flows through it."""
        if self.spectral_weight:
            return torch.as_tensor(self.spectral(fake))
        with torch.no_grad():
            return torch.as_tensor(self.spectral(fake))

    def latent(self, n: int) -> Tensor:
        """Draw (n, 100) standard normal numbers on the CPU, so that every device gets the same."""
        return torch.randn(n, LATENT, generator=self.random).to(self.device)

    @torch.no_grad()
    def settle(self) -> None:
        """Average the statistics of G's batch normalisation over many batches of the weights as they are now.

        The running means of training lag behind the weights: samples made with them had a spectral distance larger by a
        third, or many times larger while the weights moved fast. Wu and Johnson, "Rethinking 'Batch' in BatchNorm",
        2021, section 3.
        """
        norms = [module for module in self.G.modules() if isinstance(module, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average
        for _ in range(N_SETTLING):
            self.G(self.latent(self.options.batch_size))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors that a checkpoint holds."""
        return {
            **module_tensors("G", self.G),
            **module_tensors("D", self.D),
            **module_tensors("spectral", self.spectral),
            **optimizer_tensors("adam_g", self.adam_g),
            **optimizer_tensors("adam_d", self.adam_d),
            "random": self.random.get_state(),
        }

    def load(self, checkpoint: Checkpoint) -> None:
        """Put back what `tensors` gave.

        Raises
        ------
        CheckpointError
            The networks are others.
        KeyError, TypeError, RuntimeError
            The state of the random numbers is missing or damaged.
        """
        load_module(self.G, checkpoint.part("G"), "generator")
        load_module(self.D, checkpoint.part("D"), "discriminator")
        load_module(self.spectral, checkpoint.part("spectral"), "spectral discriminator")
        load_optimizer(self.adam_g, checkpoint.part("adam_g"))
        load_optimizer(self.adam_d, checkpoint.part("adam_d"))
        self.random.set_state(checkpoint.tensors["random"])


def spectral_loss_of(options: TrainingOptions, reals: RealProfile, bank: RealBank | None) -> SpectralLoss:
    """Return the spectral loss that the options describe."""
    return SpectralLoss(
        reals,
        features=options.features,
        normalisation=options.normalisation,
        distance=options.distance,
        per=options.per,
        bank=bank,
    )


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
    optimizer.step()


def to_tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """Turn images (N, H, W, 3) uint8 into (N, 3, H, W) in [-1, 1]."""
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    moved = tensor.to(device, memory_format=memory_format(device))
    return moved.float() / 127.5 - 1
