"""A whole run of training: images in, a folder with checkpoint and log out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spectral_detect.atomic_write import LONGEST_LINE, OPTIONS_FILE, cut_torn_line, naming_output, write_aside
from spectral_detect.errors import OutputError, SpectralDetectError
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.gan.checkpoints import CHECKPOINT_FILE, load_checkpoint, load_module
from spectral_detect.regularize.gan.monitor import Watch
from spectral_detect.regularize.gan.networks import Generator
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.steps import Run
from spectral_detect.regularize.profiles import mean_profile
from spectral_detect.regularize.reals import Square, read_reals
from spectral_detect.regularize.torch_device import DeviceName, choose_device, put_on

LOG_FILE = "log.jsonl"
REALS_FILE = "reals.json"
SAMPLES_SEED = 2**31  # of the samples that are watched: always the same z


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Hooks:
    """What a caller hears of a run, and how it stops one.

    Attributes
    ----------
    on_failure : path and reason of each image that cannot be used.
    watch_reading : passes the images on as they are read.
    on_note : a sentence worth saying.
    on_start : the resolved options and sizes, before the first step; false stops there.
    tick : the losses of each step.
    on_epoch : the epoch's row of the log, and (N, size, size, 3) samples.
    should_stop : asked after each step.
    """

    on_failure: Callable[[str, str], None] = lambda path, reason: None
    watch_reading: Callable[[Iterable[Square]], Iterable[Square]] = iter
    on_note: Callable[[str], None] = lambda text: None
    on_start: Callable[[dict[str, Any]], bool] = lambda facts: True
    tick: Callable[[dict[str, float]], None] = lambda losses: None
    on_epoch: Callable[[dict[str, Any], np.ndarray], None] = lambda row, samples: None
    should_stop: Callable[[], bool] = field(default=_never)


def train_gan(
    options: TrainingOptions,
    folder: Path,
    work: Work,
    hooks: Hooks,
    *,
    limits: Limits | None = None,
    resume: bool = False,
) -> bool:
    """Train a GAN, or continue a run; whether it came to its last epoch.

    Parameters
    ----------
    folder : of the run: `options.json`, `checkpoint.safetensors`, `log.jsonl` with a row per epoch, and `reals.json`,
        the measures of camera images against other camera images, which no generator can better.
    resume : go on where the checkpoint in the folder ends.

    Raises
    ------
    DatasetError, CheckpointError, OutputError, Diverged, ExtraMissingError, ModelFileError : see the parts.
    """
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"{str(folder)!r} cannot be made: No such file or directory")
    images = read_reals(
        options.data, options.size, work, limits, on_failure=hooks.on_failure, watch=hooks.watch_reading
    )
    some = images[np.random.default_rng(0).permutation(len(images))[: options.n_profiles]]
    run = Run(options, folder, images, mean_profile(some))
    if resume:
        run.resume()
    if run.progress.epoch >= options.epochs:
        hooks.on_note(f"the run is complete: {run.progress.epoch} epochs; raise --epochs to go on")
        return True
    facts = {**options.to_dict(), **_facts(run)}
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{str(folder)!r} cannot be made: {error.strerror}") from None
    write_aside(folder / OPTIONS_FILE, json.dumps(options.to_dict(), indent=2).encode())
    if not hooks.on_start(facts):
        return False
    watch = _watch(run, images, folder, hooks)
    rows = _rows_until(folder / LOG_FILE, run.progress.epoch)
    write_aside(folder / LOG_FILE, "".join(rows).encode())
    for row in run.epochs(hooks.should_stop, hooks.tick):
        samples = run.gan.samples(len(_watched(images, options)[0]), SAMPLES_SEED)
        row |= watch.measure(samples).to_dict()
        _append(folder / LOG_FILE, row)
        hooks.on_epoch(row, samples)
    return run.progress.epoch >= options.epochs


def load_generator(run: Path, device: DeviceName = "auto") -> Generator:
    """The generator of a run (its folder or its checkpoint).

    Raises
    ------
    CheckpointError : none, damaged, or of another network than it says.
    """
    path = run / CHECKPOINT_FILE if run.is_dir() else run
    checkpoint = load_checkpoint(path)
    options = TrainingOptions.from_dict(checkpoint.values.get("options", {}))
    generator = Generator(options.size, options.upsampling, options.topology, options.channels)
    load_module(generator, checkpoint.part("G"), "generator")
    return put_on(choose_device(device), generator)


def load_reals(run: Path, n: int, work: Work, hooks: Hooks) -> np.ndarray:
    """(at most n, size, size, 3) uint8 camera images as the generator of a run has seen them, drawn at random."""
    path = run / CHECKPOINT_FILE if run.is_dir() else run
    options = TrainingOptions.from_dict(load_checkpoint(path).values.get("options", {}))
    images = read_reals(options.data, options.size, work, on_failure=hooks.on_failure, watch=hooks.watch_reading)
    return np.array(images[np.sort(np.random.default_rng(2).permutation(len(images))[:n])])


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's log."""
    return [json.loads(line) for line in _rows_until(folder / LOG_FILE, 10**9)]


