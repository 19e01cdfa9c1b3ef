"""Train a GAN epoch after epoch; the training can be interrupted and resumed to the same numbers."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from spectral_detect.atomic_write import naming_output
from spectral_detect.errors import CheckpointError, SpectralDetectError
from spectral_detect.regularize.bank import RealBank
from spectral_detect.regularize.gan.checkpoints import (
    CHECKPOINT_FILE,
    Checkpoint,
    load_checkpoint,
    module_tensors,
    save_checkpoint,
    weights_file,
)
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.steps import Diverged, Gan, to_tensor
from spectral_detect.regularize.profiles import RealProfile
from spectral_detect.regularize.torch_device import choose_device
from spectral_detect.text import counted

LOSSES = ("loss_d", "loss_g", "penalty", "spectral_loss")


@dataclass
class Progress:
    """Tell how far a training has come: full epochs, batches of the next one, and the sums of its losses."""

    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LOSSES, 0.0))
    steps_g: int = 0


@dataclass(frozen=True)
class EpochLosses:
    """Hold the mean losses of an epoch; None for a loss that no step had.

    Attributes
    ----------
    epoch : int
        Number of the epoch, from 1 on.
    loss_d, loss_g : float or None
        Losses of D and G without penalty and spectral loss.
    penalty : float or None
        Penalty on D's gradients, unweighted.
    spectral_loss : float or None
        Spectral loss, unweighted.
    seconds : float
        Duration of the training.
    """

    epoch: int
    loss_d: float | None
    loss_g: float | None
    penalty: float | None
    spectral_loss: float | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


class Trainer:
    """Train a GAN epoch after epoch, and save it after each and when it is interrupted.

    Parameters
    ----------
    options : TrainingOptions
        Options of the run.
    folder : Path
        Folder that holds the checkpoint.
    images : array (N, size, size, 3) uint8
        Camera images.
    reals : RealProfile
        Their profile.
    bank : RealBank, optional
        Their spectra, if the spectral loss compares with these.

    Raises
    ------
    SpectralDetectError
        There are fewer images than a batch has, or too few batches for a step of the generator.
    """

    def __init__(
        self,
        options: TrainingOptions,
        folder: Path,
        images: np.ndarray,
        reals: RealProfile,
        bank: RealBank | None = None,
    ) -> None:
        if len(images) < options.batch_size:
            raise SpectralDetectError(
                f"`batch_size={options.batch_size}`: there are only {len(images)} images",
                remedy=f"give `batch_size={len(images)}` or less, or add images",
            )
        self.options, self.images, self.path = options, images, folder / CHECKPOINT_FILE
        self.gan = Gan(options, reals, choose_device(options.device, options.threads), bank)
        self.progress = Progress()
        self.n_batches = len(images) // options.batch_size
        if self.n_batches < self.gan.objective.n_critic:
            most = len(images) // self.gan.objective.n_critic
            raise SpectralDetectError(
                f"`batch_size={options.batch_size}`: {len(images)} images are {counted(self.n_batches, 'batch')}, and "
                f"{options.objective} trains the generator after {self.gan.objective.n_critic}: it would never learn",
                remedy=f"give `batch_size={most}` or less, or add images",
            )
        self.images_hash = hash_of(images)
        self._seed_epoch()

    def resume(self) -> None:
        """Go on where the checkpoint ends, to the same numbers as without an interruption.

        Raises
        ------
        CheckpointError
            The checkpoint is missing, damaged, or of another network or other images.
        """
        checkpoint = load_checkpoint(self.path)
        self._check_origin(checkpoint)
        try:
            self.gan.load(checkpoint)
            progress = Progress(**checkpoint.values["progress"])
            if not (progress.epoch >= 0 and 0 <= progress.batch <= self.n_batches and progress.steps_g >= 0):
                raise ValueError("progress")
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise CheckpointError(f"{str(self.path)!r} is damaged: it does not say how far the run had come") from None
        self.progress = progress

    def save(self) -> None:
        """Write the checkpoint under a temporary name and rename it."""
        values = {
            "options": self.options.to_dict(),
            "images": self.images_hash,
            "progress": vars(self.progress),
        }
        save_checkpoint(self.path, self.gan.tensors(), values)

    def _keep_weights(self) -> None:
        """Keep the generator's weights beside the checkpoint if it is the turn of this epoch."""
        every, epoch = self.options.keep_weights, self.progress.epoch
        if every and epoch % every == 0:
            path = weights_file(self.path.parent, epoch)
            with naming_output(repr(str(path.parent))):
                path.parent.mkdir(exist_ok=True)
            values = {"epoch": epoch, "options": self.options.to_dict()}
            save_checkpoint(path, module_tensors("G", self.gan.G), values)

    def epochs(
        self, should_stop: Callable[[], bool], on_step: Callable[[dict[str, float]], None]
    ) -> Iterator[EpochLosses]:
        """Train until the last epoch; yield the mean losses of each.

        The checkpoint is saved when the caller comes back for the next epoch.

        Parameters
        ----------
        should_stop : callable
            Asked after each step; if it returns true, the checkpoint is saved and the training ends.
        on_step : callable
            Called with the losses of each step.

        Raises
        ------
        Diverged
            A loss is not finite; the checkpoint is that of the last epoch in which all were.
        """
        if self.progress.epoch == self.progress.batch == 0:
            self._keep_weights()
        while self.progress.epoch < self.options.epochs:
            self.gan.begin_epoch(self.progress.epoch + 1)
            started = time.perf_counter()
            finished = self._train_epoch(should_stop, on_step)
            self.progress.seconds += time.perf_counter() - started
            if not finished:
                self.save()
                return
            self.gan.settle()
            done = self.progress
            losses = EpochLosses(done.epoch + 1, **self._means(), seconds=round(done.seconds, 3))
            self.progress = Progress(epoch=done.epoch + 1)
            self._seed_epoch()
            yield losses
            self.save()
            self._keep_weights()

    def _check_origin(self, checkpoint: Checkpoint) -> None:
        stored = TrainingOptions.from_dict(checkpoint.values.get("options", {}))
        differences = self.options.differences(stored)
        if differences:
            raise CheckpointError(f"{str(self.path)!r} was trained with other options: {'; '.join(differences)}")
        check_images_of(checkpoint, self.path, self.images_hash, self.options.data)

    def _train_epoch(self, should_stop: Callable[[], bool], on_step: Callable[[dict[str, float]], None]) -> bool:
        """Train the rest of the epoch; return whether it came to its end."""
        for x in self._batches():
            losses = self._step(x)
            for name, value in losses.items():
                self.progress.sums[name] += value
            if not all(map(math.isfinite, losses.values())):
                raise Diverged(self._divergence(losses))
            on_step(losses)
            if should_stop() and self.progress.batch < self.n_batches:
                return False
        return True

    def _step(self, x: Tensor) -> dict[str, float]:
        """Make a step of D, and one of G when it is its turn."""
        losses = self.gan.step_d(x)
        self.progress.batch += 1
        if self.progress.batch % self.gan.objective.n_critic == 0:
            losses |= self.gan.step_g(len(x))
            self.progress.steps_g += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _means(self) -> dict[str, float | None]:
        """Return the mean losses of the epoch; None for a loss that no step had."""
        n = {"loss_d": self.progress.batch, "penalty": self.progress.batch if self.gan.objective.penalty else 0}
        n |= {} if self.gan.has_spectral_loss else {"spectral_loss": 0}
        counts = {name: n.get(name, self.progress.steps_g) for name in LOSSES}
        return {name: self.progress.sums[name] / counts[name] if counts[name] else None for name in LOSSES}

    def _batches(self) -> Iterator[Tensor]:
        """Yield the rest of the epoch's batches, in the epoch's own order, each image mirrored or not."""
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

    def _divergence(self, losses: dict[str, float]) -> str:
        """Say which losses are not finite, what is kept, and what to change."""
        names = ", ".join(f"{name} {value}" for name, value in losses.items() if not math.isfinite(value))
        kept = f"the checkpoint is that of epoch {self.progress.epoch}" if self.progress.epoch else "nothing was saved"
        return (
            f"training diverged in epoch {self.progress.epoch + 1}, batch {self.progress.batch}: {names}; {kept}; "
            "lower `learning_rate` or `spectral_weight`"
        )


def hash_of(images: np.ndarray) -> str:
    """Return a hash that tells the images of a run from others."""
    return hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=16).hexdigest()


def check_images_of(checkpoint: Checkpoint, path: Path, images_hash: str, data: str) -> None:
    """Refuse images that the checkpoint was not trained on: `CheckpointError`."""
    if checkpoint.values.get("images") != images_hash:
        raise CheckpointError(f"{str(path)!r} was trained on other images than those of {data!r}")
