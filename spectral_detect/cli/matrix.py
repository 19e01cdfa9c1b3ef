"""`spectral-detect matrix`."""

from __future__ import annotations

import json
from functools import partial
from typing import get_args

import click

from spectral_detect.cli.shared.checks import check_outside, check_plot
from spectral_detect.cli.shared.inputs import read_labelled, warn_of_bias
from spectral_detect.cli.shared.options import feature_options, feature_spec, json_option, seed_option
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.detector.classifiers import ClassifierName
from spectral_detect.evaluation.generator_matrix import cross_generators
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.report.comparison import matrix_text
from spectral_detect.report.evaluation_plots import plot_matrix
from spectral_detect.sources.stores import locate
from spectral_detect.training.dataset import members_of
from spectral_detect.training.labelled_files import files_by_generator, files_of_all


@click.command()
@click.argument("folder")
@click.option(
    "--real", multiple=True, metavar="DIR", help="Use these camera images for generators that bring none; repeatable."
)
@click.option(
    "--classifier",
    type=click.Choice(get_args(ClassifierName)),
    default="svm",
    show_default=True,
    help="Train this kind of classifier.",
)
@feature_options("residual")
@seed_option("Draw the images that are held out from this seed.")
@json_option
@click.option("--plot", metavar="FILE", help="Draw the matrix to FILE (.png, .pdf or .svg).")
@work_options
@device_option
@click.pass_context
def matrix(
    ctx: click.Context,
    folder: str,
    real: tuple[str, ...],
    classifier: ClassifierName,
    features: str,
    encoder: str | None,
    bins: int | str | None,
    seed: int,
    as_json: bool,
    plot: str | None,
    work: Work,
    limits: Limits,
) -> None:
    """Train on each generator and measure on each other.

    The table shows which generators a detector recognises that it was not trained on.
    FOLDER holds a sub-folder for each generator, with fakes alone (judged against --real, or a sub-folder real) or
    with sub-folders of both classes (real and fake, 0_real and 1_fake, nature and ai). Three of ten images are held out
    for measuring. The row "all others" has, in each column, a detector that was trained on every other generator.

    \b
    Example:
      spectral-detect matrix generators/ --real camera/ --plot matrix.png
    """
    if plot is not None:
        check_plot(plot)
        check_outside(plot, map(locate, (folder, *real)))
    spec = feature_spec(features, bins, encoder)
    generators = files_by_generator(folder, real)
    dataset = read_labelled(files_of_all(generators), Extractor(spec, limits=limits), work)
    members = members_of(dataset, generators)
    for name, at in members.items():
        warn_of_bias(dataset.select(at), name, with_lookalikes=False)  # they are held out together
    bar = partial(progress, total=2 * len(generators) + 1, unit="detectors")
    result = cross_generators(dataset, members, spec, classifier, seed=seed, progress=bar)
    if plot is not None:
        plot_matrix(result, plot)
    click.echo(json.dumps(result.to_dict(), indent=2) if as_json else matrix_text(result))
    ctx.exit(1 if dataset.failures else 0)
