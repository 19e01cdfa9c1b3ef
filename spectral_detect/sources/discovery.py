"""Find the images, or the videos, among files and folders."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from spectral_detect.errors import PathError, RemoteError, SpectralDetectError
from spectral_detect.sources import stores
from spectral_detect.sources.formats import (
    SIGNATURE_BYTES,
    SUFFIXES,
    has_image_signature,
    has_video_suffix,
    is_animation,
    is_video_file,
)
from spectral_detect.sources.location import Location, Place
from spectral_detect.sources.urls import is_web, local_name, without_credentials

# errors of the system, after which a file may be an image all the same: it becomes an error record and is not skipped
SAY_NOTHING_OF_THE_FILE = frozenset((errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM))


APPLE_DOUBLE = "._"  # macOS writes ._IMG_1.JPG beside IMG_1.JPG on disks that are not its own


@dataclass(frozen=True)
class FoundFile:
    """A file to read, or a folder that could not be listed and why.

    Attributes
    ----------
    location : Location
        Where it is.
    problem : str or None
        Why a folder could not be listed.
    """

    location: Location
    problem: str | None = None

    @property
    def path(self) -> str:
        """The path as records show it."""
        return self.location.path


@dataclass(frozen=True)
class FoundVideo:
    """A video to read, or a folder that could not be listed and why.

    Attributes
    ----------
    location : Location
        The file, or the folder of frames.
    frames : tuple of str
        The image files of a folder in natural order; empty for a file.
    problem : str or None
        Why a folder could not be listed.
    has_images_below : bool
        Whether folders in the folder of frames hold images as well, which are left out.
    """

    location: Location
    frames: tuple[str, ...] = ()
    problem: str | None = None
    has_images_below: bool = False

    @property
    def path(self) -> str:
        """The path as records show it."""
        return self.location.path


def expand_arguments(arguments: Iterable[Place]) -> list[Location]:
    """Return the files and folders that arguments name; a pattern is expanded unless it is itself a file or a folder.

    A `pathlib.Path` is a local file or folder of just that name, and neither a pattern nor a URL.

    Raises
    ------
    FileNotFoundError
        Nothing has that name or matches that pattern.
    RemoteError, ExtraMissingError
        A URL cannot be looked up; the message says why.
    """
    found: list[Location] = []
    for argument in arguments:
        if not isinstance(argument, str):
            found.append(_named(os.fspath(argument)))
        else:
            found += _expand_url(argument) if stores.is_url(argument) else expand_local(argument)
    return found


def _named(path: str) -> Location:
    if not os.path.lexists(path):
        raise PathError(f"{path!r}: no such file or folder")
    return Location(path)


def _expand_url(url: str) -> list[Location]:
    try:
        return stores.expand(url)
    except RemoteError as error:
        raise RemoteError(f"{without_credentials(url)!r}: {error}") from None


def expand_local(argument: str) -> list[Location]:
    """Return what one local name or pattern stands for; see `expand_arguments`."""
    name = local_name(argument)
    matches = [name] if os.path.lexists(name) else sorted(glob.glob(name, recursive=True))
    if not matches:
        raise FileNotFoundError(argument)
    return [Location(match) for match in matches]


def find_images(
    places: Iterable[Location], *, with_videos: bool = False, on_skip: Callable[[str], None] = lambda path: None
) -> Iterator[FoundFile]:
    """Find the images among files and folders, lazily.

    A file that is named itself is always taken. Folders are searched recursively in sorted order; there a regular
    file is taken when its suffix or its first bytes are those of an image, and anything else goes to `on_skip`. Links
    to files are followed, links to folders are not. A file at a URL is not looked for before it is read: lists are
    long.

    Parameters
    ----------
    with_videos : bool
        Whether local video files are taken as well.
    """
    for place in places:
        if place.is_remote:
            yield from _find_at_url(place, on_skip)
        elif os.path.isdir(place.path):
            yield from _find_in_folder(place.path, with_videos, on_skip)
        else:
            yield FoundFile(place)


def _find_at_url(place: Location, on_skip: Callable[[str], None]) -> Iterator[FoundFile]:
    if not place.is_folder:
        yield FoundFile(place)
        return
    for entry in _walk_at_url(place):
        if isinstance(entry, FoundFile):
            yield entry
        elif looks_like_image_at_url(entry):
            yield FoundFile(entry)
        else:
            on_skip(entry.path)


def _walk_at_url(folder: Location) -> Iterator[Location | FoundFile]:
    """Walk through a folder at a URL as `_walk` does; a file that several pages link to comes once."""
    waiting, seen = [folder], set()
    while waiting:
        entry = waiting.pop()
        if entry.url in seen:
            continue
        if is_web(folder.address):  # the listings of other stores do not overlap, and may be long
            seen.add(entry.url)
        if not entry.is_folder:
            yield entry
            continue
        try:
            waiting += reversed(stores.list_folder(entry))
        except FileNotFoundError:
            yield FoundFile(entry, "the folder cannot be listed: it is not there")
        except SpectralDetectError as error:
            yield FoundFile(entry, f"the folder cannot be listed: {error}")


def looks_like_image_at_url(entry: Location) -> bool:
    """Return whether a file listed in a folder at a URL has the suffix or the first bytes of an image."""
    if _has_suffix(entry.path):
        return True
    try:
        return has_image_signature(stores.read_start(entry, SIGNATURE_BYTES))
    except (FileNotFoundError, SpectralDetectError):
        return False


def find_videos(
    places: Iterable[Location], *, group_by_parent: bool = False, on_skip: Callable[[str], None] = lambda path: None
) -> Iterator[FoundVideo]:
    """Find the videos among files and folders, lazily.

    A file that is named itself is always taken. In a folder's tree, files with the suffix or the first bytes of a video
    are taken, and animated images; if there is none of either, the images that lie in the folder itself are the frames
    of one video. Any other file goes to `on_skip`. Links to files are followed, links to folders are not.

    Parameters
    ----------
    group_by_parent : bool
        Whether each folder of the tree that holds images is a video too, of its images in natural order.
    """
    for place in places:
        if place.is_remote or not os.path.isdir(place.path):
            yield FoundVideo(place)
        elif group_by_parent:
            yield from _find_folders_of_frames(place.path, on_skip)
        else:
            yield from _find_video_files(place.path, on_skip)


def _find_video_files(folder: str, on_skip: Callable[[str], None]) -> Iterator[FoundVideo]:
    """Find the video files of a tree; if there is none, the folder itself as a video."""
    skipped: list[str] = []  # held back, for the frames of a video are not skipped
    skip = skipped.append
    for entry in _walk(folder):
        if isinstance(entry, FoundFile):
            yield FoundVideo(entry.location, problem=entry.problem)
        elif _is_video(entry):
            _pass_on(skipped, on_skip)
            skipped, skip = [], on_skip
            yield FoundVideo(Location(entry.path))
        else:
            skip(entry.path)
    if skip is on_skip:
        return
    frames = _frames_of(folder)
    taken = set(frames)
    _pass_on([path for path in skipped if path not in taken], on_skip)
    if frames:
        yield FoundVideo(Location(folder), frames, has_images_below=_has_images_below(folder))


def _pass_on(paths: list[str], on_skip: Callable[[str], None]) -> None:
    for path in paths:
        on_skip(path)


def _find_folders_of_frames(folder: str, on_skip: Callable[[str], None]) -> Iterator[FoundVideo]:
    """Find the videos and animations of a tree, and the folders of other images; one comes before those below it."""
    for visited, entries in _walk_by_folder(folder):
        if isinstance(entries, str):
            yield FoundVideo(Location(visited), problem=entries)
            continue
        videos, frames, others = _parted(entries)
        _pass_on(others, on_skip)
        if frames:
            yield FoundVideo(Location(visited), _natural_order(frames))
        for path in videos:
            yield FoundVideo(Location(path))


def _parted(entries: Iterable[os.DirEntry[str]]) -> tuple[list[str], list[str], list[str]]:
    """Return the videos and animations of a folder, its other images, and its other files."""
    files = [e for e in entries if not e.is_dir(follow_symlinks=False)]
    videos = [e.path for e in files if _is_video(e)]
    known = set(videos)
    frames = [e.path for e in files if e.path not in known and not has_video_suffix(e.path) and looks_like_image(e)]
    known.update(frames)
    return videos, frames, [e.path for e in files if e.path not in known]


def video_at(path: str, *, group_by_parent: bool = False) -> FoundVideo:
    """Return a local file as a video, or a folder as the video that `find_videos` makes of the images in it."""
    if not os.path.isdir(path):
        return FoundVideo(Location(path))
    if not group_by_parent:
        return FoundVideo(Location(path), _frames_of(path), has_images_below=_has_images_below(path))
    entries = _listed(path)
    if isinstance(entries, str):
        return FoundVideo(Location(path), problem=entries)
    return FoundVideo(Location(path), _natural_order(_parted(entries)[1]))


def _has_images_below(folder: str) -> bool:
    """Return whether a folder in this one holds an image; what begins with a dot holds previews."""
    below = (entries for visited, entries in _walk_by_folder(folder) if visited != folder and not _is_hidden(visited))
    return any(looks_like_image(entry) for entries in below if not isinstance(entries, str) for entry in entries)


def _is_hidden(folder: str) -> bool:
    return os.path.basename(folder).startswith(".")


def _frames_of(folder: str) -> tuple[str, ...]:
    """Return the images that lie in the folder itself."""
    try:
        with os.scandir(folder) as entries:
            return _natural_order(e.path for e in entries if looks_like_image(e))
    except OSError:
        return ()  # reported by the walk


def _natural_order(paths: Iterable[str]) -> tuple[str, ...]:
    """Sort frame2 before frame10, and names that differ in leading zeros alone as text."""
    return tuple(sorted(paths, key=lambda path: (_text_and_numbers(os.path.basename(path)), os.fsencode(path))))


def _text_and_numbers(name: str) -> list[tuple[int, int, str]]:
    """Return comparable pieces of a name, numbers by length and digits: `int` would refuse the longest ones."""
    pieces = (piece.lstrip("0") if piece[:1].isdigit() else piece for piece in re.split(r"([0-9]+)", name))
    return [(k % 2, len(piece) if k % 2 else 0, piece) for k, piece in enumerate(pieces)]


def _is_video(entry: os.DirEntry[str]) -> bool:
    """Return whether a folder's entry has the name or the first bytes of a video, or is an animated image."""
    if is_apple_double(entry.path):
        return False
    if is_video_file(entry.path):
        return _is_file_or_dead_link(entry)
    return looks_like_image(entry) and is_animation(entry.path)


