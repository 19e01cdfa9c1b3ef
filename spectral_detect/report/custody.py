"""Show people and programs what differs from a manifest."""

from __future__ import annotations

import json

from spectral_detect.custody.comparison import Verified
from spectral_detect.custody.differences import Difference
from spectral_detect.text import counted, printable, visible

TITLES = {
    "chain": "in the chain",
    "head": "in the head",
    "model": "in the models",
    "missing": "missing",
    "changed": "changed",
    "extra": "not recorded",
    "result": "in results",
    "unchecked": "not checked",
}


def difference_text(difference: Difference) -> str:
    """Return one line that names the entry, its line and the file."""
    entry, line, path = difference.entry, difference.line, difference.path
    place = [] if entry is None else [f"entry {entry}"]
    if line is not None:
        place.append(f"(line {line})" if place else f"line {line}")
    if path is not None:
        place.append(visible(path))
    return f"{difference.kind:<9}  {' '.join(place)}{': ' if place else ''}{printable(difference.text)}\n"


def verified_text(verified: Verified) -> str:
    """Return the counts, and what the check was worth."""
    lines = [f"note: {printable(note)}" for note in verified.notes]
    if verified.n_close:
        lines.append(f"note: {counted(verified.n_close, 'number')} differ by up to {verified.largest:.2g}")
    looked_at = "hashes and scores" if verified.has_scores else "hashes, no scores"
    counts = [f"{number} {TITLES[kind]}" for kind, number in sorted(verified.differences.items())]
    lines.append(f"{counted(verified.n_files, 'file')} ({looked_at}): {verified.n_same} as recorded")
    lines.append(f"{counted(verified.n_differences, 'difference')}{': ' if counts else ''}{', '.join(counts)}")
    lines += [f"recorded: {printable(verified.run)}"] if verified.run else []
    lines.append(f"final hash {verified.final_hash or '(none)'}")
    return "\n".join(lines) + "\n"


class JsonReport:
    """One JSON object that is written piece by piece: `found`, a list of differences, and `summary`."""

    def __init__(self) -> None:
        self._start = '{"found": ['

    def difference(self, difference: Difference) -> str:
        """Return the text of the next difference."""
        start, self._start = self._start, ","
        return f"{start}\n{json.dumps(difference.to_dict())}"

    def end(self, verified: Verified) -> str:
        """Return the rest."""
        start = self._start if self._start != "," else ""
        return f'{start}\n], "summary": {json.dumps(verified.to_dict())}}}\n'
