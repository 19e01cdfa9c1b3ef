"""`--report` and what goes with it: one HTML file about a run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from spectral_detect._version import PROGRAM
from spectral_detect.atomic_write import check_target
from spectral_detect.cli.shared.checks import check_output
from spectral_detect.cli.shared.options import together
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.resume_options import Target
from spectral_detect.custody.manifest_writer import Recorder
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.reader import records_of
from spectral_detect.outputs.rows import RowFormat
from spectral_detect.records import ImageRecord, VideoRecord
from spectral_detect.report.html.run_facts import N_THUMBNAILS, Labels, RunFacts, utc_now
from spectral_detect.sources.sharding import Shard
from spectral_detect.sources.stores import is_url
from spectral_detect.sources.urls import without_credentials
from spectral_detect.text import counted, cut_in_the_middle, visible

if TYPE_CHECKING:
    from spectral_detect.report.html.table_page import Content, TableReport
    from spectral_detect.scanning.videos import VideoResult

F = TypeVar("F", bound=Callable[..., Any])

LONGEST_COMMAND = 20_000  # characters; a shell may have put a million paths there
SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Wish:
    """The report that a command line asks for.

    Attributes
    ----------
    output : str
        The file.
    labels : Labels
        What the examiner says of the scan.
    n_thumbnails : int
        So many images have a thumbnail.
    """

    output: str
    labels: Labels = field(default_factory=Labels)
    n_thumbnails: int = N_THUMBNAILS

    def check(self, inputs: Iterable[str | None], **others: str | None) -> None:
        """Raise an error, before anything is computed, if the report cannot be written as it should.

        `others` are the files that other options write, by the names of these.
        """
        check_page(self.output)
        check_apart(report=self.output, **others)
        check_output(self.output, [*inputs, *others.values()])
        check_target(self.output)


def check_page(output: str) -> None:
    """Raise an error if a report does not have the name of a page."""
    if not output.lower().endswith(SUFFIXES):
        raise click.UsageError(f"--report writes HTML: end its name in {SUFFIXES[0]}")


def check_apart(**outputs: str | None) -> None:
    """Raise an error if two options name the same file to write; `output` is that of the results."""
    seen: dict[str, str] = {}
    for option, name in outputs.items():
        title = "the output" if option == "output" else f"--{option.replace('_', '-')}"
        if name is not None and (other := seen.setdefault(os.path.realpath(name), title)) != title:
            raise click.UsageError(f"{other} and {title} name the same file")


_report_options = together(
    click.option(
        "--report",
        metavar="FILE.html",
        help="Also write a report for people into one HTML file that needs nothing else, at the end. Each file is "
        "read once more for it, to see whether it is unchanged.",
    ),
    click.option("--case", metavar="TEXT", help="Name the case in the report."),
    click.option("--exhibit", metavar="TEXT", help="Name the exhibit in the report."),
    click.option("--examiner", metavar="TEXT", help="Name the examiner in the report."),
    click.option(
        "--thumbnails",
        type=click.IntRange(0),
        metavar="N",
        help=f"Show a picture of the first N files in the report.  [default: {N_THUMBNAILS}]",
    ),
)


def report_options(command: F) -> F:
    """Hand `--report` and the options that go with it to the command as one `report`, None without it."""

    @wraps(command)
    def with_report(
        *args: Any,
        report: str | None,
        case: str | None,
        exhibit: str | None,
        examiner: str | None,
        thumbnails: int | None,
        **kwargs: Any,
    ) -> Any:
        others = (case, exhibit, examiner, thumbnails)
        if report is None and any(value is not None for value in others):
            raise click.UsageError("--case, --exhibit, --examiner and --thumbnails go with --report")
        labels = Labels(case, exhibit, examiner)
        wish = None if report is None else Wish(report, labels, N_THUMBNAILS if thumbnails is None else thumbnails)
        return command(*args, report=wish, **kwargs)

    return _report_options(cast(F, with_report))


class _Reporter:
    """Keeps records for the report, unless they are read back from the output at the end."""

    def __init__(self, report: TableReport, *, keeps_records: bool) -> None:
        self._report, self._keeps_records = report, keeps_records
        self.n_skipped = 0

    def add(self, record: dict[str, Any], result: VideoResult | None = None) -> None:
        """Keep a record; of a video, what stands behind it even if the record is read back."""
        if result is not None:
            from spectral_detect.report.html.video_page import more_of

            self._report.add(record, more_of(result))
        elif self._keeps_records:
            self._report.add(record)

    def end(self, outcomes: Mapping[str, int], n_skipped: int) -> None:
        """Keep the count of skipped files."""
        self.n_skipped = n_skipped


@contextmanager
def reporting(
    wish: Wish,
    this_run: Callable[[Labels], RunFacts],
    content: Callable[[], Content],
    target: Target,
    limits: Limits,
    record: type[ImageRecord | VideoRecord] = ImageRecord,
) -> Iterator[Recorder]:
    """Write the report of what is done in the block, unless it fails.

    Enter it before a resumed output: when that is complete and in order, the report takes its rows, those kept from
    earlier runs too.
    """
    from spectral_detect.report.html.table_page import TableReport  # a run without a report loads nothing for it

    made = content()
    with closing(TableReport(this_run(wish.labels), made, limits, wish.n_thumbnails)) as report:
        reporter = _Reporter(report, keeps_records=not target.is_resumed)
        yield reporter
        rows = None
        if target.is_resumed and target.output is not None:
            rows = records_of(target.output, cast(RowFormat, target.row_format), record)
        table = report.write(wish.output, reporter.n_skipped, records=rows, watch=_watch)
    click.echo(f"{visible(wish.output)}: report of {counted(table.n_rows, made.noun)}", err=True)


def _watch(records: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return progress(records, unit="files read again for the report")


def facts_of_run(
    ctx: click.Context, paths: Sequence[str], files_from: str | None, target: Target, labels: Labels
) -> RunFacts:
    """Return the facts of a run that begins now."""
    named = [*paths, *([] if files_from is None else [f"the list {files_from}"])]
    return replace(facts_now(ctx, named, labels), output=target.output, is_resumed=target.is_resumed)


def facts_now(ctx: click.Context, named: Sequence[str], labels: Labels | None = None) -> RunFacts:
    """Return the facts of a run that begins now and has no rows."""
    command = cut_in_the_middle(command_text(ctx), LONGEST_COMMAND)
    return RunFacts(command, list(map(_harmless, named)), utc_now(), labels or Labels())


def command_text(ctx: click.Context) -> str:
    """Return the command line in options as they were given, without credentials in URLs."""
    options: list[str] = []
    arguments: list[str] = []
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if ctx.get_parameter_source(param.name or "") is not ParameterSource.COMMANDLINE or value is None:
            continue
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(param, click.Argument):
            arguments += map(_harmless, values)
        elif isinstance(param, click.Option) and param.is_flag:
            options.append(param.opts[-1])
        else:
            options += [text for each in values for text in (param.opts[-1], _harmless(each))]
    separator = ["--"] if any(text.startswith("-") for text in arguments) else []
    return shlex.join([PROGRAM, ctx.info_name or "", *options, *separator, *arguments])


def _harmless(value: object) -> str:
    if isinstance(value, Shard):
        return f"{value.number}/{value.total}"
    text = str(value)
    return without_credentials(text) if is_url(text) else text
