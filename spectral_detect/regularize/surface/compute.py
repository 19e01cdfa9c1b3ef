"""Compute the loss surface of a run from its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from spectral_detect.errors import CheckpointError
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.choices import DeviceName
from spectral_detect.regularize.gan.checkpoints import (
    CHECKPOINT_FILE,
    Checkpoint,
    kept_weights,
    load_checkpoint,
    load_module,
)
from spectral_detect.regularize.gan.networks import LATENT, Discriminator, Generator
from spectral_detect.regularize.gan.objectives import OBJECTIVES
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.run import Hooks, images_of, spectral_target
from spectral_detect.regularize.gan.samples import load_run
from spectral_detect.regularize.gan.steps import Diverged, spectral_loss_of
from spectral_detect.regularize.loss import SpectralLoss
from spectral_detect.regularize.surface.directions import parameters_of, path_plane, random_plane
from spectral_detect.regularize.surface.results import DirectionsName, LossName, Surface, SurfacePoint
from spectral_detect.regularize.torch_device import choose_device, put_on

MARGIN = 0.25  # of the path's extent, around it
MOST_ON_PATH = 40  # weights; evenly thinned out beyond, as all are in memory at once
Place = tuple[float, float]


@dataclass(frozen=True)
class SurfaceSettings:
    """Tell how surfaces are computed.

    Attributes
    ----------
    directions : {"path", "random"}
        See `Surface`.
    loss : {"total", "adversarial", "spectral"}
        The spectral loss is computed for the first where the run had it, and for the last; it needs the camera images.
    points : int
        Lines of the grid either way; odd, so that the last weights are on it if the directions are random.
    extent : float
        With random directions: the grid reaches so far to all sides, in lengths of the filters.
    n : int
        Number of images in the batch.
    seed : int
        Decides random directions and latent vectors.
    data : str or None
        Folder of the camera images, if it has moved.
    device : {"auto", "cpu", "gpu"}
        See `choose_device`.
    threads : int or None
        Threads of the CPU; None takes one per core.
    """

    directions: DirectionsName = "random"
    loss: LossName = "total"
    points: int = 21
    extent: float = 1.0
    n: int = 128
    seed: int = 0
    data: str | None = None
    device: DeviceName = "auto"
    threads: int | None = None


def comparable_options(runs: Sequence[Path]) -> list[TrainingOptions]:
    """Return the options of runs whose losses can be compared.

    Raises
    ------
    CheckpointError
        A run has no checkpoint, or they minimise different objectives.
    """
    options = [load_run(run)[1] for run in runs]
    names = list(dict.fromkeys(one.objective for one in options))
    if len(names) > 1:
        raise CheckpointError(
            f"the runs have different objectives ({', '.join(names)}), whose losses do not compare",
            remedy="draw them one by one",
        )
    return options


def has_path(run: Path) -> bool:
    """Tell whether a run has kept the generator's weights of two or more epochs before its last.

    Raises
    ------
    CheckpointError
        The run has no checkpoint.
    """
    return len(_earlier(run, load_run(run)[0])) > 1


def loss_surface(
    run: Path,
    settings: SurfaceSettings,
    hooks: Hooks,
    progress: Callable[[Iterable[Place]], Iterable[Place]] = iter,
) -> Surface:
    """Compute the losses of a run's generator on a plane through its last weights.

    The discriminator is the last one. Both networks normalise by the batch, as in training: running means would be
    those of other weights.

    Parameters
    ----------
    run : Path
        Folder of the run, or its checkpoint.
    settings : SurfaceSettings
        How to compute.
    hooks : Hooks
        What the caller is told of images that are read.
    progress : callable
        Passes the points of the grid on as they are computed.

    Raises
    ------
    CheckpointError
        The checkpoint, or weights kept beside it, are missing, damaged, or of another network or of other images.
    DatasetError
        The camera images are not there, and the loss needs them.
    Diverged
        The last weights give no finite loss.
    """
    checkpoint, options = load_run(run)
    probe = Probe(checkpoint, options, settings, _spectral_loss(run, checkpoint, options, settings, hooks))
    files = _earlier(run, checkpoint) if settings.directions == "path" else {}
    path = [_weights_in(file, probe.G) for file in files.values()]
    plane = (
        path_plane(probe.G, path, str(run)) if settings.directions == "path" else random_plane(probe.G, settings.seed)
    )
    last = probe.measure(plane.centre, (0.0, 0.0))
    if not np.isfinite(last.total):
        raise Diverged(
            f"{str(run)!r}: the last weights give no finite loss; the training diverged", remedy="train anew"
        )
    places = [plane.project(weights) for weights in path]
    on_path = [(e, probe.measure(w, place)) for e, w, place in zip(files, path, places, strict=True)]
    x, y = _lines(places, settings)
    order = [(float(column), float(row)) for row, column in product(y, x)]
    grid = tuple(probe.measure(plane.at(*place), place) for place in progress(order))
    epoch = epoch_of(checkpoint)
    return Surface(str(run), options, epoch, settings.directions, plane.shares, x, y, grid, tuple(on_path), last)


class Probe:
    """Measure the losses of a generator with other weights, on the same latent vectors, by the same discriminator."""

    def __init__(
        self, checkpoint: Checkpoint, options: TrainingOptions, settings: SurfaceSettings, spectral: SpectralLoss | None
    ) -> None:
        self.options, self.objective = options, OBJECTIVES[options.objective]
        device = choose_device(settings.device, settings.threads)
        G = Generator(options.size, options.upsampling, options.topology, options.channels)
        D = Discriminator(options.size, self.objective.normalisation, options.channels)
        load_module(G, checkpoint.part("G"), "generator")
        load_module(D, checkpoint.part("D"), "discriminator")
        self.G, self.D = put_on(device, G).train(), put_on(device, D).train()
        self.spectral = None if spectral is None else spectral.to(device)
        self.z = torch.randn(settings.n, LATENT, generator=torch.Generator().manual_seed(settings.seed)).to(device)

    @torch.no_grad()
    def measure(self, weights: Mapping[str, Tensor], place: Place) -> SurfacePoint:
        """Return the losses of these weights, which lie at that place."""
        for name, parameter in self.G.named_parameters():
            parameter.copy_(weights[name])
        images = self.G(self.z)
        adversarial = float(self.objective.loss_g(self.D(images)))
        spectral = None if self.spectral is None else float(self.spectral(images))
        weight = self.options.spectral_weight
        total = adversarial + weight * spectral if weight and spectral is not None else adversarial
        return SurfacePoint(*place, adversarial, spectral, total)


def _spectral_loss(
    run: Path, checkpoint: Checkpoint, options: TrainingOptions, settings: SurfaceSettings, hooks: Hooks
) -> SpectralLoss | None:
    """Return the run's spectral loss if it is asked for; its target is computed from the camera images."""
    if settings.loss == "adversarial" or (settings.loss == "total" and not options.spectral_weight):
        return None
    images = images_of(run, settings.data, Work(), hooks)
    spectral = spectral_loss_of(options, *spectral_target(options, images))
    load_module(spectral, checkpoint.part("spectral"), "spectral discriminator")
    return spectral


