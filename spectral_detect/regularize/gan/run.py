"""Run a whole training: read the images, train, and write checkpoint, log and measures into a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spectral_detect.atomic_write import OPTIONS_FILE, write_aside
from spectral_detect.errors import DatasetError, OutputError, SpectralDetectError
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.bank import RealBank, needs_bank, real_bank
from spectral_detect.regularize.gan.embeddings import check_network, load_network
from spectral_detect.regularize.gan.inception import check_inception, load_inception
from spectral_detect.regularize.gan.log import append_to_log, cut_log, write_real_measures
from spectral_detect.regularize.gan.monitor import Embed, Monitor, split_reals
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.samples import load_run, sample_images
from spectral_detect.regularize.gan.trainer import Trainer, check_images_of, hash_of
from spectral_detect.regularize.profiles import RealProfile, mean_profile
from spectral_detect.regularize.reals import Square, read_reals

PROFILE_SEED, DRAWN_SEED = 0, 2
FD_WORDS = {"random": "a network with random weights", "efficientnet-lite0": "efficientnet-lite0"}
SAMPLES_SEED = 2**31  # the samples of every epoch have the same z


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Hooks:
    """Tell a caller what happens during a run, and let it stop the run.

    Attributes
    ----------
    on_failure : callable
        Called with path and reason of each image that cannot be used.
    reading_progress : callable
        Passes the images on as they are read.
    on_note : callable
        Called with a sentence that users should see.
    on_start : callable
        Called with the `RunFacts` before the first step; if it returns false, the run stops there.
    on_step : callable
        Called with the losses of each step.
    on_epoch : callable
        Called with the epoch's row of the log and its samples, (N, size, size, 3) uint8.
    should_stop : callable
        Asked after each step.
    """

    on_failure: Callable[[str, str], None] = lambda path, reason: None
    reading_progress: Callable[[Iterable[Square]], Iterable[Square]] = iter
    on_note: Callable[[str], None] = lambda text: None
    on_start: Callable[[RunFacts], bool] = lambda facts: True
    on_step: Callable[[dict[str, float]], None] = lambda losses: None
    on_epoch: Callable[[dict[str, Any], np.ndarray], None] = lambda row, samples: None
    should_stop: Callable[[], bool] = field(default=_never)


@dataclass(frozen=True)
class RunFacts:
    """Hold the options of a run, and what follows from them and from the images.

    Attributes
    ----------
    options : TrainingOptions
        Options as given.
    device : str
        Type of the device that was chosen.
    learning_rate, betas, n_critic, discriminator_normalisation
        Settings that the objective brings; the learning rate is that of the options if they have one.
    n_images, batches_per_epoch : int
        Images trained on, and steps of the discriminator in an epoch.
    parameters : dict
        Number of parameters of "generator" and "discriminator".
    continues_after : int
        Epochs done before; 0 for a new run.
    spectral_loss_floor : float
        The least value of the spectral loss.
    """

    options: TrainingOptions
    device: str
    learning_rate: float
    betas: tuple[float, float]
    n_critic: int
    discriminator_normalisation: str
    n_images: int
    batches_per_epoch: int
    parameters: dict[str, int]
    continues_after: int
    spectral_loss_floor: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; those of the options stand among the others."""
        facts = asdict(self)
        facts.pop("options")
        return {**self.options.to_dict(), **facts}


def train_gan(
    options: TrainingOptions,
    folder: Path,
    work: Work,
    hooks: Hooks,
    *,
    limits: Limits | None = None,
    resume: bool = False,
) -> bool:
    """Train a GAN, or continue a run; return whether it came to its last epoch.

    Parameters
    ----------
    options : TrainingOptions
        Options of the run.
    folder : Path
        Folder of the run. It gets `options.json`, `checkpoint.safetensors`, `log.jsonl` with a row per epoch, and
        `reals.json`, the measures of camera images against other camera images.
    work : Work
        How the images are read.
    hooks : Hooks
        What the caller is told.
    limits : Limits, optional
        Which images are refused.
    resume : bool
        Whether to go on where the checkpoint in the folder ends.

    Raises
    ------
    ExtraMissingError, ModelFileError
        A new run asks for a Frechet distance for which something is missing.
    DatasetError, CheckpointError, OutputError, Diverged
        See `read_reals`, `Trainer.resume`, `write_aside` and `Trainer.epochs`.
    """
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"{str(folder)!r} cannot be made: No such file or directory")
    if not resume:  # a run that was begun elsewhere goes on without what is missing here
        check_inception(options.fid)
        check_network(options.fd)
    images = read_images(options, work, hooks, limits)
    trainer = Trainer(options, folder, images, *spectral_target(options, images))
    if resume:
        trainer.resume()
    if trainer.progress.epoch >= options.epochs:
        hooks.on_note(f"the run is complete: {trainer.progress.epoch} epochs; raise `epochs` to go on")
        return True
    _write_options(options, folder)
    if not hooks.on_start(_facts(trainer)):
        return False
    _train(trainer, folder, hooks)
    return trainer.progress.epoch >= options.epochs


