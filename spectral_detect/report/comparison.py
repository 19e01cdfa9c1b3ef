"""Write evaluations side by side: by generator, by number of training images, across generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spectral_detect.detector.metric_values import Estimate
from spectral_detect.evaluation.by_generator import GeneratorTable, WangTable
from spectral_detect.evaluation.compare import Comparison
from spectral_detect.evaluation.generator_matrix import GeneratorMatrix
from spectral_detect.evaluation.results import LearningCurveRow
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


def generators_text(table: GeneratorTable) -> str:
    """Return a row for each generator and their unweighted means, in per cent."""
    columns = BY_GENERATOR if "ppv" not in table.mean else (*BY_GENERATOR, ("ppv", "PPV"))
    rows = [
        (_beginning(row.generator, row.evaluation.metrics.n_real, row.evaluation.metrics.n_fake), row.shares)
        for row in table.generators
    ]
    lines = [f"model {visible(table.model)}; per cent; oracle: balanced accuracy at each set's own best threshold"]
    lines += _table([*rows, (_beginning("mean"), table.mean)], columns, 10)
    return "\n".join(lines if table.wang is None else [*lines, "", *_wang_lines(table.wang)])


def _wang_lines(table: WangTable) -> list[str]:
    columns = (("no_crop", "AP, no crop"), ("crop_224", "AP, crop 224"))
    rows: list[tuple[str, Mapping[str, float | None]]] = [
        (
            _beginning(row.generator, row.n_real, row.n_fake),
            {"no_crop": row.no_crop.value, "crop_224": row.crop_224.value},
        )
        for row in table.generators
    ]
    rows.append((_beginning("mean"), {"no_crop": table.mean_no_crop, "crop_224": table.mean_crop_224}))
    title = "as the tables of CNNDetection (Wang et al. 2020), average precision in per cent; mean: mAP"
    return [title, *_table(rows, columns, 14)]


def _table(
    rows: Sequence[tuple[str, Mapping[str, float | None]]], columns: Sequence[tuple[str, str]], width: int
) -> list[str]:
    """Return a head and a line for each row: its beginning, then the shares that the columns name."""
    head = _beginning("generator", "real", "fake") + "".join(f"{title:>{width}}" for _, title in columns)
    return [head, *(start + "".join(f"{_per_cent(s[name]):>{width}}" for name, _ in columns) for start, s in rows)]


def _beginning(name: str, n_real: int | str = "", n_fake: int | str = "") -> str:
    return f"{_short(name):<{WIDEST_NAME}}{n_real:>7}{n_fake:>7}"


def curve_text(rows: Sequence[LearningCurveRow]) -> str:
    """Return a row for each number of training images: mean and standard deviation, in per cent."""
    lines = [f"{'training images':<18}{'balanced accuracy':>22}{'AUROC':>18}   (mean ± standard deviation of draws)"]
    for row in rows:
        accuracy = f"{100 * row.balanced_accuracy:.1f} ± {100 * row.balanced_accuracy_sd:.1f} %"
        auroc = f"{100 * row.auroc:.1f} ± {100 * row.auroc_sd:.1f} %"
        lines.append(f"{row.n_train:<18}{accuracy:>22}{auroc:>18}")
    return "\n".join(lines)


def matrix_text(matrix: GeneratorMatrix) -> str:
    """Return AUROC and balanced accuracy, in per cent: rows trained on, columns measured on."""
    aurocs = {row.trained_on: [row.results[n].auroc.value for n in matrix.generators] for row in matrix.rows}
    accuracies = {
        row.trained_on: [row.results[n].balanced_accuracy.value for n in matrix.generators] for row in matrix.rows
    }
    names = [_short(name) for name in matrix.generators]
    return "\n\n".join((_matrix_block("AUROC", names, aurocs), _matrix_block("balanced accuracy", names, accuracies)))


def _matrix_block(title: str, names: Sequence[str], rows: Mapping[str, Sequence[float]]) -> str:
    width = max(9, *(len(name) + 2 for name in names))
    lines = [
        f"{title}, per cent: trained on (rows), measured on (columns)",
        f"{'':<{WIDEST_NAME}}" + "".join(f"{name:>{width}}" for name in names) + f"{'mean':>9}",
    ]
    for trained_on, values in rows.items():
        cells = "".join(f"{_per_cent(value):>{width}}" for value in values)
        lines.append(f"{_short(trained_on):<{WIDEST_NAME}}{cells}{_per_cent(sum(values) / len(values)):>9}")
    return "\n".join(lines)


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _short(name: str) -> str:
    return cut_in_the_middle(visible(name), WIDEST_NAME - 1)


def detectors_text(comparison: Comparison) -> str:
    """Return the report of `compare`."""
    counts = f"{comparison.n_real} real, {comparison.n_fake} fake in {comparison.n_groups} groups"
    lines = [
        f"{counts}; each cross-validated on them",
        "",
        f"{'features':<10} {'classifier':<10} {'balanced accuracy':<26} AUROC",
        *(
            f"{c.features:<10} {c.classifier:<10} {_with_interval(c.balanced_accuracy):<26} {_with_interval(c.auroc)}"
            for c in comparison.candidates
        ),
        "",
    ]
    best = comparison.best
    if not best.is_better_than_chance:
        return "\n".join([*lines, "none is better than chance: each interval of the AUROC reaches 50 %"])
    lines += [
        f"best: {best.features} with {best.classifier}, better than chance (the interval of its AUROC lies above 50 %)",
        f"The best of {len(comparison.candidates)} looks better than it is: measure it on images that you kept back.",
    ]
    return "\n".join(lines)


def _with_interval(estimate: Estimate) -> str:
    value, low, high = (100 * share for share in (estimate.value, estimate.low, estimate.high))
    return f"{value:5.1f} %  {low:5.1f} to {high:5.1f} %"
