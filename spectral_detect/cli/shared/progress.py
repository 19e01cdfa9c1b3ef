"""Progress on stderr, for terminals only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def shows_progress() -> bool:
    """Return whether stderr is a terminal; progress is for terminals only."""
    return sys.stderr is not None and sys.stderr.isatty()


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
