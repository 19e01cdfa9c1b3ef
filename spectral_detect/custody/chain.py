"""The bytes of a manifest: one entry a line, each with the hash of the entry before and its own."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, NoReturn, TypeGuard

SCHEMA = "spectral-detect/manifest/1"
START = "0" * 64  # what the first entry follows
LONGEST_LINE = 2**24  # bytes; a head holds the arguments of a command, of which a system takes some million

Kind = Literal["head", "file", "end"]
CONTENT: dict[str, str] = {"head": "run", "file": "record", "end": "summary"}  # the member that holds it, by kind


class Chain:
    """The entries of a manifest that is being written, in their order.

    Attributes
    ----------
    number : int
        The number of the next entry; the head has 0.
    last_hash : str
        The hash of the last entry.
    """

    def __init__(self) -> None:
        self.number = 0
        self.last_hash = START

    def line(self, kind: Kind, content: dict[str, Any], **others: Any) -> bytes:
        """Return the line of the next entry."""
        entry = {"kind": kind, "number": self.number, "previous": self.last_hash, CONTENT[kind]: content, **others}
        self.last_hash = hash_of(entry)
        self.number += 1
        return canonical(entry | {"hash": self.last_hash}) + b"\n"


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys and no spaces; whatever is not ASCII is escaped.

    Notes
    -----
    ASCII is UTF-8, and only an escape can hold the bytes of a path that are not.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def hash_of(entry: dict[str, Any]) -> str:
    """Return the SHA-256 of an entry without its own hash, in canonical form."""
    return hashlib.sha256(canonical({name: value for name, value in entry.items() if name != "hash"})).hexdigest()


def parsed(line: bytes) -> dict[str, Any]:
    """Return the entry in a line.

    Raises
    ------
    ValueError
        It is no entry; the message says why.
    """
    try:
        entry = json.loads(line.decode("utf-8"), parse_constant=_refuse)
        canonical(entry)
    except (ValueError, RecursionError):  # the errors of JSON and of Unicode are ValueErrors
        raise ValueError("no JSON") from None
    if not isinstance(entry, dict) or entry.get("kind") not in tuple(CONTENT):
        raise ValueError("no entry of a manifest")
    if not (is_count(entry.get("number")) and is_sha256(entry.get("hash")) and is_sha256(entry.get("previous"))):
        raise ValueError("an entry without its number or its hashes")
    if not isinstance(entry.get(CONTENT[entry["kind"]]), dict):
        raise ValueError("an entry without content")
    return entry


def is_sha256(value: object) -> bool:
    """Tell whether a value is a hash in hexadecimal digits."""
    return isinstance(value, str) and len(value) == len(START) and set(value) <= set("0123456789abcdef")


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value is a whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
