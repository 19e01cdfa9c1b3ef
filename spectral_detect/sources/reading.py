"""Read files, local or at a URL, with their hashes."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import sha256

from spectral_detect.errors import ExtraMissingError, ImageReadError, RemoteError, VideoReadError
from spectral_detect.sources import stores as remote
from spectral_detect.sources.discovery import FoundVideo

MAX_BYTES = 2**30
BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class FileContent:
    """A file as it was read, in one go: what is hashed is what is decoded.

    Attributes
    ----------
    mtime_ns : None of a URL whose store does not tell.
    """

    content: bytes
    sha256: str
    mtime_ns: int | None


def read_file(path: str | remote.Remote) -> FileContent:
    """The whole file with its hash.

    Parameters
    ----------
    path : of a local file, whatever it looks like: what is at a URL comes as a `Remote`.

    Raises
    ------
    ImageReadError : missing, no permission, not a regular file, or larger than `MAX_BYTES`; of a URL also whatever
        its store or the network fails with, or a package that is missing.
    """
    if isinstance(path, remote.Remote):
        return _read_remote(path)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageReadError("not a regular file; name a file or a folder of files")
            if status.st_size > MAX_BYTES:
                raise ImageReadError(f"{status.st_size} bytes: files over {MAX_BYTES} are refused")
            content = stream.read(status.st_size)  # a limit of its own would be allocated in full
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL in the name, or half of a surrogate pair
        raise ImageReadError("cannot be read: no file can have this name") from None
    return FileContent(content, sha256(content).hexdigest(), status.st_mtime_ns)


def _read_remote(file: remote.Remote) -> FileContent:
    try:
        content, mtime_ns = remote.read(file, MAX_BYTES)
    except FileNotFoundError:
        raise ImageReadError("cannot be read: no such file") from None
    except (RemoteError, ExtraMissingError) as error:
        raise ImageReadError(f"cannot be read: {error}") from None
    return FileContent(content, sha256(content).hexdigest(), mtime_ns)


def check_regular(path: str) -> os.stat_result:
    """What the system says of a file, a link followed.

    Raises
    ------
    VideoReadError : missing, or not a regular file.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise VideoReadError(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise VideoReadError("cannot be read: no file can have this name") from None
    if not stat.S_ISREG(status.st_mode):
        raise VideoReadError("not a regular file; name a video file or a folder of frames")
    if not status.st_size:
        raise VideoReadError("the file is empty; copy it again from its source")
    if not os.access(path, os.R_OK):
        raise VideoReadError("cannot be read: Permission denied")
    return status


def video_sha256(found: FoundVideo) -> tuple[str, int, int]:
    """Hash, size in bytes and time of the last change (ns) of a file, read in blocks, or of a folder of frames.

    A folder's hash is that of the lines `name, NUL, hash` of its frames, its size their sum, its time the latest.

    Raises
    ------
    VideoReadError : a file that is missing or cannot be read.
    """
    if not found.frames:
        return _file_sha256(found.path)
    whole, size_bytes, mtime_ns = sha256(), 0, 0
    for path in found.frames:
        try:
            digest, size, mtime = _file_sha256(path)
        except VideoReadError:  # skipped as a frame, too
            digest, size, mtime = "unreadable", 0, 0
        whole.update(os.fsencode(os.path.basename(path)) + b"\0" + digest.encode() + b"\n")
        size_bytes, mtime_ns = size_bytes + size, max(mtime_ns, mtime)
    return whole.hexdigest(), size_bytes, mtime_ns


def _file_sha256(path: str) -> tuple[str, int, int]:
    status, digest = check_regular(path), sha256()
    try:
        with open(path, "rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise VideoReadError(f"cannot be read: {error.strerror}") from None
    return digest.hexdigest(), status.st_size, status.st_mtime_ns
