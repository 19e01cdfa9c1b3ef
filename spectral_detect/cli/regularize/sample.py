"""Define `spectral-detect regularize sample`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spectral_detect.atomic_write import check_new_folder, folder_aside
from spectral_detect.cli.regularize.machine_options import device_option
from spectral_detect.cli.shared.checks import require_torch
from spectral_detect.cli.shared.failures import NamedFailures
from spectral_detect.cli.shared.progress import progress
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.choices import DeviceName
from spectral_detect.text import visible

if TYPE_CHECKING:
    import numpy as np


@click.command()
@click.argument("run")
@click.option(
    "--n", "n", type=click.IntRange(1, 10_000_000), default=64, show_default=True, help="Make this many images."
)
@click.option("-o", "--output", required=True, metavar="DIR", help="Write the images to DIR, a new or empty folder.")
@click.option(
    "--reals",
    metavar="DIR",
    help="Also write as many camera images to DIR (at most those of the training), reduced as in training.",
)
@click.option("--data", metavar="DIR", help="Read the camera images from DIR.  [default: where they were in training]")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Seed of the images; the same seed makes the same ones.",
)
@device_option("Compute")
@click.pass_context
def sample(
    ctx: click.Context,
    run: str,
    n: int,
    output: str,
    reals: str | None,
    data: str | None,
    seed: int,
    device: DeviceName,
) -> None:
    """Write images of a trained generator as PNG files.

    RUN is the folder of a run of `regularize train`, its checkpoint, or the weights of an epoch that it has kept. The
    folder appears when all images are written.
    To train a detector, use camera images of the same history, which --reals writes: files of another size or
    compression would differ by that as well.

    \b
    Example:
      spectral-detect regularize sample run --n 1000 --output fakes --reals reals
    """
    require_torch()
    for folder in filter(None, (output, reals)):
        check_new_folder(folder)
    if reals is not None and Path(reals).resolve() == Path(output).resolve():
        raise click.UsageError("--output and --reals name the same folder")
    if data is not None and reals is None:
        raise click.UsageError("--data says where camera images are, which --reals writes: give both")
    failures = NamedFailures()
    images = None if reals is None else _read_reals(Path(run), n, data, failures)
    _write_samples(Path(run), n, output, seed, device)
    if reals is not None and images is not None:
        _write_reals(images, n, reals)
    failures.say_rest()
    ctx.exit(1 if failures.n else 0)


def _write_samples(run: Path, n: int, output: str, seed: int, device: DeviceName) -> None:
    from spectral_detect.regularize.gan.samples import AT_ONCE, load_generator, sample_images, write_images

    generator = load_generator(run, device)
    parts = progress(sample_images(generator, n, seed), unit=f"x {AT_ONCE} images", total=-(-n // AT_ONCE))
    with folder_aside(output) as aside:
        write_images((image for part in parts for image in part), aside)
    click.echo(f"wrote {n} images to {visible(output)}")


def _read_reals(run: Path, n: int, data: str | None, failures: NamedFailures) -> np.ndarray:
    from spectral_detect.regularize.gan.run import Hooks, load_reals

    hooks = Hooks(on_failure=failures, reading_progress=progress)
    return load_reals(run, n, Work(), hooks, data)


def _write_reals(images: np.ndarray, n: int, output: str) -> None:
    from spectral_detect.regularize.gan.samples import write_images

    with folder_aside(output) as aside:
        n_reals = write_images(images, aside)
    if n_reals < n:
        click.echo(
            f"warning: no more than {n_reals} camera images were written, all that the run was trained on: a detector "
            f"wants as many of both (--n {n_reals})",
            err=True,
        )
    click.echo(f"wrote {n_reals} camera images to {visible(output)}")
