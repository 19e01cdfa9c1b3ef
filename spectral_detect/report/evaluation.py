"""Write an evaluation as text for people, and its scores as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spectral_detect.detector.metric_values import Estimate
from spectral_detect.evaluation.results import Evaluation, RobustnessRow, VideoMetrics
from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.records import CLASS_NAMES, LABELS
from spectral_detect.report.metrics import few_images_lines, metric_lines, prevalence_lines
from spectral_detect.scanning.judge import Judgement
from spectral_detect.text import visible
from spectral_detect.training.dataset import Dataset

MOST = 0.5
BELOW_GUESSING = "(AUROC below guessing: are the classes swapped, or the clusters of a model without labels?)"

AT_THRESHOLD = ("accuracy", "balanced_accuracy", "real_accuracy", "fake_accuracy")
RANKING = ("average_precision", "auroc", "eer", "tpr_at_fpr_5", "tpr_at_fpr_1")
CALIBRATION = ("ece", "brier", "cllr", "cllr_min")
SCORE_COLUMNS = (
    "path", "frame", "time_s", "label", "group", "score", "log10_likelihood_ratio", "posterior", "verdict", "reason",
    "warnings", "threshold", "undecided_low", "undecided_high", "class_name",
)  # fmt: skip


def evaluation_text(evaluation: Evaluation) -> str:
    """Return the report of `evaluate`."""
    metrics, names = evaluation.metrics, tuple(map(visible, evaluation.class_names))
    caution = few_images_lines(min(metrics.n_real, metrics.n_fake), metrics.n_fewest_groups)
    if evaluation.inconclusive_rate > MOST:
        share = f"{100 * evaluation.inconclusive_rate:.1f} %"
        caution += [
            f"(a scan calls {share} of these images inconclusive: metrics below are of all scores all the same)"
        ]
    lines = [
        f"model                {visible(evaluation.model)}, threshold {metrics.threshold:.3f}",
        f"images               {metrics.n_real} {names[0]}, {metrics.n_fake} {names[1]}, {metrics.n_groups} groups",
        *caution,
        *_score_lines(evaluation),
        *_inconclusive_lines(evaluation),
        *prevalence_lines(evaluation.at_prevalence, evaluation.class_names),
        *_video_lines(evaluation.videos),
        "",
        *_confusion_lines(evaluation),
        *_name_lines(evaluation),
    ]
    return "\n".join(lines)


def _confusion_lines(evaluation: Evaluation) -> list[str]:
    """Return how many images of each class were called what."""
    counts, names = evaluation.metrics.confusion, tuple(map(visible, evaluation.class_names))
    real, fake = (f"called {name}" for name in names)
    wide, wider = max(12, len(real)), max(12, len(fake))
    rows = ((name, counts[label]) for name, label in zip(names, LABELS, strict=True))
    return [
        f"{'':20} {real:>{wide}} {fake:>{wider}}",
        *(f"{name:<20} {row['real']:>{wide}} {row['fake']:>{wider}}" for name, row in rows),
    ]


def _name_lines(evaluation: Evaluation) -> list[str]:
    """Return which generators the model named, for the images of each class."""
    if evaluation.named is None:
        return []
    titles = (f"{visible(name)} named" for name in evaluation.class_names)
    counts = (", ".join(f"{n} {visible(name)}" for name, n in found.items()) for found in evaluation.named.values())
    return ["", *(f"{title:<20} {text or '-'}" for title, text in zip(titles, counts, strict=True))]


def _score_lines(evaluation: Evaluation) -> list[str]:
    """Return the metrics of the score: at the threshold, as a ranking, as a probability."""
    metrics, estimates = evaluation.metrics, evaluation.metrics.estimates
    swapped = [BELOW_GUESSING] if metrics.auroc.high < 0.5 else []
    why = " (the model is not calibrated: it was trained on too few images, or without labels)"
    uncalibrated = why if evaluation.calibration == "none" else ""
    return [
        "",
        *metric_lines(estimates, AT_THRESHOLD, evaluation.class_names),
        "",
        *metric_lines(estimates, RANKING, evaluation.class_names),
        *swapped,
        f"at the oracle threshold of {metrics.oracle_threshold:.3f}, the best for these very images:",
        *metric_lines(estimates, ("oracle_accuracy",)),
        "",
        f"the score as a probability, both classes equally frequent{uncalibrated}:",
        *metric_lines(estimates, CALIBRATION),
        "",
    ]


def _inconclusive_lines(evaluation: Evaluation) -> list[str]:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(evaluation.inconclusive.items()))
    lines = [f"inconclusive         {100 * evaluation.inconclusive_rate:6.1f} %   {reasons}".rstrip()]
    decided = evaluation.decided
    if reasons and decided.accuracy is not None:
        at = "" if evaluation.at_prevalence is None else " at that prevalence"
        n_avoided = evaluation.errors_avoided
        lines += [
            f"  of the others      {100 * decided.accuracy:6.1f} %   are right{at}; "
            f"{n_avoided} of {n_avoided + decided.n_errors} errors avoided"
        ]
    return lines


def _video_lines(videos: VideoMetrics | None) -> list[str]:
    if videos is None or videos.majority is None or videos.mean is None:
        return []
    lines = ["", f"{videos.n_videos} videos; the numbers above are of their frames"]
    for metrics, title in (
        (videos.majority, f"by majority of the frames ({videos.n_ties} ties)"),
        (videos.mean, "by mean score"),
    ):
        lines += [f"{title}:", *metric_lines(metrics.estimates, ("accuracy", "balanced_accuracy", "auroc"))]
    return lines


def robustness_text(rows: Sequence[RobustnessRow]) -> str:
    """Return a line for each edit, with 95 % intervals."""
    head = (
        f"{'edit':<14}{'balanced accuracy':>22}{'AUROC':>22}{'false alarms':>15}{'misses':>9}"
        f"{'inconclusive':>14}{'unusable':>10}"
    )
    return "\n".join([head, *map(_robustness_line, rows)])


def _robustness_line(row: RobustnessRow) -> str:
    title = row.edit if row.strength is None else f"{row.edit} {row.strength:g}"
    if row.balanced_accuracy is None or row.auroc is None:
        return f"{title:<14}no image of a class is large enough after it"
    shares = f"{_with_interval(row.balanced_accuracy):>22}{_with_interval(row.auroc):>22}"
    alarms, misses, undecided = (
        100 * (share or 0.0) for share in (row.false_alarm_rate, row.miss_rate, row.inconclusive_rate)
    )
    return f"{title:<14}{shares}{alarms:>13.1f} %{misses:>7.1f} %{undecided:>12.1f} %{row.n_failed:>10}"


def _with_interval(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}] %"


def scores_csv(images: Dataset, judgements: Sequence[Judgement]) -> str:
    """Return a CSV row for each image, which `evaluate --scores` writes."""
    rows: list[tuple[Any, ...] | list[Any]] = [SCORE_COLUMNS]
    for sample, y, group, j in zip(images.samples, images.y, images.groups, judgements, strict=True):
        judged = [j.score, j.log10_likelihood_ratio, j.posterior, j.verdict, j.reason, "; ".join(j.warnings)]
        judged += [j.threshold, *(j.undecided or (None, None)), j.model.class_name(j.verdict)]
        frame, time_s = (sample.frame.index, sample.frame.time_s) if sample.frame else (None, None)
        rows.append([sample.path, frame, time_s, CLASS_NAMES[int(y)], int(group), *judged])
    return "".join(csv_line(row) for row in rows)
