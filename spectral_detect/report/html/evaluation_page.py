"""The report of an evaluation: its numbers, pictures and rows, the model, and what the numbers are not worth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spectral_detect.atomic_write import write_aside
from spectral_detect.detector.metric_values import Estimate
from spectral_detect.detector.metrics import REALS_NEEDED
from spectral_detect.detector.model import Model
from spectral_detect.evaluation.by_generator import GeneratorTable
from spectral_detect.evaluation.results import Evaluation, RobustnessRow
from spectral_detect.records import CLASS_NAMES
from spectral_detect.report.comparison import columns_of
from spectral_detect.report.evaluation import AT_THRESHOLD, CALIBRATION, RANKING
from spectral_detect.report.evaluation_plots import Picture
from spectral_detect.report.html import words
from spectral_detect.report.html.frame import render
from spectral_detect.report.html.model_facts import model_facts
from spectral_detect.report.html.row_table import Named
from spectral_detect.report.html.run_facts import RunFacts, utc_now
from spectral_detect.report.html.table_page import rules_in_words
from spectral_detect.report.metrics import OF_CLASS, PLAIN, TITLES, few_images_lines
from spectral_detect.scanning.rules import Rules
from spectral_detect.text import counted, visible

MOST_NAMED = 200  # files that failed
OF_VIDEOS = ("accuracy", "balanced_accuracy", "auroc")
LIMITS = (
    "The numbers hold for images like these: of these sources and generators, in these sizes and codings, with this "
    "history. They are no rate of error for other images; for those, measure again on images like those.",
    "They are too good if images of the same sources, or the same scenes, took part in training the model, and if the "
    "classes differ in anything else than their origin (size, coding, content): see the warnings above, if there are "
    "any.",
    "They say nothing about a single image. What speaks for or against one is its likelihood ratio, within the "
    "conditions under which the model was validated.",
    "Every image counts, by its score against the threshold. A scan leaves some of them inconclusive; how many, and "
    "how often the others are right, stands in a row of its own.",
    "No number here is the probability that an image called {fake} is {fake}: that depends also on how frequent such "
    "images are among those examined. The option --prevalence states it.",
    "An interval covers the choice of these images (by whole groups of the manifest, or folder), and not that of the "
    "sources, generators and cameras, which were not drawn at random.",
    "The oracle threshold was chosen on these very images: nobody has it beforehand. A threshold chosen from these "
    "numbers has to be measured on other images.",
)


@dataclass(frozen=True)
class Measured:
    """What was measured, and what is said beside it.

    Attributes
    ----------
    result : Evaluation or GeneratorTable
        The numbers.
    pictures : sequence of Picture
        Its pictures.
    warnings : sequence of str
        What makes the numbers too good or too bad.
    failures : sequence of (str, str)
        Path and error of each file without features.
    files_sha256 : str
        Hash of the sorted hashes of the files, one a line.
    """

    result: Evaluation | GeneratorTable
    pictures: Sequence[Picture] = ()
    warnings: Sequence[str] = ()
    failures: Sequence[tuple[str, str]] = ()
    files_sha256: str = ""


@dataclass(frozen=True)
class Rows:
    """A table: its title, a note, the titles of its columns, and its rows, the first cell of which is a name."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    heads: frozenset[int] = field(default_factory=frozenset)  # rows that begin a part


def write_evaluation(output: str, run: RunFacts, model: Model, rules: Rules, measured: Measured) -> None:
    """Write the page."""
    write_aside(output, page_of(run, model, rules, measured).encode("utf-8"))


def page_of(run: RunFacts, model: Model, rules: Rules, measured: Measured) -> str:
    """Return the page."""
    result = measured.result
    printed = json.dumps(result.to_dict(), indent=2) + "\n"
    failures = [Named(visible(path), visible(error)) for path, error in measured.failures]
    return render(
        "evaluation.html.j2",
        "an evaluation",
        run,
        model=model_facts(model, rules),
        finished=utc_now(),
        digest=hashlib.sha256(printed.encode("utf-8")).hexdigest(),
        tables=tables_of(result),
        counts=_counts(result),
        caution=_caution(result),
        pictures=measured.pictures,
        files_sha256=measured.files_sha256,
        warnings=[visible(text) for text in measured.warnings],
        failures=failures[:MOST_NAMED],
        n_failed=len(failures),
        settings=_settings(rules, model.class_names),
        limits=[text.format(fake=visible(model.class_names[1])) for text in LIMITS],
        words=words,
    )


def _evaluations(result: Evaluation | GeneratorTable) -> list[Evaluation]:
    return [result] if isinstance(result, Evaluation) else [row.evaluation for row in result.generators]


