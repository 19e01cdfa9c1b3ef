"""Read the labelled images that a command is given, and warn of biased ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import click

from spectral_detect.audit.dataset_audit import audit_dataset
from spectral_detect.cli.shared.failures import report_failure
from spectral_detect.cli.shared.progress import progress
from spectral_detect.detector.model import Model
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.stills.transparency import percentage
from spectral_detect.media.video import FrameOptions
from spectral_detect.parallel.work import Work
from spectral_detect.records import CLASS_NAMES
from spectral_detect.report.audit import bias_warning
from spectral_detect.scanning.doubts import MOST_TRANSPARENT
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.text import counted, visible
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import LabelledFile, files_in_folders, files_in_manifest

LOOK_THE_SAME = "look the same"
NAMELESS = re.compile(r", the first: .*(?=; an estimate)", re.DOTALL)  # the names of files, whatever they hold


def labelled_files(
    real: Sequence[str], fake: Sequence[str], manifest: str | None, group_by: str | None = None
) -> list[LabelledFile]:
    """Find the files that `--real`, `--fake` and `--manifest` name."""
    if manifest is not None:
        if real or fake or group_by:
            raise click.UsageError("give folders or a manifest, which has groups of its own, not both")
        return files_in_manifest(manifest)
    if not (real and fake):
        raise click.UsageError("give --real DIR and --fake DIR, or --manifest CSV")
    return files_in_folders(real, fake, group_by_parent=group_by == "parent")


def check_frames(files: Sequence[LabelledFile], frames: FrameOptions) -> None:
    """Refuse options for frames where no file is a video, and warn on stderr of stills that `--crop` leaves whole."""
    n_stills = sum(not isinstance(labelled.file, FoundVideo) for labelled in files)
    if frames == FrameOptions() or not n_stills:
        return
    if n_stills == len(files):
        raise click.UsageError(
            "--frames, --every, --all and --crop are for videos, and none of these files is one; "
            "images are taken whole (to cut frames, name the videos that they come from)"
        )
    if frames.crop != "none":
        click.echo(f"warning: --crop cuts frames of videos; {counted(n_stills, 'image')} are taken whole", err=True)


def read_labelled(files: Sequence[LabelledFile], extractor: Extractor, work: Work) -> Dataset:
    """Extract features (none without a spec) under a progress bar, and name the files that failed on stderr."""
    dataset = read_dataset(files, extractor, work, progress=partial(progress, total=len(files)))
    for failure in dataset.failures:
        report_failure(failure.path, failure.error)
    warn_of_transparency(dataset)
    return dataset


def warn_if_useless(model: Model) -> None:
    """Warn on stderr of a model that is no better than chance."""
    if model.why_useless:
        click.echo(f"warning: the model is {model.why_useless}; it calls every image inconclusive", err=True)


def warn_of_training_images(
    model: Model, n_known: int, n_images: int, consequence: str = "these numbers flatter it"
) -> list[str]:
    """Warn on stderr of images that the model was trained on; the warning, if there is one, is returned as well."""
    if not n_known:
        return []
    count = f"{n_known}" if model.knows_its_files else f"at least {n_known}"
    images = f"{count} of {counted(n_images, 'image')}"
    note = f"{images} were in the training of the model {visible(model.name)}: {consequence}"
    click.echo(f"warning: {note}", err=True)
    return [note]


def warn_of_transparency(dataset: Dataset) -> None:
    """Warn on stderr of images whose hidden pixels count like the others."""
    paths = sorted({sample.path for sample in dataset.samples if sample.transparent_share > MOST_TRANSPARENT})
    if paths:
        click.echo(
            f"warning: more than {percentage(MOST_TRANSPARENT)} of the pixels are transparent in "
            f"{counted(len(paths), 'image')}, the first: {visible(paths[0])}; their stored colours count",
            err=True,
        )


def warn_of_bias(
    dataset: Dataset, name: str = "", *, with_lookalikes: bool = True, class_names: tuple[str, str] = CLASS_NAMES
) -> list[str]:
    """Warn on stderr of what makes an estimate too good: classes that metadata tell apart, lookalikes across classes.

    `name` tells which of several data sets it is. The warnings are returned as well.
    """
    start = f"{visible(name)}: " if name else ""
    notes = [start + note for note in _bias_notes(dataset, class_names if with_lookalikes else None)]
    for note in notes:
        click.echo(f"warning: {note}", err=True)
    return notes


def with_warnings(model: Model, notes: Iterable[str]) -> Model:
    """Return a model that holds these warnings, without the names of files, which would tell on their owner."""
    kept = [note if LOOK_THE_SAME not in note else NAMELESS.sub("", note) for note in notes]
    return replace(model, training={**model.training, "warnings": kept})


def _bias_notes(dataset: Dataset, class_names: tuple[str, str] | None) -> list[str]:
    """Return the warnings; those of lookalikes only where the classes have names."""
    if not (dataset.n_real and dataset.n_fake):
        return []
    audit = audit_dataset(dataset)
    notes = [bias_warning(audit)] if audit.is_biased else []
    if class_names is None:
        return notes
    near, (real, fake) = audit.duplicates.near, map(visible, class_names)
    for pairs, which, wrong in (
        (near.across, f"one {real} and one {fake}", "too good or too bad"),
        (near.real, f"both {real}", "too good"),
        (near.fake, f"both {fake}", "too good"),
    ):
        if pairs.n_pairs:
            first, second = map(visible, pairs.first[0])
            counts = counted(pairs.n_pairs, "pair")
            notes.append(
                f"{counts} of images, {which}, {LOOK_THE_SAME}, the first: {first} and {second}; "
                f"an estimate of accuracy is {wrong} unless a manifest puts each pair into one group"
            )
    return notes