def _is_file_or_dead_link(entry: os.DirEntry[str]) -> bool:
    """Return True also for a dead link: evidence that is missing, and an error once it is opened."""
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True


def _find_in_folder(folder: str, with_videos: bool, on_skip: Callable[[str], None]) -> Iterator[FoundFile]:
    for entry in _walk(folder):
        if isinstance(entry, FoundFile):
            yield entry
        elif looks_like_image(entry) or (with_videos and _is_video(entry)):
            yield FoundFile(Location(entry.path))
        else:
            on_skip(entry.path)


def _walk(folder: str) -> Iterator[os.DirEntry[str] | FoundFile]:
    """Yield all but the folders of a tree in sorted order, and the folders that cannot be listed as `FoundFile`."""
    waiting: list[os.DirEntry[str] | str] = [folder]  # a stack: folders nest deeper than Python's calls
    while waiting:
        entry = waiting.pop()
        if not isinstance(entry, str) and not entry.is_dir(follow_symlinks=False):
            yield entry
            continue
        inside = _listed(os.fspath(entry))
        if isinstance(inside, str):
            yield FoundFile(Location(os.fspath(entry)), inside)
        else:
            waiting += reversed(inside)


def _walk_by_folder(folder: str) -> Iterator[tuple[str, list[os.DirEntry[str]] | str]]:
    """Yield each folder of a tree with its sorted entries, or with the reason why it cannot be listed."""
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        inside = _listed(path)
        yield path, inside
        if not isinstance(inside, str):
            waiting += [e.path for e in reversed(inside) if e.is_dir(follow_symlinks=False)]


