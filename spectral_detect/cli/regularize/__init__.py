"""Define the group of commands `spectral-detect regularize`, one file each."""

from __future__ import annotations

import click

from spectral_detect.cli.regularize.autoencoder import autoencoder
from spectral_detect.cli.regularize.sample import sample
from spectral_detect.cli.regularize.train import train


@click.group()
def regularize() -> None:
    """Train generators whose spectrum is right (needs the extra torch).

    Up-sampling layers leave traces in the spectrum because no part of a generator's loss measures the spectrum; the
    spectral loss does. Durall, Keuper, Keuper: Watch Your Up-Convolution, CVPR 2020.

    \b
    Example:
      spectral-detect regularize train faces/ --output run --objective dcgan --spectral-weight 2
      spectral-detect regularize sample run --n 1000 --output fakes
    """


regularize.add_command(train)
regularize.add_command(autoencoder)
regularize.add_command(sample)
