"""What a report says of each model: the conditions under which it was validated, and its error rates."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spectral_detect.detector.metric_values import Estimate, stored_estimates
from spectral_detect.detector.model import Model
from spectral_detect.detector.track_record import track_record_of
from spectral_detect.media.coding import LOSSLESS, VIDEO_CODECS
from spectral_detect.records import CLASS_NAMES
from spectral_detect.report.html.words import sides_of, support
from spectral_detect.report.metrics import CALIBRATIONS
from spectral_detect.report.models import decides_text
from spectral_detect.scanning.rules import Rules
from spectral_detect.text import counted, visible

CARD_LINE = re.compile(r"^ *(video  +decided.*)$", re.MULTILINE)  # see examples/make_world_model.py
METRICS = {"balanced_accuracy": "balanced accuracy", "auroc": "AUROC"}


@dataclass(frozen=True)
class ModelFacts:
    """One model, in words.

    Attributes
    ----------
    name, sha256 : str
        Its name, and the hash of its file.
    threshold : str
        That of this scan, and the scores that decide nothing.
    error_rates : str
        How often camera images are called fake and fakes real, with their intervals.
    facts : sequence of (str, str)
        Title and text of all else.
    conditions : sequence of (str, str)
        The same of the conditions of its validation.
    card : str
        Its card.
    is_calibrated : bool
        Whether its score is a probability.
    """

    name: str
    sha256: str
    threshold: str
    error_rates: str
    facts: Sequence[tuple[str, str]]
    conditions: Sequence[tuple[str, str]]
    card: str
    is_calibrated: bool


def model_facts(model: Model, rules: Rules, *, of_videos: bool = False) -> ModelFacts:
    """Describe a model as a scan used it, of videos or not. A file may come from a stranger: its texts are escaped."""
    about = model.card.splitlines()[0].removeprefix(f"{model.name}: ") if model.card else ""
    facts = [
        ("kind", f"{model.classifier.kind} on {model.n_features} {model.spec.name} features"),
        ("SHA-256 of the features' specification", model.spec.sha256),
        ("created", model.created),
        ("scores", CALIBRATIONS[model.calibration.kind]),
        ("likelihood ratio", _strongest(model)),
        ("its training warned", "; ".join(model.training_warnings)),
    ]
    return ModelFacts(
        name=visible(model.name or "(not saved)"),
        sha256=model.sha256,
        threshold=_threshold(model, rules),
        error_rates=_error_rates(model, rules),
        facts=[(title, visible(text)) for title, text in (("about", about), *facts) if text],
        conditions=[(title, visible(text)) for title, text in (*_conditions(model), *_of_videos(model) * of_videos)],
        card="\n".join(visible(line) for one in (model, model.small) if one for line in one.card.splitlines()),
        is_calibrated=model.calibration.kind != "none",
    )


def _threshold(model: Model, rules: Rules) -> str:
    text = f"a score of {rules.threshold_of(model):.3f} or more is called {visible(model.class_names[1])}"
    if rules.threshold is not None:
        return f"{text}; set by --threshold, the model's own is {model.threshold:.3f}"
    if model.undecided and model.undecided[0] < model.undecided[1]:
        of_small = _of_small(model, lambda small: decides_text(small.threshold, small.undecided, small.class_names))
        return f"by the score: {decides_text(model.threshold, model.undecided, model.class_names)}{of_small}"
    return text


def _of_small(model: Model, say: Callable[[Model], str]) -> str:
    """Return what is to be said of the part for small images, behind what is said of the others; empty without one."""
    if model.small is None or model.experience is None:
        return ""
    return f". Of images with a shorter side below {model.experience.least_side_px} pixels: {say(model.small)}"


def _error_rates(model: Model, rules: Rules) -> str:
    """Give the rates at the model's own threshold; another threshold has none that were measured."""
    estimates = stored_estimates(model.metrics)
    real, fake = estimates["real_accuracy"], estimates["fake_accuracy"]
    if real is None or fake is None:
        return "not measured: the model file holds no cross-validation of both classes"
    of_reals, fakes = "camera images", "fakes"
    if model.class_names != CLASS_NAMES:
        of_reals, fakes = (f"{visible(name)} images" for name in model.class_names)
    rates = (
        f"false alarms among {of_reals} {_share(_complement(real))}; missed {fakes} {_share(_complement(fake))}; "
        "cross-validated on its training images"
    )
    if rules.threshold is not None:
        return f"not measured at this threshold; at the model's own ({model.threshold:.3f}): {rates}"
    if model.undecided and model.undecided[0] < model.undecided[1]:
        all_files = [track_record_of(one.track_record, None) for one in (model, model.small) if one]
        line = ". ".join(record.line_for(model.class_names) for record in all_files if record)
        verdicts = f"{visible(line)}, on files {model.unseen}. " if line else ""
        return (
            f"{verdicts}Were every score to decide ({decides_text(model.threshold, None, model.class_names)}), also "
            f"those that are left inconclusive here: {rates}"
        )
    return f"{rates}; counting every score"


