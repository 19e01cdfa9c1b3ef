"""`spectral-detect fuse`."""

from __future__ import annotations

from dataclasses import replace

import click

from spectral_detect.cli.shared.checks import check_model_output
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.inputs import (
    check_frames,
    labelled_files,
    read_labelled,
    warn_if_useless,
    warn_of_bias,
    warn_of_training_images,
    with_warnings,
)
from spectral_detect.cli.shared.options import (
    encoder_of_model,
    error_rate_options,
    frame_options,
    labelled_options,
    seed_option,
)
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.detector.model import Model
from spectral_detect.detector.model_file import load_model, read_model, save_model
from spectral_detect.evaluation.evaluate import count_trained_on
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import FrameOptions
from spectral_detect.parallel.work import Work
from spectral_detect.report.training import training_text
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.fuse import fuse_models, fused_extractor

KNEW = (
    "it knew the answers, so that it weighs too much and the estimates are too good; give images that neither has seen"
)


@click.command()
@click.argument("first", metavar="A.pkl")
@click.argument("second", metavar="B.pkl")
@labelled_options
@encoder_of_model
@click.option("-o", "--output", required=True, metavar="MODEL", help="Write the model to this file (.pkl).")
@error_rate_options
@seed_option("Draw folds from this seed.")
@work_options
@device_option
@frame_options
@click.pass_context
def fuse(
    ctx: click.Context,
    first: str,
    second: str,
    real: tuple[str, ...],
    fake: tuple[str, ...],
    manifest: str | None,
    group_by: str | None,
    encoder: str | None,
    output: str,
    target_fpr: float | None,
    verdict_errors: tuple[float, float] | None,
    seed: int,
    work: Work,
    limits: Limits,
    frames: FrameOptions,
) -> None:
    """Make one model of two, that judges by both.

    A.pkl and B.pkl are models of calibrated scores, such as one of spectra and one of an encoder. The new model judges
    by the weighted sum of their log likelihood ratios; weights, calibration and threshold are fitted on the labelled
    images, groups kept apart, which neither model should have been trained on. The file holds both models.

    \b
    Example:
      spectral-detect fuse spectrum.pkl clip.pkl --real held/real --fake held/fake --output both.pkl
    """
    check_model_output(output, [first, second, manifest, encoder])
    if encoder is not None and all(read_model(name).spec.encoder is None for name in (first, second)):
        raise Failure("neither model needs an encoder; leave --encoder out")
    models = _load(first, encoder), _load(second, encoder)
    extractor = replace(fused_extractor(*models), limits=limits, frames=frames)
    files = labelled_files(real, fake, manifest, group_by)
    check_frames(files, frames)
    dataset = read_labelled(files, extractor, work)
    notes = warn_of_bias(dataset, class_names=models[0].class_names)
    model = fuse_models(*models, dataset, target_fpr=target_fpr, verdict_errors=verdict_errors, seed=seed)
    notes += _warn_of_training_images(model, dataset)
    warn_if_useless(model)
    model = with_warnings(model, notes)
    save_model(model, output)
    click.echo(training_text(model, output))
    ctx.exit(1 if dataset.failures else 0)


def _load(name: str, encoder: str | None) -> Model:
    """Load a model, with the encoder that is named if it needs one."""
    needs_one = read_model(name).spec.encoder is not None
    return load_model(name, encoder=encoder if needs_one else None)


def _warn_of_training_images(model: Model, dataset: Dataset) -> list[str]:
    """Warn of images that one of the parts was trained on; the warnings are returned as well."""
    own = [model.of_parts(features) for features in dataset.features]
    notes = []
    for k, part in enumerate(model.parts):
        n_known = count_trained_on(part, replace(dataset, features=[features[k] for features in own]))
        notes += warn_of_training_images(part, n_known, len(own), KNEW)
    return notes