def _listed(folder: str) -> list[os.DirEntry[str]] | str:
    """Return the sorted entries of a folder, or why it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda e: os.fsencode(e.name))
    except OSError as error:
        return f"the folder cannot be listed: {error.strerror}"


def looks_like_image(entry: os.DirEntry[str]) -> bool:
    """Return whether a folder's entry is a file, or a link to one, with the suffix or the first bytes of an image."""
    try:
        if not entry.is_file():
            return _is_dead_link(entry)
        if _has_suffix(entry.path):
            return True
        with open(entry.path, "rb") as stream:
            return has_image_signature(stream.read(SIGNATURE_BYTES))
    except OSError as error:
        return error.errno in SAY_NOTHING_OF_THE_FILE or _is_dead_link(entry)


def _is_dead_link(entry: os.DirEntry[str]) -> bool:
    """Return whether a link with the name of an image leads nowhere: evidence that is missing, and an error."""
    return entry.is_symlink() and not os.path.exists(entry.path) and _has_suffix(entry.path)


def _has_suffix(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES and not is_apple_double(path)


def is_apple_double(path: str) -> bool:
    """Return whether a file is named as macOS names what it writes beside another file, with that one's suffix.

    Such a file in a folder is taken only if its first bytes are those of an image.
    """
    return os.path.basename(path).startswith(APPLE_DOUBLE)
