"""Where a file or a folder is: on this machine or at a URL. Text becomes a `Location` where it enters the program."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from spectral_detect.arguments import require_type
from spectral_detect.sources.urls import without_credentials

NAMES = "give a str or a pathlib.Path, or several; `scan_bytes` takes the content of a file"

Place = str | os.PathLike[str]
Places = Place | Iterable[Place]  # one, or several


def each_place(places: Places) -> list[Place]:
    """Return each of several places, or the one.

    Raises
    ------
    ArgumentError
        One of them is no name of a file.
    """
    several = [places] if isinstance(places, str | os.PathLike) else places
    require_type("paths", several, Iterable, NAMES)
    found = list(several)
    for place in found:
        require_type("a path", place, (str, os.PathLike), NAMES)
    return found


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
    content : bytes or None
        Of a file that is in memory: nothing is read then, and `path` is but its name.
    """

    path: str
    url: str | None = field(default=None, repr=False)
    is_folder: bool = False
    size_bytes: int | None = None
    mtime_ns: int | None = None
    content: bytes | None = field(default=None, repr=False)

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