def _names(result: Evaluation) -> tuple[str, str]:
    """Return what the model calls real and fake, fit to be shown."""
    first, second = result.class_names
    return visible(first), visible(second)


def _counts(result: Evaluation | GeneratorTable) -> str:
    if isinstance(result, Evaluation):
        metrics = result.metrics
        real, fake = _names(result)
        return f"{metrics.n_real} {real} and {metrics.n_fake} {fake} images in {metrics.n_groups} groups"
    real = "camera" if result.class_names == CLASS_NAMES else visible(result.class_names[0])
    return f"{counted(len(result.generators), 'generator')}, each against {real} images"


def _caution(result: Evaluation | GeneratorTable) -> str:
    """Return the caution of the evaluation with the fewest groups, as a sentence; empty if none needs one."""
    least = min((e.metrics for e in _evaluations(result)), key=lambda metrics: metrics.n_fewest_groups)
    lines = few_images_lines(min(least.n_real, least.n_fake), least.n_fewest_groups)
    return "".join(f"{line[1:2].upper()}{line[2:-1]}." for line in lines)


def _settings(rules: Rules, class_names: tuple[str, str]) -> list[tuple[str, str]]:
    return [(f"{title[:1].upper()}{title[1:]}", text) for title, text in rules_in_words(rules, class_names)]


# -------------------------------------------------------------------------------------------------------------- tables


def tables_of(result: Evaluation | GeneratorTable) -> list[Rows]:
    """Return the tables that `evaluate` prints, as cells."""
    if isinstance(result, GeneratorTable):
        return [_generators(result), *_wang(result)]
    tables = [_numbers(result), _confusion(result), *_videos(result)]
    if result.robustness is not None:
        columns = ("balanced accuracy", "AUROC", "false alarms", "misses", "inconclusive", "unusable")
        rows = [_robustness(row) for row in result.robustness]
        tables.append(Rows("After an edit of both classes", ("edit", *columns), rows, "with 95 % intervals"))
    if result.curve is not None:
        curve = [
            (
                str(row.n_train),
                f"{_percent(row.balanced_accuracy)} ± {100 * row.balanced_accuracy_sd:.1f}",
                f"{_percent(row.auroc)} ± {100 * row.auroc_sd:.1f}",
            )
            for row in result.curve
        ]
        note = "detectors trained anew on so many of these images; mean and standard deviation of the draws"
        columns_of_curve = ("training images", "balanced accuracy", "AUROC")
        tables.append(Rows("What more training images buy", columns_of_curve, curve, note))
    return tables


def _numbers(result: Evaluation) -> Rows:
    """Return the metrics in the order in which they are printed, with the heads of their parts."""
    metrics, estimates = result.metrics, result.metrics.estimates
    uncalibrated = "; the model is not calibrated, so these mean little" if result.calibration == "none" else ""
    parts: list[tuple[str, list[tuple[str, str, str]]]] = [
        (f"at the model's threshold of {metrics.threshold:.3f}", metric_rows(estimates, AT_THRESHOLD, _names(result))),
        ("as a ranking, whatever the threshold", metric_rows(estimates, RANKING, _names(result))),
        (
            f"at the oracle threshold of {metrics.oracle_threshold:.3f}, the best for these very images",
            metric_rows(estimates, ("oracle_accuracy",)),
        ),
        (
            f"the score as a probability, both classes equally frequent{uncalibrated}",
            metric_rows(estimates, CALIBRATION),
        ),
        ("what a scan would leave undecided", _inconclusive(result)),
        *_prevalence(result),
    ]
    rows: list[tuple[str, str, str]] = []
    heads = set()
    for title, cells in parts:
        heads.add(len(rows))
        rows += [(title, "", ""), *cells]
    return Rows("Numbers", ("", "value", "95 % interval"), rows, heads=frozenset(heads))


def metric_rows(
    estimates: Mapping[str, Estimate | None], names: Sequence[str], class_names: tuple[str, str] = CLASS_NAMES
) -> list[tuple[str, str, str]]:
    """Return title, value and interval of each named metric."""
    called = dict(zip(OF_CLASS, (f"{name} images called {name}" for name in class_names), strict=True))
    return [_metric_row(name, called.get(name, TITLES[name]), estimates[name], class_names[0]) for name in names]


def _metric_row(name: str, title: str, estimate: Estimate | None, real: str) -> tuple[str, str, str]:
    if estimate is None:
        return title, "–", f"needs {REALS_NEEDED.get(name)} {real} images"
    if name in PLAIN:
        return title, f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}"
    return title, _percent(estimate.value), _interval(estimate)


