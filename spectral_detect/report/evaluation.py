"""An evaluation, or a training, as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spectral_detect.detector.metrics import REALS_NEEDED, predictive_values
from spectral_detect.detector.model import Model
from spectral_detect.outputs.csv_text import csv_line
from spectral_detect.records import LABELS
from spectral_detect.scanning.judge import Judgement
from spectral_detect.text import visible
from spectral_detect.training.dataset import Dataset

FEW = 20  # the percentile bootstrap of so few is too sure of itself; of no error at all it is certain

TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "real_accuracy": "  of real images",
    "fake_accuracy": "  of fake images",
    "average_precision": "average precision",
    "auroc": "AUROC",
    "eer": "equal error rate",
    "tpr_at_fpr_5": "TPR at 5 % FPR",
    "tpr_at_fpr_1": "TPR at 1 % FPR",
    "oracle_accuracy": "balanced accuracy",
    "ece": "ECE",
    "brier": "Brier score",
    "cllr": "Cllr",
    "cllr_min": "Cllr, best possible",
}
AT_THRESHOLD = ("accuracy", "balanced_accuracy", "real_accuracy", "fake_accuracy")
RANKING = ("average_precision", "auroc", "eer", "tpr_at_fpr_5", "tpr_at_fpr_1")
CALIBRATION = ("ece", "brier", "cllr", "cllr_min")
PLAIN = frozenset(("brier", "cllr", "cllr_min"))  # no shares; Cllr in bits


def metric_lines(result: dict[str, Any], names: Sequence[str]) -> list[str]:
    """`title  value  [low, high]` of each metric; shares in per cent."""
    return [_metric_line(result, name) for name in names]


def _metric_line(result: dict[str, Any], name: str) -> str:
    if result.get(name) is None:
        return f"{TITLES[name]:<20}      - needs {REALS_NEEDED.get(name)} real images"
    low, high = result[f"{name}_ci"]
    if name in PLAIN:
        return f"{TITLES[name]:<20} {result[name]:6.3f}     95 % interval {low:5.3f} to {high:5.3f}"
    return f"{TITLES[name]:<20} {100 * result[name]:6.1f} %   95 % interval {100 * low:5.1f} to {100 * high:5.1f} %"


def evaluation_text(result: dict[str, Any]) -> str:
    """The report of `evaluate`."""
    confusion = result["confusion"]
    caution = []
    if min(result["n_real"], result["n_fake"]) < FEW:
        caution = [f"(fewer than {FEW} images of a class: the intervals are narrower than they should be)"]
    lines = [
        f"model                {visible(result['model'])}, threshold {result['threshold']:.3f}",
        f"images               {result['n_real']} real, {result['n_fake']} fake, {result['n_groups']} groups",
        *caution,
        "",
        *metric_lines(result, AT_THRESHOLD),
        "",
        *metric_lines(result, RANKING),
        *(["(AUROC below guessing: are the classes swapped?)"] if result["auroc_ci"][1] < 0.5 else []),
        f"at the oracle threshold of {result['oracle_threshold']:.3f}, the best for these very images:",
        *metric_lines(result, ("oracle_accuracy",)),
        "",
        "the score as a probability, both classes equally frequent"
        + (" (the model is not calibrated: too few training images):" if result["calibration"] == "none" else ":"),
        *metric_lines(result, CALIBRATION),
        "",
        *_inconclusive_lines(result),
        *_prevalence_lines(result.get("at_prevalence")),
        *_video_lines(result.get("videos")),
        "",
        f"{'':20} {'called real':>12} {'called fake':>12}",
        *(f"{label:<20} {confusion[label]['real']:>12} {confusion[label]['fake']:>12}" for label in ("real", "fake")),
    ]
    return "\n".join(lines)


def _inconclusive_lines(result: dict[str, Any]) -> list[str]:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(result["inconclusive"].items()))
    lines = [f"inconclusive         {100 * result['inconclusive_rate']:6.1f} %   {reasons}".rstrip()]
    decided = result["decided"]
    if reasons and decided["accuracy"] is not None:
        lines += [
            f"  of the others      {100 * decided['accuracy']:6.1f} %   are right{_at(result)}; "
            f"{result['errors_avoided']} of {result['errors_avoided'] + decided['n_errors']} errors avoided"
        ]
    return lines


def _video_lines(videos: dict[str, Any] | None) -> list[str]:
    if videos is None or "majority" not in videos:
        return []
    lines = ["", f"{videos['n_videos']} videos; the numbers above are of their frames"]
    for vote, title in (
        ("majority", f"by majority of the frames ({videos['n_ties']} ties)"),
        ("mean", "by mean score"),
    ):
        lines += [f"{title}:", *metric_lines(videos[vote], ("accuracy", "balanced_accuracy", "auroc"))]
    return lines


def _at(result: dict[str, Any]) -> str:
    return " at that prevalence" if "at_prevalence" in result else ""


def _prevalence_lines(at: dict[str, Any] | None) -> list[str]:
    if at is None:
        return []
    lines = [f"where {100 * at['prevalence']:g} % of the images are fake, of those with a verdict:"]
    for name, called, true in (("ppv", "called fake", "fake"), ("npv", "called real", "real")):
        if at[name] is None:
            lines.append(f"  {called}: none")
            continue
        low, high = (100 * share for share in at[f"{name}_ci"])
        lines.append(f"  {called}: {true:<5} {100 * at[name]:6.1f} %   95 % interval {low:5.1f} to {high:5.1f} %")
    return lines


def prevalence_text(models: Sequence[Model], prevalence: float) -> str:
    """What the verdicts of models are worth at a prevalence, by their cross-validation at their own thresholds."""
    lines = []
    for model in models:
        if "confusion" in model.metrics:
            n_real, n_fake = model.metrics["n_real"], model.metrics["n_fake"]
            at = predictive_values(model.metrics["confusion"], n_real, n_fake, prevalence)
            lines += [f"{visible(model.name)}, as cross-validated on its training images,", *_prevalence_lines(at)]
    return "\n".join(lines)


def robustness_text(rows: list[dict[str, Any]]) -> str:
    """A line for each edit, with 95 % intervals."""
    lines = [
        f"{'edit':<14}{'balanced accuracy':>22}{'AUROC':>22}{'false alarms':>15}{'misses':>9}"
        f"{'inconclusive':>14}{'unusable':>10}"
    ]
    for row in rows:
        title = row["edit"] if row["strength"] is None else f"{row['edit']} {row['strength']:g}"
        if row["auroc"] is None:
            lines.append(f"{title:<14}no image of a class is large enough after it")
            continue
        shares = "".join(f"{_with_interval(row, name):>22}" for name in ("balanced_accuracy", "auroc"))
        wrong = f"{100 * row['false_alarm_rate']:>13.1f} %{100 * row['miss_rate']:>7.1f} %"
        undecided = f"{100 * row['inconclusive_rate']:>12.1f} %"
        lines.append(f"{title:<14}{shares}{wrong}{undecided}{row['n_failed']:>10}")
    return "\n".join(lines)


def _with_interval(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_ci"]
    return f"{100 * row[name]:.1f} [{100 * low:.0f}, {100 * high:.0f}] %"


def training_text(model: Model, output: str) -> str:
    """What `train` has done."""
    facts = model.training
    counts = f"{facts['n_real']} real, {facts['n_fake']} fake"
    if facts["n_unlabelled"]:
        counts = f"{facts['n_unlabelled']} unlabelled"
    lines = [
        f"trained on           {counts} {_noun(facts)} in {facts['n_groups']} groups",
        f"features             {model.spec.name}, {len(model.mean)} values; classifier {model.classifier.kind}",
    ]
    copies = ""
    if facts["augment"] != "none":
        lines += [f"augmented            {facts['augment']}, {facts['copies']} copies of each image"]
        copies = ", augmented"
    if model.metrics:
        lines += [f"cross-validated on these images{copies} (no better than their match in size and compression):"]
        lines += metric_lines(model.metrics, ("balanced_accuracy", "auroc"))
    elif facts["n_unlabelled"]:
        lines += ["no labels: which cluster is called fake is a guess (the one with more at high frequencies)"]
    else:
        lines += ["too few groups to cross-validate: how well it works is unknown"]
    lines += [f"threshold            {model.threshold:.3f}", *_false_alarm_lines(facts.get("false_alarms"))]
    return "\n".join([*lines, f"wrote                {visible(output)}"])


def _noun(facts: dict[str, Any]) -> str:
    return f"videos (or images), {facts['n_frames']} frames," if facts.get("n_frames") else "images"


def _false_alarm_lines(promise: dict[str, Any] | None) -> list[str]:
    if promise is None:
        return []
    low, high = (100 * share for share in promise["interval"])
    return [
        f"false alarms         {100 * promise['expected']:6.1f} %   95 % interval {low:5.1f} to {high:5.1f} %; "
        f"the target was {100 * promise['target']:g} %"
    ]


def scores_csv(images: Dataset, judgements: Sequence[Judgement]) -> str:
    """A row per image: what `evaluate --scores` writes."""
    names = {label: name for name, label in LABELS.items()}
    rows: list[list[Any]] = [
        [
            "path",
            "frame",
            "time_s",
            "label",
            "group",
            "score",
            "log10_likelihood_ratio",
            "posterior",
            "verdict",
            "reason",
            "warnings",
        ]
    ]
    for sample, y, group, j in zip(images.samples, images.y, images.groups, judgements, strict=True):
        judged = [j.score, j.log10_likelihood_ratio, j.posterior, j.verdict, j.reason, "; ".join(j.warnings)]
        frame, time_s = (sample.frame.index, sample.frame.time_s) if sample.frame else (None, None)
        rows.append([sample.path, frame, time_s, names[int(y)], int(group), *judged])
    return "".join(csv_line(row) for row in rows)
