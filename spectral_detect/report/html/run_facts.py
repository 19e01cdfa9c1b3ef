"""The facts of a run that stand at the head of its report: time, version, commit, libraries, platform."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import spectral_detect
from spectral_detect._version import PROGRAM
from spectral_detect.atomic_write import time_of_writing
from spectral_detect.detector.content.model_content import LIBRARIES, library_versions

OTHERS = ("av", "jinja2", "pillow-heif", "c2pa-python", "cupy-cuda12x")
N_THUMBNAILS = 2000
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Labels:
    """What the examiner says of the scan, as plain texts.

    Attributes
    ----------
    case, exhibit, examiner : str or None
        Names of the case and of the exhibit, and who is responsible.
    """

    case: str | None = None
    exhibit: str | None = None
    examiner: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """What was done, and with what.

    Attributes
    ----------
    command : str
        The command line.
    inputs : sequence of str
        The files, folders, patterns and URLs that were named.
    started : str
        Time in UTC.
    labels : Labels
        What the examiner says of the scan.
    output : str or None
        The file that holds the records; None if they went to standard output.
    is_resumed : bool
        Whether rows of an earlier run are among them.
    """

    command: str
    inputs: Sequence[str]
    started: str
    labels: Labels
    output: str | None = None
    is_resumed: bool = False


def utc_now() -> str:
    """Return the time in UTC, for people."""
    return time_of_writing().replace("T", " ").replace("Z", " UTC")


def libraries_used() -> dict[str, str]:
    """Return the versions of Python and of the libraries that may take part."""
    return library_versions((*LIBRARIES, *OTHERS))


def platform_text() -> str:
    """Return system, release and machine."""
    return " ".join(filter(None, (platform.system(), platform.release(), platform.machine())))


def commit() -> str | None:
    """Return the commit that the program was installed from, or that its source tree is at; None if nothing tells."""
    from importlib import metadata

    with suppress(metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        told = metadata.distribution(PROGRAM).read_text("direct_url.json")
        found = str(json.loads(told or "null")["vcs_info"]["commit_id"])
        if COMMIT.fullmatch(found):
            return found
    with suppress(OSError, ValueError):
        return _checked_out(Path(spectral_detect.__file__).resolve().parent.parent)
    return None


def _checked_out(tree: Path) -> str | None:
    """Return the commit of HEAD of a working tree, from git's own files."""
    folder = tree / ".git"
    if folder.is_file():  # a linked working tree
        folder = (tree / folder.read_text("utf-8").partition("gitdir:")[2].strip()).resolve()
    common = folder
    if (folder / "commondir").is_file():
        common = (folder / (folder / "commondir").read_text("utf-8").strip()).resolve()
    head = (folder / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref: "):
        return head if COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref: ")
    for place in (folder / name, common / name):
        if place.is_file():
            found = place.read_text("utf-8").strip()
            return found if COMMIT.fullmatch(found) else None
    for line in (common / "packed-refs").read_text("utf-8").splitlines():
        found, _, ref = line.partition(" ")
        if ref == name and COMMIT.fullmatch(found):
            return found
    return None
