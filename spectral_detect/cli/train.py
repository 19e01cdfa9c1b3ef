"""`spectral-detect train`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import get_args

import click
import numpy as np
from click.core import ParameterSource

from spectral_detect.cli.shared.checks import check_model_output
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.inputs import (
    check_frames,
    labelled_files,
    read_labelled,
    warn_if_useless,
    warn_of_bias,
    with_warnings,
)
from spectral_detect.cli.shared.options import (
    error_rate_options,
    feature_options,
    feature_spec,
    frame_options,
    labelled_options,
    seed_option,
)
from spectral_detect.cli.shared.paths import expand
from spectral_detect.cli.shared.progress import show_stage
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.detector.class_names import why_no_class_names
from spectral_detect.detector.classifiers import ClassifierName
from spectral_detect.detector.experience import MIN_OF_CODING
from spectral_detect.detector.model import Model
from spectral_detect.detector.model_file import load_model, save_model
from spectral_detect.detector.naming import NamingKind
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.edits import COPIES, augmentation
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import FrameOptions
from spectral_detect.parallel.work import Work
from spectral_detect.records import CLASS_NAMES, FAKE
from spectral_detect.report.training import training_text
from spectral_detect.text import visible
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.labelled_files import LabelledFile, files_with_generators, unlabelled_files
from spectral_detect.training.outsiders import Outsiders
from spectral_detect.training.train import train_model

OF_PAPER = ("svm", "logreg", "kmeans")  # the classifiers of --paper-settings
DECIDED_BY_ONTO = ("classifier", "features", "bins", "encoder", "paper_settings", "attribute", "unlabelled")


def _checked_class_names(
    ctx: click.Context, param: click.Parameter, names: tuple[str, str] | None
) -> tuple[str, str] | None:
    """Return the names; at once, before an option that was taken for a name is missed."""
    if names and names[1].startswith("-"):
        raise click.UsageError(f"--class-names takes two names, not {names[0]!r} alone")
    if names and (why := why_no_class_names(*names)):
        raise click.UsageError(f"--class-names: {why}")
    return names


@click.command()
@labelled_options
@click.option(
    "--by",
    metavar="FOLDER",
    help="Read the images of each sub-folder, a generator, as fakes; goes with --real, as in evaluate --by.",
)
@click.option(
    "--attribute",
    is_flag=True,
    help="With --by: also learn to name the generator of an image, or `none of these`.",
)
@click.option(
    "--class-names",
    nargs=2,
    metavar="NAME NAME",
    callback=_checked_class_names,
    help="Call the classes so in place of real and fake, such as clean perturbed.",
)
@click.option(
    "--unlabelled",
    multiple=True,
    metavar="DIR",
    help="With --classifier kmeans: train on the images of this folder, which nobody labelled; may be repeated.",
)
@click.option(
    "--outsiders",
    multiple=True,
    metavar="DIR",
    help="Also learn to tell the images of this folder, of a kind that the model is not made for, such as drawings: it "
    "calls such images inconclusive; may be repeated.",
)
@click.option("-o", "--output", required=True, metavar="MODEL", help="Write the model to this file (.pkl).")
@click.option(
    "--classifier",
    type=click.Choice(get_args(ClassifierName)),
    default="svm",
    show_default=True,
    help="Fit this kind of classifier.",
)
@feature_options("residual")
@click.option(
    "--onto",
    metavar="MODEL",
    help="Go on from this model, a perceptron such as world: train another on these images, which it must not know, in "
    "its features, and judge by the mean of all of them. For images of dozens of further sources.",
)
@click.option(
    "--paper-settings",
    is_flag=True,
    help="Use raw features and the C and gamma of the paper; goes with --features durall.",
)
@click.option(
    "--augment",
    type=click.Choice(("none", "wang0.1", "wang0.5")),
    default="none",
    show_default=True,
    help="Train on copies with random blur, JPEG (each with this probability) and crop, for images of unknown history.",
)
@error_rate_options
@click.option(
    "--copies",
    type=click.IntRange(1, 100),
    help=f"Make so many augmented copies of each image.  [default: {COPIES}]",
)
@click.option(
    "--allow-useless",
    is_flag=True,
    help="Save a model that cross-validation cannot tell from chance; it calls every image inconclusive.",
)
@seed_option("Draw folds, augmentation and the start of k-means from this seed.")
@work_options
@device_option
@frame_options
@click.pass_context
def train(
    ctx: click.Context,
    real: tuple[str, ...],
    fake: tuple[str, ...],
    manifest: str | None,
    group_by: str | None,
    by: str | None,
    attribute: bool,
    class_names: tuple[str, str] | None,
    unlabelled: tuple[str, ...],
    outsiders: tuple[str, ...],
    output: str,
    classifier: ClassifierName,
    features: str,
    encoder: str | None,
    bins: int | str | None,
    onto: str | None,
    paper_settings: bool,
    augment: str,
    target_fpr: float | None,
    verdict_errors: tuple[float, float] | None,
    copies: int | None,
    allow_useless: bool,
    seed: int,
    work: Work,
    limits: Limits,
    frames: FrameOptions,
) -> None:
    """Train a detector from labelled images.

    Ten images of each class are enough to begin with, five are the least.
    Real and generated images must not differ in anything else, such as size, format, compression or software: a
    detector learns whatever tells the folders apart. A file that cannot be read is named and left out, and the exit
    status is then 1.

    \b
    Examples:
      spectral-detect train --real examples/images/real --fake examples/images/fake --output my.pkl
      spectral-detect train --by generators/ --real camera/ --attribute --output names.pkl
    """
    base = load_model(onto) if onto else None
    if base:
        _check_onto(ctx, base, class_names)
        classifier, class_names = "perceptron", base.class_names
    if unlabelled and (classifier != "kmeans" or real or fake or manifest or by):
        raise click.UsageError("--unlabelled goes with --classifier kmeans and without labelled images")
    _check_usage(augment, copies, paper_settings, features, classifier)
    _check_generators(by, attribute, bool(fake or manifest), classifier, paper_settings)
    check_model_output(output, [manifest, encoder, onto])
    spec = base.spec if base else feature_spec(features, bins, encoder)
    files = _files(real, fake, manifest, group_by, by, unlabelled)
    check_frames(files, frames)
    extractor = Extractor(spec, augmentation(augment, copies, seed), limits=limits, frames=frames, with_profile=True)
    dataset = read_labelled(files, extractor, work)
    notes = warn_of_bias(dataset, class_names=class_names or CLASS_NAMES)
    if attribute:
        _warn_of_generators(dataset)
    others = _read_outsiders(outsiders, extractor, work)
    show_stage(f"fitting {classifier}, once and for each fold that is held out")
    model = train_model(
        dataset, spec, classifier, paper_settings=paper_settings, target_fpr=target_fpr, verdict_errors=verdict_errors,
        outsiders=others, attribute=attribute, onto=base, seed=seed,
    )  # fmt: skip
    _refuse_useless(model, output, allow_useless)
    _warn_of_codings(model)
    model = with_warnings(replace(model, class_names=class_names or CLASS_NAMES), notes)
    save_model(model, output)
    click.echo(training_text(model, output, len(set(others.images.files)) if others else 0))
    ctx.exit(1 if dataset.failures or (others and others.images.failures) else 0)


def _check_onto(ctx: click.Context, base: Model, class_names: tuple[str, str] | None) -> None:
    """Raise `click.UsageError` for options that --onto decides, or that do not go with it."""
    given = [name for name in DECIDED_BY_ONTO if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if given:
        option = given[0].replace("_", "-")
        raise click.UsageError(
            f"--{option} does not go with --onto, which takes classifier and features from its model"
        )
    if class_names and class_names != base.class_names:
        raise click.UsageError(
            f"--class-names: the model of --onto calls its classes {visible(' '.join(base.class_names))}"
        )


def _files(
    real: tuple[str, ...],
    fake: tuple[str, ...],
    manifest: str | None,
    group_by: str | None,
    by: str | None,
    unlabelled: tuple[str, ...],
) -> list[LabelledFile]:
    if unlabelled:
        if group_by:
            raise click.UsageError("--group-by goes with labelled images: groups are for folds")
        return unlabelled_files(expand(unlabelled))
    if by is not None:
        return files_with_generators(by, real, group_by_parent=group_by == "parent")
    return labelled_files(real, fake, manifest, group_by)


def _warn_of_generators(dataset: Dataset) -> None:
    """Warn of generators that metadata alone tell from all other images."""
    for name in sorted({dataset.source_of(k) for k in np.flatnonzero(dataset.y == FAKE).tolist()}):
        is_of_it = [y == FAKE and dataset.source_of(k) == name for k, y in enumerate(dataset.y.tolist())]
        warn_of_bias(replace(dataset, y=np.array(is_of_it, dtype=int)), name, with_lookalikes=False)


def _read_outsiders(folders: tuple[str, ...], extractor: Extractor, work: Work) -> Outsiders | None:
    if not folders:
        return None
    images = read_labelled(unlabelled_files(expand(folders)), extractor, work)
    names = [os.path.basename(os.path.abspath(folder)) for folder in folders]  # of `.` as well
    return Outsiders(images, f"those of {' and '.join(map(visible, names))}")


def _refuse_useless(model: Model, output: str, is_allowed: bool) -> None:
    """Raise `Failure` for a model that is no better than chance, or warn of it."""
    if model.why_useless and not is_allowed:
        raise Failure(
            f"{visible(output)} is not written: the model is {model.why_useless}; train on more images, or on features "
            "that tell these generators (see spectral-detect compare); --allow-useless saves it for a closer look"
        )
    warn_if_useless(model)


def _warn_of_codings(model: Model) -> None:
    """Warn of a model that judges no coding, as the classes had none in common."""
    if model.experience and not model.experience.codings:
        click.echo(
            "warning: no coding (JPEG, lossless, ...) of a like quality is that of at least "
            f"{MIN_OF_CODING} images of each class, so that it tells the classes apart: "
            "the model calls every image inconclusive; see spectral-detect audit",
            err=True,
        )


def _check_generators(
    by: str | None, attribute: bool, has_others: bool, classifier: ClassifierName, paper_settings: bool
) -> None:
    if by is not None and has_others:
        raise click.UsageError("--by goes with --real; not with --fake or --manifest")
    if attribute and by is None:
        raise click.UsageError("--attribute names the generators of a folder: give --by FOLDER as well")
    if attribute and (classifier not in get_args(NamingKind) or paper_settings):
        raise click.UsageError("--attribute goes with --classifier svm or logreg, and without --paper-settings")


def _check_usage(augment: str, copies: int | None, paper_settings: bool, features: str, classifier: str) -> None:
    if copies and augment == "none":
        raise click.UsageError("--copies says how many augmented copies are made: give --augment as well")
    if paper_settings and features != "durall":
        raise click.UsageError("--paper-settings are for the paper's features: give --features durall as well")
    if paper_settings and classifier not in OF_PAPER:
        raise click.UsageError(f"--paper-settings go with --classifier {', '.join(OF_PAPER)}")
