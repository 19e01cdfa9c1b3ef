"""Part files among many machines by a hash of each path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b

MOST_SHARDS = 1_000_000


def path_bytes(path: str) -> bytes:
    """Return the bytes of a path, the same on every machine; a path that no file can have keeps its lone surrogates."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")


def path_hash(path: str) -> int:
    """Return 64 bits of BLAKE2b over a path; Python's `hash` differs from run to run."""
    return int.from_bytes(blake2b(path_bytes(path), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Shard:
    """One of `total` parts of any set of files, numbered from 1.

    A file's part depends on its path and on nothing else: not on its neighbours, the order or the machine. A file that
    comes or goes between two starts (the tasks of a queue start hours apart, or are repeated) moves no other file;
    dealing files out in turn would, and some would be lost and others scanned twice. In return the parts are only
    about equal: n / total of n files, give or take the square root of that.
    """

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `I/N`.

        Raises
        ------
        ValueError
            The text is something else.
        """
        number, slash, total = text.partition("/")
        if not (slash and number.isdecimal() and total.isdecimal() and len(text) < 20):
            raise ValueError(f"{text!r} is not I/N, such as 1/8")
        shard = cls(int(number), int(total))
        if not 1 <= shard.number <= shard.total <= MOST_SHARDS:
            raise ValueError(f"{text!r}: I goes from 1 to N, and N to {MOST_SHARDS}")
        return shard

    def holds(self, path: str) -> bool:
        """Return whether the file of this path belongs to the part."""
        return path_hash(path) % self.total == self.number - 1
