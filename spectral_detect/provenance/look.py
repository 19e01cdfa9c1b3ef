"""Look at a file, and gather what it says of its origin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spectral_detect.provenance.c2pa_manifest import manifest_findings
from spectral_detect.provenance.exif import ExifReader
from spectral_detect.provenance.fields import MOST_OF_FILE, MOST_TEXT, Field, Segment
from spectral_detect.provenance.findings import Finding, Provenance, gathered, shown
from spectral_detect.provenance.markers import recognised
from spectral_detect.provenance.packets import iptc_fields, xmp_fields
from spectral_detect.provenance.segments import segments_of
from spectral_detect.provenance.source_types import source_type
from spectral_detect.sources.pillow import quiet_pillow

CAMERA = ("Make", "Model")
TOOLS = ("Software", "CreatorTool")
DATES = {"DateTimeOriginal": "taken", "DateTime": "written", "CreateDate": "created"}


def look(content: bytes, trust_anchors: str = "") -> Provenance:
    """Return what stands in the bytes of an image file about its origin.

    What is damaged in its metadata counts as absent, and nothing in it makes this fail.

    Parameters
    ----------
    content : bytes
        The whole file.
    trust_anchors : str
        PEM certificates of those whose signatures of C2PA manifests are trusted.
    """
    with quiet_pillow():
        return gathered(_findings(content, trust_anchors))


def _findings(content: bytes, trust_anchors: str) -> Iterator[Finding]:
    try:
        yield from _of_file(content, trust_anchors)
    except Exception as error:  # hostile bytes may make a reader raise anything; what was found before stays
        yield Finding("note", f"the rest of the metadata cannot be read ({type(error).__name__})", "file")


def _of_file(content: bytes, trust_anchors: str) -> Iterator[Finding]:
    left = MOST_OF_FILE
    for segment in _all_segments(content):
        if segment.kind == "c2pa":
            yield from manifest_findings(segment, content, trust_anchors)
        elif left > 0:
            fields = _fields_of(segment)
            left -= sum(len(field.text) for field in fields)
            yield from field_findings(fields)
    if left <= 0:
        yield Finding(
            "note", "its metadata are longer than any camera's or program's: only their start was read", "file"
        )


def _all_segments(content: bytes) -> Iterator[Segment]:
    """Yield the segments of a file, and behind a TIFF directory those that stand in its tags."""
    for segment in segments_of(content):
        yield segment
        if segment.key == "TIFF":
            yield from ExifReader(segment).segments()


def _fields_of(segment: Segment) -> list[Field]:
    if segment.kind == "exif":
        return list(ExifReader(segment).fields())
    if segment.kind == "xmp":
        return list(xmp_fields(segment))
    return list(iptc_fields(segment)) if segment.kind == "iptc" else [_as_field(segment)]


def _as_field(segment: Segment) -> Field:
    """Return a PNG text or a JPEG comment; either may be in UTF-8 although only some may by their standards."""
    body = segment.body[:MOST_TEXT]
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    return Field(segment.key or "comment", text.strip("\0 "), segment.place)


def field_findings(fields: Iterable[Field]) -> Iterator[Finding]:
    """Yield what the fields of one block of metadata say."""
    camera: list[Field] = []
    for field in fields:
        if field.key == "DigitalSourceType":
            words, says = source_type(field.text)
            yield Finding("source type", words, field.place, says)
        elif program := recognised(field.key, field.text):
            yield Finding("generator" if program[1] else "note", program[0], field.place, program[1])
        elif field.key in TOOLS:
            yield Finding("software", f"software {shown(field.text)}", field.place)
        elif field.key in DATES:
            yield Finding("date", f"{DATES[field.key]} {shown(field.text)}", field.place)
        elif field.key in CAMERA:
            camera.append(field)
    if camera:
        yield _camera(camera)


def _camera(fields: list[Field]) -> Finding:
    """Return the camera, whose maker often stands before the model as well."""
    make, model = (next((f.text for f in fields if f.key == key), "") for key in CAMERA)
    name = model if model.lower().startswith(make.lower().split(" ")[0]) and model else f"{make} {model}"
    return Finding("camera", f"camera {shown(name)}", fields[0].place)
