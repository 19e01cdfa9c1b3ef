"""Define the group of commands `spectral-detect regularize`, one file each."""

from __future__ import annotations

import click

from spectral_detect.cli.shared.lazy_group import LazyGroup

COMMANDS = {
    "train": (
        "spectral_detect.cli.regularize.train:train",
        "Train a GAN on camera images, with or without the spectral loss.",
    ),
    "sample": (
        "spectral_detect.cli.regularize.sample:sample",
        "Write images of a trained generator as PNG files.",
    ),
    "measure": (
        "spectral_detect.cli.regularize.measure:measure",
        "Measure the images of any generator as `train` does.",
    ),
    "surface": (
        "spectral_detect.cli.regularize.surface:surface",
        "Draw the loss surface of trained generators.",
    ),
    "autoencoder": (
        "spectral_detect.cli.regularize.autoencoder:autoencoder",
        "Show what up-sampling and the spectral loss do to the spectrum.",
    ),
}


@click.group(cls=LazyGroup, places=COMMANDS)
def regularize() -> None:
    """Train generators with a right spectrum (needs the extra torch).

    Up-sampling layers leave traces in the spectrum because no part of a generator's loss measures the spectrum; the
    spectral loss does. Durall, Keuper, Keuper: Watch Your Up-Convolution, CVPR 2020.

    \b
    Example:
      spectral-detect regularize train faces/ --output run --objective dcgan --spectral-weight 2
      spectral-detect regularize sample run --n 1000 --output fakes
    """