def _complement(rate: Estimate) -> Estimate:
    return Estimate(1 - rate.value, 1 - rate.high, 1 - rate.low)


def _share(rate: Estimate) -> str:
    value, low, high = (100 * abs(share) for share in (rate.value, rate.low, rate.high))
    return f"{value:.1f} % (95 % interval {low:.1f} to {high:.1f} %)"


def _strongest(model: Model) -> str:
    """Say between which limits the training images let the likelihood ratio vary."""
    ratios = [model.calibration.log10_likelihood_ratio(score) for score in (0.0, 1.0)]
    if ratios[0] is None or ratios[1] is None:
        return "none: the scores are not calibrated"
    sides, (real, fake) = sides_of(model.class_names), model.class_names
    low, high = (support(ratio, sides) for ratio in ratios if ratio is not None)
    return (
        f"from 1/{10 ** -ratios[0]:.0f} ({low}) to {10 ** ratios[1]:.0f} ({high}): the "
        f"{model.calibration.n_real} {real} and {model.calibration.n_fake} {fake} independent groups of its "
        "calibration support no stronger one"
    )


def _conditions(model: Model) -> list[tuple[str, str]]:
    """Return the conditions under which the model was validated, and what was measured there."""
    training, seen = model.training, model.experience
    counts = [
        counted(training[key], f"{word} image")
        for key, word in zip(("n_real", "n_fake"), model.class_names, strict=True)
        if training.get(key)
    ]
    found = [("training images", " and ".join(counts) or "unknown")]
    if seen is None:
        found.append(("sizes and codings", "not recorded: whether a file lies inside them is not checked"))
    else:
        found += [("shorter side", seen.sides_text), ("codings", seen.codings_text)]
        if seen.needs_portrait:
            found.append(("content", f"{100 * seen.portrait_share:.0f} % show a large face; others get no verdict"))
        found.append(
            ("features", f"{100 * seen.refusal_rate:.1f} % of held-out images of its sources lie outside their limit")
        )
    if model.small and model.small.experience and seen:
        least, most = model.small.experience.least_side_px, seen.least_side_px - 1
        counted_small = sum(_number(model.small.training, key) for key in ("n_real", "n_fake"))
        codings = f"trained on {counted_small} images, coded as {model.small.experience.codings_text}"
        measured = stored_estimates(model.small.metrics)["balanced_accuracy"]
        accuracy = "" if measured is None else f"; balanced accuracy of its own {_share(measured)}"
        found.append(("smaller images", f"of {least} to {most} pixels by a part of its own, {codings}{accuracy}"))
    if model.delivery:
        found.append(("delivery", f"each image goes through this first: {model.delivery.title}"))
    if model.metrics:
        found.append(
            ("validation", f"cross-validated on {counted(_number(model.metrics, 'n_groups'), 'group')} of images")
        )
    estimates = stored_estimates(model.metrics)
    found += [(title, _share(e)) for name, title in METRICS.items() if (e := estimates[name]) is not None]
    return found


def _of_videos(model: Model) -> list[tuple[str, str]]:
    """Return the condition `video`: what the model has seen of videos, and what its card says of that."""
    seen = model.experience.codings if model.experience is not None else {}
    codecs = [kind for kind in seen if kind in set(VIDEO_CODECS.values()) - {LOSSLESS}]
    if model.experience is None:
        texts = ["which codecs it has seen is not recorded"]
    elif codecs:
        texts = [f"seen: {', '.join(codecs)}"]
    else:
        texts = ["no codec of video seen, so that only frames coded without loss, or as its stills, can have a verdict"]
    if frames := _number(model.training, "n_frames"):
        texts.append(f"{counted(frames, 'frame')} of videos among its training images")
    texts += [f"its card: {' '.join(line.split())}" for line in CARD_LINE.findall(model.card)]
    return [("video", "; ".join(texts))]


def _number(metrics: dict[str, Any], name: str) -> int:
    return int(metrics.get(name) or 0)
