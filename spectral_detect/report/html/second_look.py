"""Read each file again at the end of a scan: whether it is still the same, and a small picture of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from spectral_detect.errors import ImageReadError, VideoReadError
from spectral_detect.media.limits import Limits
from spectral_detect.media.thumbnail import thumbnail
from spectral_detect.sources import stores
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file, video_sha256

THUMBNAIL_PX = 64
AT_URL = "not read again: the file is at a URL"
NEVER_READ = "not read again: the scan could not read it either"


@dataclass(frozen=True)
class SecondLook:
    """How a file was found at the end.

    Attributes
    ----------
    sha256 : str or None
        Its hash then; None if it was not read.
    note : str or None
        Why it was not read.
    picture : str or None
        A data URI.
    """

    sha256: str | None = None
    note: str | None = None
    picture: str | None = None


def look_again(record: dict[str, Any], limits: Limits, *, wants_picture: bool) -> SecondLook:
    """Hash the file of a record again; a picture is made only of bytes that the scan has decoded."""
    path, before = record["path"], record["sha256"]
    if before is None:
        return SecondLook(note=NEVER_READ)
    if stores.is_url(path):
        return SecondLook(note=AT_URL)
    try:
        if not wants_picture or record["error"]:
            return SecondLook(video_sha256(FoundVideo(Location(path)))[0])
        content = read_file(Location(path), limits.max_bytes)
    except (ImageReadError, VideoReadError) as error:
        return SecondLook(note=f"could not be read again: {error}")
    if content.sha256 != before:
        return SecondLook(content.sha256)
    picture = thumbnail(content.content, THUMBNAIL_PX, limits)
    return SecondLook(content.sha256, picture=None if picture is None else jpeg_uri(picture))


def look_at_video_again(record: dict[str, Any], found: FoundVideo | None, picture: str | None) -> SecondLook:
    """Hash a video file, or the frames that its folder had, again.

    Parameters
    ----------
    record : dict
        Its record.
    found : FoundVideo or None
        The video as it was found; None if only its record is known.
    picture : str or None
        The picture that the scan itself made.
    """
    if record["sha256"] is None:
        return SecondLook(note=NEVER_READ, picture=picture)
    try:
        return SecondLook(video_sha256(found or FoundVideo(Location(record["path"])))[0], picture=picture)
    except VideoReadError as error:
        return SecondLook(note=f"could not be read again: {error}", picture=picture)


def jpeg_uri(jpeg: bytes) -> str:
    """Return a picture as a data URI."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