def spectral_target(options: TrainingOptions, images: np.ndarray) -> tuple[RealProfile, RealBank | None]:
    """Return what the spectral loss of a run compares with: a mean profile, and a bank if the loss needs one."""
    some = images[np.random.default_rng(PROFILE_SEED).permutation(len(images))[: options.n_profiles]]
    return mean_profile(some), real_bank(some, options.features) if needs_bank(
        options.features, options.distance
    ) else None


def load_reals(run: Path, n: int, work: Work, hooks: Hooks, data: str | None = None) -> np.ndarray:
    """Draw camera images in the form in which the generator of a run has seen them.

    Parameters
    ----------
    run : Path
        Folder of the run, or its checkpoint.
    n : int
        Number of images.
    data : str, optional
        Where they are, if not where they were in training.

    Returns
    -------
    array (at most n, size, size, 3) uint8

    Raises
    ------
    DatasetError, CheckpointError
        See `read_reals`; the images are not those that the run was trained on.
    """
    images = images_of(run, data, work, hooks)
    return np.array(images[np.sort(np.random.default_rng(DRAWN_SEED).permutation(len(images))[:n])])


def images_of(run: Path, data: str | None, work: Work, hooks: Hooks) -> np.ndarray:
    """Read the camera images that a finished run was trained on, from where they were in training or from `data`.

    Raises
    ------
    DatasetError, CheckpointError
        See `read_reals`; they are not there any more, or are others.
    """
    checkpoint, options = load_run(run)
    if data is None and not Path(options.data).is_dir():
        where = f"its camera images are no longer at {options.data!r}, as seen from here"
        raise DatasetError(f"{str(run)!r}: {where}", remedy="name their folder with --data")
    images = read_images(replace(options, data=data or options.data), work, hooks)
    check_images_of(checkpoint, run, hash_of(images), data or options.data)
    return images


def read_images(options: TrainingOptions, work: Work, hooks: Hooks, limits: Limits | None = None) -> np.ndarray:
    """Read the camera images that a run is trained on; see `read_reals`."""
    return read_reals(
        options.data, options.size, work, limits, on_failure=hooks.on_failure, progress=hooks.reading_progress
    )


def _write_options(options: TrainingOptions, folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{str(folder)!r} cannot be made: {error.strerror}") from None
    write_aside(folder / OPTIONS_FILE, json.dumps(options.to_dict(), indent=2).encode())


def _facts(trainer: Trainer) -> RunFacts:
    gan = trainer.gan
    networks = {"generator": gan.G, "discriminator": gan.D}
    return RunFacts(
        options=gan.options,
        device=gan.device.type,
        learning_rate=gan.options.learning_rate or gan.objective.learning_rate,
        betas=gan.objective.betas,
        n_critic=gan.objective.n_critic,
        discriminator_normalisation=gan.objective.normalisation,
        n_images=len(trainer.images),
        batches_per_epoch=trainer.n_batches,
        parameters={name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()},
        continues_after=trainer.progress.epoch,
        spectral_loss_floor=gan.spectral.floor,
    )


def _train(trainer: Trainer, folder: Path, hooks: Hooks) -> None:
    """Train the epochs that are left; log and report each with the measures of its samples."""
    reals, others = split_reals(trainer.images, trainer.options.n_watched)
    monitor = Monitor(reals, _inception(trainer, hooks), _network(trainer, hooks))
    if len(reals) < trainer.options.n_watched:
        hooks.on_note(
            f"measures are of {len(reals)} samples: half of the images, not the {trainer.options.n_watched} of "
            "`n_watched`"
        )
    write_real_measures(folder, monitor.measure_reals(others))
    cut_log(folder, trainer.progress.epoch)
    for losses in trainer.epochs(hooks.should_stop, hooks.on_step):
        samples = np.concatenate(list(sample_images(trainer.gan.G, len(reals), SAMPLES_SEED)))
        row = {**losses.to_dict(), **monitor.measure(samples).to_dict()}
        append_to_log(folder, row)
        hooks.on_epoch(row, samples)


def _inception(trainer: Trainer, hooks: Hooks) -> Embed | None:
    """Load Inception if its weights were named; without it the run goes on and measures no FID."""
    if trainer.options.fid is None:
        return None
    try:
        return load_inception(trainer.options.fid, trainer.gan.device)
    except SpectralDetectError as error:
        hooks.on_note(f"the FID is not measured: {error}")
        return None


def _network(trainer: Trainer, hooks: Hooks) -> tuple[str, Embed] | None:
    """Load the network of the other Frechet distance; without its package the run goes on and measures none."""
    name = trainer.options.fd
    if name is None:
        return None
    try:
        embed = load_network(name, trainer.gan.device)
    except SpectralDetectError as error:
        hooks.on_note(f"the FD is not measured: {error}")
        return None
    hooks.on_note(f"FD is the Frechet distance of the features of {FD_WORDS[name]}; it is not the FID")
    return name, embed
