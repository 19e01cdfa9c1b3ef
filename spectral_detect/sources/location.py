"""Where a file or a folder is: on this machine or at a URL. Text becomes a `Location` where it enters the program."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from spectral_detect.sources.urls import without_credentials

Places = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]  # one, or several


def each_place(places: Places) -> list[str]:
    """Return the name of each of several places, or of the one."""
    several = [places] if isinstance(places, str | os.PathLike) else places
    return [os.fspath(place) for place in several]


@dataclass(frozen=True)
class Location:
    """A local path, or a URL.

    Attributes
    ----------
    path : str
        To be shown and recorded: the local path, whatever it looks like, or the URL without its credentials.
    url : str or None
        To be read, never to be shown: the URL with the credentials that it may hold; None for a local path.
    is_folder : bool
        Whether the URL is known to lead to a folder; local paths are looked at when they are searched.
    size_bytes, mtime_ns : int or None
        As the store tells them; None where it does not, or was not asked.
    """

    path: str
    url: str | None = field(default=None, repr=False)
    is_folder: bool = False
    size_bytes: int | None = None
    mtime_ns: int | None = None

    @classmethod
    def at_url(
        cls, url: str, *, is_folder: bool = False, size_bytes: int | None = None, mtime_ns: int | None = None
    ) -> Location:
        """Return the place that a URL names."""
        return cls(without_credentials(url), url, is_folder, size_bytes, mtime_ns)

    @property
    def is_remote(self) -> bool:
        """Whether it is read through a store and not from this machine."""
        return self.url is not None

    @property
    def address(self) -> str:
        """The URL with its credentials.

        Raises
        ------
        ValueError
            The location is on this machine.
        """
        if self.url is None:
            raise ValueError(f"{self.path!r} is a local path")
        return self.url
