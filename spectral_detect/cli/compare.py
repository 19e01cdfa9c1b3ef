"""`spectral-detect compare`."""

from __future__ import annotations

import json

import click

from spectral_detect.cli.shared.inputs import labelled_files, read_labelled, warn_of_bias
from spectral_detect.cli.shared.options import frame_options, labelled_options
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.evaluation.compare import compare_detectors
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import PRESETS, FeatureSpec
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import FrameOptions
from spectral_detect.parallel.work import Work
from spectral_detect.report.comparison import detectors_text
from spectral_detect.training.dataset import Dataset, read_dataset


@click.command()
@labelled_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the table.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Draw folds and classifiers from this seed.",
)
@work_options
@device_option
@frame_options
@click.pass_context
def compare(
    ctx: click.Context,
    real: tuple[str, ...],
    fake: tuple[str, ...],
    manifest: str | None,
    group_by: str | None,
    as_json: bool,
    seed: int,
    work: Work,
    limits: Limits,
    frames: FrameOptions,
) -> None:
    """Try features and classifiers, and name the best.

    Each is cross-validated on the same folds, groups kept apart. The best of several looks better than it is: keep
    images of your own back, and measure it on those with evaluate.

    \b
    Example:
      spectral-detect compare --real examples/images/real --fake examples/images/fake
    """
    files = labelled_files(real, fake, manifest, group_by)
    datasets: list[Dataset] = []

    def read(spec: FeatureSpec) -> Dataset:
        extractor = Extractor(spec, limits=limits, frames=frames)
        datasets.append(read_dataset(files, extractor, work) if datasets else read_labelled(files, extractor, work))
        return datasets[-1]

    result = compare_detectors([FeatureSpec.preset(name) for name in PRESETS], read, seed=seed)
    warn_of_bias(datasets[0])
    click.echo(json.dumps(result.to_dict(), indent=2) if as_json else detectors_text(result))
    ctx.exit(1 if datasets[0].failures else 0)
