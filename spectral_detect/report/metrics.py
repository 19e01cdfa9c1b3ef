"""Write metrics, and the worth of verdicts at a prevalence, as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from spectral_detect.detector.metric_values import Estimate, PredictiveValues, stored_estimates
from spectral_detect.detector.metrics import REALS_NEEDED, predictive_values
from spectral_detect.detector.model import Model
from spectral_detect.records import CLASS_NAMES
from spectral_detect.scanning.judge import Judge
from spectral_detect.text import visible

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
CALIBRATIONS = {
    "none": "not calibrated: they rank, and are no probabilities",
    "platt": "calibrated by a sigmoid (Platt)",
    "isotonic": "calibrated by isotonic regression",
}
FEW = 20  # from so few images the percentile bootstrap gives too narrow an interval
OF_CLASS = ("real_accuracy", "fake_accuracy")
TITLE_WIDTH = 20
PLAIN = frozenset(("brier", "cllr", "cllr_min"))  # no shares; Cllr in bits


def metric_lines(
    estimates: Mapping[str, Estimate | None], names: Sequence[str], class_names: tuple[str, str] = CLASS_NAMES
) -> list[str]:
    """Return `title  value  [low, high]` for each named metric; shares in per cent."""
    own = dict(zip(OF_CLASS, map(_of_images, map(visible, class_names)), strict=True))
    return [_metric_line(name, own.get(name, TITLES[name]), estimates[name], class_names[0]) for name in names]


def _of_images(name: str) -> str:
    """Return a title that fits, if the name of the class is not too long by itself."""
    title = f"  of {name} images"
    return title if len(title) <= TITLE_WIDTH else f"  of {name}"


def _metric_line(name: str, title: str, estimate: Estimate | None, real: str) -> str:
    if estimate is None:
        return f"{title:<{TITLE_WIDTH}}      - needs {REALS_NEEDED.get(name)} {visible(real)} images"
    value, low, high = estimate.value, estimate.low, estimate.high
    if name in PLAIN:
        return f"{title:<{TITLE_WIDTH}} {value:6.3f}     95 % interval {low:5.3f} to {high:5.3f}"
    return f"{title:<{TITLE_WIDTH}} {100 * value:6.1f} %   95 % interval {100 * low:5.1f} to {100 * high:5.1f} %"


def prevalence_lines(values: PredictiveValues | None, class_names: tuple[str, str] = CLASS_NAMES) -> list[str]:
    """Return the share of right verdicts among images called fake and among those called real; nothing if None."""
    if values is None:
        return []
    real, fake = map(visible, class_names)
    lines = [f"where {100 * values.prevalence:g} % of the images are {fake}, of those with a verdict:"]
    for estimate, true in ((values.ppv, fake), (values.npv, real)):
        called = f"called {true}"
        if estimate is None:
            lines.append(f"  {called}: none")
            continue
        value, low, high = (100 * share for share in (estimate.value, estimate.low, estimate.high))
        shown = f"  {called}: {true:<{max(5, len(real), len(fake))}} {value:6.1f} %"
        lines.append(f"{shown}   95 % interval {low:5.1f} to {high:5.1f} %")
    return lines


def few_images_lines(n_images: int, n_groups: int) -> list[str]:
    """Return a caution, in one line or none, where a class has few images, or few groups of them."""
    if n_groups >= FEW:
        return []
    if n_groups == 1 < n_images:
        return ["(all images of a class are one group: they tell nothing of others; intervals hold all values)"]
    what = "images" if n_images < FEW else "groups"
    return [f"(fewer than {FEW} {what} of a class: the intervals are narrower than they should be)"]


def accuracy_text(judge: Judge, decided: Counter[str], what: str = "files", *, has_stills: bool = True) -> str:
    """Say what the column `accuracy` of a table is; nothing where no verdict was given."""
    if not decided["real"] + decided["fake"]:
        return ""
    model, name = judge.model, visible(judge.model.name)
    if judge.rules.threshold is not None:
        return f"accuracy: not known, as --threshold replaced that of {name}\n{uncalibrated_text(model)}"
    if model.track_record:
        fake = visible(judge.class_names[1])
        warned = "; its training warned: spectral-detect models MODEL" * bool(model.training_warnings)
        right = f"how often such verdicts of {name} were right, on {what} coded alike that it had not seen"
        of_png = "(a lossless file made from a JPEG or a frame of a video: as those)\n" if has_stills else ""
        text = f"accuracy: {right}, half of them {fake}{warned}"
        return f"{text}\n{of_png}{_sifted(judge)}{uncalibrated_text(model)}"
    if not model.metrics:
        why = "it was trained without labels" if model.is_guess else "its training images were too few to measure it"
        return f"accuracy: not known of {name}, as {why}\n"
    text = f"accuracy: of {name} in cross-validation on its own training images (95 % interval); expect less on others"
    if model.training_warnings:
        text += ", much less: its training warned of that (spectral-detect models MODEL)"
    return f"{text}\n{_sifted(judge)}{uncalibrated_text(model)}"


def _sifted(judge: Judge) -> str:
    """Say so if the rules leave out verdicts that count in what was measured."""
    chosen = {"--min-confidence": judge.rules.min_confidence is not None, "--stability": judge.rules.stability}
    named = " and ".join(option for option, is_chosen in chosen.items() if is_chosen)
    return f"(measured without {named}; of the verdicts that are left it is not known)\n" if named else ""


def uncalibrated_text(model: Model) -> str:
    """Say so if the scores of a model are not calibrated."""
    if model.calibration.kind != "none":
        return ""
    return f"the scores of {visible(model.name)} are {CALIBRATIONS['none']}\n"


def accuracy_interval(judge: Judge) -> str:
    """Return the 95 % interval of a model's balanced accuracy, short; a dash if none was measured.

    It was measured at the model's own threshold, and no other. A model with a record of its verdicts by coding has none
    beside it, which would stand where that record says nothing of a file.
    """
    model = judge.model
    is_known = model.metrics and judge.rules.threshold is None and not model.track_record
    found = stored_estimates(model.metrics).get("balanced_accuracy") if is_known else None
    return "-" if found is None else f"{100 * found.low:.0f}-{100 * found.high:.0f} %"


def prevalence_text(model: Model, prevalence: float) -> str:
    """Say what a model's verdicts are worth at a prevalence, by its cross-validation at its own threshold.

    Where scores are left undecided, the others' record by coding tells; a model without one is told of as well.
    """
    if model.undecided and model.undecided[0] < model.undecided[1]:
        return "\n".join(_by_coding(model, prevalence))
    if "confusion" not in model.metrics:
        return ""
    n_real, n_fake = model.metrics["n_real"], model.metrics["n_fake"]
    independent = model.calibration.n_real or n_real, model.calibration.n_fake or n_fake
    at = predictive_values(model.metrics["confusion"], n_real, n_fake, prevalence, n_groups=independent)
    lines = prevalence_lines(at, model.class_names)
    return "\n".join([f"{visible(model.name)}, as cross-validated on its training images,", *lines])


def _by_coding(model: Model, prevalence: float) -> list[str]:
    """Return how often the verdicts of a model that leaves scores undecided are right at a prevalence."""
    name, named = visible(model.name), tuple(map(visible, model.class_names))
    if not model.track_record:
        return [f"{name}: how often its verdicts are right there is not known, as its file holds no record of them"]
    of_small = model.small.track_record if model.small else ()
    records = [*model.track_record, *(record for record in of_small if record.coding is None)]
    width = max(len(visible(record.kind)) for record in records)
    lines = [
        f"{name}, as measured on files {model.unseen},",
        f"where {100 * prevalence:g} % of the images are {named[1]}, of those with a verdict:",
    ]
    for record in records:
        shares = (record.right_at("fake", prevalence), record.right_at("real", prevalence))
        right = [
            f"called {own}: {'none' if share is None else f'{own} {100 * share:5.1f} %'}"
            for own, share in zip(named[::-1], shares, strict=True)
        ]
        lines.append(f"  {visible(record.kind):<{width}}   {'   '.join(right)}")
    return lines
