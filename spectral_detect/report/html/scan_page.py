"""Write the report of a scan: records wait in a temporary file, and become one HTML page at the end."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from typing import Any, BinaryIO

from spectral_detect._version import __version__
from spectral_detect.atomic_write import stream_aside
from spectral_detect.explain.advice import Advice, sentence
from spectral_detect.media.limits import Limits
from spectral_detect.report.html import words
from spectral_detect.report.html.model_facts import model_facts
from spectral_detect.report.html.row_table import CODED, COLUMNS, MOST_NAMED, MOST_ROWS, SAME, RowTable, safe_json
from spectral_detect.report.html.run_facts import (
    N_THUMBNAILS,
    RunFacts,
    commit,
    libraries_used,
    platform_text,
    utc_now,
)
from spectral_detect.report.html.second_look import THUMBNAIL_PX, look_again
from spectral_detect.scanning.judge import Judge
from spectral_detect.text import visible

BLOCK_BYTES = 2**20

Watch = Callable[[Iterable[dict[str, Any]]], Iterable[dict[str, Any]]]


class ScanReport:
    """The report of one scan.

    Memory holds one record, the counts, and the first files of each list; the rest waits in the folder for temporary
    files, about a kilobyte a record and two for each thumbnail.

    Parameters
    ----------
    run : RunFacts
        What was done.
    judge : Judge
        Its models and rules.
    limits : Limits
        What was refused.
    n_thumbnails : int
        So many images have a thumbnail, the first.
    """

    def __init__(self, run: RunFacts, judge: Judge, limits: Limits, n_thumbnails: int = N_THUMBNAILS) -> None:
        self._run, self._judge, self._limits = run, judge, limits
        self._n_thumbnails = n_thumbnails
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._n_pictures = 0

    def close(self) -> None:
        """Remove the temporary file."""
        self._spool.close()

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record for the page, as `ImageRecord.to_dict` gives it."""
        self._spool.write(json.dumps(record).encode("ascii") + b"\n")

    def write(
        self,
        output: str,
        n_skipped: int,
        *,
        records: Iterable[dict[str, Any]] | None = None,
        watch: Watch = lambda items: items,
    ) -> RowTable:
        """Write the page; return its counts.

        Parameters
        ----------
        output : str
            The file, replaced when all of it is written.
        n_skipped : int
            Files that were no images.
        records : iterable of dict, optional
            The records as `ImageRecord.to_dict` gives them; those of `add` by default.
        watch : callable, optional
            Shows the progress of reading all files again.
        """
        table, finished = RowTable(), utc_now()
        digest = hashlib.sha256()
        with tempfile.TemporaryFile() as rows:
            for record in watch(self._kept() if records is None else records):
                digest.update(json.dumps(record).encode("ascii") + b"\n")
                self._write_row(table, record, rows)
            mark = secrets.token_hex(16)  # no text of a stranger can hold it
            head, _, foot = self._page(table, n_skipped, finished, digest.hexdigest(), mark).partition(mark)
            with stream_aside(output) as page:
                page.write(head.encode("utf-8"))
                rows.seek(0)
                while block := rows.read(BLOCK_BYTES):
                    page.write(block)
                page.write(foot.encode("utf-8"))
        return table

    def _kept(self) -> Iterator[dict[str, Any]]:
        self._spool.seek(0)
        return map(json.loads, self._spool)

    def _write_row(self, table: RowTable, record: dict[str, Any], rows: BinaryIO) -> None:
        look = look_again(record, self._limits, wants_picture=self._n_pictures < self._n_thumbnails)
        self._n_pictures += look.picture is not None
        row = table.add(record, look)
        if row is not None:
            rows.write((b",\n" if table.n_listed > 1 else b"") + row.encode("ascii"))

    def _page(self, table: RowTable, n_skipped: int, finished: str, digest: str, mark: str) -> str:
        """Return the page, with a mark where its rows go."""
        from jinja2 import Environment, StrictUndefined

        texts = {name: _package_text(name) for name in ("scan.html.j2", "scan.css", "scan.js")}
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        judge = self._judge
        return environment.from_string(texts["scan.html.j2"]).render(
            run=self._run,
            table=table,
            n_skipped=n_skipped,
            finished=finished,
            digest=digest,
            models=[model_facts(model, judge.rules) for model in _used(judge, table)],
            rules=_rules_in_words(judge),
            prevalence=judge.rules.prevalence,
            settings_sha256=judge.settings_sha256,
            provenance=judge.provenance,
            version=__version__,
            commit=commit(),
            libraries=libraries_used(),
            platform=platform_text(),
            limits=self._limits,
            n_pictures=self._n_pictures,
            words=words,
            most_rows=MOST_ROWS,
            most_named=MOST_NAMED,
            thumbnail_px=THUMBNAIL_PX,
            next_steps=_next_steps(table),
            visible=visible,
            sentence=sentence,
            style=texts["scan.css"],
            script=texts["scan.js"],
            style_hash=_csp_hash(texts["scan.css"]),
            script_hash=_csp_hash(texts["scan.js"]),
            facts=safe_json(_facts_of(table, judge)),
            rows_go_here=mark,
        )


def _used(judge: Judge, table: RowTable) -> list[Any]:
    """Return the models that judged; all if none did."""
    return [model for model in judge.models if model.sha256 in table.models] or list(judge.models)


def _rules_in_words(judge: Judge) -> list[tuple[str, str]]:
    rules = judge.rules
    return [
        ("least confidence", "none asked for" if rules.min_confidence is None else f"{rules.min_confidence:g}"),
        ("prevalence of fakes", "not stated" if rules.prevalence is None else f"{rules.prevalence:g}"),
        ("stability under mild edits", "checked" if rules.stability else "not checked"),
        ("provenance", {"none": "not looked for", "header": "header", "full": "full"}[judge.provenance]),
    ]


def _next_steps(table: RowTable) -> list[tuple[int, Advice]]:
    """Return how many inconclusive images have each reason, the most frequent first."""
    steps = (*words.REASONS, words.OTHER_REASON)
    return [(count, steps[number]) for number, count in table.reasons.most_common()]


def _facts_of(table: RowTable, judge: Judge) -> dict[str, Any]:
    """Return what the page's script needs beside the rows."""
    return {
        "columns": COLUMNS,
        "coded": sorted(CODED),
        "words": list(table.words),
        "same": SAME,
        "reasons": [advice.title for advice in (*words.REASONS, words.OTHER_REASON)],
        "prevalence": judge.rules.prevalence,
        "scale": words.SCALE_NAME,
    }


def _package_text(name: str) -> str:
    return files("spectral_detect.report.html").joinpath(name).read_text("utf-8")


def _csp_hash(text: str) -> str:
    """Return the hash by which a content security policy knows an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
