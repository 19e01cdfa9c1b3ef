"""Progress on stderr, for terminals only, and the counts at the end, for logs as well."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import click

from spectral_detect.text import visible

T = TypeVar("T")


def shows_progress() -> bool:
    """Return whether stderr is a terminal; progress is for terminals only."""
    return sys.stderr is not None and sys.stderr.isatty()


def show_counts(counts: str, output: str | None) -> None:
    """Print the counts of a run on stderr, with the file that was written; of rows on stdout for a person alone."""
    if output is not None:
        click.echo(f"{visible(output)}: {counts}", err=True)
    elif shows_progress():
        click.echo(counts, err=True)


def show_stage(what: str) -> None:
    """Say on a terminal what takes a while and has no bar."""
    if shows_progress():
        click.echo(f"{what} ...", err=True)


def progress(
    items: Iterable[T],
    *,
    total: int | None = None,
    hidden: bool = False,
    unit: str = "images",
    note: Callable[[T], str] | None = None,
) -> Iterator[T]:
    """Pass items on; on a terminal show their rate, the time left, and what `note` says of the last one."""
    if hidden or not shows_progress():
        yield from items
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", dynamic_ncols=True, leave=False, smoothing=0.1) as bar:
        for item in items:
            if note is not None:
                bar.set_postfix_str(note(item), refresh=False)
            bar.update()
            yield item
