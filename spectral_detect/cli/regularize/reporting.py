"""Show a run on the terminal and in its folder: options, a live line, a row and pictures per epoch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from tqdm import tqdm

from spectral_detect.cli.regularize.stopping import Stop
from spectral_detect.cli.shared.failures import NamedFailures, in_options
from spectral_detect.cli.shared.progress import progress, shows_progress
from spectral_detect.regularize.gan.log import LOG_FILE, read_log, read_real_measures
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.report.gan import draw_samples, epoch_heading, epoch_line, plot_profiles, plot_run
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.regularize.gan.run import Hooks, RunFacts


class EpochReport:
    """Print and draw a run as it goes on.

    Parameters
    ----------
    folder : Path
        Folder of the run, for the pictures.
    options : TrainingOptions
        Options of the run.
    stop : Stop
        Learns that training has begun.
    dry_run : bool
        Whether to stop once the options are printed.
    """

    def __init__(self, folder: Path, options: TrainingOptions, stop: Stop, *, dry_run: bool) -> None:
        self.folder, self.options, self.stop, self.dry_run = folder, options, stop, dry_run
        self.failures = NamedFailures()
        self._draws = find_spec("matplotlib") is not None
        self._bar: Any = None
        self._has_shown_reals = False

    def __enter__(self) -> EpochReport:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def hooks(self) -> Hooks:
        """Return the hooks by which a run reports here."""
        from spectral_detect.regularize.gan.run import Hooks

        return Hooks(
            on_failure=self.failures,
            reading_progress=self.reading,
            on_note=self.note,
            on_start=self.start,
            on_step=self.step,
            on_epoch=self.epoch,
            should_stop=lambda: bool(self.stop.received),
        )

    def reading(self, squares: Iterable[Any]) -> Iterable[Any]:
        """Show how many images are read."""
        return progress(squares)

    def note(self, text: str) -> None:
        """Print a note on stderr."""
        click.echo(f"note: {visible(in_options(text))}", err=True)

    def start(self, facts: RunFacts) -> bool:
        """Print all options; return whether to go on."""
        self.failures.say_rest()
        click.echo(json.dumps(facts.to_dict(), indent=2))
        if self.dry_run:
            return False
        self.stop.may_wait = True
        if not self._draws:
            self.note("profiles and summary are not drawn: pip install '.[plot]' in the checkout")
        for name in ("samples", "profiles")[: 1 + self._draws]:
            (self.folder / name).mkdir(exist_ok=True)
        if shows_progress():
            left = (self.options.epochs - facts.continues_after) * facts.batches_per_epoch
            self._bar = tqdm(total=left, unit=" batches", dynamic_ncols=True, leave=False)
        click.echo(epoch_heading())
        return True

    def step(self, losses: dict[str, float]) -> None:
        """Update the live line."""
        if self._bar is not None:
            self._bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)
            self._bar.update()

    def epoch(self, row: dict[str, Any], samples: np.ndarray) -> None:
        """Print a row, draw samples and profiles, and the summary of the run so far."""
        if self._bar is not None:
            self._bar.clear()
        if not self._has_shown_reals:
            click.echo(epoch_line({**read_real_measures(self.folder), "epoch": "reals"}))
            self._has_shown_reals = True
        click.echo(epoch_line(row))
        for warning in row["warnings"]:
            click.echo(f"warning: epoch {row['epoch']}: {in_options(warning)}", err=True)
        draw_samples(samples, self.folder / "samples" / f"epoch-{row['epoch']:04d}.png")
        if self._draws:
            self._draw(row, samples)

    def where(self) -> str:
        """Say in a line where the results are."""
        drawn = ["summary.png"] * self._draws + ["samples/"] + ["profiles/"] * self._draws
        there = [name for name in (*drawn, LOG_FILE) if (self.folder / name).exists()]
        return f"results are in {visible(str(self.folder))}: {', '.join(there)}"

    def _draw(self, row: dict[str, Any], samples: np.ndarray) -> None:
        reals = read_real_measures(self.folder)
        plot_profiles(row, reals, self.folder / "profiles" / f"epoch-{row['epoch']:04d}.png")
        options = self.options
        network = f"{options.objective}, {options.upsampling}, {options.topology}, {options.size} px"
        title = f"{network}, {options.weight_in_words}"
        plot_run(read_log(self.folder), reals, samples, title, self.folder / "summary.png")
