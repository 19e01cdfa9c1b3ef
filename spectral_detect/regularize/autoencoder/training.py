"""Train one auto-encoder, and measure it on held-out images as it learns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from threading import Event

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spectral_detect.regularize.autoencoder.fidelity import Fidelity, measure_fidelity
from spectral_detect.regularize.autoencoder.images import SplitImages
from spectral_detect.regularize.autoencoder.network import AutoEncoder, seeded_network
from spectral_detect.regularize.autoencoder.options import Architecture, Settings
from spectral_detect.regularize.autoencoder.results import Measured, Reconstruction
from spectral_detect.regularize.loss import SpectralLoss

RISE = 0.2  # share of the steps in which the learning rate rises
N_EXAMPLES = 4
AT_ONCE = 100  # images in a pass
EARLY = (1 / 8, 1 / 4, 1 / 2)  # times of measuring in the first epoch


def train_autoencoder(
    images: SplitImages,
    architecture: Architecture,
    settings: Settings,
    device: torch.device | str = "cpu",
    spectral: SpectralLoss | None = None,
    *,
    stopped: Event | None = None,
) -> Reconstruction:
    """Train one network, measuring it on the held-out images.

    Parameters
    ----------
    images, architecture, settings, device
        See `experiment.run_grid`.
    spectral : SpectralLoss, optional
        By default made from the training images.
    stopped : Event, optional
        Set by another thread to end the training, with `InterruptedError`.

    Notes
    -----
    L = |x' - x|^2 + lambda L_spectral(x', x), x' = D(E(x)); the weight lambda is `settings.spectral_weight`.
    A network whose loss is no longer finite stops there; `diverged_in` says when.
    """
    start = time.monotonic()
    device = torch.device(device)
    spectral = spectral if spectral is not None else spectral_loss(images, settings).to(device)
    network = seeded_network(architecture, settings.seed).to(device)
    trainer = _Trainer(network, spectral, settings, torch.from_numpy(images.training), device, stopped)
    history: list[Measured] = []
    fidelity: Fidelity | None = None
    for step in trainer.measured_steps():
        is_finite = trainer.train_to(step)
        outputs = reconstruct(network, images.held_out, device)
        if not (is_finite and np.isfinite(outputs).all()):
            fidelity = None
            break
        fidelity = measure_fidelity(outputs, images.originals)
        loss = _held_out_loss(spectral, outputs, images.originals, settings)
        history.append(Measured(trainer.epoch, fidelity.mse, loss, fidelity.difference.signed))
    return Reconstruction(
        spectral_weight=settings.spectral_weight,
        fidelity=fidelity,
        history=tuple(history),
        examples=outputs[:N_EXAMPLES],
        seconds=time.monotonic() - start,
        diverged_in=trainer.epoch if fidelity is None else None,
    )


@torch.no_grad()
def reconstruct(network: AutoEncoder, images: np.ndarray, device: torch.device) -> np.ndarray:
    """Turn (N, H, W, 3) uint8 into float32 reconstructions from 0 to 1, clipped as a file would be."""
    starts = range(0, len(images), AT_ONCE)
    parts = [network(_to_network(torch.from_numpy(images[k : k + AT_ONCE]), device)) for k in starts]
    pixels = (torch.cat(parts).clamp(-1, 1) + 1) / 2
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def spectral_loss(images: SplitImages, settings: Settings) -> SpectralLoss:
    """Make the loss, which compares per image: each output of an auto-encoder has a profile that it should have."""
    return SpectralLoss.from_images(
        images.training, normalisation=settings.normalisation, distance=settings.distance, per="image"
    )


class _Trainer:
    """Make the steps of one network: batches in a seeded order, Adam, rate and spectral weight by the step."""

    def __init__(
        self,
        network: AutoEncoder,
        spectral: SpectralLoss,
        settings: Settings,
        images: Tensor,
        device: torch.device,
        stopped: Event | None,
    ) -> None:
        self.network, self.spectral, self.settings = network, spectral, settings
        self.images, self.device, self.stopped = images, device, stopped
        self.optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
        self.batches = self._batches(torch.Generator().manual_seed(settings.seed))
        self.n_batches = math.ceil(len(images) / settings.batch_size)
        self.step = 0

    @property
    def epoch(self) -> float:
        return self.step / self.n_batches

    def measured_steps(self) -> list[int]:
        """Return three steps of the first epoch, in which the spectrum changes fastest, and the last of each."""
        shares = (*EARLY, *range(1, self.settings.epochs + 1))
        return sorted({math.ceil(share * self.n_batches) for share in shares})

    def train_to(self, step: int) -> bool:
        """Train until that step; return whether the loss remained finite."""
        while self.step < step:
            if self.stopped is not None and self.stopped.is_set():
                raise InterruptedError
            if not math.isfinite(self.train_step(_to_network(next(self.batches), self.device))):
                return False
        return True

    def train_step(self, x: Tensor) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        loss = self.loss(self.network(x), x)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.optimiser.step()
        self.step += 1
        return loss.item()

    def loss(self, output: Tensor, x: Tensor) -> Tensor:
        mse = functional.mse_loss(output, x)
        weight = self.spectral_weight()
        if not weight:
            return mse
        return mse + weight * torch.as_tensor(self.spectral(output, _like(x, self.settings)))

    def learning_rate(self) -> float:
        """Return a rate that rises along a line, then falls along a cosine."""
        done = (self.step + 1) / (self.n_batches * self.settings.epochs)
        share = done / RISE if done < RISE else (1 + math.cos(math.pi * (done - RISE) / (1 - RISE))) / 2
        return self.settings.learning_rate * share

    def spectral_weight(self) -> float:
        warm_up = self.settings.warm_up * self.n_batches
        return self.settings.spectral_weight * (min(1.0, self.step / warm_up) if warm_up else 1.0)

    def _batches(self, shuffle: torch.Generator) -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(self.images), generator=shuffle)
            for first in range(0, len(order), self.settings.batch_size):
                yield self.images[order[first : first + self.settings.batch_size]]


@torch.no_grad()
def _held_out_loss(spectral: SpectralLoss, outputs: np.ndarray, originals: np.ndarray, settings: Settings) -> float:
    device = spectral.mean.device
    output, x = (2 * torch.from_numpy(a).permute(0, 3, 1, 2).to(device) - 1 for a in (outputs, originals))
    return float(spectral(output, _like(x, settings)))


def _like(x: Tensor, settings: Settings) -> Tensor | None:
    return x if settings.target == "own" else None


def _to_network(images: Tensor, device: torch.device) -> Tensor:
    """Turn (N, H, W, 3) uint8 into (N, 3, H, W) from -1 to 1; it remains `channels_last` in memory, as pixels are."""
    return images.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
