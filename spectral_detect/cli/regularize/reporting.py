"""How a run shows itself: options, a live line, a row and pictures per epoch; and how ctrl-C stops it."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spectral_detect.cli.shared.failures import Failure, report_failure
from spectral_detect.cli.shared.progress import progress, shows_progress
from spectral_detect.text import visible

if TYPE_CHECKING:
    import numpy as np

    from spectral_detect.regularize.gan.options import TrainingOptions

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def check_apart(folder: str | Path, data: str) -> None:
    """`Failure` where a run would lie among its own images."""
    run = Path(folder).resolve()
    if Path(data).resolve() in (run, *run.parents):
        raise Failure(
            f"{visible(str(folder))} lies in {visible(data)}: its pictures would be trained on; name another RUN"
        )


@dataclass
class Stop:
    """The signals that asked for an end, and whether there is anything to save."""

    received: list[int] = field(default_factory=list)
    may_wait: bool = False


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """The first ctrl-C or SIGTERM during training asks for an end between two steps; a second one ends at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def ask(number: int, frame: Any) -> None:
        handler = before[signal.Signals(number)]
        if (stop.received or not stop.may_wait) and callable(handler):
            handler(number, frame)
        stop.received.append(number)
        click.echo("stopping after this step; once more to stop at once", err=True)

    for number in SIGNALS:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class EpochReport:
    """Prints, draws and shows what a run tells.

    Parameters
    ----------
    folder : of the run, for the pictures.
    stop : is told that training has begun.
    dry_run : stop once the options were printed.
    """

    def __init__(self, folder: Path, options: TrainingOptions, stop: Stop, *, dry_run: bool) -> None:
        self.folder, self.options, self.stop, self.dry_run = folder, options, stop, dry_run
        self.n_failed = 0
        self._draws = find_spec("matplotlib") is not None
        self._bar: Any = None
        self._has_shown_reals = False

    def __enter__(self) -> EpochReport:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def fail(self, path: str, reason: str) -> None:
        """Name a file that cannot be used."""
        self.n_failed += 1
        report_failure(path, reason)

    def reading(self, squares: Iterable[Any]) -> Iterable[Any]:
        """Show how the reading gets on."""
        return partial(progress, unit="images")(squares)

    def note(self, text: str) -> None:
        """Say something on stderr."""
        click.echo(f"note: {visible(text)}", err=True)

    def start(self, facts: dict[str, Any]) -> bool:
        """Print all options; whether to go on."""
        from spectral_detect.report.gan import epoch_heading

        click.echo(json.dumps(facts, indent=2))
        if self.dry_run:
            return False
        self.stop.may_wait = True
        if not self._draws:
            self.note("profiles and summary are not drawn: pip install 'spectral-detect[plot]'")
        for name in ("samples", "profiles")[: 1 + self._draws]:
            (self.folder / name).mkdir(exist_ok=True)
        if shows_progress():
            from tqdm import tqdm

            left = (self.options.epochs - facts["continues_after"]) * facts["batches_per_epoch"]
            self._bar = tqdm(total=left, unit=" batches", dynamic_ncols=True, leave=False)
        click.echo(epoch_heading())
        return True

    def tick(self, losses: dict[str, float]) -> None:
        """Move the live line on."""
        if self._bar is not None:
            self._bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)
            self._bar.update()

    def epoch(self, row: dict[str, Any], samples: np.ndarray) -> None:
        """Print a row, draw samples and profiles, and the summary of the run so far."""
        from spectral_detect.report.gan import draw_samples, epoch_line

        if self._bar is not None:
            self._bar.clear()
        if not self._has_shown_reals:
            click.echo(epoch_line({**self._reals(), "epoch": "reals"}))
            self._has_shown_reals = True
        click.echo(epoch_line(row))
        for warning in row["warnings"]:
            click.echo(f"warning: epoch {row['epoch']}: {warning}", err=True)
        draw_samples(samples, self.folder / "samples" / f"epoch-{row['epoch']:04d}.png")
        if self._draws:
            self._draw(row, samples)

    def _reals(self) -> dict[str, Any]:
        from spectral_detect.regularize.gan.run import REALS_FILE

        return dict(json.loads((self.folder / REALS_FILE).read_bytes()))

    def _draw(self, row: dict[str, Any], samples: np.ndarray) -> None:
        from spectral_detect.regularize.gan.run import read_log
        from spectral_detect.report.gan import plot_profiles, plot_run

        reals = self._reals()
        plot_profiles(row, reals, self.folder / "profiles" / f"epoch-{row['epoch']:04d}.png")
        options = self.options
        loss = f"spectral weight {options.spectral_weight:g}" if options.spectral_weight else "no spectral loss"
        title = f"{options.objective}, {options.upsampling}, {options.topology}, {options.size} px, {loss}"
        plot_run(read_log(self.folder), reals, samples, title, self.folder / "summary.png")
