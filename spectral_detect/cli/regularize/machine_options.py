"""Define the options on the machine that several commands of `regularize` have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click

from spectral_detect.regularize.choices import DeviceName

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def device_option(verb: str) -> Decorator:
    """Return `--device`; `verb` says what is done there."""
    return click.option(
        "--device",
        type=click.Choice(get_args(DeviceName)),
        default="auto",
        show_default=True,
        help=f"{verb} on the CPU or on a GPU; auto takes a GPU if there is one.",
    )


threads_option = click.option(
    "--threads", type=click.IntRange(1), help="Use this many threads of the CPU.  [default: one per core]"
)
