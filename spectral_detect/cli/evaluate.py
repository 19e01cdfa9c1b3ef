"""`spectral-detect evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import click

from spectral_detect.atomic_write import check_target, write_aside
from spectral_detect.cli.shared.checks import check_output, check_outside, check_plot, require_matplotlib
from spectral_detect.cli.shared.failures import COMPARE_MODELS, Failure, HintedCommand
from spectral_detect.cli.shared.inputs import (
    check_frames,
    labelled_files,
    read_labelled,
    warn_if_useless,
    warn_of_bias,
    warn_of_training_images,
)
from spectral_detect.cli.shared.options import (
    encoder_of_model,
    frame_options,
    json_option,
    judging_options,
    labelled_options,
)
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.report_options import check_apart, check_page, facts_now
from spectral_detect.cli.shared.work_options import device_option, work_options
from spectral_detect.detector.model import Model
from spectral_detect.detector.model_file import load_model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.by_generator import GeneratorTable, evaluate_by_generator, wang_protocol
from spectral_detect.evaluation.evaluate import count_trained_on, judge_dataset, summarise
from spectral_detect.evaluation.learning_curve import learning_curve
from spectral_detect.evaluation.results import Evaluation, RobustnessRow
from spectral_detect.evaluation.robustness import measure_robustness
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.edits import CENTRE_224
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import FrameOptions
from spectral_detect.parallel.work import Work
from spectral_detect.report.comparison import curve_text, generators_text
from spectral_detect.report.evaluation import evaluation_text, robustness_text, scores_csv
from spectral_detect.report.evaluation_plots import Picture, pictures_of, pictures_of_generators, plot_evaluation
from spectral_detect.report.html.run_facts import RunFacts
from spectral_detect.scanning.judge import Judgement
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.location import Location
from spectral_detect.sources.stores import locate
from spectral_detect.text import visible
from spectral_detect.training.dataset import Dataset, members_of
from spectral_detect.training.labelled_files import LabelledFile, files_by_generator, files_of_all


@click.command(cls=HintedCommand, hint=f"One model is measured, on images named by options. {COMPARE_MODELS}")
@click.argument("model")
@encoder_of_model
@labelled_options
@click.option("--by", metavar="FOLDER", help="Print a row for each sub-folder, a generator; goes with --real.")
@click.option(
    "--protocol",
    type=click.Choice(("wang",)),
    help="With --by: print average precision without a crop and on the centre 224 px.",
)
@click.option("--robustness", "with_robustness", is_flag=True, help="Measure also after JPEG, blur, resizing, a crop.")
@click.option(
    "--curve", "with_curve", is_flag=True, help="Train also on 10, 20, ... of these images, to see what more would buy."
)
@judging_options
@json_option
@click.option(
    "--scores", metavar="FILE", help="Write score, likelihood ratio and verdict of each image to FILE (.csv)."
)
@click.option("--plot", metavar="FILE", help="Draw reliability, Tippett, ROC and more to FILE (.png, .pdf or .svg).")
@click.option(
    "--report",
    metavar="FILE.html",
    help="Also write numbers, pictures, the model and the limits of the numbers into one HTML file that needs nothing "
    "else.",
)
@work_options
@device_option
@frame_options
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: str,
    encoder: str | None,
    real: tuple[str, ...],
    fake: tuple[str, ...],
    manifest: str | None,
    group_by: str | None,
    by: str | None,
    protocol: str | None,
    with_robustness: bool,
    with_curve: bool,
    rules: Rules,
    as_json: bool,
    scores: str | None,
    plot: str | None,
    report: str | None,
    work: Work,
    limits: Limits,
    frames: FrameOptions,
) -> None:
    """Measure a model on labelled images.

    MODEL is a file, or `world`, the model that ships.

    The numbers say how well the model works only if real and generated images are matched: same size, same
    compression; a warning names the classes that metadata alone tell apart. Every image counts, by score >= threshold;
    the images that a scan would call inconclusive are counted beside, with the errors that this avoids. Intervals are
    95 %, by a bootstrap over the groups of a manifest (over images without groups).

    \b
    Examples:
      spectral-detect evaluate examples/models/photographs.pkl --manifest examples/images/manifest.csv
      spectral-detect evaluate my.pkl --by generators/ --real camera/ --protocol wang
      spectral-detect evaluate my.pkl --manifest test.csv --robustness --report evaluation.html
    """
    _check_usage(by, protocol, bool(fake or manifest or with_robustness or with_curve or scores or plot))
    _check_outputs(scores, plot, report, [model, encoder, manifest], map(locate, (*real, *fake)))
    facts = facts_now(ctx, [by, *real] if by is not None else [*real, *fake, *([manifest] if manifest else [])])
    detector = load_model(model, encoder=encoder)
    warn_if_useless(detector)
    rules.check(detector)
    extractor = Extractor(
        detector.spec,
        rules.edits,
        limits=limits,
        frames=frames,
        delivery=detector.delivery,
        seeks_faces=detector.needs_portrait,
    )
    test = _Test(detector, rules, extractor, work)
    if by is not None:
        table, beside = test.by_generator(by, real, protocol, group_by)
        click.echo(json.dumps(table.to_dict(), indent=2) if as_json else generators_text(table))
        test.report(report, facts, table, beside, partial(pictures_of_generators, table))
        ctx.exit(1 if beside.failures else 0)
    files = labelled_files(real, fake, manifest, group_by)
    images, judgements, evaluation, beside = test.of_all(files)
    if with_robustness:
        evaluation = replace(evaluation, robustness=test.robustness(files, images))
    no_curve = ""
    if with_curve:
        try:
            curve = learning_curve(detector, images, progress=partial(progress, unit="detectors"))
            evaluation = replace(evaluation, curve=curve)
        except DatasetError as error:
            no_curve = f"no learning curve: {error}"
    click.echo(json.dumps(evaluation.to_dict(), indent=2) if as_json else _text(evaluation))
    if scores is not None:
        write_aside(scores, scores_csv(images, judgements).encode("utf-8", "surrogateescape"))
    if plot is not None:
        plot_evaluation(evaluation, images, judgements, plot)
    test.report(report, facts, evaluation, beside, partial(pictures_of, evaluation, images, judgements))
    if no_curve:
        raise Failure(no_curve)
    ctx.exit(1 if evaluation.n_failed else 0)


def _check_usage(by: str | None, protocol: str | None, has_others: bool) -> None:
    if by is not None and has_others:
        raise click.UsageError(
            "--by goes with --real and --protocol; not with --fake, --manifest, --robustness, --curve, --scores, --plot"
        )
    if protocol and by is None:
        raise click.UsageError("--protocol makes a row for each generator: give --by FOLDER as well")


@dataclass(frozen=True)
class _Beside:
    """What stands beside the numbers: warnings, path and error of each file that failed, a hash of the others."""

    warnings: list[str]
    failures: list[tuple[str, str]]
    files_sha256: str


def _beside(dataset: Dataset, warnings: list[str]) -> _Beside:
    return _Beside(warnings, [(failure.path, failure.error or "") for failure in dataset.failures], dataset.sha256)


def _check_outputs(
    scores: str | None,
    plot: str | None,
    report: str | None,
    inputs: list[str | None],
    images: Iterable[Location],
) -> None:
    check_apart(scores=scores, plot=plot, report=report)
    if report is not None:
        check_page(report)
        check_output(report, inputs)
        require_matplotlib()
        check_target(report)
    if scores is not None:
        if not scores.endswith(".csv"):
            raise click.UsageError("--scores writes CSV: end the name in .csv")
        check_output(scores, inputs)
        check_target(scores)
    if plot is not None:
        check_plot(plot, inputs)
        check_outside(plot, images)


def _text(evaluation: Evaluation) -> str:
    texts = [evaluation_text(evaluation)]
    if evaluation.robustness is not None:
        texts.append(robustness_text(evaluation.robustness))
    if evaluation.curve is not None:
        texts.append(curve_text(evaluation.curve))
    return "\n\n".join(texts)


@dataclass(frozen=True, eq=False)
class _Test:
    """The model that is measured, and how its images are read and judged."""

    model: Model
    rules: Rules
    extractor: Extractor
    work: Work

    def of_all(self, files: Sequence[LabelledFile]) -> tuple[Dataset, list[Judgement], Evaluation, _Beside]:
        """Evaluate all images as one set."""
        check_frames(files, self.extractor.frames)
        dataset = read_labelled(files, self.extractor, self.work)
        warnings = warn_of_bias(dataset, class_names=self.model.class_names)
        images, judgements = judge_dataset(self.model, dataset, self.rules)
        evaluation = summarise(self.model, images, judgements, self.rules, n_failed=len(dataset.failures))
        warnings += warn_of_training_images(self.model, evaluation.n_trained_on, len(images.y))
        return images, judgements, evaluation, _beside(dataset, warnings)

    def robustness(self, files: Sequence[LabelledFile], images: Dataset) -> tuple[RobustnessRow, ...]:
        """Evaluate the same images after edits."""
        return measure_robustness(
            self.model, files, images, self.rules, self.work, extractor=self.extractor, progress=progress
        )

    def by_generator(
        self, folder: str, real: tuple[str, ...], protocol: str | None, group_by: str | None
    ) -> tuple[GeneratorTable, _Beside]:
        """Evaluate the images of each sub-folder."""
        generators = files_by_generator(folder, real, group_by_parent=group_by == "parent")
        files = files_of_all(generators)
        check_frames(files, self.extractor.frames)
        dataset = read_labelled(files, self.extractor, self.work)
        members = members_of(dataset, generators)
        warnings = []
        for name, at in members.items():
            warnings += warn_of_bias(dataset.select(at), name, class_names=self.model.class_names)
        table = evaluate_by_generator(self.model, dataset, members, self.rules)
        n_images = sum(sample.edit == dataset.edits[0] for sample in dataset.samples)
        warnings += warn_of_training_images(self.model, count_trained_on(self.model, dataset), n_images)
        if protocol == "wang":
            cropped = read_labelled(files, replace(self.extractor, edits=(CENTRE_224,)), self.work)
            wang = wang_protocol(self.model, table.generators, cropped, members_of(cropped, generators))
            table = replace(table, wang=wang)
        return table, _beside(dataset, warnings)

    def report(
        self,
        output: str | None,
        facts: RunFacts,
        result: Evaluation | GeneratorTable,
        beside: _Beside,
        pictures: Callable[[], list[Picture]],
    ) -> None:
        """Write the page that `--report` asks for."""
        if output is None:
            return
        from spectral_detect.report.html.evaluation_page import Measured, write_evaluation

        measured = Measured(result, pictures(), **vars(beside))
        write_evaluation(output, facts, self.model, self.rules, measured)
        click.echo(f"{visible(output)}: report of the evaluation", err=True)
