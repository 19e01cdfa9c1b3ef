"""The auto-encoder experiment: what a single up-sampling layer does to the spectrum, and what the spectral loss does.

Down by two, up by two: Durall, Keuper, Keuper, "Watch Your Up-Convolution", CVPR 2020, section 4.1, figures 5 to 8,
20 and 21.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spectral_detect.errors import DatasetError
from spectral_detect.regularize.autoencoder.fidelity import Cell, Fidelity, Measured, Reconstruction, measure_fidelity
from spectral_detect.regularize.autoencoder.network import Architecture, AutoEncoder, seeded_network
from spectral_detect.regularize.loss import Distance, Normalisation, SpectralLoss
from spectral_detect.regularize.profiles import MIN_REALS

Target = Literal["own", "mean"]
RISE = 0.2  # share of the steps in which the learning rate rises
HELD_OUT_SHARE, MOST_HELD_OUT = 10, 200
N_EXAMPLES = 4
AT_ONCE = 100
EARLY = (1 / 8, 1 / 4, 1 / 2)  # of the first epoch


@dataclass(frozen=True)
class Settings:
    """How all networks of an experiment are trained.

    Attributes
    ----------
    spectral_weight : of the spectral loss beside the mean squared error, in the networks that are corrected.
    warm_up : epochs over which the weight rises from 0.
    normalisation, distance : see `SpectralLoss`.
    target : "own": each image's own profile; "mean": the mean profile of the training images.
    learning_rate : its highest value; it rises over a fifth of the steps and falls to 0 along a cosine.
    """

    epochs: int = 2
    batch_size: int = 8
    spectral_weight: float = 1e-3
    warm_up: float = 0.0
    normalisation: Normalisation = "log"
    distance: Distance = "mse"
    target: Target = "own"
    learning_rate: float = 5e-3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Faces:
    """Images that are trained on, and others that are measured on: (N, size, size, 3) uint8."""

    training: np.ndarray
    held_out: np.ndarray

    @property
    def originals(self) -> np.ndarray:
        """The held-out images from 0 to 1."""
        return self.held_out.astype(np.float32) / 255


def split_images(images: np.ndarray, n_images: int, seed: int) -> Faces:
    """Draw `n_images` of (N, size, size, 3) uint8 and hold a tenth of them out, at most 200.

    Raises
    ------
    DatasetError : fewer than 50 are left to train on.
    """
    drawn = np.random.default_rng(seed).permutation(len(images))[:n_images]
    n_held_out = min(MOST_HELD_OUT, max(1, len(drawn) // HELD_OUT_SHARE))
    if len(drawn) - n_held_out < MIN_REALS:
        raise DatasetError(
            f"{len(drawn)} images: of them {n_held_out} are held out, and at least {MIN_REALS} must be left to train "
            "on; add images"
        )
    return Faces(images[drawn[n_held_out:]], images[drawn[:n_held_out]])


def run_grid(
    images: Faces,
    architectures: Iterable[Architecture],
    settings: Settings,
    device: torch.device | str = "cpu",
    *,
    jobs: int = 1,
) -> Generator[Cell, None, None]:
    """Train each architecture without the spectral loss and with it; everything else is the same.

    Parameters
    ----------
    device : on the CPU the same seed gives the same numbers.
    jobs : networks trained side by side on the CPU, each in one thread; no number depends on it.

    Returns
    -------
    Cells in the order of the architectures, each as it is done; close the iterator to stop the training.

    Notes
    -----
    Networks as small as these gain little from several threads each, and on busy cores, where the threads of one
    network wait for each other in every layer, took up to twenty times as long.
    """
    device = torch.device(device)
    spectral = _spectral_loss(images, settings).to(device)
    stopped = Event()
    n_workers = jobs if device.type == "cpu" else 1
    with ThreadPoolExecutor(n_workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def start(a: Architecture, weight: float) -> Future[Reconstruction]:
            weighted = replace(settings, spectral_weight=weight)
            return pool.submit(train_autoencoder, images, a, weighted, device, spectral, stopped=stopped)

        try:
            pairs = [(a, start(a, 0.0), start(a, settings.spectral_weight)) for a in architectures]
            for a, plain, corrected in pairs:
                yield Cell(a.upsampling, a.kernel, a.layers, plain.result(), corrected.result())
        finally:
            stopped.set()  # ctrl-C need not wait for the end of the training


def train_autoencoder(
    images: Faces,
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
    spectral : default made of the training images.
    stopped : another thread sets it so that the training ends, with `InterruptedError`.

    Notes
    -----
    L = |x' - x|^2 + lambda L_spectral(x', x), x' = D(E(x)); the weight lambda is `settings.spectral_weight`.
    A network whose loss is no longer finite stops there; `diverged_in` says so.
    """
    start = time.monotonic()
    device = torch.device(device)
    spectral = spectral if spectral is not None else _spectral_loss(images, settings).to(device)
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
        spectral_loss = _held_out_loss(spectral, outputs, images.originals, settings)
        history.append(Measured(trainer.epoch, fidelity.mse, spectral_loss, fidelity.difference.signed))
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
    """(N, H, W, 3) uint8 -> float32 from 0 to 1, clipped as a file would be."""
    starts = range(0, len(images), AT_ONCE)
    parts = [network(_to_network(torch.from_numpy(images[k : k + AT_ONCE]), device)) for k in starts]
    pixels = (torch.cat(parts).clamp(-1, 1) + 1) / 2
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


