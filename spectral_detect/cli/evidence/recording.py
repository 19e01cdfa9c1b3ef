"""`--manifest`: the record of a run, chained by hashes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from spectral_detect.atomic_write import check_target
from spectral_detect.cli.shared.checks import check_output
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.resume_options import Target
from spectral_detect.custody.manifest_writer import ManifestWriter, Recorder, manifest_as_it_goes, manifest_at_the_end
from spectral_detect.custody.run import Run
from spectral_detect.text import counted, visible

RESUME_WHAT = (
    "--manifest records rows to the last detail, which a .csv does not hold: begin the scan anew with --resume and a "
    ".jsonl"
)

manifest_option = click.option(
    "--manifest",
    metavar="FILE",
    help="Also record the run in FILE: settings, model, libraries, and the hash and result of each file, chained by "
    "hashes, for `spectral-detect verify`. FILE is replaced, and written whole or not at all.",
)


def check_manifest(manifest: str | None, target: Target, inputs: list[str | None]) -> None:
    """Raise `Failure`, before anything is computed, if a manifest cannot be written as it should."""
    if manifest is None:
        return
    check_output(manifest, inputs)
    check_target(manifest)
    if target.output is not None and os.path.realpath(target.output) == os.path.realpath(manifest):
        raise click.UsageError("--manifest and the output name the same file")
    if target.is_resumed and target.row_format != "jsonl":
        raise Failure(RESUME_WHAT)


@contextmanager
def recording(manifest: str, this_run: Callable[[], Run], target: Target) -> Iterator[Recorder]:
    """Record what is done in the block, unless it fails; say the final hash on stderr.

    Enter it before a resumed output: when that is complete and in order, the manifest takes its rows, those kept from
    earlier runs too.
    """
    if target.is_resumed and target.output is not None:
        with manifest_at_the_end(manifest, this_run(), target.output) as (recorder, written):
            yield recorder
        _say(manifest, written[0])
    else:
        with manifest_as_it_goes(manifest, this_run()) as writer:
            yield writer
        _say(manifest, writer)


def _say(manifest: str, writer: ManifestWriter) -> None:
    click.echo(f"{visible(manifest)}: {counted(writer.n_files, 'file')}, final hash {writer.final_hash}", err=True)
