"""The training of a GAN with the spectral loss: two steps, an epoch, a run that can be interrupted and taken up."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spectral_detect.errors import CheckpointError, SpectralDetectError
from spectral_detect.regularize.gan.checkpoints import (
    CHECKPOINT_FILE,
    load_checkpoint,
    load_module,
    load_optimizer,
    module_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from spectral_detect.regularize.gan.networks import LATENT, Discriminator, Generator
from spectral_detect.regularize.gan.objectives import OBJECTIVES, PENALTY_WEIGHT
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.loss import SpectralLoss
from spectral_detect.regularize.profiles import RealProfile
from spectral_detect.regularize.torch_device import choose_device, memory_format, mixed_precision, put_on

AT_ONCE = 64  # samples
N_SETTLING = 20  # batches
Tick = Callable[[dict[str, float]], None]
LOSSES = ("loss_d", "loss_g", "penalty", "spectral_loss")


class Diverged(SpectralDetectError):
    """A loss is no longer a finite number."""


@dataclass
class Progress:
    """How far a run has come: full epochs, batches of the next, and the sums of its losses."""

    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LOSSES, 0.0))
    steps_g: int = 0


class Gan:
    """Generator G, discriminator D, their optimisers, and the steps that train them.

    Parameters
    ----------
    options : of the run.
    reals : profile of the real images, which the spectral loss compares with.
    device : see `choose_device`.
    """

    def __init__(self, options: TrainingOptions, reals: RealProfile, device: torch.device) -> None:
        self.options, self.device, self.objective = options, device, OBJECTIVES[options.objective]
        torch.manual_seed(options.seed)
        settings = options.size, options.upsampling, options.topology, options.channels
        self.G = put_on(device, Generator(*settings))
        self.D = put_on(device, Discriminator(options.size, self.objective.normalisation, options.channels))
        kind: dict[str, Any] = {name: getattr(options, name) for name in ("normalisation", "distance", "per")}
        self.spectral = SpectralLoss(reals, **kind).to(device)
        rate = options.learning_rate or self.objective.learning_rate
        self.adam_g, self.adam_d = (
            torch.optim.Adam(net.parameters(), rate, self.objective.betas) for net in (self.G, self.D)
        )
        self.random = torch.Generator()
        self.generate: Callable[[Tensor], Tensor] = self.G
        self.judge: Callable[[Tensor], Tensor] = self.D
        if options.compile:
            self.generate, self.judge = torch.compile(self.G), torch.compile(self.D)

    def step_d(self, x: Tensor) -> dict[str, Tensor]:
        """D learns to tell real images x from G(z)."""
        with torch.no_grad(), mixed_precision(self.device):
            fake = self.generate(self.latent(len(x))).float()
        with mixed_precision(self.device):
            d_real, d_fake = self.judge(x).float(), self.judge(fake).float()
        losses = {"loss_d": self.objective.loss_d(d_real, d_fake)}
        loss = losses["loss_d"]
        if self.objective.penalty is not None:
            losses["penalty"] = self.objective.penalty(self.D, x, fake, self.random)
            loss = loss + PENALTY_WEIGHT * losses["penalty"]
        _descend(self.adam_d, loss)
        return losses

    def step_g(self, n: int) -> dict[str, Tensor]:
        """G learns to pass for real, and to have the profile of the reals: L_G + lambda L_spectral, equation 9."""
        self.D.requires_grad_(False)
        with mixed_precision(self.device):
            fake = self.generate(self.latent(n))
            d_fake = self.judge(fake).float()
        losses = {"loss_g": self.objective.loss_g(d_fake), "spectral_loss": self.spectral_loss(fake)}
        _descend(self.adam_g, losses["loss_g"] + self.options.spectral_weight * losses["spectral_loss"])
        self.D.requires_grad_(True)
        return losses

    def spectral_loss(self, fake: Tensor) -> Tensor:
        """Computed, and reported, without weight as well; then nothing flows back through it."""
        if self.options.spectral_weight:
            return torch.as_tensor(self.spectral(fake))
        with torch.no_grad():
            return torch.as_tensor(self.spectral(fake))

    def latent(self, n: int) -> Tensor:
        """(n, 100) standard normal, drawn on the CPU: every device gets the same."""
        return torch.randn(n, LATENT, generator=self.random).to(self.device)

    @torch.no_grad()
    def settle(self) -> None:
        """Average the statistics of G's batch normalisation over many batches of the weights as they are now.

        The running means of training lag behind the weights: samples made with them had a third more of a spectral
        distance, or many times more while the weights moved fast. Wu and Johnson, "Rethinking 'Batch' in BatchNorm",
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

    def samples(self, n: int, seed: int) -> np.ndarray:
        """(n, size, size, 3) uint8; the same seed gives the same z."""
        return np.concatenate(list(sample_images(self.G, n, seed)))

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint holds."""
        return {
            **module_tensors("G", self.G),
            **module_tensors("D", self.D),
            **optimizer_tensors("adam_g", self.adam_g),
            **optimizer_tensors("adam_d", self.adam_d),
            "random": self.random.get_state(),
        }


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
    optimizer.step()


def sample_images(G: Generator, n: int, seed: int) -> Iterator[np.ndarray]:
    """`n` images of a generator in parts of (at most 64, size, size, 3) uint8; the same seed gives the same images.

    By its running means, so that an image does not depend on the others.
    """
    random = torch.Generator().manual_seed(seed)
    was_training = G.training
    G.eval()
    for start in range(0, n, AT_ONCE):
        z = torch.randn(AT_ONCE, LATENT, generator=random)  # in full: what is drawn depends on how much is
        with torch.no_grad():
            images = G(z[: n - start].to(next(G.parameters()).device))
        if not torch.isfinite(images).all():
            raise Diverged("the generator gives values that are no numbers: its training diverged; train anew")
        yield to_uint8(images)
    G.train(was_training)


def to_uint8(images: Tensor) -> np.ndarray:
    """(N, 3, H, W) in [-1, 1] -> (N, H, W, 3) uint8."""
    levels = (images.float().clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def to_tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) in [-1, 1]."""
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    moved = tensor.to(device, memory_format=memory_format(device))
    return moved.float() / 127.5 - 1


