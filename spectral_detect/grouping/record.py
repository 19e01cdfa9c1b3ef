"""What is said of an image that was put into a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GROUP_SCHEMA = "spectral-detect/group/1"


@dataclass(frozen=True)
class GroupRecord:
    """Hold the cluster of one image. A file that could not be read has an `error` and no cluster.

    Attributes
    ----------
    path, sha256
        As in `records.ImageRecord`.
    cluster : int or None
        1 for the largest cluster and so on, -1 for an image in none; None for a file that could not be read.
    probability : float or None
        How deep in its cluster the image lies, 0 at the edge to 1 in the densest part; 0 for an image in none.
    spec_sha256 : str
        Hash of the features.
    tool_version : str
        Version of this program.
    error : str or None
        Why the file could not be read.
    """

    path: str
    sha256: str | None
    cluster: int | None
    probability: float | None
    spec_sha256: str
    tool_version: str
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values in the order of the columns."""
        return {"schema": GROUP_SCHEMA, **vars(self)}


GROUP_COLUMNS = ("schema", *GroupRecord.__dataclass_fields__)