class _Trainer:
    """The steps of one network: batches in a seeded order, Adam, learning rate and spectral weight by the step."""

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

    def train_to(self, step: int) -> bool:
        """Whether the loss remained finite."""
        while self.step < step:
            if self.stopped is not None and self.stopped.is_set():
                raise InterruptedError
            if not math.isfinite(self.train_step(_to_network(next(self.batches), self.device))):
                return False
        return True

    def measured_steps(self) -> list[int]:
        """Thrice in the first epoch, in which the spectrum changes fastest, and at the end of each."""
        shares = (*EARLY, *range(1, self.settings.epochs + 1))
        return sorted({math.ceil(share * self.n_batches) for share in shares})

    @property
    def epoch(self) -> float:
        return self.step / self.n_batches

    def _batches(self, shuffle: torch.Generator) -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(self.images), generator=shuffle)
            for first in range(0, len(order), self.settings.batch_size):
                yield self.images[order[first : first + self.settings.batch_size]]

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
        """Rises along a line, then falls along a cosine."""
        done = (self.step + 1) / (self.n_batches * self.settings.epochs)
        share = done / RISE if done < RISE else (1 + math.cos(math.pi * (done - RISE) / (1 - RISE))) / 2
        return self.settings.learning_rate * share

    def spectral_weight(self) -> float:
        warm_up = self.settings.warm_up * self.n_batches
        return self.settings.spectral_weight * (min(1.0, self.step / warm_up) if warm_up else 1.0)


def _spectral_loss(images: Faces, settings: Settings) -> SpectralLoss:
    """Per image: an auto-encoder has the profile that each of its outputs should have."""
    kind: dict[str, Any] = {"normalisation": settings.normalisation, "distance": settings.distance, "per": "image"}
    return SpectralLoss.from_images(images.training, **kind)


@torch.no_grad()
def _held_out_loss(spectral: SpectralLoss, outputs: np.ndarray, originals: np.ndarray, settings: Settings) -> float:
    device = spectral.mean.device
    output, x = (2 * torch.from_numpy(a).permute(0, 3, 1, 2).to(device) - 1 for a in (outputs, originals))
    return float(spectral(output, _like(x, settings)))


def _like(x: Tensor, settings: Settings) -> Tensor | None:
    return x if settings.target == "own" else None


def _to_network(images: Tensor, device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) from -1 to 1; the memory format is that of the pixels, `channels_last`."""
    return images.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
