"""`spectral-detect regularize sample`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from spectral_detect.cli.shared.checks import require_torch
from spectral_detect.cli.shared.failures import report_failure
from spectral_detect.cli.shared.progress import progress
from spectral_detect.text import visible


@click.command()
@click.argument("run")
@click.option("--n", "n", type=click.IntRange(1, 10_000_000), default=64, show_default=True, help="Images to make.")
@click.option("-o", "--output", required=True, metavar="DIR", help="A new or empty folder.")
@click.option("--reals", metavar="DIR", help="Also write as many camera images there, reduced as in training.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--device", type=click.Choice(("auto", "cpu", "gpu")), default="auto", show_default=True)
def sample(run: str, n: int, output: str, reals: str | None, seed: int, device: Any) -> None:
    """Write images of a trained generator as PNG files.

    RUN is the folder of a run of `regularize train`, or its checkpoint. The folder appears when all images are written.
    A detector is trained on them and on camera images of the same history, which --reals writes: files of another size
    or compression would differ by that, too.

    \b
    Example:
      spectral-detect regularize sample run --n 1000 --output fakes --reals reals
    """
    require_torch()
    from spectral_detect.atomic_write import check_new_folder, folder_aside
    from spectral_detect.parallel.work import Work
    from spectral_detect.regularize.gan.run import Hooks, load_generator, load_reals, write_images
    from spectral_detect.regularize.gan.steps import sample_images

    for folder in filter(None, (output, reals)):
        check_new_folder(folder)
    if reals is not None and Path(reals).resolve() == Path(output).resolve():
        raise click.UsageError("--output and --reals name the same folder")
    generator = load_generator(Path(run), device)
    parts = progress(sample_images(generator, n, seed), unit="x 64 images", total=-(-n // 64))
    with folder_aside(output) as aside:
        write_images((image for part in parts for image in part), aside)
    click.echo(f"wrote {n} images to {visible(output)}")
    if reals is not None:
        hooks = Hooks(report_failure, partial(progress, unit="images"))
        with folder_aside(reals) as aside:
            n_reals = write_images(load_reals(Path(run), n, Work(), hooks), aside)
        click.echo(f"wrote {n_reals} camera images to {visible(reals)}")
