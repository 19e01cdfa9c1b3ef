"""How files are worked through: the options of every command that reads images or videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar, cast

import click

from spectral_detect.cli.shared.failures import Failure, in_options
from spectral_detect.cli.shared.options import FiniteRange, together
from spectral_detect.features.cupy_backend import device_problem
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import DeviceChoice, Engine, Work

F = TypeVar("F", bound=Callable[..., Any])

WORK, LIMITS = Work(), Limits()
VIDEO_TIMEOUT_S = 600.0


def _work_options(timeout_s: float) -> Callable[[F], F]:
    return together(
        click.option(
            "--jobs",
            type=click.IntRange(0),
            help="Start so many worker processes; 0 works in this process alone.  [default: one per core]",
        ),
        click.option(
            "--engine",
            type=click.Choice(("local", "dask")),
            help="dask (extra dask): work on a Dask cluster, one of --jobs processes on this machine unless "
            "--scheduler names another.  [default: local]",
        ),
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            help="Work on the cluster of this Dask scheduler: HOST:PORT, or its scheduler file. The cluster's workers "
            "open the files, so the paths must exist there as well.",
        ),
        click.option(
            "--max-pixels",
            type=click.IntRange(1),
            default=LIMITS.max_pixels,
            show_default=True,
            help="Refuse an image whose header announces more, before decoding it.",
        ),
        click.option(
            "--timeout",
            type=FiniteRange(0, 86_400, min_open=True),
            default=timeout_s,
            show_default=True,
            help="Give a file up after so many seconds; not with --jobs 0, which has no worker to stop.",
        ),
    )


def work_options(command: F, timeout_s: float = WORK.timeout_s) -> F:
    """Hand `--jobs`, `--engine`, `--scheduler` and `--timeout` to the command as `work`, `--max-pixels` as `limits`."""

    @wraps(command)
    def with_work(
        *args: Any,
        jobs: int | None,
        engine: Engine | None,
        scheduler: str | None,
        max_pixels: int,
        timeout: float,
        **kwargs: Any,
    ) -> Any:
        work = Work(jobs, timeout, engine=_checked_engine(engine, scheduler, jobs), scheduler=scheduler)
        return command(*args, work=work, limits=Limits(max_pixels), **kwargs)

    return _work_options(timeout_s)(cast(F, with_work))


def _checked_engine(engine: Engine | None, scheduler: str | None, jobs: int | None) -> Engine:
    if scheduler is None and engine != "dask":
        return "local"
    if engine == "local":
        raise click.UsageError("--scheduler names a Dask cluster, and --engine local does without one")
    if scheduler is not None and jobs is not None:
        raise click.UsageError("--jobs counts processes on this machine; those of a cluster: dask worker --nthreads")
    if jobs == 0:
        raise click.UsageError("--engine dask works in other processes: give --jobs 1 or more")
    return "dask"


def device_option(command: F) -> F:
    """Put `--device` into the command's `work`."""

    @wraps(command)
    def with_device(*args: Any, work: Work, device: DeviceChoice | None, **kwargs: Any) -> Any:
        usable = _usable_device(device) if work.is_local else device or WORK.device
        return command(*args, work=replace(work, device=usable), **kwargs)

    return click.option(
        "--device",
        type=click.Choice(("auto", "cpu", "gpu")),
        help="Choose what transforms still images. auto: a GPU if one can be used and there are many images; gpu "
        "(extra gpu): exit with status 2 if none can be used.  [default: auto]",
    )(cast(F, with_device))


def _usable_device(asked: DeviceChoice | None) -> DeviceChoice:
    """Tell a user who asks for a GPU why there is none; leave the others alone."""
    if asked is None or asked == "cpu":
        return asked or WORK.device
    problem = device_problem()
    if problem is None:
        return asked
    if asked == "gpu":
        raise Failure(f"{problem}; or leave the work to the CPU: --device cpu")
    click.echo(f"{in_options(problem)}; the CPU does the work", err=True)
    return "cpu"
