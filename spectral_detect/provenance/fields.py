"""The vocabulary between readers of containers and the table of markers."""

from __future__ import annotations

from typing import NamedTuple

MOST_TEXT = 2**18  # characters of one text that are looked at
MOST_OF_FILE = 2**21  # of all texts of a file that are looked at
MOST_BYTES = 2**20  # of one segment that are looked at
MOST_OF_MANIFEST = 2**25 + 1  # of a C2PA manifest; what is longer is not read
MOST_SEGMENTS = 200  # with metadata, of one file


class Segment(NamedTuple):
    """A part of a file that holds metadata.

    Attributes
    ----------
    kind : str
        "exif", "xmp", "iptc", "text", "comment" or "c2pa".
    place : str
        Where it stands, such as "PNG chunk iTXt at byte 33".
    body : bytes
        What it holds, without the container's own header.
    key : str
        The keyword of a text.
    """

    kind: str
    place: str
    body: bytes
    key: str = ""


class Field(NamedTuple):
    """A named text in a file's metadata.

    Attributes
    ----------
    key : str
        Its name in its standard, such as "Software" in EXIF, or the keyword of a PNG text.
    text : str
        What it holds; still as the file has it, so it must not be printed.
    place : str
        Where it stands.
    """

    key: str
    text: str
    place: str
