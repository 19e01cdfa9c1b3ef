"""`spectral-detect compare`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import get_args

import click

from spectral_detect.cli.shared.failures import COMPARE_MODELS, HintedCommand, report_failure
from spectral_detect.cli.shared.inputs import check_frames, labelled_files, warn_of_bias, warn_of_transparency
from spectral_detect.cli.shared.options import (
    encoder_option,
    feature_spec,
    frame_options,
    json_option,
    labelled_options,
    seed_option,
)
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.detector.classifiers import ClassifierName
from spectral_detect.evaluation.compare import CLASSIFIERS, compare_detectors
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import ENCODER, PRESET_NAMES, PRESETS
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import FrameOptions
from spectral_detect.parallel.work import Work
from spectral_detect.report.comparison import detectors_text
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import LabelledFile

TRIED = tuple(name for name in PRESETS if name != "magnitude")  # that one is for adversarial images


@click.command(cls=HintedCommand, hint=f"Features and classifiers are tried on labelled images. {COMPARE_MODELS}")
@labelled_options
@click.option(
    "--features",
    multiple=True,
    type=click.Choice(PRESET_NAMES),
    help="Try this preset of features; repeatable.  [default: all but magnitude]",
)
@encoder_option("Try the features of this network (ONNX) as well.")
@click.option(
    "--classifier",
    "classifiers",
    multiple=True,
    type=click.Choice(get_args(ClassifierName)),
    help=f"Try this kind of classifier; repeatable.  [default: {', '.join(CLASSIFIERS)}]",
)
@json_option
@seed_option("Draw folds, classifiers and intervals from this seed.")
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
    features: tuple[str, ...],
    encoder: str | None,
    classifiers: tuple[ClassifierName, ...],
    as_json: bool,
    seed: int,
    work: Work,
    limits: Limits,
    frames: FrameOptions,
) -> None:
    """Try features and classifiers, and name the best.

    Each is cross-validated on the same folds, groups kept apart, and has the numbers that train would print. The best
    of several looks better than it is: keep images of your own back, and measure it on those with evaluate.

    \b
    Example:
      spectral-detect compare --real examples/images/real --fake examples/images/fake
    """
    files = labelled_files(real, fake, manifest, group_by)
    check_frames(files, frames)
    names = dict.fromkeys((*(features or TRIED), *([ENCODER] if encoder is not None else [])))
    specs = [feature_spec(name, None, encoder if name == ENCODER else None) for name in names]
    extractors = [Extractor(spec, limits=limits, frames=frames) for spec in specs]
    datasets = _read_each(files, extractors, work)
    warn_of_bias(datasets[0])
    kinds = tuple(dict.fromkeys(classifiers or CLASSIFIERS))
    bar = partial(progress, total=len(datasets) * len(kinds), unit="detectors")
    result = compare_detectors(datasets, kinds, seed=seed, progress=bar)
    click.echo(json.dumps(result.to_dict(), indent=2) if as_json else detectors_text(result))
    ctx.exit(1 if result.n_failed else 0)


def _read_each(files: Sequence[LabelledFile], extractors: Sequence[Extractor], work: Work) -> list[Dataset]:
    """Read the files once for each kind of features, and name each that failed once on stderr."""
    datasets: list[Dataset] = []
    named: set[str] = set()
    for extractor in extractors:
        datasets.append(read_dataset(files, extractor, work, progress=partial(progress, total=len(files))))
        if len(datasets) == 1:
            warn_of_transparency(datasets[0])
        for failure in datasets[-1].failures:
            if failure.path not in named:
                report_failure(failure.path, failure.error)
                named.add(failure.path)
    return datasets
