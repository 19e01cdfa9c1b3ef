"""Argument and option that the plots share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

folders_argument = click.argument("folders", nargs=-1, required=True, metavar="DIR...")


def output_option(default: str) -> Callable[[F], F]:
    """Return the option `--output` with the name of the file where none is given."""
    return click.option(
        "-o", "--output", metavar="FILE", default=default, show_default=True, help="Draw to FILE (.png, .svg or .pdf)."
    )
