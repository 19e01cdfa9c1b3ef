"""Tell a text in another encoding than UTF-8, the only one that lists and manifests are read in."""

from __future__ import annotations

import codecs

BOM = codecs.BOM_UTF8
MARKS = (  # UTF-32 first: its mark begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
LOOKED_AT = 4096  # bytes
MANY = 16  # names of one character each, parted by NULs, would look the same
LEAST_SHARE = 0.5  # of the characters: paths are ASCII for the most part


def wide_encoding(start: bytes) -> str | None:
    """Return "UTF-16", "UTF-32" or the like if the first bytes of a text are in it, with a byte order mark or without.

    Without a mark, most characters have their NULs in the same places, and there is an end of line among them, or they
    are many; so names that are parted by NULs are taken for what they are.
    """
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding
    for width, encoding in ((4, "UTF-32"), (2, "UTF-16")):
        units = [start[at : at + width] for at in range(0, min(len(start), LOOKED_AT) - width + 1, width)]
        for little in (True, False):
            padding = bytes(width - 1)
            ascii_units = [unit for unit in units if (unit[1:] if little else unit[:-1]) == padding and any(unit)]
            newline = b"\n" + padding if little else padding + b"\n"
            is_text = newline in ascii_units or len(ascii_units) >= MANY
            if is_text and len(ascii_units) > LEAST_SHARE * len(units):
                return encoding + ("LE" if little else "BE")
    return None


def how_to_convert(encoding: str) -> str:
    """Return what to do with a text in another encoding, as the remedy of an error."""
    return f"save it as UTF-8, for example with iconv -f {encoding} -t UTF-8"


def is_not_utf8(text: str) -> bool:
    """Tell whether text was decoded from bytes that are not UTF-8 (see `os.fsdecode`)."""
    return any("\udc80" <= character <= "\udcff" for character in text)
