"""`spectral-detect plot scores`."""

from __future__ import annotations

from dataclasses import replace

import click

from spectral_detect.cli.plot.options import output_option
from spectral_detect.cli.shared.checks import check_plot
from spectral_detect.cli.shared.options import FiniteRange
from spectral_detect.evaluation.scored_files import read_scored
from spectral_detect.report.pictures.scores import KINDS, Kind, plot_scores
from spectral_detect.text import counted, visible


@click.command()
@click.argument("files", nargs=-1, metavar="[SCORES.csv]...")
@output_option("scores.png")
@click.option("--kind", type=click.Choice(KINDS), help="Draw this figure alone.  [default: all on a page]")
@click.option(
    "--real", multiple=True, metavar="FILE", help="Read scores of camera images, as scan writes them; repeatable."
)
@click.option(
    "--fake", multiple=True, metavar="FILE", help="Read scores of generated images, as scan writes them; repeatable."
)
@click.option(
    "--threshold", type=FiniteRange(0, 1), help="Mark this threshold.  [default: that of the files, if they tell one]"
)
def scores(
    files: tuple[str, ...],
    output: str,
    kind: Kind | None,
    real: tuple[str, ...],
    fake: tuple[str, ...],
    threshold: float | None,
) -> None:
    """Draw the scores that evaluate or scan has written.

    SCORES.csv is what `evaluate --scores` writes: it holds the labels. Several files are compared, a curve for each.
    What a scan writes (CSV or JSON Lines) holds no truth: name such files by --real and --fake, all of one model.

    The figures: histogram of the scores of either class; ROC; DET, on axes of normal deviates; reliability; Tippett, of
    the images that have likelihood ratios.

    \b
    Examples:
      spectral-detect plot scores scores.csv --output scores.pdf
      spectral-detect plot scores --real camera.csv --fake generated.csv --kind det
    """
    if not (files or real or fake):
        raise click.UsageError("name files of scores, or some by --real and --fake")
    if bool(real) != bool(fake):
        raise click.UsageError("--real and --fake go together: a figure of scores needs both classes")
    check_plot(output, [*files, *real, *fake])
    sets = read_scored(files, real, fake)
    if threshold is not None:
        sets = [replace(scored, threshold=threshold, undecided=None) for scored in sets]
    plot_scores(sets, kind, output)
    for scored in sets:
        left_out = f"; {counted(scored.n_left_out, 'row')} without a score left out" if scored.n_left_out else ""
        click.echo(f"{visible(output)}: {visible(scored.name)} ({counted(len(scored.y), 'image')}){left_out}")
