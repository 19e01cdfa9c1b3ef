"""What a video says of its own origin: in its container's metadata, and in the bytes of the file or of its frames."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from spectral_detect.errors import ImageReadError
from spectral_detect.provenance.fields import MOST_TEXT, Field
from spectral_detect.provenance.findings import Finding, Provenance, gathered
from spectral_detect.provenance.look import field_findings, look
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file

LARGEST = 2**26  # bytes of a file that is looked at whole; of a larger one the container's metadata alone
MOST_FRAMES = 100  # of a folder that are looked at
KEYS = {  # by the last part of the name: com.apple.quicktime.make, com.android.manufacturer
    "encoder": "Software",
    "software": "Software",
    "make": "Make",
    "manufacturer": "Make",
    "model": "Model",
    "creation_time": "CreateDate",
    "creationdate": "CreateDate",
}


def video_provenance(
    found: FoundVideo, tags: Iterable[tuple[str, str]], judged: Iterable[int] = (), trust_anchors: str = ""
) -> Provenance:
    """Return what a video says of its own origin.

    Parameters
    ----------
    found : FoundVideo
        The file, or the folder of frames.
    tags : iterable of (str, str)
        `VideoFacts.tags`.
    judged : iterable of int
        The frames that were looked at; of a folder, at most `MOST_FRAMES` of them are read for it.
    trust_anchors : str
        PEM certificates of those whose signatures of C2PA manifests are trusted.
    """
    if not found.frames:
        return gathered([*field_findings(_fields(tags)), *_in_file(found.path, trust_anchors)])
    chosen = list(dict.fromkeys(judged))[:MOST_FRAMES]
    return gathered(finding for index in chosen for finding in _in_file(found.frames[index], trust_anchors))


def _fields(tags: Iterable[tuple[str, str]]) -> list[Field]:
    """Return the fields by the names that stills have for them."""
    return [
        Field(KEYS.get(name.lower().rpartition(".")[2], name), text[:MOST_TEXT], f"container, {name!a}")
        for name, text in tags
    ]


def _in_file(path: str, trust_anchors: str) -> Iterator[Finding]:
    """Yield what the bytes of a file say, if it is not too large; nothing if it cannot be read, as its record tells."""
    try:
        if os.path.getsize(path) <= LARGEST:
            yield from look(read_file(Location(path), LARGEST).content, trust_anchors).findings
        else:
            yield Finding("note", f"not searched for C2PA: larger than {LARGEST // 2**20} MB", "file")
    except (OSError, ValueError, ImageReadError):
        return
