"""Many files become a stream of records of what each says of its origin."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from spectral_detect._version import __version__
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.task import Cost
from spectral_detect.parallel.work import Work, work_through
from spectral_detect.provenance.findings import Depth, Provenance
from spectral_detect.records import ProvenanceRecord
from spectral_detect.sources.discovery import FoundFile


@dataclass(frozen=True)
class ProvenanceReader:
    """Reads what a file says of its origin: a task for workers.

    Attributes
    ----------
    depth : {"header", "full"}
        How far to look.
    limits : Limits
        What is refused.
    trust_anchors : str
        PEM certificates of those whose signatures of C2PA manifests are trusted.
    """

    depth: Depth = "full"
    limits: Limits = field(default_factory=Limits)
    trust_anchors: str = ""

    cost: Cost = field(default="short", init=False)

    def __call__(self, found: FoundFile) -> ProvenanceRecord:
        """Return the record of a file; what its bytes say is in it even if its picture is damaged."""
        extractor = Extractor(None, limits=self.limits, provenance=self.depth, trust_anchors=self.trust_anchors)
        (image,) = extractor.of_file(found)
        said = image.provenance or Provenance()
        return ProvenanceRecord(
            path=image.path,
            sha256=image.sha256,
            size_bytes=image.size_bytes,
            mtime_ns=image.mtime_ns,
            format=image.format,
            says_generated=said.says_generated,
            findings=tuple(finding.to_dict() for finding in said.findings),
            tool_version=__version__,
            error=image.error,
        )

    def failed(self, found: FoundFile, reason: str) -> ProvenanceRecord:
        """Return the record of a file that could not be read, and why."""
        return ProvenanceRecord(found.path, None, None, None, None, None, (), __version__, reason)


def read_provenance(
    files: Iterable[FoundFile], reader: ProvenanceReader, work: Work | None = None
) -> Generator[ProvenanceRecord, None, None]:
    """Yield the record of each file, in the order given; `files` is consumed lazily."""
    return work_through(reader, files, work or Work())
