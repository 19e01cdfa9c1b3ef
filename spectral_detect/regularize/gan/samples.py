"""Make images with a trained generator, and write images as PNG files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from spectral_detect.atomic_write import OPTIONS_FILE, naming_output
from spectral_detect.errors import CheckpointError
from spectral_detect.regularize.choices import DeviceName
from spectral_detect.regularize.gan.checkpoints import CHECKPOINT_FILE, Checkpoint, load_checkpoint, load_module
from spectral_detect.regularize.gan.networks import LATENT, Generator
from spectral_detect.regularize.gan.options import TrainingOptions, read_options
from spectral_detect.regularize.gan.steps import Diverged
from spectral_detect.regularize.torch_device import choose_device, put_on

AT_ONCE = 64  # images in a part


def load_run(run: Path) -> tuple[Checkpoint, TrainingOptions]:
    """Load the checkpoint of a run, named by its folder or by the checkpoint itself, and the options in it.

    Raises
    ------
    CheckpointError
        The file is missing or damaged, or the folder's options are those of another run.
    """
    if run.is_dir() and (run / OPTIONS_FILE).is_file() and not (run / CHECKPOINT_FILE).exists():
        raise CheckpointError(
            f"{str(run)!r}: there is no checkpoint, as the run has not come to the end of its first epoch",
            remedy="train it on first",
        )
    checkpoint = load_checkpoint(run / CHECKPOINT_FILE if run.is_dir() else run)
    options = TrainingOptions.from_dict(checkpoint.values.get("options", {}))
    if run.is_dir() and (run / OPTIONS_FILE).is_file() and (differences := read_options(run).differences(options)):
        raise CheckpointError(
            f"{str(run)!r}: its checkpoint is of another run than its {OPTIONS_FILE} ({'; '.join(differences)})",
            remedy="put back the one that was there",
        )
    return checkpoint, options


def load_generator(run: Path, device: DeviceName = "auto") -> Generator:
    """Load the generator of a run, named by its folder or its checkpoint.

    Raises
    ------
    CheckpointError
        The checkpoint is missing, damaged, or holds another network than it says.
    """
    checkpoint, options = load_run(run)
    generator = Generator(options.size, options.upsampling, options.topology, options.channels)
    load_module(generator, checkpoint.part("G"), "generator")
    return put_on(choose_device(device), generator)


def sample_images(G: Generator, n: int, seed: int) -> Iterator[np.ndarray]:
    """Make `n` images in parts of (at most 64, size, size, 3) uint8; the same seed gives the same images.

    Batch normalisation goes by its running means, so that an image does not depend on the others.

    Raises
    ------
    Diverged
        The generator gives values that are not finite.
    """
    random = torch.Generator().manual_seed(seed)
    was_training = G.training
    G.eval()
    for start in range(0, n, AT_ONCE):
        # always a whole part: how many numbers are drawn, and how many images are computed at once, changes them
        z = torch.randn(AT_ONCE, LATENT, generator=random)
        with torch.no_grad():
            images = G(z.to(next(G.parameters()).device))[: n - start]
        if not torch.isfinite(images).all():
            raise Diverged("the generator gives values that are not finite: its training diverged", remedy="train anew")
        yield to_uint8(images)
    G.train(was_training)


def to_uint8(images: Tensor) -> np.ndarray:
    """Turn images (N, 3, H, W) in [-1, 1] into (N, H, W, 3) uint8."""
    levels = (images.float().clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def write_images(images: Iterable[np.ndarray], folder: Path) -> int:
    """Write images (size, size, 3) uint8 as `000000.png` and so on; return how many there were."""
    number = -1
    for number, image in enumerate(images):
        name = folder / f"{number:06d}.png"
        with naming_output(repr(str(folder))):
            PIL.Image.fromarray(image).save(name)
    return number + 1
