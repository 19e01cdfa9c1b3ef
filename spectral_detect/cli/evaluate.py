"""`spectral-detect evaluate`."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from spectral_detect.atomic_write import check_target, write_aside
from spectral_detect.cli.shared.checks import check_output, check_plot
from spectral_detect.cli.shared.inputs import labelled_files, read_labelled, warn_of_bias
from spectral_detect.cli.shared.options import frame_options, judging_options, labelled_options
from spectral_detect.cli.shared.progress import progress
from spectral_detect.cli.shared.work_options import device_option, work_options

if TYPE_CHECKING:
    from spectral_detect.detector.model import Model
    from spectral_detect.extraction.one_file import Extractor
    from spectral_detect.media.limits import Limits
    from spectral_detect.media.video import FrameOptions
    from spectral_detect.parallel.work import Work
    from spectral_detect.scanning.judge import Judgement
    from spectral_detect.scanning.rules import Rules
    from spectral_detect.training.dataset import Dataset, LabelledFile


@click.command()
@click.argument("model")
@labelled_options
@click.option(
    "--by",
    metavar="FOLDER",
    help="A row for each sub-folder, a generator; goes with --real.",
)
@click.option("--protocol", type=click.Choice(("wang",)), help="With --by: AP without a crop and on the centre 224 px.")
@click.option("--robustness", "with_robustness", is_flag=True, help="Also after JPEG, blur, resizing and a crop.")
@click.option("--curve", "with_curve", is_flag=True, help="Also what 10, 20, ... of these images buy as training.")
@judging_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the table.")
@click.option("--scores", metavar="FILE", help="Write a row for each image: score, likelihood ratio, verdict (.csv).")
@click.option("--plot", metavar="FILE", help="Draw reliability, Tippett, ROC and more there (.png, .pdf or .svg).")
@work_options
@device_option
@frame_options
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: str,
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
    work: Work,
    limits: Limits,
    frames: FrameOptions,
) -> None:
    """Measure MODEL, a file or a shipped name, on labelled images.

    The numbers say how well the model works only if real and generated images are matched: same size, same
    compression; a warning says where metadata alone tell them apart. Every image counts, by score >= threshold; what a
    scan would call inconclusive is counted beside, with the errors that this avoids. Intervals are 95 %, by a bootstrap
    over the groups of a manifest (over images without groups).

    \b
    Examples:
      spectral-detect evaluate photographs --real examples/images/real --fake examples/images/fake
      spectral-detect evaluate my.pkl --by generators/ --real camera/ --protocol wang
    """
    from spectral_detect.detector.model_file import load_model
    from spectral_detect.evaluation.evaluate import judge_dataset
    from spectral_detect.extraction.one_file import Extractor

    if by is not None and (fake or manifest or with_robustness or with_curve or scores or plot):
        raise click.UsageError(
            "--by goes with --real and --protocol; not with --fake, --manifest, --robustness, --curve, --scores, --plot"
        )
    if protocol and by is None:
        raise click.UsageError("--protocol makes a row for each generator: give --by FOLDER as well")
    if scores is not None:
        if not scores.endswith(".csv"):
            raise click.UsageError("--scores writes CSV: end the name in .csv")
        check_output(scores, [model, manifest])
        check_target(scores)
    if plot is not None:
        check_plot(plot, [model, manifest])
    detector = load_model(model)
    rules.check([detector])
    extractor = Extractor(detector.spec, rules.edits, limits=limits, frames=frames)
    if by is not None:
        result, text, n_failed = _by_generator(detector, by, real, protocol, rules, extractor, work)
        click.echo(json.dumps(result, indent=2) if as_json else text)
    else:
        files = labelled_files(real, fake, manifest, group_by)
        dataset = read_labelled(files, extractor, work)
        n_failed = len(dataset.failures)
        warn_of_bias(dataset)
        judged = judge_dataset(detector, dataset, rules)
        result, text = _together(detector, files, judged, rules, extractor, work, with_robustness, with_curve)
        click.echo(json.dumps(result | {"n_failed": n_failed}, indent=2) if as_json else text)
        _write_details(result, judged, scores, plot)
    ctx.exit(1 if n_failed else 0)


def _together(
    detector: Model,
    files: list[LabelledFile],
    judged: tuple[Dataset, list[Judgement]],
    rules: Rules,
    extractor: Extractor,
    work: Work,
    with_robustness: bool,
    with_curve: bool,
) -> tuple[dict[str, Any], str]:
    """All images as one set: the result and the text."""
    from spectral_detect.evaluation.evaluate import robustness, summarise
    from spectral_detect.evaluation.retraining import learning_curve
    from spectral_detect.report.comparison import curve_text
    from spectral_detect.report.evaluation import evaluation_text, robustness_text

    result = summarise(detector, *judged, rules)
    texts = [evaluation_text(result)]
    if with_robustness:
        result["robustness"] = robustness(detector, files, judged[0], rules, work, extractor=extractor, watch=progress)
        texts.append(robustness_text(result["robustness"]))
    if with_curve:
        result["curve"] = learning_curve(detector, judged[0], watch=partial(progress, unit="detectors"))
        texts.append(curve_text(result["curve"]))
    return result, "\n\n".join(texts)


def _write_details(
    result: dict[str, Any], judged: tuple[Dataset, list[Judgement]], scores: str | None, plot: str | None
) -> None:
    """`--scores` and `--plot`."""
    from spectral_detect.report.evaluation import scores_csv

    images, judgements = judged
    if scores is not None:
        write_aside(scores, scores_csv(images, judgements).encode("utf-8", "surrogateescape"))
    if plot is not None:
        from spectral_detect.report.plots import plot_evaluation

        plot_evaluation(result, images.y, judgements, plot)


def _by_generator(
    detector: Model,
    folder: str,
    real: tuple[str, ...],
    protocol: str | None,
    rules: Rules,
    extractor: Extractor,
    work: Work,
) -> tuple[dict[str, Any], str, int]:
    """A row for each sub-folder: the result, the text, and how many files failed."""
    from spectral_detect.evaluation.evaluate import evaluate_by_generator, wang_protocol
    from spectral_detect.media.edits import CENTRE_224
    from spectral_detect.report.comparison import generators_text
    from spectral_detect.training.dataset import files_by_generator, files_of_all, members_of

    generators = files_by_generator(folder, real)
    files = files_of_all(generators)
    dataset = read_labelled(files, extractor, work)
    members = members_of(dataset, generators)
    for name, at in members.items():
        warn_of_bias(dataset.select(at), name)
    result = evaluate_by_generator(detector, dataset, members, rules)
    if protocol == "wang":
        cropped = read_labelled(files, replace(extractor, edits=(CENTRE_224,)), work)
        of_crops = members_of(cropped, generators)
        result["wang"] = wang_protocol(detector, result["generators"], cropped, of_crops)
    return result, generators_text(result), len(dataset.failures)
