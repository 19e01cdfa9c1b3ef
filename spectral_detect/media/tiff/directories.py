"""Read the directories of a TIFF file: its tags, and where its images are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL.TiffImagePlugin import PREFIXES, ImageFileDirectory_v2

# TIFF 6.0 (1992), section 8, and supplement 1
NEW_SUBFILE_TYPE, SUB_DIRECTORIES = 254, 330
REDUCED = 1  # bit of NEW_SUBFILE_TYPE: a smaller version of another image of the file
BIG_TIFF = 43
MOST_DIRECTORIES = 64


@dataclass(frozen=True)
class Directory:
    """The tags of one image of a TIFF file.

    Attributes
    ----------
    tags : ImageFileDirectory_v2
        By number, as Pillow reads them.
    has_next : bool
        Whether another page is announced behind it.
    is_unknown_to_pillow : bool
        Whether the file is a BigTIFF of the byte order that Pillow does not open.
    """

    tags: ImageFileDirectory_v2
    has_next: bool
    is_unknown_to_pillow: bool = False

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag; none if it is missing or holds something else."""
        value: Any = self.tags.get(tag)
        found = value if isinstance(value, tuple) else (value,)
        return found if all(isinstance(number, int) for number in found) else ()

    def number(self, tag: int, default: int) -> int:
        """Return the first whole number of a tag."""
        return next(iter(self.numbers(tag)), default)

    def text(self, tag: int) -> str:
        """Return the text of a tag; empty if it is missing or holds something else."""
        value: Any = self.tags.get(tag)
        return value if isinstance(value, str) else ""

    @property
    def is_reduced(self) -> bool:
        """Tell whether the image calls itself a smaller version of another one."""
        return bool(self.number(NEW_SUBFILE_TYPE, 0) & REDUCED)


def read_directories(content: bytes) -> list[Directory]:
    """Return the directories of a TIFF file, the first page's first; none if the content is no TIFF file.

    Sub-directories come behind the directory that names them. Damaged ones are left out, and so is what is beyond
    `MOST_DIRECTORIES`.
    """
    return list(_walk(content)) if content[:4] in PREFIXES else []


def directory_at(content: bytes, offset: int | None = None) -> ImageFileDirectory_v2:
    """Return the directory of a TIFF file at an offset, by default the first; raises whatever Pillow raises."""
    tags = _unread(content)
    stream = BytesIO(content)
    stream.seek(tags.next if offset is None else offset)
    tags.next = 0  # loading leaves it alone where the directory is cut off
    tags.load(stream)
    return tags


def _unread(content: bytes) -> ImageFileDirectory_v2:
    """Return an empty directory whose `next` is where the first one stands."""
    is_big = BIG_TIFF in content[2:4]
    header = b"II+\0" + content[4:16] if is_big else content[:8]  # so Pillow knows big files, in any byte order
    return ImageFileDirectory_v2(header, content[:2])


def _walk(content: bytes) -> Iterator[Directory]:
    is_unknown_to_pillow = BIG_TIFF in content[2:4] and content[:2] == b"MM"
    waiting, seen = [_unread(content).next], {0}
    while waiting and len(seen) <= MOST_DIRECTORIES:
        offset = waiting.pop()
        if offset in seen or offset >= len(content):
            continue
        seen.add(offset)
        tags = directory_at(content, offset)
        directory = Directory(tags, tags.next not in seen, is_unknown_to_pillow)
        waiting += [tags.next, *reversed(directory.numbers(SUB_DIRECTORIES))]
        yield directory
