"""Write the outcome of a training as text for people."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectral_detect.detector.metric_values import stored_estimates
from spectral_detect.detector.model import Model
from spectral_detect.report.metrics import CALIBRATIONS, few_images_lines, metric_lines
from spectral_detect.report.models import DECIDES_NOTHING, base_text, naming_lines, threshold_text, undecided_line
from spectral_detect.text import counted, visible


def training_text(model: Model, output: str, n_outsiders: int = 0) -> str:
    """Return the report of `train`; of outsiders, the number of files that were given for it."""
    facts = model.training
    first, second, features = map(visible, (*model.class_names, model.spec.name))
    counts = f"{facts['n_real']} {first}, {facts['n_fake']} {second}"
    if facts["n_unlabelled"]:
        counts = f"{facts['n_unlabelled']} unlabelled"
    lines = [
        f"trained on           {counts} {_noun(facts)} in {facts['n_groups']} groups",
        f"features             {features}, {model.n_features} values; classifier {model.classifier.kind}",
    ]
    lines += fused_lines(model)
    if base := base_text(model):
        lines += [f"goes on from         {visible(base)}"]
    for used in filter(None, (part.spec.encoder for part in (model, *model.parts))):
        lines += [f"encoder              {visible(used.name)}, SHA-256 {used.sha256[:16]}...; keep it beside the model"]
    copies = ""
    if facts["augment"] != "none":
        lines += [f"augmented            {facts['augment']}, {facts['copies']} copies of each image"]
        copies = ", augmented"
    if model.experience and not model.experience.codings:
        lines += [f"decides nothing      {DECIDES_NOTHING}:", f"{'':<21}spectral-detect audit --fix matches them"]
    if model.metrics:
        lines += [f"cross-validated on these images{copies}; worth no more than the match of both classes in size and"]
        lines += ["compression (spectral-detect audit):"]
        lines += metric_lines(stored_estimates(model.metrics), ("balanced_accuracy", "auroc"))
        n_images = min(model.metrics["n_real"], model.metrics["n_fake"])
        lines += few_images_lines(n_images, model.metrics.get("n_fewest_groups", n_images))
    elif model.is_guess:
        lines += ["no labels: which cluster is called fake is a guess (the one with more at high frequencies)"]
    else:
        lines += ["not cross-validated: too few groups of images to hold any out"]
    if model.metrics and model.calibration.kind == "none":
        lines += [f"scores               {CALIBRATIONS['none']}"]
    lines += [f"threshold            {threshold_text(model)}", *_false_alarm_lines(facts.get("false_alarms"))]
    if model.undecided:
        lines += [undecided_line(model.undecided, "undecided            ")]
        lines += _verdict_error_lines(facts.get("verdict_errors"), model.class_names)
    if model.outsiders:
        count = f"{counted(n_outsiders, 'file')}; " if n_outsiders else ""
        lines += [f"outsiders            {count}{100 * model.outsiders.found:.1f} % of those held out are found"]
    lines += naming_lines(model.naming)
    return "\n".join([*lines, f"wrote                {visible(output)}"])


def fused_lines(model: Model) -> list[str]:
    """Say of a fused model what it is made of, and how much each part counts."""
    weights = np.asarray(getattr(model.classifier, "weights", ())) / model.scale if model.parts else ()
    return [
        f"judges by            {visible(part.name)}, {weight:.2f} times its log10 likelihood ratio"
        for part, weight in zip(model.parts, weights, strict=True)
    ]


def _noun(facts: dict[str, Any]) -> str:
    return f"videos (or images), {facts['n_frames']} frames," if facts.get("n_frames") else "images"


def _verdict_error_lines(rates: list[dict[str, Any]] | None, class_names: tuple[str, str]) -> list[str]:
    """Say how many errors to expect beyond the undecided scores, and whether the groups support what was asked."""
    lines = []
    for rate, name, other in zip(rates or (), class_names, class_names[::-1], strict=False):
        error = f"{visible(name)} called {visible(other)}"
        few = f"; {rate['n_groups']} groups support no less" if rate["expected"] > rate["target"] else ""
        lines += [f"{error:<20} {100 * rate['expected']:6.1f} %   expected; asked for {100 * rate['target']:g} %{few}"]
    return lines


def _false_alarm_lines(rate: dict[str, Any] | None) -> list[str]:
    if rate is None:
        return []
    low, high = (100 * share for share in rate["interval"])
    return [
        f"false alarms         {100 * rate['expected']:6.1f} %   95 % interval {low:5.1f} to {high:5.1f} %; "
        f"the target was {100 * rate['target']:g} %"
    ]
