"""Read files, local or at a URL, with their hashes."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from spectral_detect.errors import ExtraMissingError, ImageReadError, RemoteError, VideoReadError
from spectral_detect.sources import stores
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.sources.text_encoding import is_not_utf8

MAX_BYTES = 2**30
BLOCK_BYTES = 2**20
TOO_MANY_BYTES = "{} bytes: files over {} are refused"
UNREADABLE = "unreadable"  # in place of the hash of a frame
NAME_NOT_UTF8 = (
    "the name is not UTF-8: if it comes from a list in another encoding, such as Windows-1252, save the list as UTF-8"
)


@dataclass(frozen=True)
class FileContent:
    """A file, read in one go: the bytes that are hashed are those that are decoded.

    Attributes
    ----------
    content : bytes
        All of it.
    sha256 : str
        Its hash in hexadecimal digits.
    mtime_ns : int or None
        Time of the last change; None where a store does not tell.
    """

    content: bytes
    sha256: str
    mtime_ns: int | None


def read_file(location: Location, max_bytes: int = MAX_BYTES) -> FileContent:
    """Read a whole file and hash it.

    Raises
    ------
    ImageReadError
        It is missing, not a regular file, larger than `max_bytes`, or there is no permission; at a URL also whatever
        the store or the network fails with, or a package that is missing.
    """
    if location.content is not None:
        return FileContent(_checked_size(location.content, max_bytes), sha256(location.content).hexdigest(), None)
    content, mtime_ns = (_read_remote if location.is_remote else _read_local)(location, max_bytes)
    return FileContent(content, sha256(content).hexdigest(), mtime_ns)


def _checked_size(content: bytes, max_bytes: int) -> bytes:
    if len(content) > max_bytes:
        raise ImageReadError(TOO_MANY_BYTES.format(len(content), max_bytes))
    return content


def _read_local(location: Location, max_bytes: int) -> tuple[bytes, int]:
    try:
        descriptor = os.open(location.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageReadError("not a regular file", remedy="name a file or a folder of files")
            if status.st_size > max_bytes:
                raise ImageReadError(TOO_MANY_BYTES.format(status.st_size, max_bytes))
            return _read_all(descriptor, status.st_size), status.st_mtime_ns
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        remedy = NAME_NOT_UTF8 if is_not_utf8(location.path) else ""
        raise ImageReadError(f"cannot be read: {error.strerror}", remedy=remedy) from None
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL in the name, or half of a surrogate pair
        raise ImageReadError("cannot be read: no file can have this name") from None


def _read_all(descriptor: int, n_bytes: int) -> bytes:
    """Read so many bytes, or up to the end; a file object would take longer to make than most files to read."""
    content = os.read(descriptor, n_bytes)
    while 0 < len(content) < n_bytes and (more := os.read(descriptor, n_bytes - len(content))):  # of a network, of 2 GB
        content += more
    return content


def _read_remote(location: Location, max_bytes: int) -> tuple[bytes, int | None]:
    try:
        return stores.read(location, max_bytes)
    except FileNotFoundError:
        raise ImageReadError("cannot be read: no such file") from None
    except (RemoteError, ExtraMissingError) as error:
        raise ImageReadError(f"cannot be read: {error}") from None


def check_regular(path: str) -> os.stat_result:
    """Return what the system says of a file; a link is followed.

    Raises
    ------
    VideoReadError
        It is missing, not a regular file, or there is no permission.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise VideoReadError(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise VideoReadError("cannot be read: no file can have this name") from None
    if not stat.S_ISREG(status.st_mode):
        raise VideoReadError("not a regular file", remedy="name a video file or a folder of frames")
    if not os.access(path, os.R_OK):
        raise VideoReadError("cannot be read: Permission denied")
    return status


@dataclass(frozen=True)
class VideoHash:
    """The hash of a video file, or of a folder of frames.

    Attributes
    ----------
    sha256 : str
        Of a folder, that of the lines `name, NUL, hash` of its frames.
    size_bytes, mtime_ns : int
        Of a folder, the sum of its frames and the latest of them.
    frames : tuple of (str, str)
        Name and hash of each frame of a folder, UNREADABLE for one that cannot be read; empty for a file.
    """

    sha256: str
    size_bytes: int
    mtime_ns: int
    frames: tuple[tuple[str, str], ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """Return what records say of it."""
        return {"sha256": self.sha256, "size_bytes": self.size_bytes, "mtime_ns": self.mtime_ns}


def hash_video(found: FoundVideo) -> VideoHash:
    """Hash a video file, or a folder of frames.

    Raises
    ------
    VideoReadError
        The file is missing or cannot be read; a frame that cannot be is no error.
    """
    if not found.frames:
        return VideoHash(*_file_sha256(found.path))
    whole, size_bytes, mtime_ns, frames = sha256(), 0, 0, []
    for path in found.frames:
        try:
            digest, size, mtime = _file_sha256(path)
        except VideoReadError:  # skipped as a frame, too
            digest, size, mtime = UNREADABLE, 0, 0
        name = os.path.basename(path)
        whole.update(os.fsencode(name) + b"\0" + digest.encode() + b"\n")
        frames.append((name, digest))
        size_bytes, mtime_ns = size_bytes + size, max(mtime_ns, mtime)
    return VideoHash(whole.hexdigest(), size_bytes, mtime_ns, tuple(frames))


def video_sha256(found: FoundVideo) -> tuple[str, int, int]:
    """Return the hash, the size in bytes and the time of the last change (ns) that `hash_video` gives."""
    whole = hash_video(found)
    return whole.sha256, whole.size_bytes, whole.mtime_ns


def state_of(found: FoundVideo) -> tuple[object, ...]:
    """Return what changes when somebody writes to a video or exchanges a frame of it: whose bytes, how many, when."""
    states: list[object] = []
    for path in found.frames or (found.path,):
        try:
            status = os.stat(path)
            states.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        except (OSError, ValueError):
            states.append(None)
    return tuple(states)


def _file_sha256(path: str) -> tuple[str, int, int]:
    status, digest = check_regular(path), sha256()
    try:
        with open(path, "rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise VideoReadError(f"cannot be read: {error.strerror}") from None
    return digest.hexdigest(), status.st_size, status.st_mtime_ns
