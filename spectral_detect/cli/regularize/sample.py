"""`spectral-detect regularize sample`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from spectral_detect.cli.options import progress, require_torch
from spectral_detect.report.text import visible


@click.command()
@click.argument("run")
@click.option("--n", "n", type=click.IntRange(1, 10_000_000), default=64, show_default=True, help="Images to make.")
@click.option("-o", "--output", required=True, metavar="DIR", help="A new or empty folder.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--device", type=click.Choice(("auto", "cpu", "gpu")), default="auto", show_default=True)
def sample(run: str, n: int, output: str, seed: int, device: Any) -> None:
    """Write images of a trained generator as PNG files.

    RUN is the folder of a run of `regularize train`, or its checkpoint. The folder appears when all images are written.
    To judge a detector by them, bring the camera images to the same size and format: `audit --fix`.

    \b
    Example:
      spectral-detect regularize sample run --n 1000 --output fakes
    """
    require_torch()
    from spectral_detect.files import check_new_folder, folder_aside
    from spectral_detect.regularize.running import load_generator, write_samples

    check_new_folder(output)
    generator = load_generator(Path(run), device)
    with folder_aside(output) as folder:
        write_samples(generator, n, seed, folder, partial(progress, unit="x 64 images", total=-(-n // 64)))
    click.echo(f"wrote {n} images to {visible(output)}")
