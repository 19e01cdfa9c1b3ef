"""Describe a model file, as text and as plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from spectral_detect.detector.content.naming import plain_naming
from spectral_detect.detector.experience import Experience
from spectral_detect.detector.metric_values import stored_estimates
from spectral_detect.detector.model import Model
from spectral_detect.detector.naming import Naming
from spectral_detect.records import CLASS_NAMES
from spectral_detect.report.metrics import CALIBRATIONS, metric_lines
from spectral_detect.text import cut_in_the_middle, visible

DECIDES_NOTHING = "it calls every image inconclusive: the classes have no coding in common"
LONGEST_CLASS = 24
# of the table that examples/make_world_model.py writes: the names of the conditions, and the row of all sources
TABLE_OF_CARD = re.compile(
    r"^ +([a-z]+(?: +[a-z]+)*)\n +generators +sources +AUROC.*?^ +all, by source +\d+ +([^\n]*)$",
    re.MULTILINE | re.DOTALL,
)
LONGEST_TABLE = 20_000  # characters: no stranger's card keeps the search waiting
NAMING_NOTE = (
    "columns: how many images held out were called which class, or none of these; unseen: how a naming that did not "
    "learn\na generator tells its images from those of the others, and the share that it calls none of these"
)


def model_facts(model: Model) -> dict[str, Any]:
    """Return the facts of a model as plain values, for JSON."""
    return {
        "name": model.name,
        "sha256": model.sha256,
        "created": model.created,
        "classifier": model.classifier.kind,
        "n_features": model.n_features,
        "spec": model.spec.to_dict(),
        "spec_sha256": model.spec.sha256,
        "parts": [{"name": part.name, "sha256": part.sha256} for part in model.parts],
        "class_names": list(model.class_names),
        "threshold": model.threshold,
        "calibration": {
            "kind": model.calibration.kind,
            "n_real": model.calibration.n_real,
            "n_fake": model.calibration.n_fake,
        },
        "undecided": model.undecided,
        "small": model_facts(replace(model.small, name=model.name, sha256=model.sha256)) if model.small else None,
        "delivery": asdict(model.delivery) if model.delivery else None,
        "why_useless": model.why_useless,
        "naming": plain_naming(model.naming) if model.naming else None,
        "experience": asdict(model.experience) if model.experience else None,
        "judges_px": [model.experience.least_side_px, model.experience.most_side_px] if model.experience else None,
        "training": model.training,
        "metrics": model.metrics,
        "libraries": model.libraries,
        "card": model.card,
    }


def models_text(models: Sequence[Model]) -> str:
    """Return a paragraph for each shipped model: its kind, its training images, and its metrics."""
    return "\n\n".join("\n".join(map(visible, _headline(model))) for model in models) or "no models are shipped"


def card_text(model: Model) -> str:
    """Return the report of `models FILE`. A file may come from a stranger: its texts are made visible."""
    libraries = ", ".join(f"{name} {version}" for name, version in model.libraries.items())
    lines = [
        *_headline(model),
        f"  created        {model.created} with {libraries}",
        f"  file           sha256 {model.sha256}",
        f"  features       sha256 {model.spec.sha256}",
        *(f"    {name:<14} {value}" for name, value in model.spec.to_dict().items()),
    ]
    records = [record for one in (model, model.small) if one for record in one.track_record]
    lines += [f"  such files     {record.line_for(model.class_names)}" for record in records]
    naming = [f"  {line}" for line in naming_lines(model.naming)]
    cards = [one.card.splitlines() for one in (model, model.small) if one and one.card]
    return "\n".join([*map(visible, lines), *naming, *(line for card in cards for line in ("", *map(visible, card)))])


def base_text(model: Model) -> str:
    """Say from which model one went on and how many images that knew, in words of the file; empty if from none."""
    if not (base := model.base):
        return ""
    counts = f"{base.get('n_real')} {model.class_names[0]}, {base.get('n_fake')} {model.class_names[1]} images"
    return f"{base.get('name')}, trained on {counts}; sha256 {str(base.get('sha256'))[:16]}..."


def _headline(model: Model) -> list[str]:
    """Return lines whose texts are those of the file: they are not yet fit to be shown."""
    about = model.card.splitlines()[0].removeprefix(f"{model.name}: ") if model.card else ""
    own_names = [] if model.class_names == CLASS_NAMES else [f"  classes        {' and '.join(model.class_names)}"]
    lines = [
        model.name,
        *([f"  about          {about}"] if model.card else []),
        f"  classifier     {model.classifier.kind} on {model.n_features} {model.spec.name} features",
        *(f"  judges by      {part.name}, sha256 {part.sha256}" for part in model.parts),
        *own_names,
        f"  trained on     {_training(model)}",
        *([f"  goes on from   {base}"] if (base := base_text(model)) else []),
        f"  threshold      {threshold_text(model)}; scores {CALIBRATIONS[model.calibration.kind]}",
    ]
    if model.training.get("augment", "none") != "none":
        edits = str(model.training["augment"]).replace("none", "as it is")
        lines += [f"  augmented      each image {edits}; {model.training.get('copies')} copies in all"]
    if model.experience:
        lines += _experience_lines(model.experience)
        lines += [] if model.experience.codings else [f"  inconclusive   {DECIDES_NOTHING}"]
    if model.undecided:
        lines += [undecided_line(model.undecided, "  undecided      ")]
    if model.small:
        lines += _small_lines(model, model.small)
    if model.is_guess:
        lines += ["  no labels      which cluster is called fake is a guess"]
    lines += [f"  warned         {note}" for note in model.training_warnings]
    if model.why_useless:
        lines += [f"  useless        {model.why_useless}; it calls every image inconclusive"]
    if model.outsiders:
        check = model.outsiders
        lines += [f"  not made for   {check.kinds}: finds {100 * check.found:.0f} % of such images held out"]
    if model.delivery:
        lines += [f"  delivery       each image goes through this first: {model.delivery.title}"]
    if model.metrics:
        n_groups = model.metrics.get("n_groups")
        lines += [f"  cross-validated on the training images, {n_groups} groups, every image counting alike:"]
        estimates = stored_estimates(model.metrics)
        lines += [f"    {line}" for line in metric_lines(estimates, ("balanced_accuracy", "auroc"))]
    if aurocs := aurocs_of_card(model.card):
        shares = ", ".join(f"{name} {auroc} %" for name, auroc in aurocs.items())
        lines += [
            "  AUROC in each condition of its card, on sources left out of training, every source counting alike:",
            f"    {shares}",
        ]
    return lines


def _small_lines(model: Model, small: Model) -> list[str]:
    """Return what a model says of images that are too small for it."""
    assert model.experience and small.experience
    sides = f"{small.experience.least_side_px} to {model.experience.least_side_px - 1}"
    seen = f"trained on {_training(small)}, coded as {small.experience.codings_text}"
    own = f"  small images   with a shorter side of {sides} pixels it judges by a part of its own,"
    lines = [own, f"{'':17}{seen}"]
    lines += [undecided_line(small.undecided, f"{'':17}undecided: ")] if small.undecided else []
    measured = stored_estimates(small.metrics)
    return lines + [
        f"{'':17}{line}" for line in metric_lines(measured, ("balanced_accuracy", "auroc")) if small.metrics
    ]


def aurocs_of_card(card: str) -> dict[str, str]:
    """Return condition -> AUROC over all sources, in per cent, as the table of a card has them; empty without one."""
    found = TABLE_OF_CARD.search(card[:LONGEST_TABLE])
    names, aurocs = (found[1].split(), re.findall(r"\d+\.\d", found[2])) if found else ([], [])
    return dict(zip(names, aurocs, strict=True)) if len(names) == len(aurocs) else {}


def naming_lines(naming: Naming | None) -> list[str]:
    """Return how well a model names generators: a table of the classes, by what images held out were called."""
    if naming is None or naming.report is None:
        return []
    report = naming.report
    n = len(naming.names)
    width = max(len(str(report.confusion.max())), len(str(n)), 2)
    called = "".join(f" {k:>{width}}" for k in range(1, n + 1))
    lines = [
        f"names generators by {naming.kind}; of images held out, each class counting alike, "
        f"{100 * report.accuracy:.1f} % get the right name (by chance {100 / n:.1f} %):",
        f"     {'class':<{LONGEST_CLASS}}  files groups  {called}  none   right   unseen: AUROC  refused",
    ]
    for k, name in enumerate(naming.names):
        counts = "".join(f" {count:>{width}}" for count in report.confusion[k, :n])
        lines.append(
            f"{k + 1:>3}  {cut_in_the_middle(visible(name), LONGEST_CLASS):<{LONGEST_CLASS}} {report.n_files[k]:>6} "
            f"{report.n_groups[k]:>6}  {counts} {report.confusion[k, n]:>5} {_share(report.recalls[k])}"
            f"{'':8}{_share(report.open_set_auroc.get(name))} {_share(report.open_set_refused.get(name))}".rstrip()
        )
    return [*lines, NAMING_NOTE]


def _share(share: float | None) -> str:
    return f"{'-':>7}  " if share is None or math.isnan(share) else f"{100 * share:>5.1f} %"


def decides_text(
    threshold: float, undecided: tuple[float, float] | None, class_names: tuple[str, str], digits: str = ".3f"
) -> str:
    """Say which values are called real and which fake; where some decide nothing, by their ends alone.

    Parameters
    ----------
    threshold : float
        The least value that is fake.
    undecided : (float, float) or None
        The values between these decide nothing.
    class_names : (str, str)
        What real and fake are called.
    digits : str
        How the values are written.
    """
    real, fake = map(visible, class_names)
    if undecided is None:
        return f"{fake} from {threshold:{digits}} on"
    low, high = undecided
    if low <= threshold <= high:
        return f"{real} up to {low:{digits}}, {fake} from {high:{digits}} on, inconclusive between"
    return f"{fake} from {threshold:{digits}} on, but inconclusive between {low:{digits}} and {high:{digits}}"


def undecided_line(undecided: tuple[float, float], title: str) -> str:
    """Return a line on the scores that decide nothing."""
    low, high = undecided
    which = f"scores between {low:.3f} and {high:.3f}" if low < high else "no score: these rates let every one decide"
    return f"{title}{which}"


def threshold_text(model: Model) -> str:
    """Return the threshold; beside scores that decide nothing, say when it counts."""
    leaves_some = model.undecided is not None and model.undecided[0] < model.undecided[1]
    return f"{model.threshold:.3f}" + " where every score has to decide (evaluate)" * leaves_some


def _training(model: Model) -> str:
    counts = [
        f"{model.training[key]} {word}"
        for key, word in zip(("n_real", "n_fake", "n_unlabelled"), (*model.class_names, "unlabelled"), strict=True)
        if model.training.get(key)
    ]
    settings = f"seed {model.training.get('seed')}"
    if model.training.get("paper_settings"):
        settings += ", the paper's settings"
    return f"{', '.join(counts) or 'unknown'} images, {settings}"


def _experience_lines(seen: Experience) -> list[str]:
    faces = f"; {100 * seen.portrait_share:.0f} % show a large face" if seen.needs_portrait else ""
    return [
        f"  has seen       images with a shorter side of {seen.sides_text}, coded as {seen.codings_text}{faces}",
        f"                 refuses about {100 * seen.refusal_rate:.1f} % of such images as unlike those it has seen",
    ]
