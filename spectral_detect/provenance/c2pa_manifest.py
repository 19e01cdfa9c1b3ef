"""Find a C2PA manifest, and read it where the library for it is installed."""

from __future__ import annotations

from collections.abc import Iterator

from spectral_detect.provenance.fields import Segment
from spectral_detect.provenance.findings import Finding
from spectral_detect.provenance.source_types import SOURCE_TYPES, source_type

MISSING = "not validated: install the extra that reads it, pip install 'spectral-detect[c2pa]'"
TERM_START = b"/digitalsourcetype/"
MOST_TERMS = 20


def manifest_findings(segment: Segment, content: bytes) -> Iterator[Finding]:
    """Yield what a manifest says.

    Parameters
    ----------
    segment : Segment
        The manifest as it stands in the file.
    content : bytes
        The whole file, whose hash the manifest holds.
    """
    if b"jumb" not in segment.body[:64] and b"c2pa" not in segment.body[:256]:
        return
    yield Finding("C2PA", f"holds a C2PA manifest, {MISSING}", segment.place)
    yield from _words(segment)


def _words(segment: Segment) -> Iterator[Finding]:
    """Yield the source types that stand in a manifest as plain text, which is not validated."""
    terms: set[str] = set()
    at = segment.body.find(TERM_START)
    while at >= 0 and len(terms) < MOST_TERMS:
        start = at + len(TERM_START)
        tail = segment.body[start : start + 64]
        term = next((t for t in sorted(SOURCE_TYPES, key=len, reverse=True) if tail.startswith(t.encode())), None)
        terms |= {term} if term else set()
        at = segment.body.find(TERM_START, start)
    for term in sorted(terms):
        words, says = source_type(term)
        yield Finding("source type", f"{words} (in the C2PA manifest, not validated)", segment.place, says)
