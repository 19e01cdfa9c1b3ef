"""Write the report of many files: records wait in a temporary file, and become one HTML page at the end."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, BinaryIO, ClassVar, Protocol

from spectral_detect.atomic_write import stream_aside
from spectral_detect.explain.advice import Advice
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.table import words_of
from spectral_detect.records import BY_SCORE, CLASS_NAMES
from spectral_detect.report.html.frame import render
from spectral_detect.report.html.model_facts import model_facts
from spectral_detect.report.html.row_table import CODED, MOST_NAMED, MOST_ROWS, SAME, RowKind, RowTable, safe_json
from spectral_detect.report.html.run_facts import N_THUMBNAILS, RunFacts, utc_now
from spectral_detect.report.html.second_look import SecondLook
from spectral_detect.report.html.words import (
    MADE_FROM_JPEG,
    SCALE_NAME,
    limits_of,
    propositions_of,
    sides_of,
    verdicts_of,
)
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules

BLOCK_BYTES = 2**20

Values = dict[str, Any]
Watch = Callable[[Iterable[Values]], Iterable[Values]]


class Content(Protocol):
    """What a page of one kind of records has of its own.

    Attributes
    ----------
    noun : str
        What a row is about.
    template, script : str
        Names of the files beside this one; the script follows `table.js`.
    rows : RowKind
        The rows.
    words : ModuleType
        The sentences, see `words`.
    judge : Judge
        The model and rules.
    settings_sha256 : str
        The hash of all that turned a file into a verdict.
    settings : sequence of (str, str)
        The same in words: title and text.
    sought : str
        How far was looked for what files say of their origin, as a sentence; empty where there is no choice.
    thumbnail_px : int
        The longest side of a picture.
    """

    noun: ClassVar[str]
    template: ClassVar[str]
    script: ClassVar[str]
    rows: ClassVar[RowKind]
    words: ClassVar[ModuleType]
    thumbnail_px: ClassVar[int]

    @property
    def judge(self) -> Judge: ...  # noqa: D102

    @property
    def settings_sha256(self) -> str: ...  # noqa: D102

    @property
    def settings(self) -> list[tuple[str, str]]: ...  # noqa: D102

    @property
    def sought(self) -> str: ...  # noqa: D102

    def look(self, record: Values, more: Values | None, *, wants_picture: bool) -> SecondLook:
        """Read a file again."""
        ...


@dataclass(frozen=True)
class _Waiting:
    """A record that waits for its page, and what its row says beside it."""

    record: Values
    more: Values | None


class TableReport:
    """The report of one run.

    Memory holds one record, the counts, and the first files of each list; the rest waits in the folder for temporary
    files, about a kilobyte a record and two for each thumbnail.

    Parameters
    ----------
    run : RunFacts
        What was done.
    content : Content
        What the page is about.
    limits : Limits
        What was refused.
    n_thumbnails : int
        So many files have a thumbnail, the first.
    """

    def __init__(self, run: RunFacts, content: Content, limits: Limits, n_thumbnails: int = N_THUMBNAILS) -> None:
        self._run, self._content, self._limits = run, content, limits
        self._n_thumbnails = n_thumbnails
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._n_pictures = 0
        self._more_at: dict[str, int] = {}  # path -> place in the temporary file, of records with more than themselves

    def close(self) -> None:
        """Remove the temporary file."""
        self._spool.close()

    def add(self, record: Values, more: Values | None = None) -> None:
        """Keep a record for the page, as its `to_dict` gives it, and what its row says beside it."""
        if more is not None:
            self._more_at[record["path"]] = self._spool.tell()
        self._spool.write(json.dumps([record, more]).encode("ascii") + b"\n")

    def write(
        self,
        output: str,
        n_skipped: int,
        *,
        records: Iterable[Values] | None = None,
        watch: Watch = lambda items: items,
    ) -> RowTable:
        """Write the page; return its counts.

        Parameters
        ----------
        output : str
            The file, replaced when all of it is written.
        n_skipped : int
            Files of another kind.
        records : iterable of dict, optional
            The records as their `to_dict` gives them; those of `add` by default.
        watch : callable, optional
            Shows the progress of reading all files again.
        """
        table, finished = RowTable(self._content.rows, sides_of(self._content.judge.class_names)), utc_now()
        digest = hashlib.sha256()
        with tempfile.TemporaryFile() as rows:
            for record in watch(self._kept() if records is None else records):
                digest.update(json.dumps(record).encode("ascii") + b"\n")
                self._write_row(table, _Waiting(record, self._more_of(record)), rows)
            mark = secrets.token_hex(16)  # no text of a stranger can hold it
            head, _, foot = self._page(table, n_skipped, finished, digest.hexdigest(), mark).partition(mark)
            with stream_aside(output) as page:
                page.write(head.encode("utf-8"))
                rows.seek(0)
                while block := rows.read(BLOCK_BYTES):
                    page.write(block)
                page.write(foot.encode("utf-8"))
        return table

    def _kept(self) -> Iterator[Values]:
        at = 0
        while self._spool.seek(at) == at and (line := self._spool.readline()):
            at += len(line)
            yield json.loads(line)[0]

    def _more_of(self, record: Values) -> Values | None:
        """Return what this run has kept beside a record; None for one of an earlier run."""
        at = self._more_at.get(record["path"])
        if at is None:
            return None
        self._spool.seek(at)
        more: Values = json.loads(self._spool.readline())[1]
        return more

    def _write_row(self, table: RowTable, row: _Waiting, rows: BinaryIO) -> None:
        look = self._content.look(row.record, row.more, wants_picture=self._n_pictures < self._n_thumbnails)
        self._n_pictures += look.picture is not None
        text = table.add(row.record, look, row.more)
        if text is not None:
            rows.write((b",\n" if table.n_listed > 1 else b"") + text.encode("ascii"))

    def _page(self, table: RowTable, n_skipped: int, finished: str, digest: str, mark: str) -> str:
        """Return the page, with a mark where its rows go."""
        content, judge = self._content, self._content.judge
        return render(
            content.template,
            f"{'an' if content.noun[0] in 'aeiou' else 'a'} {content.noun} scan",
            self._run,
            ("table.js", content.script),
            noun=content.noun,
            nouns=f"{content.noun}s",
            table=table,
            n_skipped=n_skipped,
            finished=finished,
            digest=digest,
            model=model_facts(judge.model, judge.rules, of_videos=content.noun == "video"),
            settings=content.settings,
            sought=content.sought,
            prevalence=judge.rules.prevalence,
            settings_sha256=content.settings_sha256,
            limits=self._limits,
            n_pictures=self._n_pictures,
            words=content.words,
            limits_in_words=limits_of(content.words, judge.class_names),
            names=_names_of(judge),
            verdicts=verdicts_of(content.words.VERDICTS, judge.class_names),
            sides=sides_of(judge.class_names),
            propositions=propositions_of(content.words, judge.class_names),
            most_rows=MOST_ROWS,
            most_named=MOST_NAMED,
            thumbnail_px=content.thumbnail_px,
            next_steps=_next_steps(table, content.words),
            facts=safe_json(self._facts_of(table)),
            rows_go_here=mark,
        )

    def _facts_of(self, table: RowTable) -> Values:
        """Return what the page's script needs beside the rows."""
        words, judge = self._content.words, self._content.judge
        return {
            "columns": self._content.rows.columns,
            "n_of_record": len(self._content.rows.record_columns),
            "coded": sorted(CODED.intersection(self._content.rows.columns)),
            "words": list(table.words),
            "same": SAME,
            "noun": self._content.noun,
            "by_score": sorted(BY_SCORE),
            "reasons": [advice.title for advice in (*words.REASONS, words.OTHER_REASON)],
            "prevalence": judge.rules.prevalence,
            "scale": SCALE_NAME,
            "made_from_jpeg": MADE_FROM_JPEG,
            "unseen": judge.model.unseen,
            "names": _names_of(judge),
            "sides": sides_of(judge.class_names),
        }


