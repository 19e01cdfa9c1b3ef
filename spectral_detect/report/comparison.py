"""Write evaluations side by side: by generator, by number of training images, across generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spectral_detect.detector.metric_values import Estimate
from spectral_detect.evaluation.by_generator import GeneratorTable, WangTable
from spectral_detect.evaluation.compare import Candidate, Comparison
from spectral_detect.evaluation.generator_matrix import GeneratorMatrix
from spectral_detect.evaluation.results import LearningCurveRow
from spectral_detect.report.metrics import OF_CLASS, few_images_lines
from spectral_detect.text import cut_in_the_middle, visible

WIDEST_NAME = 28
BY_GENERATOR = (
    ("average_precision", "AP"),
    ("auroc", "AUROC"),
    ("accuracy", "accuracy"),
    ("real_accuracy", "real right"),
    ("fake_accuracy", "fake right"),
    ("oracle_accuracy", "oracle"),
    ("ece", "ECE"),
    ("inconclusive_rate", "inconcl."),
)
Row = tuple[str, tuple[int | str, int | str], Mapping[str, float | None]]  # generator, images of each class, shares
IF_MEASURED = (("ppv", "PPV"), ("named", "named"))


def columns_of(table: GeneratorTable) -> tuple[tuple[str, str], ...]:
    """Return the name and the title of each column of a table by generator, classes by the model's own names."""
    right = dict(zip(OF_CLASS, (f"{visible(name)} right" for name in table.class_names), strict=True))
    columns = (*BY_GENERATOR, *(column for column in IF_MEASURED if column[0] in table.mean))
    return tuple((name, right.get(name, title)) for name, title in columns)


def generators_text(table: GeneratorTable) -> str:
    """Return a row for each generator and their unweighted means, in per cent."""
    metrics = [row.evaluation.metrics for row in table.generators]
    rows: list[Row] = [
        (row.generator, (m.n_real, m.n_fake), row.shares) for row, m in zip(table.generators, metrics, strict=True)
    ]
    columns, names = columns_of(table), table.class_names
    titles = dict(columns)
    lines = [
        f"model {visible(table.model)}; n: images; all else in per cent; {titles['real_accuracy']}, "
        f"{titles['fake_accuracy']}: share of the class that",
        "the threshold calls so; AP: average precision; oracle: balanced accuracy at each set's own best threshold",
        *_table([*rows, ("mean", ("", ""), table.mean)], columns, names, 10),
    ]
    return "\n".join(lines if table.wang is None else [*lines, "", *_wang_lines(table.wang, names)])


def _wang_lines(table: WangTable, class_names: tuple[str, str]) -> list[str]:
    columns = (("no_crop", "AP, no crop"), ("crop_224", "AP, crop 224"))
    rows: list[Row] = [
        (row.generator, (row.n_real, row.n_fake), {"no_crop": row.no_crop.value, "crop_224": row.crop_224.value})
        for row in table.generators
    ]
    rows.append(("mean", ("", ""), {"no_crop": table.mean_no_crop, "crop_224": table.mean_crop_224}))
    title = "as the tables of CNNDetection (Wang et al. 2020), average precision in per cent; mean: mAP"
    return [title, *_table(rows, columns, class_names, 14)]


def _table(
    rows: Sequence[Row], columns: Sequence[tuple[str, str]], class_names: tuple[str, str], width: int
) -> list[str]:
    """Return a head and a line for each row: its name, the numbers of images, the shares that the columns name."""
    titles = [*(f"n {visible(name)}" for name in class_names), *(title for _, title in columns)]
    widths = [max(least, len(title) + 2) for title, least in zip(titles, (8, 8, *[width] * len(columns)), strict=True)]
    cells = [("generator", titles)]
    cells += [
        (name, [*map(str, counts), *(_per_cent(shares[column]) for column, _ in columns)])
        for name, counts, shares in rows
    ]
    return [
        f"{_short(name):<{WIDEST_NAME}}" + "".join(f"{text:>{w}}" for text, w in zip(texts, widths, strict=True))
        for name, texts in cells
    ]


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
        f"{counts}; each cross-validated on the same folds of them",
        *few_images_lines(min(comparison.n_real, comparison.n_fake), comparison.n_fewest_groups),
        "",
        f"{'features':<10} {'classifier':<10} {'balanced accuracy':<26} {'AUROC':<26} AUROC behind the best",
        f"{_candidate_line(comparison.best)}      -",
        *(f"{_candidate_line(c)} {_with_interval(c.behind)}" for c in comparison.candidates[1:]),
        "",
        *_choice_lines(comparison),
    ]
    return "\n".join(lines)


def _candidate_line(candidate: Candidate) -> str:
    accuracy, auroc = _with_interval(candidate.balanced_accuracy), _with_interval(candidate.auroc)
    return f"{candidate.features:<10} {candidate.classifier:<10} {accuracy:<26} {auroc:<26}"


def _choice_lines(comparison: Comparison) -> list[str]:
    """Say which is best, whether it can be told from chance and from the next, and what its numbers are worth."""
    best, second, n = comparison.best, comparison.runner_up, len(comparison.candidates)
    name, chosen = f"{best.features} with {best.classifier}", f", as the best of {n}," if n > 1 else ""
    low = f"95 % interval of its AUROC{chosen} from {100 * comparison.best_auroc_low:.1f} % on"
    if not comparison.is_better_than_chance:
        return [f"none is better than chance, an AUROC of 50 %: not even {name} ({low})"]
    if second is None:
        return [f"{name} is better than chance ({low})"]
    told = "better than" if second.is_behind else "not to be told from"
    return [
        f"best: {name}, better than chance ({low});",
        f"{told} the next, {second.features} with {second.classifier}",
        f"The best of {n} looks better than it is: measure it on images that you kept back.",
    ]


def _with_interval(estimate: Estimate) -> str:
    value, low, high = (round(100 * share, 1) + 0.0 for share in (estimate.value, estimate.low, estimate.high))
    return f"{value:5.1f} %  {low:5.1f} to {high:5.1f} %"
