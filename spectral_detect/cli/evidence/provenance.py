"""`spectral-detect provenance`."""

from __future__ import annotations

from contextlib import closing
from typing import IO, cast

import click

from spectral_detect.cli.shared.checks import check_output
from spectral_detect.cli.shared.failures import Failure, in_options, report_failure
from spectral_detect.cli.shared.found_images import FoundImages
from spectral_detect.cli.shared.options import list_options
from spectral_detect.cli.shared.paths import named_places
from spectral_detect.cli.shared.progress import progress, show_counts
from spectral_detect.cli.shared.result_stream import format_of, output_option, result_stream
from spectral_detect.cli.shared.work_options import work_options
from spectral_detect.media.limits import Limits
from spectral_detect.outputs import provenance_rows
from spectral_detect.outputs.rows import RowFormat
from spectral_detect.parallel.work import Work
from spectral_detect.provenance.findings import Depth
from spectral_detect.records import ProvenanceRecord
from spectral_detect.report.provenance import CAUTION, ProvenanceCounts, provenance_text
from spectral_detect.scanning.provenance import ProvenanceReader, read_provenance

MOST_CERTIFICATES = 2**23  # characters


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@list_options
@click.option(
    "--depth",
    type=click.Choice(("header", "full")),
    default="full",
    show_default=True,
    help="header: read what stands in the bytes; full: look also for invisible watermarks, thumbnails of another "
    "picture and earlier JPEG compression.",
)
@click.option(
    "--trust-anchors",
    type=click.File("r"),
    help="Trust the signers of C2PA manifests that these certificates (PEM) vouch for.  [default: all are unknown]",
)
@click.option(
    "--format",
    "row_format",
    type=click.Choice(("text", "csv", "jsonl")),
    help="Write text, CSV or JSON Lines.  [default: by the suffix of --output, or text]",
)
@output_option
@click.option(
    "--fail-on-generated",
    is_flag=True,
    help="Exit with status 3 if a file says that AI made or edited it and no file failed.",
)
@work_options
@click.pass_context
def provenance(
    ctx: click.Context,
    paths: tuple[str, ...],
    files_from: str | None,
    null: bool,
    depth: Depth,
    trust_anchors: IO[str] | None,
    row_format: str | None,
    output: str | None,
    fail_on_generated: bool,
    work: Work,
    limits: Limits,
) -> None:
    """Print what each file says of its own origin.

    PATH is a file, a folder or a pattern; local, or at a URL (s3://, https:// and others; extra `remote`). Read are
    C2PA manifests (validated with the extra `c2pa`), IPTC's source type, the prompts that generators write, cameras,
    programs and dates, and invisible watermarks; of local video files, manifests and the container's metadata. All of
    it can be removed or forged; no model judges here.

    \b
    Examples:
      spectral-detect provenance photo.jpg
      spectral-detect provenance evidence/ --format jsonl --output provenance.jsonl
    """
    if output is not None:
        check_output(output, [*paths, files_from])
    chosen = row_format or format_of(output)
    named, listed = named_places(paths, files_from, null)
    if not named and files_from is None:
        raise click.UsageError("name files or folders to look at, or --files-from")
    images = FoundImages(named, listed, None, is_countable=files_from is None, with_videos=True)
    reader = ProvenanceReader(depth, limits, _certificates(trust_anchors))
    counts = _write(images, reader, work, chosen, output)
    ctx.exit(1 if counts.n_failed else 3 if fail_on_generated and counts.says["yes"] else 0)


def _certificates(trust_anchors: IO[str] | None) -> str:
    """Read certificates; `Failure` if there are none."""
    if trust_anchors is None:
        return ""
    try:
        text = trust_anchors.read(MOST_CERTIFICATES)
    except UnicodeDecodeError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise Failure("--trust-anchors: no certificate in PEM form (-----BEGIN CERTIFICATE-----) in this file")
    return text


def _write(
    images: FoundImages, reader: ProvenanceReader, work: Work, chosen: str, output: str | None
) -> ProvenanceCounts:
    """Write what each file says; return how many say what, and how many failed."""
    counts = ProvenanceCounts()
    is_text = chosen not in ("csv", "jsonl")
    with result_stream(output) as stream, closing(read_provenance(images.files, reader, work)) as records:
        stream.write("" if is_text else provenance_rows.head(cast(RowFormat, chosen)))
        for record in progress(records, total=images.count(), hidden=is_text and output is None):
            counts.add(record)
            stream.write(_row(record, chosen, is_text=is_text))
            stream.flush()
            if record.error and not is_text:
                report_failure(record.path, record.error)
        summary = counts.text(images.skipped.clause())
        stream.write(f"{summary}\n{CAUTION}\n" if is_text else "")
    if output is not None or not is_text:
        show_counts(summary, output)
    return counts


def _row(record: ProvenanceRecord, chosen: str, *, is_text: bool) -> str:
    return in_options(provenance_text(record)) if is_text else provenance_rows.row(record, cast(RowFormat, chosen))
