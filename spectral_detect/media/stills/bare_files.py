"""Leave out of an image file what is not the picture, so that broken metadata cannot refuse sound pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import PIL.Image

from spectral_detect.media.stills.bitmap_runs import without_runs
from spectral_detect.media.stills.jpeg_segments import ADOBE, COMMENT, EXIF, JFIF, LAST_APP, SOS, STANDALONE_MARKERS
from spectral_detect.media.stills.png_chunks import SIGNATURE, picture_of_png

JPEG_START, TIFF_STARTS = b"\xff\xd8\xff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

WEBP_PICTURE = frozenset((b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"))
WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # ICC profile, EXIF, XMP (RFC 9649, 2.7)

# TIFF 6.0: the tags without which the pixels cannot be read; orientation and DNG's version beside
TIFF_PICTURE = frozenset(
    (254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332,
     338, 339, 347, *range(512, 522), 529, 530, 532, 33421, 33422, 50706)
)  # fmt: skip
APART = 2  # value of TIFF_PLANES
TIFF_SAMPLES, TIFF_PLANES, WHOLE_NUMBERS = 277, 284, {3: "H", 4: "L"}
MOST_TAGS = 2**16 - 1  # of a classic file; BigTIFF counts further
TIFF_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # bytes of a value of each type


def picture_of(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return an image file without the parts that would spoil the picture though they are not of it, and a note of it.

    A bitmap in run-length coding comes without it.

    Raises
    ------
    ImageReadError
        See `picture_of_png` and `without_runs`.
    """
    if content.startswith(SIGNATURE):
        return picture_of_png(content)
    if content.startswith(TIFF_STARTS):  # Pillow stops at the first tag that it cannot read, and misses the others
        return _tiff_without(content, only_broken=True), ()
    return without_runs(content), ()


def bare_picture_of(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return an image file without its metadata, as far as they can be told from the picture, and a note of it."""
    if content.startswith(SIGNATURE):
        return picture_of_png(content, bare=True)
    if content.startswith(JPEG_START):
        return _bare_jpeg(content), ()
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _bare_webp(content), ()
    return (_tiff_without(content, only_broken=False) if content.startswith(TIFF_STARTS) else content), ()


def _bare_jpeg(content: bytes) -> bytes:
    """Return a JPEG file without comments and application data, but for those that tell its colours or are sound."""
    kept, at = [content[:2]], 2
    while 0 <= (at := content.find(b"\xff", at)) < len(content) - 4:
        marker = content[at + 1]
        if marker in STANDALONE_MARKERS or marker in (0, 0xFF):
            at += 1 if marker == 0xFF else 2
            continue
        if marker == SOS:
            return b"".join((*kept, content[at:]))
        end = at + 2 + int(struct.unpack(">H", content[at + 2 : at + 4])[0])
        if _is_needed(marker, content[at + 4 : end]):
            kept.append(content[at:end])
        at = end
    return content


def _is_needed(marker: int, body: bytes) -> bool:
    """Tell whether a segment of a JPEG file is needed for its picture, or is EXIF that can be read."""
    if marker == JFIF:
        return body.startswith(b"JFIF\0") and len(body) >= 14
    if marker == ADOBE:
        return body.startswith(b"Adobe") and len(body) >= 12
    if marker == EXIF:
        return body.startswith(b"Exif\0\0") and _is_sound_exif(body)
    return not (JFIF <= marker <= LAST_APP or marker == COMMENT)


def _is_sound_exif(body: bytes) -> bool:
    try:
        exif = PIL.Image.Exif()
        exif.load(body)
        return bool(dict(exif))
    except Exception:  # whatever hostile bytes make of it
        return False


def _bare_webp(content: bytes) -> bytes:
    """Return a WebP file without ICC profile, EXIF, XMP and unknown chunks."""
    kept: list[bytes] = []
    at = 12
    while at + 8 <= len(content):
        kind, size = content[at : at + 4], int(struct.unpack("<I", content[at + 4 : at + 8])[0])
        end = at + 8 + size + size % 2
        if kind == b"VP8X" and size:
            flags = content[at + 8] & ~WEBP_METADATA_FLAGS
            kept.append(content[at : at + 8] + bytes((flags,)) + content[at + 9 : end])
        elif kind in WEBP_PICTURE:
            kept.append(content[at:end])
        at = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@dataclass(frozen=True)
class _Tag:
    """An entry of a TIFF directory as stored.

    Attributes
    ----------
    number : int
        Which tag.
    entry : bytes
        All of it.
    is_whole : bool
        Whether what it points to lies in the file.
    whole_number : int
        Its value if that is one whole number, else 0.
    """

    number: int
    entry: bytes
    is_whole: bool
    whole_number: int


def _tiff_without(content: bytes, *, only_broken: bool) -> bytes:
    """Return a TIFF file whose first directory lacks the tags that are not of the picture, or only the broken ones."""
    try:
        layout = _Layout(content)
        tags = list(layout.tags(content))
    except struct.error:  # it ends before its directory does
        return content
    kept = [tag for tag in tags if tag.number in TIFF_PICTURE or (only_broken and tag.is_whole)]
    if all(tag.whole_number == 1 for tag in tags if tag.number == TIFF_SAMPLES):
        kept = [tag for tag in kept if (tag.number, tag.whole_number) != (TIFF_PLANES, APART)]  # Pillow misreads one
    return content if len(kept) in (0, len(tags)) else layout.with_tags(content, kept, len(tags))


class _Layout:
    """The byte order and the widths of a TIFF file, classic or BigTIFF, and where its first directory is."""

    def __init__(self, content: bytes) -> None:
        self._order = "<" if content[:2] == b"II" else ">"
        is_big = 43 in content[2:4]
        self._count, self._entry, self._offset = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHL4s", "L")
        self._header = 8 if is_big else 4
        (self._start,) = struct.unpack_from(self._order + self._offset, content, self._header)

    def tags(self, content: bytes) -> Iterator[_Tag]:
        """Yield the entries of the first directory."""
        (count,) = struct.unpack_from(self._order + self._count, content, self._start)
        if count > MOST_TAGS:
            raise struct.error("no directory has so many entries")
        width = struct.calcsize(self._order + self._entry)
        inline = struct.calcsize(self._order + self._offset)
        for k in range(count):
            at = self._start + struct.calcsize(self._order + self._count) + k * width
            number, kind, n, value = struct.unpack_from(self._order + self._entry, content, at)
            size = n * (TIFF_SIZES[kind] if kind < len(TIFF_SIZES) else 0)
            offset = struct.unpack(self._order + self._offset, value)[0] if size > inline else 0
            letter = WHOLE_NUMBERS.get(kind) if n == 1 else None
            whole = struct.unpack_from(self._order + letter, value)[0] if letter else 0
            yield _Tag(number, content[at : at + width], offset + size <= len(content), whole)

    def with_tags(self, content: bytes, tags: list[_Tag], n_before: int) -> bytes:
        """Return the file with another first directory, at its end, in place of one of `n_before` tags."""
        start = len(content) + len(content) % 2
        directory = struct.pack(self._order + self._count, len(tags)) + b"".join(tag.entry for tag in tags)
        first = struct.pack(self._order + self._offset, start)
        head = content[: self._header] + first
        after = self._start + struct.calcsize(self._order + self._count) + n_before * len(tags[0].entry)
        following = content[after : after + len(first)].ljust(len(first), b"\0")
        if struct.unpack(self._order + self._offset, following)[0] == self._start:
            following = bytes(len(first))  # a directory that leads to itself is the last one
        return b"".join((head, content[len(head) :], bytes(start - len(content)), directory, following))
