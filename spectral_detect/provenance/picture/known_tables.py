"""Tell whose quantisation tables a JPEG has: Photoshop's, as Pillow holds them, or those that `known_tables.tsv` lists.

The columns of the table: `signatures` (of the tables; where JPEGsnoop is the source both that it has, of the tables and
of the tables turned by a quarter, for its list does not tell which is which), `whose` (the camera or program), `also`
(who else uses them), `source` (where this can be looked up, or how many files it was measured on). Whoever wants can
save a JPEG with the tables of another program, and many share theirs: a match is no proof.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast

from PIL.JpegPresets import presets

TABLE = Path(__file__).with_name("known_tables.tsv")
Tables = Sequence[Sequence[int]]


def signature_of(tables: Tables) -> str:
    """Return the signature of quantisation tables by which JPEGsnoop lists them, in hexadecimal digits.

    Parameters
    ----------
    tables : sequence of sequences of int
        In the order of their numbers, each 64 values in rows.

    Notes
    -----
    The MD5 of a text that names each table and its values in three digits; "01", the version of the signature, stands
    in place of its first byte (source/JfifDecode.cpp of JPEGsnoop 1.8.0).
    """
    values = "".join(f"*DQT{k}," + "".join(f"{value:03d}," for value in table) for k, table in enumerate(tables))
    digest = hashlib.md5(f"JPEGsnoop{values}*END".encode("ascii"), usedforsecurity=False).hexdigest()
    return f"01{digest[2:].upper()}"


def program_of(tables: Tables) -> str | None:
    """Return the camera or program whose quantisation tables these are, in words; None if it is not known."""
    return _of_photoshop().get(_frozen(tables)) or _listed().get(signature_of(tables))


@cache
def _listed() -> dict[str, str]:
    """Return signature -> whose tables they are, and who else uses them."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {
        signature: line["whose"] + f", also used by {line['also']}" * bool(line["also"])
        for line in lines
        for signature in line["signatures"].split()
    }


@cache
def _of_photoshop() -> dict[tuple[tuple[int, ...], ...], str]:
    """Return the tables of Photoshop, as Pillow's `JpegPresets` holds them, with what they are called there."""
    names = {name: f"Photoshop, {name.removeprefix('web_')}" for name in presets if name != "keep"}
    names |= {name: f"Photoshop, save for web, {name.removeprefix('web_')}" for name in presets if "web_" in name}
    return {_frozen(cast(list[list[int]], presets[name]["quantization"])): title for name, title in names.items()}


def _frozen(tables: Tables) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(table) for table in tables)
