"""Find a C2PA manifest, and read and validate it where the library for it is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any

from spectral_detect.provenance.fields import MOST_OF_MANIFEST, Segment
from spectral_detect.provenance.findings import Finding, shown
from spectral_detect.provenance.source_types import SOURCE_TYPES, source_type

MISSING = "not validated: install the extra that reads it, pip install '.[c2pa]' in the checkout"
TERM_START = b"/digitalsourcetype/"
MOST_TERMS, MOST_MANIFESTS, MOST_ACTIONS, MOST_CODES = 20, 20, 50, 5
LARGEST_MANIFEST = MOST_OF_MANIFEST - 1  # bytes; thumbnails of ingredients make some megabytes
DEEPEST_BOX = 16  # a manifest store nests four deep
SUPERBOX, DESCRIPTION = b"jumb", b"jumd"  # ISO/IEC 19566-5: a box of boxes, and the first box in each

TAMPERED_WITH = "TAMPERED WITH"
FOREIGN = "that does not fit the file: changed since it was signed, or taken from another one"
# C2PA specification 2.1, 15.3: the codes of what does not agree with its hash or signature
TAMPERED = (".mismatch", "claimSignature.missing", "claim.multiple", "assertion.undeclared")
HARMLESS = frozenset(("signingCredential.untrusted", "signingCredential.expired"))  # told in words of their own
MIME_STARTS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"RIFF", "image/webp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"GIF8", "image/gif"),
)
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


def manifest_findings(segment: Segment, content: bytes, trust_anchors: str = "") -> Iterator[Finding]:
    """Yield what a manifest says.

    Parameters
    ----------
    segment : Segment
        The manifest as it stands in the file.
    content : bytes
        The whole file, whose hash the manifest holds.
    trust_anchors : str
        PEM certificates of those whose signatures are trusted; without them every signer is unknown.
    """
    start = segment.body.find(SUPERBOX, 0, 64)
    if start < 4:
        return
    problem = _problem(segment.body[start - 4 :])
    if problem is None:
        try:
            yield from _validated(_read(content, trust_anchors), segment.place)
            return
        except Exception as error:  # its library raises many kinds; what hostile bytes do to it is not known
            problem = f"that cannot be read: {shown(str(error) or type(error).__name__)}"
    yield Finding("C2PA", f"holds a C2PA manifest, {problem}", segment.place)
    yield from _words(segment)


def _problem(manifest: bytes) -> str | None:
    """Return why a manifest is not handed to its library; None if it is."""
    if _library() is None:
        return MISSING
    if len(manifest) > LARGEST_MANIFEST:
        return f"not validated: larger than {LARGEST_MANIFEST} bytes"
    return f"not validated: nested deeper than {DEEPEST_BOX} boxes" if _is_too_deep(manifest) else None


@cache
def _library() -> Any:
    """Return the package c2pa; None if it is not installed or cannot be loaded."""
    try:
        return import_module("c2pa")
    except Exception:  # a missing shared library is an OSError, and the package may raise others
        return None


def _is_too_deep(manifest: bytes) -> bool:
    """Tell whether boxes of boxes follow one another too often: a library that recurses would need too much stack."""
    at = manifest.find(SUPERBOX)
    ends: list[int] = []
    while at >= 4:
        if manifest[at + 8 : at + 12] == DESCRIPTION:  # and not a part of another word
            while ends and ends[-1] <= at - 4:
                ends.pop()
            ends.append(at - 4 + int.from_bytes(manifest[at - 4 : at], "big"))
            if len(ends) > DEEPEST_BOX:
                return True
        at = manifest.find(SUPERBOX, at + 4)
    return False


def _mime(content: bytes) -> str:
    if content[4:8] == b"ftyp":
        brands = content[8:64]
        if b"avif" in brands:
            return "image/avif"
        return "image/heic" if any(brand in brands for brand in HEIF_BRANDS) else "video/mp4"
    return next((mime for start, mime in MIME_STARTS if content.startswith(start)), "application/octet-stream")


def _read(content: bytes, trust_anchors: str) -> dict[str, Any]:
    """Return the manifest store as its library tells it; nothing is fetched from the network."""
    c2pa = _library()
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    if trust_anchors:
        settings["trust"] = {"trust_anchors": trust_anchors}
    with (
        c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
        c2pa.Reader(_mime(content), BytesIO(content), context=context) as reader,
    ):
        store = json.loads(reader.json())
    if not isinstance(store, dict):
        raise ValueError("no manifest store")
    return store


def _validated(store: dict[str, Any], place: str) -> Iterator[Finding]:
    """Yield the validation, the signer and the actions of a manifest store."""
    manifests, name = _dict(store.get("manifests")), str(store.get("active_manifest"))
    state = _state(store)
    yield Finding("C2PA", f"C2PA manifest {state}; {_origin(_dict(manifests.get(name)))}", place)
    where = f"in a C2PA manifest {FOREIGN}" if state.startswith(TAMPERED_WITH) else "in the C2PA manifest"
    terms: dict[str, None] = {}
    in_order = sorted(manifests, key=lambda label: (label != name, label))  # the library gives them in any order
    for label in in_order[:MOST_MANIFESTS]:
        actions = list(_actions(_dict(manifests[label])))
        if actions:
            said = ", ".join(_action_text(action) for action in actions)
            yield Finding("C2PA", f"C2PA actions: {shown(said)}", place)
        terms |= {str(a["digitalSourceType"]): None for a in actions if a.get("digitalSourceType")}
    for term in list(terms)[:MOST_TERMS]:
        words, says = source_type(term)
        yield Finding("source type", f"{words} ({where})", place, says)


def _state(store: dict[str, Any]) -> str:
    """Return in words whether the file still is what was signed, and whether its signer is known.

    It says nothing of whether what was signed is true.
    """
    results = _dict(_dict(store.get("validation_results")).get("activeManifest"))
    passed, failed = _codes(results.get("success")), _codes(results.get("failure"))
    changed = [code for code in failed if code.endswith(TAMPERED)][:MOST_CODES]
    if changed:
        return f"{TAMPERED_WITH}: the file or its manifest was changed after signing ({', '.join(changed)})"
    if "claimSignature.validated" not in passed:
        return f"not valid ({', '.join(failed[:MOST_CODES]) or 'its signature was not checked'})"
    known = "of a trusted signer" if "signingCredential.trusted" in passed else "of an unknown signer"
    expired = ", certificate expired since" if "signingCredential.expired" in failed else ""
    faults = [code for code in failed if code not in HARMLESS][:MOST_CODES]
    return f"unchanged since it was signed, {known}{expired}" + (
        f", with faults ({', '.join(faults)})" if faults else ""
    )


def _origin(manifest: dict[str, Any]) -> str:
    """Return the signer and the program that made the claim."""
    signature = _dict(manifest.get("signature_info"))
    names = [str(signature[key]) for key in ("issuer", "common_name") if signature.get(key)]
    programs = [str(_dict(info).get("name", "")) for info in _list(manifest.get("claim_generator_info"))]
    program = ", ".join(filter(None, programs)) or str(manifest.get("claim_generator") or "unknown")
    return f"signed by {shown(' / '.join(names) or 'unknown')}, made by {shown(program)}"


def _actions(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for assertion in _list(manifest.get("assertions")):
        if str(_dict(assertion).get("label", "")).startswith("c2pa.actions"):
            for action in _list(_dict(_dict(assertion).get("data")).get("actions"))[:MOST_ACTIONS]:
                yield _dict(action)


def _action_text(action: dict[str, Any]) -> str:
    agent = action.get("softwareAgent")
    name = str(_dict(agent).get("name") or (agent if isinstance(agent, str) else ""))
    return str(action.get("action", "?")).removeprefix("c2pa.") + (f" by {name}" if name else "")


def _codes(entries: Any) -> list[str]:
    return list(dict.fromkeys(shown(str(_dict(entry).get("code", ""))) for entry in _list(entries)))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


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
