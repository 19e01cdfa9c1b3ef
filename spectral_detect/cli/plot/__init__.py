"""Define the group of commands `spectral-detect plot`, one file each."""

from __future__ import annotations

import click

from spectral_detect.cli.shared.lazy_group import LazyGroup

COMMANDS = {
    "profiles": ("spectral_detect.cli.plot.profiles:profiles", "Draw the mean azimuthal profiles of folders."),
    "spectra": ("spectral_detect.cli.plot.spectra:spectra", "Draw the mean two-dimensional spectra of folders."),
    "embedding": ("spectral_detect.cli.plot.embedding:embedding", "Draw where the features of folders lie."),
    "scores": ("spectral_detect.cli.plot.scores:scores", "Draw the scores that evaluate or scan has written."),
}


@click.group(cls=LazyGroup, places=COMMANDS)
def plot() -> None:
    """Draw the figures of the field (extra plot).

    The suffix of --output chooses the format: .png, .svg or .pdf. The same images give the same file, byte for byte.

    \b
    Example:
      spectral-detect plot profiles examples/images/real examples/images/fake
    """
