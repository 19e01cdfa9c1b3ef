"""How well a model does on labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spectral_detect.detector.metrics import METRICS, evaluate_scores, predictive_values
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.one_file import Extraction, Extractor
from spectral_detect.media.edits import ROBUSTNESS, Edit
from spectral_detect.parallel.work import Work
from spectral_detect.records import FAKE, LABELS, REAL
from spectral_detect.scanning.judge import Judge, Judgement
from spectral_detect.scanning.rules import Rules
from spectral_detect.training.dataset import Dataset, LabelledFile, Watch, read_dataset, refuse_contradictions

CALLED = (("real", False), ("fake", True))


def robustness(
    model: Model,
    files: Sequence[LabelledFile],
    as_they_are: Dataset,
    rules: Rules | None = None,
    work: Work | None = None,
    *,
    extractor: Extractor | None = None,
    edits: Sequence[Edit] = ROBUSTNESS,
    watch: Watch = iter,
) -> list[dict[str, Any]]:
    """`evaluate_model` after each edit of the images: JPEG, blur, resizing, a crop.

    Parameters
    ----------
    as_they_are : the same files without an edit, the first row.
    rules : for the share of inconclusive images; their check of stability is left out.

    Returns
    -------
    Of each condition `edit`, `strength`, `n_failed` (an image may become too small), `inconclusive_rate`, the metrics,
    and `false_alarm_rate` and `miss_rate` at the stored threshold; None where an edit left nothing of a class.
    """
    rules = replace(rules or Rules(), stability=False)
    extractor = extractor or Extractor(model.spec)
    rows = [_robustness_row(None, evaluate_model(model, as_they_are, rules))]
    for edit in edits:
        try:
            result = evaluate_model(
                model, read_dataset(files, replace(extractor, edits=(edit,)), work, watch=watch), rules
            )
        except DatasetError:
            result = None
        rows.append(_robustness_row(edit, result))
    return rows


def _robustness_row(edit: Edit | None, result: dict[str, Any] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"edit": edit.name if edit else "none", "strength": edit.strength if edit else None}
    names = [k for name in ("balanced_accuracy", "auroc") for k in (name, f"{name}_ci")] + ["inconclusive_rate"]
    if result is None:
        return row | dict.fromkeys(("n_failed", *names, "false_alarm_rate", "miss_rate"))
    wrong = result["confusion"]
    return {
        **row,
        "n_failed": result["n_failed"],
        **{name: result[name] for name in names},
        "false_alarm_rate": wrong["real"]["fake"] / result["n_real"],
        "miss_rate": wrong["fake"]["real"] / result["n_fake"],
    }


def evaluate_model(model: Model, dataset: Dataset, rules: Rules | None = None, *, seed: int = 0) -> dict[str, Any]:
    """`metrics.evaluate_scores` of a model on a labelled data set read with the model's spec and `Rules.edits`.

    Every image counts, by score >= threshold. Beside that: `inconclusive_rate`, `inconclusive` (how many for which
    reason), `decided` (images and errors among those with a verdict), `errors_avoided` (how many of the inconclusive
    ones the score has wrong), and with a prevalence `at_prevalence`, see `predictive_values`.

    Raises
    ------
    DatasetError : a class is missing, a file is in both, or the features are not the model's.
    ModelFileError : `Rules.check`.
    """
    rules = rules or Rules()
    images, judgements = judge_dataset(model, dataset, rules)
    return summarise(model, images, judgements, rules, seed=seed) | {"n_failed": len(dataset.failures)}


def summarise(
    model: Model, images: Dataset, judgements: Sequence[Judgement], rules: Rules, *, seed: int = 0
) -> dict[str, Any]:
    """What `evaluate_model` returns, of images that `judge_dataset` has judged."""
    if not (images.n_real and images.n_fake):
        raise DatasetError(f"{images.n_real} real and {images.n_fake} fake images: an evaluation needs both")
    refuse_contradictions(images)
    scores = np.array([j.score for j in judgements])
    result = {
        "model": model.name,
        "model_sha256": model.sha256,
        "spec_sha256": model.spec.sha256,
        "calibration": model.calibration.kind,
        **evaluate_scores(images.y, scores, model.threshold, images.groups, seed=seed),
        **_inconclusive(images.y, judgements, scores >= model.threshold, rules.prevalence),
    }
    if any(sample.frame for sample in images.samples):
        result["videos"] = _of_videos(images, judgements, seed)
    if rules.prevalence is not None:
        confusion = result["decided"]["confusion"]
        at = predictive_values(confusion, images.n_real, images.n_fake, rules.prevalence, seed=seed)
        result["at_prevalence"] = at
    return result


def judge_dataset(model: Model, dataset: Dataset, rules: Rules) -> tuple[Dataset, list[Judgement]]:
    """The images as they are, without their edited copies, and what a scan by these rules makes of each.

    Raises
    ------
    DatasetError : the features are not the model's.
    ModelFileError : `Rules.check`.
    """
    judge = Judge((model,), rules)
    n_features = dataset.features[0].shape[-1]
    if n_features != len(model.mean):
        raise DatasetError(f"features of {n_features} values; the model takes {len(model.mean)}")
    at: list[int] = []
    images: list[list[Extraction]] = []
    for k, (sample, features) in enumerate(zip(dataset.samples, dataset.features, strict=True)):
        if sample.edit == dataset.edits[0]:
            at.append(k)
            images.append([])
        base = dataset.samples[at[-1]] if at else None  # of an image lost as it is, no copies count
        if base is not None and (sample.path, sample.frame) == (base.path, base.frame):
            images[-1].append(replace(sample, features=features))
    return dataset.select(np.array(at, dtype=int)), [judge.judge(variants) for variants in images]


def _of_videos(images: Dataset, judgements: Sequence[Judgement], seed: int) -> dict[str, Any]:
    """`evaluate_scores` of whole videos: by the share of fakes among their frames, and by their mean score.

    Every frame votes, by score >= threshold; half of the votes are no majority.
    """
    members: dict[tuple[str, int], list[int]] = {}
    for k, sample in enumerate(images.samples):
        if sample.frame is not None:
            members.setdefault((sample.path, int(images.y[k])), []).append(k)
    y = np.array([label for _, label in members])
    if len(np.unique(y)) < 2:
        return {"n_videos": len(members)}
    groups = np.array([images.groups[at[0]] for at in members.values()])
    votes = np.array([np.mean([judgements[k].score >= judgements[k].threshold for k in at]) for at in members.values()])
    means = np.array([np.mean([judgements[k].score for k in at]) for at in members.values()])
    threshold = judgements[0].threshold
    return {
        "n_videos": len(members),
        "n_ties": int(np.sum(votes == 0.5)),
        "majority": evaluate_scores(y, votes, float(np.nextafter(0.5, 1)), groups, seed=seed),
        "mean": evaluate_scores(y, means, threshold, groups, seed=seed),
    }


def _inconclusive(
    y: np.ndarray, judgements: Sequence[Judgement], called_fake: np.ndarray, prevalence: float | None
) -> dict[str, Any]:
    """With a prevalence, each class has its weight in the accuracy of what was decided."""
    undecided = np.array([j.verdict == "inconclusive" for j in judgements])
    is_right = called_fake == (y == FAKE)
    weights = np.ones(len(y))
    if prevalence is not None:
        weights = np.where(y == FAKE, prevalence / np.sum(y == FAKE), (1 - prevalence) / np.sum(y == REAL))
    decided = weights * ~undecided
    confusion = {
        true: {called: int(np.sum(~undecided & (y == label) & (called_fake == is_fake))) for called, is_fake in CALLED}
        for true, label in LABELS.items()
    }
    return {
        "inconclusive_rate": float(undecided.mean()),
        "inconclusive": dict(Counter(j.reason for j in judgements if j.reason)),
        "decided": {
            "n_real": int(np.sum(~undecided & (y == REAL))),
            "n_fake": int(np.sum(~undecided & (y == FAKE))),
            "n_errors": int(np.sum(~undecided & ~is_right)),
            "accuracy": float(decided @ is_right / decided.sum()) if not undecided.all() else None,
            "confusion": confusion,
        },
        "errors_avoided": int(np.sum(undecided & ~is_right)),
    }


def evaluate_by_generator(
    model: Model, dataset: Dataset, members: Mapping[str, np.ndarray], rules: Rules | None = None, *, seed: int = 0
) -> dict[str, Any]:
    """`evaluate_model` on each generator, and the means, each generator counting once whatever its number of images.

    Parameters
    ----------
    members : name of a generator -> indices of its images, fakes and reals; see `dataset.members_of`.

    Returns
    -------
    `generators`, a result each with its `generator`; `mean` of each of `METRICS`, of `inconclusive_rate` and, with a
    prevalence, of `ppv` (None where a generator lacks it).
    """
    rows = [
        {"generator": name} | evaluate_model(model, dataset.select(at), rules, seed=seed)
        for name, at in members.items()
    ]
    names = [*METRICS, "inconclusive_rate"]
    if rules is not None and rules.prevalence is not None:
        rows = [row | {"ppv": row["at_prevalence"]["ppv"]} for row in rows]
        names.append("ppv")
    return {"model": model.name, "generators": rows, "mean": {name: _mean(rows, name) for name in names}}


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if None in values else float(np.mean(values))


def wang_protocol(
    model: Model,
    rows: Sequence[Mapping[str, Any]],
    cropped: Dataset,
    members: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Average precision of each generator without a crop and on the centre 224 x 224 pixels, and the means (mAP).

    As in the tables of Wang et al., CVPR 2020. Theirs pads images smaller than the crop; here they stay as they are.

    Parameters
    ----------
    rows : of the whole images, `generators` of `evaluate_by_generator`.
    cropped, members : the same files, read with `augment.CENTRE_224`, and which of them are whose.
    """
    centres = evaluate_by_generator(model, cropped, members, seed=seed)["generators"]
    precision = ("average_precision", "average_precision_ci")
    both = [
        {name: whole[name] for name in ("generator", "n_real", "n_fake")}
        | {f"{p}_no_crop": whole[p] for p in precision}
        | {f"{p}_crop_224": centre[p] for p in precision}
        for whole, centre in zip(rows, centres, strict=True)
    ]
    columns = ("average_precision_no_crop", "average_precision_crop_224")
    return {"generators": both, "mean": {column: _mean(both, column) for column in columns}}