def _earlier(run: Path, checkpoint: Checkpoint) -> dict[int, Path]:
    """Return the files of the weights that a run has kept from before its last epoch, at most `MOST_ON_PATH`."""
    epoch = epoch_of(checkpoint)
    began_another = bool(checkpoint.values["progress"].get("batch"))
    found = kept_weights(run if run.is_dir() else run.parent, before=epoch + began_another)
    epochs = list(found)
    chosen = np.linspace(0, len(epochs) - 1, min(len(epochs), MOST_ON_PATH)).round().astype(int)
    return {epochs[k]: found[epochs[k]] for k in chosen}


def epoch_of(checkpoint: Checkpoint) -> int:
    """Return the number of full epochs that a checkpoint has behind it."""
    progress = checkpoint.values.get("progress")
    epoch = progress.get("epoch") if isinstance(progress, dict) else None
    if type(epoch) is not int or epoch < 0:
        raise CheckpointError(f"{CHECKPOINT_FILE} is damaged: it does not say how far the run had come")
    return epoch


def _weights_in(file: Path, G: nn.Module) -> dict[str, Tensor]:
    """Return the generator's parameters in a file that the run has kept."""
    tensors, own = load_checkpoint(file).part("G"), parameters_of(G)
    strange = [name for name, p in own.items() if name not in tensors or tensors[name].shape != p.shape]
    if strange:
        raise CheckpointError(
            f"{str(file)!r} holds another generator than the run's checkpoint ({strange[0]})",
            remedy="remove it: it is of another run",
        )
    found = {name: tensors[name].to(p) for name, p in own.items()}
    if not all(torch.isfinite(tensor).all() for tensor in found.values()):
        raise CheckpointError(f"{str(file)!r} holds numbers that are not finite", remedy="remove it")
    return found


def _lines(places: Sequence[Place], settings: SurfaceSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return the lines of the grid, (n,) along either direction: around the path, or around the last weights."""
    if settings.directions == "random":
        line = np.linspace(-settings.extent, settings.extent, settings.points)
        return line, line
    at = np.array([(0.0, 0.0), *places])
    low, high = at.min(axis=0), at.max(axis=0)
    margin = MARGIN * (high - low)
    both = [np.linspace(low[k] - margin[k], high[k] + margin[k], settings.points) for k in (0, 1)]
    return both[0], both[1]
