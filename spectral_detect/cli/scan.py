"""`spectral-detect scan`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from spectral_detect.cli.evidence.recording import check_manifest, manifest_option, recording
from spectral_detect.cli.shared.checks import check_output
from spectral_detect.cli.shared.failures import report_failure, worded
from spectral_detect.cli.shared.found_images import FoundImages
from spectral_detect.cli.shared.options import FiniteRange, judging_options, list_options, model_options
from spectral_detect.cli.shared.paths import named_places
from spectral_detect.cli.shared.progress import progress, show_counts
from spectral_detect.cli.shared.report_options import Wish, facts_of_run, report_options, reporting
from spectral_detect.cli.shared.resume_options import (
    Target,
    begun,
    earlier_rows,
    open_records,
    remaining,
    shard_option,
    target_options,
)
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.custody.manifest_writer import Recorder
from spectral_detect.custody.run import Given, this_run
from spectral_detect.detector.memory.files import TRAINING_IMAGE
from spectral_detect.detector.model_file import load_default_model, load_model
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.rows import IMAGES, RowFormat
from spectral_detect.outputs.table import Layout, image_layout
from spectral_detect.outputs.writer import ReadyRow
from spectral_detect.parallel.work import Work
from spectral_detect.provenance.findings import Depth
from spectral_detect.records import ImageRecord
from spectral_detect.report.metrics import accuracy_interval, accuracy_text, prevalence_text
from spectral_detect.scanning.doubts import why_undecided
from spectral_detect.scanning.images import scan_files, scan_to_rows
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.sharding import Shard

if TYPE_CHECKING:
    from spectral_detect.report.html.scan_page import ScanContent


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@model_options
@list_options
@click.option(
    "--threshold", type=FiniteRange(0, 1), help="Call a score at or above this fake.  [default: the model's threshold]"
)
@target_options
@manifest_option
@report_options
@shard_option
@click.option(
    "--provenance",
    type=click.Choice(("none", "header", "full")),
    default="header",
    show_default=True,
    help="Say beside the verdict what the file says of its origin. header: what stands in its bytes; full: also "
    "invisible watermarks, thumbnails and earlier JPEG compression (slower).",
)
@click.option("--fail-on-fake", is_flag=True, help="Exit with status 3 if an image is called fake and no file failed.")
@judging_options
@work_options
@device_option
@click.pass_context
def scan(
    ctx: click.Context,
    paths: tuple[str, ...],
    model: str | None,
    encoder: str | None,
    files_from: str | None,
    null: bool,
    threshold: float | None,
    target: Target,
    manifest: str | None,
    report: Wish | None,
    shard: Shard | None,
    provenance: Depth,
    fail_on_fake: bool,
    rules: Rules,
    work: Work,
    limits: Limits,
) -> None:
    """Give a verdict on each image.

    PATH is a file, a folder or a pattern; local, or at a URL (s3://, https:// and others; extra `remote`). Folders are
    searched recursively, links to folders are not followed. Credentials in URLs are not recorded. A verdict is worth
    what its model is worth on such images: see `spectral-detect models`.

    \b
    Examples:
      spectral-detect scan examples/images
      spectral-detect scan evidence/ --output verdicts.jsonl
      spectral-detect scan evidence/ --output verdicts.jsonl --report report.html --case 26/117
      spectral-detect scan disk/ --resume verdicts.jsonl
      spectral-detect scan s3://bucket/evidence --resume verdicts.jsonl
      find . -name '*.jpg' -print0 | spectral-detect scan --files-from - -0 --format csv
    """
    detector = load_default_model(encoder=encoder) if model is None else load_model(model, encoder=encoder)
    if target.output is not None:
        check_output(target.output, [*paths, files_from, model, encoder])
    check_manifest(manifest, target, [*paths, files_from, model, encoder, target.output])
    if report is not None:
        report.check([*paths, files_from, model, encoder], output=target.output, manifest=manifest)
    named, listed = named_places(paths, files_from, null)
    if not named and files_from is None:
        raise click.UsageError("name files or folders to scan, or --files-from")
    images = FoundImages(named, listed, shard, is_countable=files_from is None)
    judge = Judge(detector, replace(rules, threshold=threshold), provenance)
    given = Given(paths, files_from is not None, shard, is_resumed=target.is_resumed)
    recorders: list[AbstractContextManager[Recorder]] = []
    if manifest is not None:
        run = partial(this_run, "scan", judge, given, limits, work.timeout_s)
        recorders.append(recording(manifest, run, target))
    if report is not None:
        facts = partial(facts_of_run, ctx, paths, files_from, target)
        recorders.append(reporting(report, facts, partial(_content, judge, limits), target, limits))
    outcomes = _scan(ctx, images, judge, target, recorders, work, limits)
    ctx.exit(1 if outcomes["failed"] else 3 if fail_on_fake and outcomes["fake"] else 0)


def _content(judge: Judge, limits: Limits) -> ScanContent:
    from spectral_detect.report.html.scan_page import ScanContent  # a scan without a report loads nothing for it

    return ScanContent(judge, limits)


def _scan(
    ctx: click.Context,
    images: FoundImages,
    judge: Judge,
    target: Target,
    recorders: Iterable[AbstractContextManager[Recorder]],
    work: Work,
    limits: Limits,
) -> Counter[str]:
    """Write a record for each image; return the counts of outcomes."""
    with ExitStack() as stack:
        taking = list(map(stack.enter_context, recorders))  # the last to end: when the rows are in order
        earlier = stack.enter_context(earlier_rows(target, IMAGES, judge.made_with))
        left = (found for _, found in remaining(earlier, images.files, target.known_by))
        row_format = None if taking or target.row_format == "table" else target.row_format
        records = stack.enter_context(closing(_records(left, judge, row_format, work, limits)))
        results, stream = open_records(stack, ctx, target, _layout(judge), earlier)
        rows = begun(earlier)
        total = rows.n_remaining if rows else None if target.shows_rows else images.count()
        for made in progress(records, total=total, hidden=target.shows_rows):
            if isinstance(made, ReadyRow):
                results.write_ready(made)
                continue
            record = worded(made)
            results.write(record)
            for recorder in taking:
                recorder.add(record.to_dict())
            if record.error and not target.is_table:
                report_failure(record.path, record.error)
        for recorder in taking:
            recorder.end(results.outcomes, images.skipped.n)
        summary = results.summary(images.skipped.clause())
        if target.is_table:
            said = results.told_below + accuracy_text(judge, results.outcomes)
            stream.write(f"\n{said}{summary}\n{_worth(judge)}")
    if not target.is_table or target.output is not None:
        show_counts(summary, target.output)
    return results.outcomes


def _layout(judge: Judge) -> Layout[ImageRecord]:
    return image_layout(
        with_posterior=judge.rules.prevalence is not None,
        with_generator=judge.model.naming is not None,
        class_names=judge.class_names,
        accuracy=accuracy_interval(judge),
        told_below=why_undecided(judge.model, judge.undecided) if judge.undecided else "",
        in_short={TRAINING_IMAGE: "a training image"},
    )


def _records(
    files: Iterable[FoundFile], judge: Judge, row_format: RowFormat | None, work: Work, limits: Limits
) -> Generator[ReadyRow | ImageRecord, None, None]:
    """Yield what each image gives: its row where nothing else than the row is needed, else its record."""
    if row_format is None:
        return scan_files(files, judge, work=work, limits=limits)
    return scan_to_rows(files, judge, row_format, work=work, limits=limits)


def _worth(judge: Judge) -> str:
    """Say what a verdict is worth at the prevalence, if the verdicts are those that were cross-validated."""
    rules = judge.rules
    if rules.prevalence is None:
        return ""
    if rules.threshold is not None or rules.min_confidence is not None or rules.stability:
        return (
            "\n(how often such verdicts are right was measured for the model's own threshold alone, and not with "
            "--threshold, --min-confidence or --stability)\n"
        )
    return f"\n{prevalence_text(judge.model, rules.prevalence)}\n"
