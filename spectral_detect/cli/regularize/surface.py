"""Define `spectral-detect regularize surface`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from spectral_detect.atomic_write import check_target, write_aside
from spectral_detect.cli.plot.options import output_option
from spectral_detect.cli.regularize.machine_options import device_option, threads_option
from spectral_detect.cli.shared.checks import check_output, check_outside, check_plot, require_torch
from spectral_detect.cli.shared.failures import NamedFailures
from spectral_detect.cli.shared.options import FiniteRange
from spectral_detect.cli.shared.progress import progress
from spectral_detect.regularize.surface.results import DirectionsName, LossName, Surface
from spectral_detect.sources.location import Location
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.regularize.surface.compute import SurfaceSettings

MOST_RUNS = 4


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@output_option("surface.png")
@click.option(
    "--directions",
    type=click.Choice(get_args(DirectionsName)),
    help="path: the plane that holds most of the way of the weights that `train --keep-weights` has kept; random: two "
    "random directions, each filter as long as the network's.  [default: path if all RUNs have kept weights]",
)
@click.option(
    "--loss",
    type=click.Choice(get_args(LossName)),
    default="total",
    show_default=True,
    help="Draw what the generator minimised, or one part of it. The spectral loss reads the camera images.",
)
@click.option(
    "--points",
    type=click.IntRange(3, 201),
    default=21,
    show_default=True,
    help="Compute a grid of so many points a side.",
)
@click.option(
    "--extent",
    type=FiniteRange(0, 100, min_open=True),
    help="With random directions: go so far to all sides, in lengths of the filters.  [default: 1]",
)
@click.option(
    "--n",
    "n",
    type=click.IntRange(2, 4096),
    default=128,
    show_default=True,
    help="Make this many images at each point.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Seed of the images and of random directions.",
)
@click.option("--data", metavar="DIR", help="Read the camera images from DIR.  [default: where they were in training]")
@device_option("Compute")
@threads_option
@click.pass_context
def surface(ctx: click.Context, /, runs: tuple[str, ...], output: str, **chosen: Any) -> None:
    """Draw the loss surface of trained generators.

    The generator's loss is computed on a plane through its last weights; the discriminator and the latent vectors stay
    the same all over it. Each RUN is the folder of a run of `regularize train`; up to four are drawn side by side on
    one scale of colours, to compare training with and without the spectral loss. The losses are also written as CSV,
    beside the picture. Li et al., Visualizing the Loss Landscape of Neural Nets, 2018; Chatzimichailidis et al.,
    GradVis, 2019.

    \b
    Examples:
      spectral-detect regularize surface run
      spectral-detect regularize surface without with --directions random --loss adversarial -o surfaces.png
    """
    require_torch()
    values = f"{output.rpartition('.')[0]}.csv"
    _check(runs, output, values)
    settings = _settings(runs, output, chosen)
    failures = NamedFailures()
    surfaces = _surfaces(runs, settings, failures)
    from spectral_detect.report.pictures.surface import plot_surfaces, surface_rows

    plot_surfaces(surfaces, settings.loss, output)
    write_aside(values, surface_rows(surfaces).encode("utf-8", "surrogateescape"))
    for drawn in surfaces:
        _say_drawn(drawn, settings.loss, output)
    failures.say_rest()
    ctx.exit(1 if failures.n else 0)


def _check(runs: Sequence[str], output: str, values: str) -> None:
    """Refuse, before anything is computed, too many runs or outputs that cannot be written."""
    if len(runs) > MOST_RUNS:
        raise click.UsageError(f"{len(runs)} runs: name up to {MOST_RUNS}, to be drawn side by side")
    check_plot(output, runs)
    check_output(values, runs)
    check_target(values)


def _settings(runs: Sequence[str], output: str, chosen: dict[str, Any]) -> SurfaceSettings:
    """Fill in the options that depend on the runs."""
    from spectral_detect.regularize.surface.compute import SurfaceSettings, comparable_options, has_path

    options = comparable_options([Path(run) for run in runs])
    check_outside(output, [Location(chosen["data"] or one.data) for one in options])
    have_paths = [has_path(Path(run)) for run in runs]
    if chosen["directions"] is None:
        chosen["directions"] = "path" if all(have_paths) else "random"
        if any(have_paths) and not all(have_paths):
            click.echo("note: random directions, as not all runs have kept weights", err=True)
    if chosen["extent"] is not None and chosen["directions"] == "path":
        raise click.UsageError("--extent goes with --directions random")
    chosen["extent"] = chosen["extent"] or SurfaceSettings.extent
    return SurfaceSettings(**chosen)


def _surfaces(runs: Sequence[str], settings: SurfaceSettings, failures: NamedFailures) -> list[Surface]:
    from spectral_detect.regularize.gan.run import Hooks
    from spectral_detect.regularize.surface.compute import loss_surface

    hooks = Hooks(on_failure=failures, reading_progress=progress)
    bar = partial(progress, unit="points", total=settings.points**2)
    found = [loss_surface(Path(run), settings, hooks, bar) for run in runs]
    weights = {one.options.spectral_weight for one in found}
    if settings.loss == "total" and len(weights) > 1:
        click.echo(
            "note: the losses hold the spectral loss with other weights; --loss adversarial compares one and the same",
            err=True,
        )
    return found


def _say_drawn(drawn: Surface, loss: LossName, output: str) -> None:
    """Print what was drawn of a run."""
    from spectral_detect.report.pictures.surface import range_of

    low, high, n_lost = range_of(drawn, loss)
    lost = f"; not finite at {n_lost} points" if n_lost else ""
    path = f", path of {len(drawn.path)} earlier weights" if drawn.path else ""
    click.echo(
        f"{visible(output)}: {visible(drawn.run)} (epoch {drawn.epoch}{path}): {loss} loss "
        f"{drawn.last.loss(loss):.3f} at the last weights, {low:.3f} to {high:.3f} on the plane{lost}"
    )
