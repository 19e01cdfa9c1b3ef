"""`spectral-detect evaluate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from spectral_detect.cli.options import labelled_files, labelled_options, read_labelled, work_options

if TYPE_CHECKING:
    from spectral_detect.pipeline import Work


@click.command()
@click.argument("model")
@labelled_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the table.")
@work_options
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: str,
    real: tuple[str, ...],
    fake: tuple[str, ...],
    manifest: str | None,
    as_json: bool,
    work: Work,
) -> None:
    """Measure MODEL, a file or a shipped name, on labelled images.

    The numbers say how well the model works only if real and generated images are matched: same size, same
    compression. Every image counts, by score >= threshold; what a scan would call inconclusive is counted beside.
    Intervals are 95 %, by a bootstrap over the groups of a manifest (over images without groups).

    \b
    Example:
      spectral-detect evaluate general --real examples/images/real --fake examples/images/fake
    """
    from spectral_detect.evaluation import evaluate_model
    from spectral_detect.modelfile import load_model
    from spectral_detect.report.evaluation import evaluation_text

    detector = load_model(model)
    dataset = read_labelled(labelled_files(real, fake, manifest), detector.spec, work)
    result = evaluate_model(detector, dataset)
    click.echo(json.dumps(result, indent=2) if as_json else evaluation_text(result))
    ctx.exit(1 if dataset.failures else 0)
