"""The results that the program hands out, as frozen records of plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

REAL, FAKE = 0, 1
LABELS = {"real": REAL, "fake": FAKE}

Verdict = Literal["real", "fake", "inconclusive"]

IMAGE_SCHEMA = "spectral-detect/image/1"


@dataclass(frozen=True)
class ImageRecord:
    """One scanned image. A file that could not be read has an `error` and neither verdict nor score.

    Attributes
    ----------
    path : as found; bytes that are not UTF-8 stand as lone surrogates (`os.fsdecode`).
    width, height : pixels, as displayed (after the EXIF orientation).
    label : REAL (0), FAKE (1), or None without a verdict or with an inconclusive one.
    score : 0 to 1, higher is more fake; the verdict is "fake" where score >= threshold.
    log10_likelihood_ratio : decimal logarithm of p(image | fake) / p(image | real), no stronger than the training
        images support; None where the model's scores are not calibrated. `posterior` is the probability of fake at the
        prevalence that the scan was given, None without one.
    model : name of the model that judged it, with its threshold; None for a file that a scan which picks its models
        could not read. `model_sha256` is the hash of its file, `spec_sha256` of its features.
    """

    path: str
    sha256: str | None
    size_bytes: int | None
    mtime_ns: int | None
    width: int | None
    height: int | None
    format: str | None
    verdict: Verdict | None
    label: int | None
    score: float | None
    threshold: float | None
    model: str | None
    model_sha256: str | None
    spec_sha256: str
    tool_version: str
    log10_likelihood_ratio: float | None = None
    posterior: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the order of the columns."""
        return {"schema": IMAGE_SCHEMA, **asdict(self), "warnings": list(self.warnings)}


IMAGE_COLUMNS = ("schema", *ImageRecord.__dataclass_fields__)
