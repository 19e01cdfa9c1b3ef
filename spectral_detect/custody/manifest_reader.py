"""Read a manifest, which may come from anybody, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from spectral_detect.custody.chain import LONGEST_LINE, SCHEMA, is_count, is_sha256, parsed
from spectral_detect.custody.chain_check import ChainCheck
from spectral_detect.custody.differences import Difference, Report
from spectral_detect.custody.run import Run, run_of
from spectral_detect.custody.videos import MEMBERS, Members, are_members
from spectral_detect.errors import ManifestError
from spectral_detect.text import cut_in_the_middle, visible

LONGEST_NAME = 80
NO_MANIFEST = "no manifest, or its first line is damaged"


@dataclass(frozen=True)
class Entry:
    """The entry of a file.

    Attributes
    ----------
    line, number : int
        Its line in the manifest, from 1, and its own number.
    record : dict
        The record of the file, of which `path`, `sha256` and `size_bytes` are known to be of the right kind.
    members : dict
        What stands beside the record of a video, see `videos.members_of`.
    """

    line: int
    number: int
    record: dict[str, Any]
    members: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path of the file as it was recorded."""
        return str(self.record["path"])

    def difference(self, kind: Any, text: str) -> Difference:
        """Return a difference that names the entry and its file."""
        return Difference(kind, text, self.line, self.number, self.path)


class Manifest:
    """A manifest, open to be read once.

    Attributes
    ----------
    run : Run or None
        The facts of the run; None if the head is not sound, which is reported.
    check : ChainCheck
        What is known of the chain so far.

    Raises
    ------
    ManifestError
        The first line is not the head of a manifest.
    """

    def __init__(self, stream: BinaryIO, report: Report) -> None:
        self.run: Run | None = None
        self.check = ChainCheck(report)
        self._stream = stream
        self._report = report
        self._line = 0
        content, head = self._head()
        self.check.see(self._line, content, head)
        try:
            self.run = run_of(head.get("run", {})) if head["kind"] == "head" else None
        except ManifestError as error:
            self._report(Difference("head", str(error), self._line, head["number"]))

    def entries(self) -> Iterator[Entry]:
        """Give the entries of files, and report what is wrong with the chain.

        Raises
        ------
        ManifestError
            A line is longer than any entry.
        """
        for content in self._lines():
            try:
                entry = parsed(content)
            except ValueError as error:
                self.check.unreadable(self._line, str(error))
                continue
            self.check.see(self._line, content, entry)
            if entry["kind"] != "file":
                continue
            members: Members = {name: entry[name] for name in MEMBERS if name in entry}
            if _is_record(entry["record"]) and are_members(members):
                yield Entry(self._line, entry["number"], entry["record"], members)
            else:
                self._report(Difference("chain", "it holds no record of a file", self._line, entry["number"]))
        self.check.end(self._line)

    def _head(self) -> tuple[bytes, dict[str, Any]]:
        content = next(self._lines(), b"")
        try:
            head = parsed(content)
        except ValueError as error:
            raise ManifestError(f"{NO_MANIFEST}: {error}", remedy="name a file that `--manifest` wrote") from None
        schema = head["run"].get("schema") if head["kind"] == "head" else SCHEMA
        if schema != SCHEMA:
            shown = cut_in_the_middle(visible(str(schema)), LONGEST_NAME)
            raise ManifestError(f"line 1: a manifest of the format {shown}, and this version reads {SCHEMA}")
        return content, head

    def _lines(self) -> Iterator[bytes]:
        while content := self._stream.readline(LONGEST_LINE + 1):
            self._line += 1
            if len(content) > LONGEST_LINE:
                raise ManifestError(f"line {self._line}: longer than any entry ({LONGEST_LINE} bytes)")
            yield content


@contextmanager
def open_manifest(name: str, report: Report) -> Iterator[Manifest]:
    """Open a manifest and read its head.

    Raises
    ------
    ManifestError
        It cannot be read; see also `Manifest`. All errors from the block that are ManifestErrors name the file.
    """
    try:
        stream: BinaryIO = open(name, "rb")  # noqa: SIM115  # closed below
    except OSError as error:
        raise ManifestError(f"{name!r} cannot be read: {error.strerror}") from None
    with stream:
        try:
            yield Manifest(stream, report)
        except ManifestError as error:
            raise ManifestError(f"{name!r}: {error.problem}", remedy=error.remedy) from None
        except BrokenPipeError:  # whoever read what the block prints has gone
            raise
        except OSError as error:
            raise ManifestError(f"{name!r} cannot be read: {error.strerror}") from None


def _is_record(record: dict[str, Any]) -> bool:
    sha256, size = record.get("sha256", ""), record.get("size_bytes")
    return (
        isinstance(record.get("path"), str)
        and (sha256 is None or is_sha256(sha256))
        and (size is None or is_count(size))
    )
