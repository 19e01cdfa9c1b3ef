"""The sentences of a report: propositions, the verbal scale, limits. What to do next is in `explain.advice`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import log10
from types import ModuleType

from spectral_detect.explain.advice import ADVICE, Advice
from spectral_detect.records import CLASS_NAMES
from spectral_detect.text import visible

GENERATED = (
    "The image was made, or altered as a whole, by a neural network of a kind that the model has learned to tell."
)
CAMERA = "The image comes from a camera and has not been through such a network."

# ENFSI, "Guideline for evaluative reporting in forensic science", version 3.0, 2015, the table of verbal equivalents:
# the least likelihood ratio of each band. Inverse ratios support the other proposition by the same words. The guideline
# names no band between 1 and 2: those ratios have the words of 1 here. The bands are as others quote them; they were
# not checked against the guideline's own text, which was not at hand (enfsi.eu, m1_guideline.pdf).
SCALE_NAME = "ENFSI 2015, as other publications quote it"
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
    "real": "the score is low enough: more like the camera images that the model has seen",
    "fake": "the score is high enough: more like the generated images that the model has seen",
    "inconclusive": "the model cannot know, or was not sure enough; a score in brackets decides nothing, and none is "
    "shown where the model cannot judge such an image at all",
    "failed": "the file could not be judged",
}
KNOWN_KINDS = (
    "The model knows the kinds of generators that it was trained on. A network of another kind may leave no trace that "
    "it finds, so that “real” does not exclude a generated image."
)
OWN_KINDS = (  # in place of that, for classes with names of their own
    "The model knows the kinds of images that it was trained on. Images of another kind may show no difference that it "
    "finds, so that “{real}” does not exclude “{fake}”."
)
LIMITS = (  # {kind}: what images of the class with the label 1 are
    "A verdict says what an image's spectrum resembles. It does not say who made the image, with what, or why, and it "
    "is never the only evidence: weigh it with the origin of the file and with other examinations.",
    KNOWN_KINDS,
    "Resizing, recompression, filters and screenshots weaken the traces or imitate them. A file that is noticed to lie "
    "outside the conditions under which the model was validated gets no verdict; not every edit is noticed.",
    "The image is judged as a whole: a small part that was replaced does not show.",
    "The likelihood ratio holds for images such as those of the validation. It is not the probability that an image is "
    "{kind}: that depends also on how frequent such images are among those examined.",
    "What a file says of its own origin can be removed or forged by anybody, unless a signature that you trust holds "
    "it. It stands beside the verdict and never changes it.",
    "The results relate only to the files that are listed, with the hashes that are listed.",
)


REASONS = tuple(advice for advice in ADVICE if advice.reason is not None)
OTHER_REASON = Advice(None, "", "see the warnings of the image", "another reason")
MADE_FROM_JPEG = "If it was made from a JPEG or a frame of a video, the verdict is right as often as on those: less."
OUTSIDE = "outside the experience of the model"


def reasons_of(verdict: str | None, warnings: Iterable[str]) -> list[int]:
    """Return the numbers in `REASONS` of the reasons of an inconclusive verdict; its length for another reason."""
    if verdict != "inconclusive":
        return []
    return fitting_of(REASONS, list(warnings)) or [len(REASONS)]


def fitting_of(reasons: Sequence[Advice], texts: Sequence[str]) -> list[int]:
    """Return the numbers of the reasons that texts match, the first alone of those about one subject."""
    found = [k for k, advice in enumerate(reasons) if any(re.search(advice.pattern, text) for text in texts)]
    return sorted({reasons[k].subject or str(k): k for k in reversed(found)}.values())


def verdicts_of(verdicts: Mapping[str, str], class_names: tuple[str, str]) -> dict[str, str]:
    """Return what each verdict means; where a model has names of its own for its classes, by these."""
    own = {
        name: f"more like the images called {visible(called)} that the model has seen"
        for name, called in zip(CLASS_NAMES, class_names, strict=True)
    }
    return {**verdicts, **({} if class_names == CLASS_NAMES else own)}


def sides_of(class_names: tuple[str, str]) -> tuple[str, str]:
    """Return the names of the two propositions, that of label 0 first."""
    first, second = map(visible, class_names)
    return ("camera", "generated") if class_names == CLASS_NAMES else (first, second)


def propositions_of(words: ModuleType, class_names: tuple[str, str]) -> dict[str, str]:
    """Return name -> text of the two propositions, that of the class with the label 1 first."""
    if class_names == CLASS_NAMES:
        return {"generated": words.GENERATED, "camera": words.CAMERA}
    return {visible(name): f"It is of the kind that the model calls {visible(name)}." for name in class_names[::-1]}


def limits_of(words: ModuleType, class_names: tuple[str, str]) -> list[str]:
    """Return the limits, by the names of the classes."""
    has_own, (real, fake) = class_names != CLASS_NAMES, map(visible, class_names)
    texts = [OWN_KINDS if has_own and text == words.KNOWN_KINDS else text for text in words.LIMITS]
    return [text.format(kind=sides_of(class_names)[1], real=real, fake=fake) for text in texts]


def support(log10_ratio: float, sides: tuple[str, str] = ("camera", "generated")) -> str:
    """Say a likelihood ratio in words of the scale; ratios above 1 support the second side."""
    size = abs(log10_ratio)
    words = next(text for least, text in reversed(SCALE) if size >= log10(least) - 1e-12)
    if words == SCALE[0][1]:
        return words
    return f"{words} for {sides[log10_ratio > 0]}"
