"""Hash files, and do nothing else with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spectral_detect.errors import ImageReadError
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.task import Cost
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.reading import read_file


@dataclass(frozen=True)
class Hashed:
    """The hash and the size of a file, or why it could not be read; of a folder of frames, name and hash of each."""

    sha256: str | None = None
    size_bytes: int | None = None
    error: str | None = None
    files: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, named as in records."""
        return {"sha256": self.sha256, "size_bytes": self.size_bytes, "error": self.error}


@dataclass(frozen=True)
class Hasher:
    """Hashes a file: a task for workers.

    Attributes
    ----------
    limits : Limits
        What is refused.
    """

    limits: Limits = field(default_factory=Limits)

    cost: Cost = field(default="short", init=False)

    def __call__(self, found: FoundFile) -> Hashed:
        """Read and hash a file; whatever is wrong with it becomes `Hashed.error`."""
        if found.problem:
            return Hashed(error=found.problem)
        try:
            read = read_file(found.location, self.limits.max_bytes)
        except (ImageReadError, MemoryError) as error:
            return Hashed(error=str(error) or "not enough memory")
        return Hashed(read.sha256, len(read.content))

    def failed(self, found: FoundFile, reason: str) -> Hashed:
        """Return the result of a file that could not be read for this reason."""
        return Hashed(error=reason)
