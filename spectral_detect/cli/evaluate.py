"""`spectral-detect evaluate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from spectral_detect.cli.options import (
    check_output,
    check_plot,
    labelled_files,
    labelled_options,
    progress,
    read_labelled,
    warn_of_bias,
    work_options,
)

if TYPE_CHECKING:
    from spectral_detect.pipeline import Work


@click.command()
@click.argument("model")
@labelled_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the table.")
@click.option("--robustness", "with_robustness", is_flag=True, help="Also after JPEG, blur, resizing and a crop.")
@click.option("--plot", metavar="FILE", help="Draw the result of --robustness there (.png, .pdf or .svg).")
@work_options
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: str,
    real: tuple[str, ...],
    fake: tuple[str, ...],
    manifest: str | None,
    as_json: bool,
    with_robustness: bool,
    plot: str | None,
    work: Work,
) -> None:
    """Measure MODEL, a file or a shipped name, on labelled images.

    The numbers say how well the model works only if real and generated images are matched: same size, same
    compression; a warning says where metadata alone tell them apart. Every image counts, by score >= threshold; what a
    scan would call inconclusive is counted beside. Intervals are 95 %, by a bootstrap over the groups of a manifest
    (over images without groups).

    \b
    Example:
      spectral-detect evaluate photographs --real examples/images/real --fake examples/images/fake
    """
    from spectral_detect.evaluation import evaluate_model, robustness
    from spectral_detect.modelfile import load_model
    from spectral_detect.report.evaluation import evaluation_text, robustness_text

    if plot is not None:
        if not with_robustness:
            raise click.UsageError("--plot draws the result of --robustness: give that as well")
        check_output(plot, [model, manifest])
        check_plot(plot)
    detector = load_model(model)
    files = labelled_files(real, fake, manifest)
    dataset = read_labelled(files, detector.spec, work)
    warn_of_bias(dataset)
    result = evaluate_model(detector, dataset)
    if with_robustness:
        result["robustness"] = robustness(detector, files, result, work, watch=progress)
    if plot is not None:
        from spectral_detect.report.plots import plot_robustness, plot_title

        plot_robustness(result["robustness"], plot, title=plot_title(result))
    text = evaluation_text(result)
    if with_robustness:
        text += "\n\n" + robustness_text(result["robustness"])
    click.echo(json.dumps(result, indent=2) if as_json else text)
    ctx.exit(1 if dataset.failures else 0)
