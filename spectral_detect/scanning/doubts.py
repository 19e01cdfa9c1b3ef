"""The reasons why a verdict is inconclusive: what the model cannot know, and what the verdict would depend on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spectral_detect.detector.model import Model
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.media.stills.transparency import percentage
from spectral_detect.records import Reason, Verdict

MOST_TRANSPARENT = 0.05  # share of the pixels; the rounded corners of a window are less than 1 %
TRANSPARENT = (
    f"above {percentage(MOST_TRANSPARENT)} of transparent pixels a viewer does not see what the model does: it can "
    "judge opaque pixels only"
)
NO_COLOURS = "it has no colours, of which kind the model has hardly seen an image"

Doubt = tuple[Reason, str]  # why a verdict is inconclusive, in a word and in a sentence


def outside_experience(image: Extraction, model: Model) -> list[Doubt]:
    """Return the doubts about an image that the model should not judge."""
    if image.is_constant:
        return [("constant image", "")]  # its own warning says so
    if model.why_useless:
        return [("useless model", f"the model {model.name} is {model.why_useless}")]
    doubts: list[Doubt] = [("transparent", TRANSPARENT)] if image.transparent_share > MOST_TRANSPARENT else []
    objections = _objections(image, model)
    if not objections:
        return doubts
    return [
        *doubts,
        ("outside experience", f"outside the experience of the model {model.name}: {', '.join(objections)}"),
    ]


def _objections(image: Extraction, model: Model) -> list[str]:
    """Return what lies outside the model's experience; a model without one objects to nothing."""
    seen, features = model.experience, np.asarray(image.features)
    if seen is None:
        return []
    found = seen.objections(*image.size_px, image.coding, model.distance(features), is_portrait=image.is_portrait)
    found += filter(None, [model.outsider(features)])
    return [*found, NO_COLOURS] if found and is_gray_and_new(image, model) else found


def is_gray_and_new(image: Extraction, model: Model) -> bool:
    """Tell whether an image is gray and the model, which looks at colours, has hardly seen such images."""
    return model.knows_no_gray and image.metadata is not None and image.metadata.is_gray


def why_undecided(model: Model, zone: tuple[float, float]) -> str:
    """Say at which scores a model leaves images undecided."""
    low, high = zone
    return f"the model {model.name} errs too often at scores between {low:.3f} and {high:.3f}"


def score_of(image: Extraction, model: Model) -> float:
    """Return the score of an image."""
    return float(model.scores([np.asarray(image.features)])[0])


def called(score: float, threshold: float, zone: tuple[float, float] | None) -> Verdict:
    """Return what a score says: inconclusive in a zone that the model leaves undecided."""
    if zone is not None and zone[0] < score < zone[1]:
        return "inconclusive"
    return "fake" if score >= threshold else "real"


def flips(calls: Iterable[tuple[str, float, Verdict]], model: Model, verdict: Verdict) -> list[Doubt]:
    """Return the doubt that a verdict, "real" or "fake", depends on edits, if it does.

    Parameters
    ----------
    calls : iterable of (str, float, Verdict)
        After each edit that leaves the image large enough: the edit's title, the score, and what it says.
    """
    after: dict[Verdict, list[str]] = {}
    for title, score, other in calls:
        after.setdefault(other, []).append(f"{title} ({score:.3f})")
    names = {other: model.class_name(other) or other for other in after if other != verdict}
    others = [f"{name} after {', '.join(after[other])}" for other, name in names.items()]
    if not after:
        text = "no mild edit leaves an image large enough to check whether the verdict depends on its delivery"
    elif others:
        text = f"depends on delivery: {'; '.join(others)}"
    else:
        return []
    return [("depends on delivery", text)]
