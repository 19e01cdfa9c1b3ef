"""`spectral-detect plot embedding`."""

from __future__ import annotations

import click

from spectral_detect.cli.plot.folders import FailedFiles, folders_to_draw, say_drawn, under_bar
from spectral_detect.cli.plot.options import folders_argument, output_option
from spectral_detect.cli.shared.options import FiniteRange, feature_options, feature_spec
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.folders.embedding import PERPLEXITY, Method, embed, folder_features
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.report.pictures.folders import plot_embedding


@click.command()
@folders_argument
@output_option("embedding.png")
@click.option(
    "--method",
    type=click.Choice(("pca", "tsne")),
    default="pca",
    show_default=True,
    help="pca: the two directions of most variance; tsne: t-SNE, which keeps neighbours together and no distance.",
)
@click.option(
    "--perplexity",
    type=FiniteRange(1, 1000),
    help=f"With --method tsne: look at about so many neighbours.  [default: {PERPLEXITY:g}]",
)
@feature_options("azimuthal")
@work_options
@device_option
@click.pass_context
def embedding(
    ctx: click.Context,
    folders: tuple[str, ...],
    output: str,
    method: Method,
    perplexity: float | None,
    features: str,
    encoder: str | None,
    bins: int | str | None,
    work: Work,
    limits: Limits,
) -> None:
    """Draw the images of folders as points, by their features.

    Each feature is brought to mean 0 and deviation 1 over all images first; of features in tiles the mean over an
    image's tiles counts. The seed is fixed: the same images give the same picture.

    \b
    Examples:
      spectral-detect plot embedding examples/images/real examples/images/fake
      spectral-detect plot embedding examples/images/* --method tsne --features durall
    """
    if perplexity is not None and method != "tsne":
        raise click.UsageError("--perplexity goes with --method tsne")
    failed = FailedFiles()
    found = folders_to_draw(folders, output)
    spec = feature_spec(features, bins, encoder)
    vectors = folder_features(found, spec, work, limits=limits, progress=under_bar(found), on_failure=failed)
    names = [folder.name for folder in found]
    plot_embedding(embed(names, vectors, method, perplexity=perplexity or PERPLEXITY), features, output)
    say_drawn(output, [(name, len(some)) for name, some in zip(names, vectors, strict=True)])
    ctx.exit(failed.status)
