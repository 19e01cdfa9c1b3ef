"""Evaluations side by side: by generator, by number of training images, across generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spectral_detect.text import cut_in_the_middle, visible

WIDEST_NAME = 28
BY_GENERATOR = (
    ("average_precision", "AP"),
    ("auroc", "AUROC"),
    ("accuracy", "accuracy"),
    ("real_accuracy", "real"),
    ("fake_accuracy", "fake"),
    ("oracle_accuracy", "oracle"),
    ("ece", "ECE"),
    ("inconclusive_rate", "inconcl."),
)
WANG = (("average_precision_no_crop", "AP, no crop"), ("average_precision_crop_224", "AP, crop 224"))


def generators_text(result: dict[str, Any]) -> str:
    """A row per generator and their unweighted means, in per cent."""
    lines = [f"model {visible(result['model'])}; per cent; oracle: balanced accuracy at each set's own best threshold"]
    columns = BY_GENERATOR if "at_prevalence" not in result["generators"][0] else (*BY_GENERATOR, ("ppv", "PPV"))
    lines += _table(result["generators"], result["mean"], columns, 10)
    if "wang" in result:
        lines += ["", "as the tables of CNNDetection (Wang et al. 2020), average precision in per cent; mean: mAP"]
        lines += _table(result["wang"]["generators"], result["wang"]["mean"], WANG, 14)
    return "\n".join(lines)


def _table(
    rows: Sequence[dict[str, Any]], mean: dict[str, Any], columns: Sequence[tuple[str, str]], width: int
) -> list[str]:
    head = f"{'generator':<{WIDEST_NAME}}{'real':>7}{'fake':>7}" + "".join(f"{title:>{width}}" for _, title in columns)
    body = [
        f"{_short(row['generator']):<{WIDEST_NAME}}{row['n_real']:>7}{row['n_fake']:>7}"
        + "".join(f"{_per_cent(row[name]):>{width}}" for name, _ in columns)
        for row in rows
    ]
    last = f"{'mean':<{WIDEST_NAME + 14}}" + "".join(f"{_per_cent(mean[name]):>{width}}" for name, _ in columns)
    return [head, *body, last]


def curve_text(rows: Sequence[dict[str, Any]]) -> str:
    """A row per number of training images: mean and standard deviation, in per cent."""
    lines = [f"{'training images':<18}{'balanced accuracy':>22}{'AUROC':>18}   (mean ± standard deviation of draws)"]
    for row in rows:
        accuracy, area = (
            f"{100 * row[name]:.1f} ± {100 * row[f'{name}_sd']:.1f} %" for name in ("balanced_accuracy", "auroc")
        )
        lines.append(f"{row['n_train']:<18}{accuracy:>22}{area:>18}")
    return "\n".join(lines)


def matrix_text(result: dict[str, Any]) -> str:
    """AUROC and balanced accuracy, in per cent: rows trained on, columns measured on."""
    names = [_short(name) for name in result["generators"]]
    width = max(9, *(len(name) + 2 for name in names))
    blocks = []
    for metric, title in (("auroc", "AUROC"), ("balanced_accuracy", "balanced accuracy")):
        lines = [f"{title}, per cent: trained on (rows), measured on (columns)"]
        lines.append(f"{'':<{WIDEST_NAME}}" + "".join(f"{name:>{width}}" for name in names) + f"{'mean':>9}")
        for row in result["rows"]:
            values = [row["results"][name][metric] for name in result["generators"]]
            cells = "".join(f"{_per_cent(value):>{width}}" for value in values)
            lines.append(f"{_short(row['trained_on']):<{WIDEST_NAME}}{cells}{_per_cent(sum(values) / len(values)):>9}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _short(name: str) -> str:
    return cut_in_the_middle(visible(name), WIDEST_NAME - 1)
