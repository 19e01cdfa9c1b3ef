"""What the plots of folders share: the folders, checks, and a line on what was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from spectral_detect.cli.shared.checks import check_outside, check_plot
from spectral_detect.cli.shared.failures import report_failure
from spectral_detect.cli.shared.paths import expand
from spectral_detect.cli.shared.progress import progress
from spectral_detect.folders.reading import ImageFolder, Progress, find_folders
from spectral_detect.text import counted, visible


class FailedFiles:
    """Names each file that fails on stderr, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: str, reason: str) -> None:
        """Name a file and the reason."""
        self.count += 1
        report_failure(path, reason)

    @property
    def status(self) -> int:
        """Return the exit status: 1 if a file failed."""
        return 1 if self.count else 0


def folders_to_draw(paths: tuple[str, ...], output: str, least: int = 1) -> list[ImageFolder]:
    """Find the images of at least so many folders; refuse an output that cannot be drawn, or that lies among them."""
    check_plot(output, paths)
    locations = expand(paths)
    if len(locations) < least:
        raise click.UsageError(f"{counted(len(locations), 'folder')}: name {least} or more, to compare them")
    check_outside(output, locations)
    return find_folders(locations)


def under_bar(folders: Sequence[ImageFolder]) -> Progress:
    """Return a progress bar over the files of all folders."""
    return partial(progress, total=sum(len(folder.files) for folder in folders))


def say_drawn(output: str, counts: Sequence[tuple[str, int]]) -> None:
    """Print what was drawn of which folders."""
    drawn = ", ".join(f"{visible(name)} ({counted(count, 'image')})" for name, count in counts)
    click.echo(f"{visible(output)}: {drawn}")
