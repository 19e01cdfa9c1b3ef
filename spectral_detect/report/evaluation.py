"""An evaluation, or a training, as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spectral_detect.classifiers import Model
from spectral_detect.metrics import REALS_NEEDED
from spectral_detect.report.text import visible

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
}


def metric_lines(result: dict[str, Any], names: Sequence[str] = tuple(TITLES)) -> list[str]:
    """`title  value  [low, high]` of each metric, in per cent."""
    return [_metric_line(result, name) for name in names]


def _metric_line(result: dict[str, Any], name: str) -> str:
    if result.get(name) is None:
        return f"{TITLES[name]:<20}      - needs {REALS_NEEDED.get(name)} real images"
    low, high = result[f"{name}_ci"]
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
        *metric_lines(result),
        *caution,
        f"inconclusive         {100 * result['inconclusive_rate']:6.1f} %",
        "",
        f"{'':20} {'called real':>12} {'called fake':>12}",
        *(f"{label:<20} {confusion[label]['real']:>12} {confusion[label]['fake']:>12}" for label in ("real", "fake")),
    ]
    return "\n".join(lines)


def robustness_text(rows: list[dict[str, Any]]) -> str:
    """A line for each edit, with 95 % intervals."""
    lines = [f"{'edit':<14}{'balanced accuracy':>22}{'AUROC':>22}{'false alarms':>15}{'misses':>9}{'unusable':>10}"]
    for row in rows:
        title = row["edit"] if row["strength"] is None else f"{row['edit']} {row['strength']:g}"
        if row["auroc"] is None:
            lines.append(f"{title:<14}no image of a class is large enough after it")
            continue
        shares = "".join(f"{_with_interval(row, name):>22}" for name in ("balanced_accuracy", "auroc"))
        wrong = f"{100 * row['false_alarm_rate']:>13.1f} %{100 * row['miss_rate']:>7.1f} %"
        lines.append(f"{title:<14}{shares}{wrong}{row['n_failed']:>10}")
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
        f"trained on           {counts} images in {facts['n_groups']} groups",
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
    return "\n".join([*lines, f"threshold            {model.threshold:.3f}", f"wrote                {visible(output)}"])
