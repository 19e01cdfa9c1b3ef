"""Leave in a PNG file only its picture and the metadata that are read: no other chunk can then refuse the picture."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from spectral_detect.errors import ImageReadError
from spectral_detect.media.stills.remedies import INTACT_COPY

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CRITICAL = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND"))
ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
TEXT = frozenset((b"tEXt", b"zTXt", b"iTXt"))
TEXTS_READ = frozenset((b"Software", b"XML:com.adobe.xmp", b"Raw profile type exif"))
LONGEST_TEXT = 2**20  # Pillow refuses a picture for more
MOST_AT_ONCE = 2**20  # bytes
MOST_CHUNKS = 200_000  # 1.6 GB in pieces of the usual length
KEY_BYTES = {0: (2,), 2: (6,), 3: range(1, 257)}  # length of tRNS by colour type (PNG, third edition, 11.3.1.1)

NO_TRANSPARENCY = "its transparency is damaged: judged as if it were opaque"
NO_ANIMATION = "its animation is damaged: only the still picture in it is judged"


@dataclass(frozen=True)
class Chunk:
    """Where a chunk lies in a file: its name, its first byte (that of its length) and the byte after it."""

    kind: bytes
    start: int
    end: int

    def body(self, content: bytes) -> bytes:
        """Return what it holds."""
        return content[self.start + 8 : self.end - 4]

    def is_sound(self, content: bytes) -> bool:
        """Tell whether its checksum is right."""
        with memoryview(content) as view:
            found = zlib.crc32(view[self.start + 4 : self.end - 4])
        return found == int(struct.unpack(">I", content[self.end - 4 : self.end])[0])


def picture_of_png(content: bytes, *, bare: bool = False) -> tuple[bytes, tuple[str, ...]]:
    """Return a PNG file without the chunks that nobody reads, or that are damaged, and what to say of those.

    Parameters
    ----------
    content : bytes
        The whole file.
    bare : bool
        Whether the metadata and the animation are left out even if they look sound.

    Raises
    ------
    ImageReadError
        The image data have a bad checksum, or are of Apple's variant, which no other decoder reads.
    """
    chunks = list(chunks_of(content))
    dropped = {chunk for chunk in chunks if not _is_kept(chunk, content, bare)}
    if any(chunk.kind in ANIMATION for chunk in dropped):
        dropped |= {chunk for chunk in chunks if chunk.kind in ANIMATION}
    lost = {chunk.kind for chunk in dropped}
    notes: tuple[str, ...] = (NO_TRANSPARENCY,) if b"tRNS" in lost else ()
    notes += (NO_ANIMATION,) if lost & ANIMATION else ()
    end = chunks[-1].end if chunks else len(SIGNATURE)
    rest = b"" if _is_cut_after_picture(content, chunks, end) else content[end:]
    if not dropped and len(rest) == len(content) - end:
        return content, notes
    kept = (content[chunk.start : chunk.end] for chunk in chunks if chunk not in dropped)
    return b"".join((SIGNATURE, *kept, rest)), notes


def chunks_of(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks that are there in full, up to the end of the picture.

    Raises
    ------
    ImageReadError
        If there are more than `MOST_CHUNKS`: only a crafted file is cut so small.
    """
    at = len(SIGNATURE)
    for number in count():
        if at + 12 > len(content):
            return
        if number == MOST_CHUNKS:
            raise ImageReadError(f"PNG: more than {MOST_CHUNKS} chunks", remedy=INTACT_COPY)
        end = at + 12 + int(struct.unpack(">I", content[at : at + 4])[0])
        if end > len(content):
            return
        yield Chunk(content[at + 4 : at + 8], at, end)
        if content[at + 4 : at + 8] == b"IEND":
            return
        at = end


def _is_kept(chunk: Chunk, content: bytes, bare: bool) -> bool:
    kind = chunk.kind
    if kind == b"CgBI":
        raise ImageReadError("PNG: Apple's own variant (CgBI) is not supported", remedy="convert it to plain PNG")
    if kind == b"fdAT":
        return not bare  # later frames: not judged
    if kind == b"IDAT" and not chunk.is_sound(content):
        raise ImageReadError("PNG: the image data have a bad checksum", remedy=INTACT_COPY)
    if kind in CRITICAL or not kind.isalpha() or kind[:1].isupper():
        return True
    if kind == b"tRNS":
        allowed = KEY_BYTES.get(content[25], range(2**31))
        return chunk.is_sound(content) and len(chunk.body(content)) in allowed
    return not bare and _is_read(kind, chunk.body(content)) and chunk.is_sound(content)


def _is_read(kind: bytes, body: bytes) -> bool:
    """Tell whether an ancillary chunk is metadata that this package reads, and no longer than Pillow allows."""
    if kind in TEXT:
        return body.partition(b"\0")[0] in TEXTS_READ and len(body) <= LONGEST_TEXT
    return kind == b"eXIf" or kind in ANIMATION


def _is_cut_after_picture(content: bytes, chunks: list[Chunk], end: int) -> bool:
    """Tell whether a file is cut in a chunk that is not the picture, or adds nothing to it."""
    kind = content[end + 4 : end + 8]
    if kind == b"IDAT":
        return _holds_all_pixels(content, chunks)
    return len(kind) == 4 and kind.isalpha() and kind[:1].islower() and kind != b"tRNS"


def _holds_all_pixels(content: bytes, chunks: list[Chunk]) -> bool:
    """Tell whether the compressed pixels end within these chunks."""
    stream = zlib.decompressobj()
    try:
        for chunk in chunks:
            piece = chunk.body(content) if chunk.kind == b"IDAT" else b""
            while piece and not stream.eof:
                stream.decompress(piece, MOST_AT_ONCE)
                piece = stream.unconsumed_tail
    except zlib.error:
        return False
    return stream.eof
