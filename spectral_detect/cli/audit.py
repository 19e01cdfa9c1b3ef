"""`spectral-detect audit`."""

from __future__ import annotations

import json
import os
from typing import Any, Literal

import click

from spectral_detect.atomic_write import check_new_folder
from spectral_detect.audit.dataset_audit import audit_dataset
from spectral_detect.audit.matched_copy import MANIFEST, AuditedCopy, write_matched
from spectral_detect.audit.matched_format import Quality, choose_format
from spectral_detect.cli.shared.checks import check_outside
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.inputs import labelled_files, read_labelled
from spectral_detect.cli.shared.options import json_option, labelled_options, seed_option
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.work_options import work_options
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.delivery import GRID_PX
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.report.audit import audit_text, fix_text
from spectral_detect.sources.stores import locate
from spectral_detect.text import visible
from spectral_detect.training.dataset import Dataset

LARGEST_JPEG_PX = 65_500  # libjpeg writes no longer side


class QualityType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """A quality of JPEG, or `reals`."""

    name = "quality"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | Literal["reals"]:
        """Return the number, or "reals"."""
        if str(value).lower() == "reals":
            return "reals"
        return int(click.IntRange(1, 100).convert(value, param, ctx))


@click.command()
@labelled_options
@json_option
@click.option("--fix", "output", metavar="OUT", help="Write a matched copy into this new folder, and audit that too.")
@click.option(
    "--size",
    type=click.IntRange(GRID_PX, LARGEST_JPEG_PX),
    help="Cut the copy's images to squares with sides of so many pixels.  [default: chosen]",
)
@click.option(
    "--quality",
    type=QualityType(),
    metavar="1-100|reals",
    help="Save the copy with this JPEG quality; reals: draw from the qualities of the reals.  [default: chosen]",
)
@click.option("--fail-on-bias", is_flag=True, help="Exit with 3 when the images (with --fix: the copy) are biased.")
@seed_option("Draw folds and shuffling from this seed.")
@work_options
@click.pass_context
def audit(
    ctx: click.Context,
    real: tuple[str, ...],
    fake: tuple[str, ...],
    manifest: str | None,
    group_by: str | None,
    as_json: bool,
    output: str | None,
    size: int | None,
    quality: Quality,
    fail_on_bias: bool,
    seed: int,
    work: Work,
    limits: Limits,
) -> None:
    """Find what else than the generator tells two classes apart.

    It may be size, compression, colour, software, or copies.
    The number that counts is the AUROC of a classifier that sees only metadata: where its interval lies above 0.5, a
    detector can be right for the wrong reason. --fix writes a copy in which metadata tell nothing: a square window
    about the centre of each image, not resampled, as JPEG of one quality; gray images and exact copies dropped, equally
    many of each class; with a manifest.csv to train on and a dropped.csv that gives the reasons.

    \b
    Example:
      spectral-detect audit --real examples/images/real --fake examples/images/fake --fix matched
    """
    if output is not None:
        check_new_folder(output)
        check_outside(output, map(locate, (*real, *fake)))
    elif size or quality:
        raise click.UsageError("--size and --quality are of the matched copy: give --fix OUT as well")
    dataset = read_labelled(labelled_files(real, fake, manifest, group_by), Extractor(None, limits=limits), work)
    result = audit_dataset(dataset, seed=seed)
    if not as_json:
        click.echo(audit_text(result))
    fix = None if output is None else _matched_copy(dataset, output, size, quality, work, limits, seed)
    if as_json:
        click.echo(json.dumps(result.to_dict() | ({} if fix is None else {"fix": fix.to_dict()}), indent=2))
    elif fix is not None:
        click.echo(f"\n{fix_text(fix)}")
    has_failed = dataset.failures or (fix is not None and "failed" in fix.copy.n_dropped)
    is_unfair = result.is_unfair if fix is None else fix.is_unfair
    ctx.exit(1 if has_failed else 3 if fail_on_bias and is_unfair else 0)


def _matched_copy(
    dataset: Dataset, output: str, size: int | None, quality: Quality, work: Work, limits: Limits, seed: int
) -> AuditedCopy:
    """Write a matched copy, read it again, audit it."""
    if moving := [sample.path for sample in dataset.samples if sample.frame]:
        raise Failure(
            f"--fix copies still images, and {visible(moving[0])} is a video or an animation: leave it out, or bring "
            "both classes through one encoder yourself"
        )
    matched = choose_format(dataset, side_px=size, quality=quality)
    masking = choose_format(dataset, side_px=size).qualities[0]
    if max(matched.qualities) > masking:
        click.echo(
            f"warning: above quality {masking}, the first compression of some images can still be seen in the copy, "
            "which no metadata tell",
            err=True,
        )
    copy = write_matched(dataset, output, matched, work, limits=limits, progress=progress)
    again = read_labelled(labelled_files((), (), os.path.join(output, MANIFEST)), Extractor(None, limits=limits), work)
    return AuditedCopy(output, copy, audit_dataset(again, seed=seed))
