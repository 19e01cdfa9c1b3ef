"""`spectral-detect audit`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.inputs import labelled_files, read_labelled
from spectral_detect.cli.shared.options import labelled_options
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.work_options import work_options
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.media.limits import Limits
    from spectral_detect.parallel.work import Work
    from spectral_detect.training.dataset import Dataset


class Quality(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """A quality of JPEG, or `reals`."""

    name = "quality"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if str(value).lower() == "reals":
            return "reals"
        return int(click.IntRange(1, 100).convert(value, param, ctx))


@click.command()
@labelled_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the table.")
@click.option("--fix", "output", metavar="OUT", help="Write a matched copy into this new folder, and audit that too.")
@click.option("--size", type=click.IntRange(16, 65_500), help="Side of the copy's images in pixels.  [default: chosen]")
@click.option(
    "--quality",
    type=Quality(),
    metavar="1-100|reals",
    help="JPEG quality of the copy; reals: drawn from theirs.  [default: chosen]",
)
@click.option("--fail-on-bias", is_flag=True, help="Exit with 3 when the images (with --fix: the copy) are biased.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of folds and shuffling.")
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
    quality: Any,
    fail_on_bias: bool,
    seed: int,
    work: Work,
    limits: Limits,
) -> None:
    """Find what else than the generator tells two classes apart: size, compression, colour, software, copies.

    The number that counts is the AUROC of a classifier that sees only metadata: where its interval lies above 0.5, a
    detector can be right for the wrong reason. --fix writes a copy in which they tell nothing: of each image a square
    window about the centre, not resampled, as JPEG of one quality, gray images and exact copies dropped, as many of
    each class; with a manifest.csv to train on and a dropped.csv that says why.

    \b
    Example:
      spectral-detect audit --real examples/images/real --fake examples/images/fake --fix matched
    """
    from spectral_detect.atomic_write import check_new_folder
    from spectral_detect.audit.facts import audit_dataset, is_unfair
    from spectral_detect.extraction.one_file import Extractor
    from spectral_detect.report.audit import audit_text, fix_text

    if output is not None:
        check_new_folder(output)
        _refuse_inside(output, (*real, *fake))
    elif size or quality:
        raise click.UsageError("--size and --quality are of the matched copy: give --fix OUT as well")
    dataset = read_labelled(labelled_files(real, fake, manifest, group_by), Extractor(None, limits=limits), work)
    result = audit_dataset(dataset, seed=seed)
    if not as_json:
        click.echo(audit_text(result))
    if output is not None:
        result["fix"] = _matched_copy(dataset, output, size, quality, work, limits, seed)
        if not as_json:
            click.echo(f"\n{fix_text(result['fix'])}")
    if as_json:
        click.echo(json.dumps(result, indent=2))
    last = result.get("fix", {"audit": result, "dropped": {}})
    has_failed = dataset.failures or "failed" in last["dropped"]
    ctx.exit(1 if has_failed else 3 if fail_on_bias and is_unfair(last["audit"]) else 0)


def _refuse_inside(output: str, folders: tuple[str, ...]) -> None:
    """The next audit of such a folder would read the copy as well."""
    target = os.path.realpath(output)
    for folder in folders:
        if target.startswith(os.path.join(os.path.realpath(folder), "")):
            raise Failure(f"{visible(output)} lies inside {visible(folder)}, whose images are read; name another place")


def _matched_copy(
    dataset: Dataset, output: str, size: int | None, quality: Any, work: Work, limits: Limits, seed: int
) -> dict[str, Any]:
    """Write it, read it again, audit it."""
    from spectral_detect.audit.facts import audit_dataset
    from spectral_detect.audit.matched_copy import MANIFEST, write_matched
    from spectral_detect.audit.matched_recipe import choose_recipe
    from spectral_detect.extraction.one_file import Extractor

    if any(sample.frame for sample in dataset.samples):
        raise Failure("--fix copies images, not videos; bring both classes through one encoder yourself")
    recipe = choose_recipe(dataset, side_px=size, quality=quality)
    masking = choose_recipe(dataset, side_px=size).qualities[0]
    if max(recipe.qualities) > masking:
        click.echo(
            f"warning: above quality {masking}, the first compression of some images can still be seen in the copy, "
            "which no metadata tell",
            err=True,
        )
    match = write_matched(dataset, output, recipe, work, limits=limits, watch=progress)
    copy = read_labelled(labelled_files((), (), os.path.join(output, MANIFEST)), Extractor(None, limits=limits), work)
    return {"output": output, **match.to_dict(), "audit": audit_dataset(copy, seed=seed)}
