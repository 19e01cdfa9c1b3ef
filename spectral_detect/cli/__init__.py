"""The command line: the only home of click, and the only place that prints."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from spectral_detect._version import __version__
from spectral_detect.cli.evaluate import evaluate
from spectral_detect.cli.extract import extract
from spectral_detect.cli.models import models
from spectral_detect.cli.options import Failure
from spectral_detect.cli.scan import scan
from spectral_detect.cli.train import train
from spectral_detect.errors import SpectralDetectError
from spectral_detect.report.text import visible


class Terminated(BaseException):
    """SIGTERM, turned into an exception so that workers are stopped and temporary files removed."""


@contextmanager
def _termination_unwinds() -> Iterator[None]:
    def terminate(*_: object) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread: somebody else's program, and signals are its own
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Commands(click.Group):
    """Turns the library's errors and ctrl-C into messages and exit statuses."""

    def invoke(self, ctx: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            with _termination_unwinds():
                return super().invoke(ctx)
        except SpectralDetectError as error:
            raise Failure(visible(str(error))) from None
        except KeyboardInterrupt:
            click.echo("interrupted; what was written so far is complete", err=True)
            ctx.exit(130)
        except Terminated:
            click.echo("terminated; what was written so far is complete", err=True)
            ctx.exit(143)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="spectral-detect")
def main() -> None:
    """Tell camera images from images made by neural networks.

    Up-sampling layers leave traces in the Fourier spectrum; a small classifier on its azimuthal average finds them.

    \b
    Exit status: 0 all processed, whatever the verdict; 1 some file failed; 2 wrong usage, nothing found, bad
    model, output not writable; 3 a fake was found and --fail-on-fake given; 130 interrupted; 143 terminated.

    \b
    Example: spectral-detect scan examples/images
    """


for command in (scan, train, evaluate, extract, models):
    main.add_command(command)