def _facts(run: Run) -> dict[str, Any]:
    gan = run.gan
    count = {
        name: sum(p.numel() for p in net.parameters()) for name, net in (("generator", gan.G), ("discriminator", gan.D))
    }
    return {
        "device": gan.device.type,
        "learning_rate": gan.options.learning_rate or gan.objective.learning_rate,
        "betas": gan.objective.betas,
        "n_critic": gan.objective.n_critic,
        "discriminator_normalisation": gan.objective.normalisation,
        "n_images": len(run.images),
        "batches_per_epoch": run.n_batches,
        "parameters": count,
        "continues_after": run.progress.epoch,
        "spectral_loss_floor": gan.spectral.floor,
    }


def _watch(run: Run, images: np.ndarray, folder: Path, hooks: Hooks) -> Watch:
    """What compares samples with reals; reals against other reals are measured at once."""
    inception = None
    if run.options.fid is not None:
        from spectral_detect.regularize.gan.inception import load_inception

        try:
            inception = load_inception(run.options.fid, run.gan.device)
        except SpectralDetectError as error:
            hooks.on_note(f"the FID is not measured: {error}")
    reals, others = _watched(images, run.options)
    if len(reals) < run.options.n_watched:
        hooks.on_note(
            f"measures are of {len(reals)} samples: half of the images, not the {run.options.n_watched} of --n-watched"
        )
    watch = Watch(reals, inception)
    facts = {
        **watch.measure(others).to_dict(),
        "n": len(others),
        "frequency": watch.frequency.tolist(),
        "real_profile_mean": watch.profile_mean.tolist(),
        "real_profile_sd": watch.profile_sd.tolist(),
    }
    write_aside(folder / REALS_FILE, json.dumps(facts).encode())
    return watch


def _watched(images: np.ndarray, options: TrainingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint sets of reals: what samples are compared with, and what shows how near reals come."""
    n = min(options.n_watched, len(images) // 2)
    order = np.random.default_rng(1).permutation(len(images))
    return np.array(images[np.sort(order[:n])]), np.array(images[np.sort(order[n : 2 * n])])


def _rows_until(log: Path, epoch: int) -> list[str]:
    """Whole lines of the log, up to that epoch: an epoch that was logged but not saved is trained anew."""
    if not log.exists():
        return []
    lines = log.read_bytes().splitlines(keepends=True)
    if lines and not _is_row(lines[-1]):
        lines.pop()  # torn when the process or its disk ended
    if not all(map(_is_row, lines)):
        raise OutputError(f"{str(log)!r} is not the log of a run; name another --output")
    return [line.decode() for line in lines if json.loads(line)["epoch"] <= epoch]


def _is_row(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line)["epoch"], int)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _append(log: Path, row: dict[str, Any]) -> None:
    try:
        with open(log, "a", LONGEST_LINE, encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
    except OSError as error:
        cut_torn_line(log)
        raise OutputError(f"{str(log)!r} cannot be written: {error.strerror}") from None


def write_images(images: Iterable[np.ndarray], folder: Path) -> int:
    """Images (size, size, 3) uint8 as PNG files `000000.png` and on; how many there were."""
    import PIL.Image

    number = -1
    for number, image in enumerate(images):
        with naming_output(repr(str(folder))):
            PIL.Image.fromarray(image).save(folder / f"{number:06d}.png")
    return number + 1
