"""Define the group of commands `spectral-detect regularize`, one file each."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = ("autoencoder", "sample", "train")  # a module each, with the command of the same name


class LazyCommands(click.Group):
    """Import a command's module when the command is asked for, since it loads numerical libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command


@click.group(cls=LazyCommands)
def regularize() -> None:
    """Train generators whose spectrum is right (needs the extra torch).

    Up-sampling layers leave traces in the spectrum because no part of a generator's loss measures the spectrum; the
    spectral loss does. Durall, Keuper, Keuper: Watch Your Up-Convolution, CVPR 2020.

    \b
    Example:
      spectral-detect regularize train faces/ --output run --objective dcgan --spectral-weight 2
      spectral-detect regularize sample run --n 1000 --output fakes
    """
