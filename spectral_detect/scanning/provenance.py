"""Many files become a stream of records of what each says of its origin."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

from spectral_detect._version import __version__
from spectral_detect.errors import VideoReadError
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.header import VIDEO_FORMAT
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import FrameOptions, open_video
from spectral_detect.media.video_files.ffmpeg import container_tags
from spectral_detect.parallel.task import Cost
from spectral_detect.parallel.work import Work, work_through
from spectral_detect.provenance.findings import Depth, Provenance
from spectral_detect.records import ProvenanceRecord
from spectral_detect.scanning.video_provenance import video_provenance
from spectral_detect.sources.discovery import FoundFile, FoundVideo
from spectral_detect.sources.formats import holds_video
from spectral_detect.sources.reading import hash_video


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
        if not found.location.is_remote and found.problem is None and holds_video(found.path):
            return self._of_video(FoundVideo(found.location))
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

    def _of_video(self, found: FoundVideo) -> ProvenanceRecord:
        """Return the record of a video file; its frames are not looked at, but for the first."""
        facts: dict[str, Any] = {"sha256": None, "size_bytes": None, "mtime_ns": None}
        tags: tuple[tuple[str, str], ...] = ()
        error = None
        try:
            facts = hash_video(found).facts
            tags = container_tags(found.path)
            with open_video(found, FrameOptions(n_frames=1), max_pixels=self.limits.max_pixels) as video:
                tags = video.facts.tags
        except VideoReadError as why:
            error = str(why)
        said = video_provenance(found, tags, trust_anchors=self.trust_anchors)
        return ProvenanceRecord(
            path=found.path,
            **facts,
            format=None if error else VIDEO_FORMAT,
            says_generated=said.says_generated,
            findings=tuple(finding.to_dict() for finding in said.findings),
            tool_version=__version__,
            error=error,
        )

    def failed(self, found: FoundFile, reason: str) -> ProvenanceRecord:
        """Return the record of a file that could not be read, and why."""
        return ProvenanceRecord(found.path, None, None, None, None, None, (), __version__, reason)


def read_provenance(
    files: Iterable[FoundFile], reader: ProvenanceReader, work: Work | None = None
) -> Generator[ProvenanceRecord, None, None]:
    """Yield the record of each file, in the order given; `files` is consumed lazily."""
    return work_through(reader, files, work or Work())