def rules_in_words(rules: Rules, class_names: tuple[str, str]) -> list[tuple[str, str]]:
    """Return title and text of each rule."""
    prevalent = "fakes" if class_names == CLASS_NAMES else words_of(class_names)["fake"]
    return [
        ("least confidence", "none asked for" if rules.min_confidence is None else str(rules.min_confidence)),
        (f"prevalence of {prevalent}", "not stated" if rules.prevalence is None else str(rules.prevalence)),
        ("stability under mild edits", "checked" if rules.stability else "not checked"),
    ]


def meanings_of(judge: Judge) -> list[tuple[str, str]]:
    """Return what real and fake mean where the model has names of its own for its classes."""
    names = words_of(judge.class_names)
    return [] if judge.class_names == CLASS_NAMES else [(f"{name} means", own) for name, own in names.items()]


def _names_of(judge: Judge) -> dict[str, str]:
    """Return what each outcome is called on the page."""
    return {"inconclusive": "inconclusive", "failed": "failed", **words_of(judge.class_names)}


def _next_steps(table: RowTable, words: ModuleType) -> list[tuple[int, Advice]]:
    """Return how many inconclusive files have each reason, the most frequent first."""
    steps = (*words.REASONS, words.OTHER_REASON)
    return [(count, steps[number]) for number, count in table.reasons.most_common()]
