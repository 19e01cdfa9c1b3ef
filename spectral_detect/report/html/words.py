"""The sentences of a report: propositions, the verbal scale, limits, and what to do next. Data, in this one place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import log10

GENERATED = (
    "The image was made, or altered as a whole, by a neural network of a kind that the model has learned to tell."
)
CAMERA = "The image comes from a camera and has not been through such a network."

# ENFSI, "Guideline for evaluative reporting in forensic science", version 3.0, 2015, the table of verbal equivalents:
# the least likelihood ratio of each band. Inverse ratios support the other proposition by the same words. The guideline
# names no band between 1 and 2: those ratios have the words of 1 here.
SCALE_NAME = "ENFSI 2015"
SCALE = (
    (1, "no support for one over the other"),
    (2, "weak support"),
    (10, "moderate support"),
    (100, "moderately strong support"),
    (1_000, "strong support"),
    (10_000, "very strong support"),
    (1_000_000, "extremely strong support"),
)
REFERENCES = (
    "ENFSI, Guideline for Evaluative Reporting in Forensic Science, version 3.0, 2015: propositions, likelihood ratio, "
    "verbal scale.",
    "ENFSI, Best Practice Manual for Digital Image Authentication, ENFSI-BPM-DI-03, 2021.",
    "SWGDE, Best Practices for Image Authentication; Best Practices for Maintaining the Integrity of Imagery.",
    "ISO/IEC 17025:2017, 7.8: what a report of results holds.",
)

VERDICTS = {
    "real": "the score is below the threshold: more like the camera images that the model has seen",
    "fake": "the score is at or above the threshold: more like the generated images that the model has seen",
    "inconclusive": "the model cannot know, or was not sure enough; the score is kept for the record and means nothing",
    "failed": "the file could not be judged",
}
LIMITS = (
    "A verdict says what an image's spectrum resembles. It does not say who made the image, with what, or why, and it "
    "is never the only evidence: weigh it with the origin of the file and with other examinations.",
    "The model knows the kinds of generators that it was trained on. A network of another kind may leave no trace that "
    "it finds, so that “real” does not exclude a generated image.",
    "Resizing, recompression, filters and screenshots weaken the traces or imitate them. A file outside the conditions "
    "under which the model was validated gets no verdict.",
    "The image is judged as a whole: a small part that was replaced does not show.",
    "The likelihood ratio holds for images such as those of the validation. It is not the probability that an image is "
    "generated: that depends also on how frequent generated images are among those examined.",
    "What a file says of its own origin can be removed or forged by anybody, unless a signature that you trust holds "
    "it. It stands beside the verdict and never changes it.",
    "The results relate only to the files that are listed, with the hashes that are listed.",
)


@dataclass(frozen=True)
class NextStep:
    """What to do about one reason of inconclusive verdicts, as the table in docs/scanning.md says it.

    Attributes
    ----------
    reason : str
        In words.
    pattern : str
        A regular expression that the warning in a record matches.
    step : str
        What to do next.
    """

    reason: str
    pattern: str
    step: str


NEXT_STEPS = (
    NextStep(
        "a size that the model has not seen",
        r"\d+x\d+ pixels \(seen: ",
        "Scan the original, if you have it, or train on images of this size. Never resize the image to fit: this "
        "changes the traces.",
    ),
    NextStep(
        "a coding that the model has not seen",
        r"coded as .* \(seen: ",
        "Train on images of such a coding. Do not convert: a WebP saved as PNG is still a WebP inside.",
    ),
    NextStep(
        "features unlike those of the training images",
        "features unlike those of its training images",
        "Look at the image: an effect, a drawing, a screenshot, noise? Train on such images.",
    ),
    NextStep(
        "no large face, and the model has seen little else",
        "no large face found",
        "Look at the image; use a model that has seen such content, or train one.",
    ),
    NextStep(
        "transparent pixels",
        r"above \d+ % of transparent pixels",
        "Judge a crop of the opaque part; scan the original, if you have it.",
    ),
    NextStep("constant image", "constant image", "Nothing to find here: all pixels are alike."),
    NextStep(
        "a score at which the model errs too often",
        "errs too often between",
        "Look at the card of the model; a model trained on images of this kind may decide.",
    ),
    NextStep(
        "less certain than asked for",
        r"^(fake|real) with a probability of only",
        "Lower --min-confidence, or train on more images.",
    ),
    NextStep(
        "the verdict depends on delivery",
        "depends on delivery|whether the verdict depends on its delivery",
        "Get the file in its original form; train with --augment.",
    ),
    NextStep(
        "the model is no better than chance",
        "no better than chance",
        "Do not use this model; train one on more images, or on other ones.",
    ),
)
OTHER_REASON = NextStep("another reason", "", "See the warnings of the image.")
OUTSIDE = "outside the experience of the model"


def reasons_of(verdict: str | None, warnings: Iterable[str]) -> list[int]:
    """Return the numbers in `NEXT_STEPS` of the reasons of an inconclusive verdict; its length for another reason."""
    if verdict != "inconclusive":
        return []
    texts = list(warnings)
    found = [k for k, step in enumerate(NEXT_STEPS) if any(re.search(step.pattern, text) for text in texts)]
    return found or [len(NEXT_STEPS)]


def support(log10_ratio: float) -> str:
    """Say a likelihood ratio in words of the scale."""
    size = abs(log10_ratio)
    words = next(text for least, text in reversed(SCALE) if size >= log10(least) - 1e-12)
    if words == SCALE[0][1]:
        return words
    return f"{words} for {'generated' if log10_ratio > 0 else 'camera'}"