def _inconclusive(result: Evaluation) -> list[tuple[str, str, str]]:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(result.inconclusive.items()))
    rows = [("inconclusive", _percent(result.inconclusive_rate), reasons)]
    if reasons and result.decided.accuracy is not None:
        n_errors = result.errors_avoided + result.decided.n_errors
        avoided = f"{result.errors_avoided} of {n_errors} errors avoided"
        rows.append(("right among the others", _percent(result.decided.accuracy), avoided))
    return rows


def _prevalence(result: Evaluation) -> list[tuple[str, list[tuple[str, str, str]]]]:
    values = result.at_prevalence
    if values is None:
        return []
    real, fake = _names(result)
    named = ((f"called {fake}: {fake}", values.ppv), (f"called {real}: {real}", values.npv))
    rows = [(title, "–", "none") if e is None else (title, _percent(e.value), _interval(e)) for title, e in named]
    return [(f"where {100 * values.prevalence:g} % of the images are {fake}, of those with a verdict", rows)]


def _confusion(result: Evaluation) -> Rows:
    counts, names = result.metrics.confusion, _names(result)
    rows = [
        (shown, str(counts[name]["real"]), str(counts[name]["fake"]))
        for shown, name in zip(names, CLASS_NAMES, strict=True)
    ]
    columns = ("", *(f"called {name}" for name in names))
    return Rows("How images were called", columns, rows, "by score and threshold; all images")


def _videos(result: Evaluation) -> list[Rows]:
    videos = result.videos
    if videos is None or videos.majority is None or videos.mean is None:
        return []
    note = f"{videos.n_videos} videos, {videos.n_ties} of them ties; the numbers above are of their frames"
    parts = (("by majority of the frames", videos.majority), ("by mean score", videos.mean))
    rows: list[tuple[str, str, str]] = []
    heads = set()
    for title, metrics in parts:
        heads.add(len(rows))
        rows += [(title, "", ""), *metric_rows(metrics.estimates, OF_VIDEOS)]
    return [Rows("Whole videos", ("", "value", "95 % interval"), rows, note, frozenset(heads))]


def _robustness(row: RobustnessRow) -> Sequence[str]:
    title = "as they are" if row.edit == "none" else row.edit
    title += "" if row.strength is None else f" {row.strength:g}"
    if row.balanced_accuracy is None or row.auroc is None:
        return (title, "no image of a class is large enough", "", "", "", "", "")
    shares = (row.false_alarm_rate, row.miss_rate, row.inconclusive_rate)
    with_interval = [f"{_percent(e.value)} ({_interval(e)})" for e in (row.balanced_accuracy, row.auroc)]
    return (title, *with_interval, *(_percent(share or 0.0) for share in shares), str(row.n_failed))


def _generators(table: GeneratorTable) -> Rows:
    columns = columns_of(table)
    rows = []
    for row in table.generators:
        metrics = row.evaluation.metrics
        cells = [_cell(metrics.estimates.get(name), row.shares[name]) for name, _ in columns]
        rows.append((visible(row.generator), str(metrics.n_real), str(metrics.n_fake), *cells))
    rows.append(("mean", "", "", *(_cell(None, table.mean[name]) for name, _ in columns)))
    titles = ("generator", *_image_titles(table), *(title for _, title in columns))
    real_right, fake_right = (dict(columns)[name] for name in OF_CLASS)
    note = (
        f"in brackets 95 % intervals; each generator counts once in the means; AP: average precision; {real_right}, "
        f"{fake_right}: share of the class that the threshold calls so; oracle: balanced accuracy at each set's own "
        "best threshold; inconcl.: inconclusive"
    )
    return Rows("Each generator by itself", titles, rows, note)


def _image_titles(table: GeneratorTable) -> tuple[str, str]:
    real, fake = map(visible, table.class_names)
    return f"{real} images", f"{fake} images"


def _wang(table: GeneratorTable) -> list[Rows]:
    if table.wang is None:
        return []
    rows = [
        (visible(row.generator), str(row.n_real), str(row.n_fake), _cell(row.no_crop), _cell(row.crop_224))
        for row in table.wang.generators
    ]
    rows.append(("mean (mAP)", "", "", _percent(table.wang.mean_no_crop), _percent(table.wang.mean_crop_224)))
    titles = ("generator", *_image_titles(table), "AP, no crop", "AP, crop 224")
    return [Rows("As the tables of CNNDetection", titles, rows, "average precision (Wang et al. 2020)")]


def _cell(estimate: Estimate | None, share: float | None = None) -> str:
    if estimate is not None:
        return f"{_percent(estimate.value)} ({_interval(estimate)})"
    return "–" if share is None else _percent(share)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(estimate: Estimate) -> str:
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"