class Run:
    """A run of training in a folder: epoch after epoch, saved after each, and where it is interrupted.

    Parameters
    ----------
    folder : holds the checkpoint.
    images : (N, size, size, 3) uint8 camera images.
    reals : their profile.
    """

    def __init__(self, options: TrainingOptions, folder: Path, images: np.ndarray, reals: RealProfile) -> None:
        if len(images) < options.batch_size:
            raise SpectralDetectError(f"--batch-size {options.batch_size}: there are only {len(images)} images")
        self.options, self.images, self.path = options, images, folder / CHECKPOINT_FILE
        self.gan = Gan(options, reals, choose_device(options.device, options.threads))
        self.progress = Progress()
        self.n_batches = len(images) // options.batch_size
        self.images_hash = hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=16).hexdigest()
        self._seed_epoch()

    def resume(self) -> None:
        """Go on where the checkpoint ends, to the same numbers as without an interruption.

        Raises
        ------
        CheckpointError : none, damaged, of another network, or of other images.
        """
        checkpoint = load_checkpoint(self.path)
        stored = TrainingOptions.from_dict(checkpoint.values.get("options", {}))
        differences = self.options.differences(stored)
        if differences:
            raise CheckpointError(f"{str(self.path)!r} was trained with other options: {'; '.join(differences)}")
        if checkpoint.values.get("images") != self.images_hash:
            raise CheckpointError(f"{str(self.path)!r} was trained on other images than those of {self.options.data!r}")
        gan = self.gan
        load_module(gan.G, checkpoint.part("G"), "generator")
        load_module(gan.D, checkpoint.part("D"), "discriminator")
        load_optimizer(gan.adam_g, checkpoint.part("adam_g"))
        load_optimizer(gan.adam_d, checkpoint.part("adam_d"))
        try:
            gan.random.set_state(checkpoint.tensors["random"])
            self.progress = Progress(**checkpoint.values["progress"])
            if not (
                self.progress.epoch >= 0 and 0 <= self.progress.batch <= self.n_batches and self.progress.steps_g >= 0
            ):
                raise ValueError("progress")
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise CheckpointError(f"{str(self.path)!r} is damaged: it does not say how far the run had come") from None

    def save(self) -> None:
        """Write the checkpoint aside and rename it."""
        values = {
            "options": self.options.to_dict(),
            "images": self.images_hash,
            "progress": vars(self.progress),
        }
        save_checkpoint(self.path, self.gan.tensors(), values)

    def epochs(self, should_stop: Callable[[], bool], tick: Tick) -> Iterator[dict[str, Any]]:
        """Train until the last epoch; give each epoch's number, mean losses and seconds.

        The run is saved when the caller comes back for the next.

        Parameters
        ----------
        should_stop : asked after each step; the run is then saved, and ends.
        tick : hears of the losses of each step.

        Raises
        ------
        Diverged : a loss is not finite; the checkpoint is that of the last epoch that was.
        """
        while self.progress.epoch < self.options.epochs:
            started = time.perf_counter()
            finished = self._train_epoch(should_stop, tick)
            self.progress.seconds += time.perf_counter() - started
            if not finished:
                self.save()
                return
            self.gan.settle()
            done = self.progress
            row = {"epoch": done.epoch + 1, **self._means(), "seconds": round(done.seconds, 3)}
            self.progress = Progress(epoch=done.epoch + 1)
            self._seed_epoch()
            yield row
            self.save()

    def _train_epoch(self, should_stop: Callable[[], bool], tick: Tick) -> bool:
        """Whether the epoch came to its end."""
        for x in self._batches():
            losses = self._step(x)
            for name, value in losses.items():
                self.progress.sums[name] += value
            if not all(map(math.isfinite, losses.values())):
                raise Diverged(self._what_diverged(losses))
            tick(losses)
            if should_stop() and self.progress.batch < self.n_batches:
                return False
        return True

    def _step(self, x: Tensor) -> dict[str, float]:
        """A step of D, and one of G where it is its turn."""
        losses = self.gan.step_d(x)
        self.progress.batch += 1
        if self.progress.batch % self.gan.objective.n_critic == 0:
            losses |= self.gan.step_g(len(x))
            self.progress.steps_g += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _means(self) -> dict[str, float | None]:
        """Mean losses of the epoch; None of what it had not."""
        n = {"loss_d": self.progress.batch, "penalty": self.progress.batch if self.gan.objective.penalty else 0}
        counts = {name: n.get(name, self.progress.steps_g) for name in LOSSES}
        return {name: self.progress.sums[name] / counts[name] if counts[name] else None for name in LOSSES}

    def _batches(self) -> Iterator[Tensor]:
        """The rest of the epoch's batches, in its own order, each image mirrored or not."""
        random = np.random.default_rng([self.options.seed, self.progress.epoch])
        order = random.permutation(len(self.images))[: self.n_batches * self.options.batch_size]
        mirrored = random.random(len(order)) < 0.5
        for k in range(self.progress.batch, self.n_batches):
            part = slice(k * self.options.batch_size, (k + 1) * self.options.batch_size)
            batch = np.array(self.images[np.sort(order[part])])
            batch[mirrored[part]] = batch[mirrored[part], :, ::-1]
            yield to_tensor(batch, self.gan.device)

    def _seed_epoch(self) -> None:
        seed = np.random.SeedSequence([self.options.seed, self.progress.epoch]).generate_state(1, np.uint64)[0]
        self.gan.random.manual_seed(int(seed))

    def _what_diverged(self, losses: dict[str, float]) -> str:
        names = ", ".join(f"{name} {value}" for name, value in losses.items() if not math.isfinite(value))
        kept = f"the checkpoint is that of epoch {self.progress.epoch}" if self.progress.epoch else "nothing was saved"
        return (
            f"training diverged in epoch {self.progress.epoch + 1}, batch {self.progress.batch}: {names}; {kept}; "
            "lower --learning-rate or --spectral-weight"
        )
