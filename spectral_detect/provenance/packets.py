"""Read the properties of XMP and IPTC that tell of an image's origin; no parser is used that XML could trouble."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from spectral_detect.provenance.fields import MOST_TEXT, Field, Segment

# IPTC Photo Metadata Standard 2025.1; XMP specification parts 1 and 2; TC260-PG-20258A (AIGC)
XMP_NAMES = (
    "DigitalSourceType",
    "AISystemUsed",
    "AISystemVersionUsed",
    "AIPromptInformation",
    "AIGC",
    "CreatorTool",
    "Credit",
    "UserComment",
    "parameters",
    "description",
    "softwareAgent",
    "CreateDate",
    "Make",
    "Model",
)
MOST_OF_A_NAME = 20  # a history of edits has one for each step
LONGEST_PROPERTY = 4000  # characters; prompts are long
ATTRIBUTE = re.compile(r"\s*=\s*([\"'])")
RESOURCE = re.compile(r"[^<>]*?\bresource\s*=\s*[\"']([^\"']*)")
TAG = re.compile(r"<[^<>]*>")

# IPTC-NAA Information Interchange Model 4.2, chapter 6
IPTC_NAMES = {
    40: "SpecialInstructions",
    65: "Software",
    105: "Headline",
    110: "Credit",
    115: "Source",
    120: "description",
}
IPTC_RESOURCE, IPTC_MARK, APPLICATION_RECORD = 0x0404, 0x1C, 2
MOST_RECORDS = 1000


def xmp_fields(segment: Segment) -> Iterator[Field]:
    """Yield the properties named in `XMP_NAMES`, as attributes or elements."""
    text = _decoded(segment.body)
    for name in XMP_NAMES:
        at = text.find(name)
        for _ in range(MOST_OF_A_NAME):
            if at < 0:
                break
            value = _property(text, name, at)
            if value:
                yield Field(name, value, f"{segment.place}, XMP {name}")
            at = text.find(name, at + len(name))


def _decoded(body: bytes) -> str:
    """Return a packet as text: nearly all are UTF-8, and UTF-16 shows by its zeros."""
    if b"\0" not in body[:64]:
        return body[:MOST_TEXT].decode("utf-8", "replace")
    return body[: 2 * MOST_TEXT].decode("utf-16-be" if body[:1] == b"\0" else "utf-16-le", "replace")


def _property(text: str, name: str, at: int) -> str:
    """Return the value of the property whose name stands at a place; empty if it is none."""
    start = max(text.rfind("<", max(at - 64, 0), at), text.rfind(" ", max(at - 64, 0), at), _line(text, at))
    before = text[start + 1 : at]
    end = at + len(name)
    if start < 0 or not (before == "" or (before.endswith(":") and before[:-1].replace("-", "").isalnum())):
        return ""
    rest = text[end : end + LONGEST_PROPERTY]
    if attribute := ATTRIBUTE.match(rest):
        value = rest[attribute.end() :].split(attribute[1], 1)[0]
        return html.unescape(value).strip()
    return html.unescape(_element(rest, name)).strip() if text[start] == "<" else ""


def _line(text: str, at: int) -> int:
    return max(text.rfind(mark, max(at - 64, 0), at) for mark in "\n\t\r")


def _element(rest: str, name: str) -> str:
    """Return what an element holds, given what follows its name."""
    if resource := RESOURCE.match(rest):
        return resource[1]
    inside = rest.partition(">")
    if not inside[1] or inside[0].endswith("/") or (inside[0] and not inside[0][0].isspace()):
        return ""
    return " ".join(TAG.sub(" ", re.split(rf"</[\w.:-]*\b{name}\s*>", inside[2], maxsplit=1)[0]).split(" ")).strip()


def iptc_fields(segment: Segment) -> Iterator[Field]:
    """Yield the texts of the application record that `IPTC_NAMES` names."""
    body = segment.body if segment.body[:1] == bytes((IPTC_MARK,)) else _iptc_resource(segment.body)
    at = 0
    for _ in range(MOST_RECORDS):
        if at + 5 > len(body) or body[at] != IPTC_MARK:
            return
        record, number, size = body[at + 1], body[at + 2], int.from_bytes(body[at + 3 : at + 5], "big")
        if size & 0x8000:  # an extended length, which texts do not need
            return
        if record == APPLICATION_RECORD and number in IPTC_NAMES:
            name = IPTC_NAMES[number]
            yield Field(name, _iptc_text(body[at + 5 : at + 5 + size]), f"{segment.place}, IPTC {name}")
        at += 5 + size


def _iptc_text(value: bytes) -> str:
    try:
        return value.decode("utf-8").strip("\0 ")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip("\0 ")


def _iptc_resource(body: bytes) -> bytes:
    """Return the IPTC record among image resources (Adobe Photoshop File Formats, "Image Resource Blocks")."""
    at = 0
    for _ in range(MOST_RECORDS):
        if not body.startswith(b"8BIM", at) or at + 12 > len(body):
            return b""
        number = int.from_bytes(body[at + 4 : at + 6], "big")
        name_bytes = 1 + body[at + 6]
        start = at + 6 + name_bytes + name_bytes % 2
        size = int.from_bytes(body[start : start + 4], "big")
        if number == IPTC_RESOURCE:
            return body[start + 4 : start + 4 + size]
        at = start + 4 + size + size % 2
    return b""
