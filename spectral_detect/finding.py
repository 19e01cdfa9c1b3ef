"""Find the images among files and folders."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from spectral_detect.images import SIGNATURE_BYTES, SUFFIXES, has_image_signature


@dataclass(frozen=True)
class FoundFile:
    """A path to read, or a folder that could not be listed and why."""

    path: str
    problem: str | None = None


def expand_arguments(arguments: Iterable[str]) -> list[str]:
    """Files and folders named on a command line; a pattern is expanded unless it is itself a file or a folder.

    Raises
    ------
    FileNotFoundError : nothing has that name or matches that pattern.
    """
    paths: list[str] = []
    for argument in arguments:
        matches = [argument] if os.path.lexists(argument) else sorted(glob.glob(argument, recursive=True))
        if not matches:
            raise FileNotFoundError(argument)
        paths += matches
    return paths


def find_images(paths: Iterable[str], *, on_skip: Callable[[str], None] = lambda path: None) -> Iterator[FoundFile]:
    """The images among files and folders, lazily.

    A file that is named itself is always taken. Folders are searched recursively in sorted order; there a regular
    file is taken when its suffix or its first bytes are those of an image, and anything else goes to `on_skip`. Links
    to files are followed, links to folders are not.
    """
    for path in paths:
        if os.path.isdir(path):
            yield from _find_in_folder(path, on_skip)
        else:
            yield FoundFile(path)


def _find_in_folder(folder: str, on_skip: Callable[[str], None]) -> Iterator[FoundFile]:
    waiting: list[os.DirEntry[str] | str] = [folder]  # a stack: folders nest deeper than Python's calls
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, str) or entry.is_dir(follow_symlinks=False):
            path = os.fspath(entry)
            try:
                with os.scandir(path) as entries:
                    inside = sorted(entries, key=lambda e: os.fsencode(e.name), reverse=True)
            except OSError as error:
                yield FoundFile(path, f"the folder cannot be listed: {error.strerror}")
            else:
                waiting += inside
        elif looks_like_image(entry):
            yield FoundFile(entry.path)
        else:
            on_skip(entry.path)


def looks_like_image(entry: os.DirEntry[str]) -> bool:
    """Whether a folder's entry is a regular file, or a link to one, with the suffix or the first bytes of an image."""
    try:
        if not entry.is_file():
            return _is_dead_link(entry)
        if _has_suffix(entry.path):
            return True
        with open(entry.path, "rb") as stream:
            return has_image_signature(stream.read(SIGNATURE_BYTES))
    except OSError:
        return _is_dead_link(entry)


def _is_dead_link(entry: os.DirEntry[str]) -> bool:
    """A link with the name of an image that leads nowhere: evidence that is missing, and an error."""
    return entry.is_symlink() and not os.path.exists(entry.path) and _has_suffix(entry.path)


def _has_suffix(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES


@dataclass(frozen=True)
class FoundVideo:
    path: str
    frames: tuple[str, ...] = ()
    problem: str | None = None


def has_video_suffix(path: str) -> bool: ...
def find_videos(
    paths: Iterable[str], *, group_by_parent: bool = False, on_skip: Callable[[str], None] = lambda path: None
) -> Iterator[FoundVideo]: ...
