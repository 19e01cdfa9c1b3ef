"""What to do next, for each reason of an inconclusive verdict and for each common warning: one table.

`docs/scanning.md` and `docs/explain.md` show the same sentences; a test compares them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from spectral_detect.records import CLASS_NAMES, FAKE, LABELS, ImageRecord, Reason, is_weak
from spectral_detect.text import visible

PROBABILITY = "probability"  # the subject of what says that the opposite of a verdict is more probable


@dataclass(frozen=True)
class Advice:
    """What to do about one reason or warning.

    Attributes
    ----------
    reason : Reason or None
        The reason of an inconclusive verdict that it belongs to; None for a warning.
    pattern : str
        A regular expression that its text in a record matches.
    next_step : str
        A sentence without its capital and its full stop; `{called}` and `{other}` stand for the names of the class that
        the image is called and of the other one.
    title : str
        The reason of an inconclusive verdict in a few words; empty for a warning.
    subject : str
        What it is about, where several are about the same: then the step of the first stands for all, and that of a
        reason before that of a warning.
    """

    reason: Reason | None
    pattern: str
    next_step: str
    title: str = ""
    subject: str = ""


OF_SIZE = Advice(
    "outside experience",
    r"\d+x\d+ pixels \((it judges|seen:) ",  # in records of before: seen
    "train a model on images of this size; if you have the original, scan that. Never resize the image to fit: "
    "this changes the traces",
    "a size that the model has not seen",
)
ADVICE = (
    OF_SIZE,
    Advice(
        "outside experience",
        r"coded as .* \(seen: ",
        "train a model on images of such a coding. Do not convert: what a coding did to the pixels stays in them",
        "a coding that the model has not seen",
    ),
    Advice(
        "outside experience",
        "features unlike those of its training images",
        "look at the image: an effect, a drawing, a screenshot, noise? Train a model on such images",
        "features unlike those of the training images",
    ),
    Advice(
        "outside experience",
        "no large face found",
        "look at the image; use a model that has seen such content, or train one",
        "no large face, and the model has seen little else",
    ),
    Advice(
        "outside experience",
        "it looks like",
        "look at the image: if it is no photograph, this model says nothing of it; train one on such pictures",
        "a kind of picture that the model was not made for",
    ),
    Advice(
        "transparent",
        "no pixel is opaque",
        "get the image without transparency from its source: this one has no opaque part to judge",
        "no opaque pixel",
        "transparency",
    ),
    Advice(
        "transparent",
        r"above \d+ % of transparent pixels",
        "judge the opaque part alone: a crop, or explain --region; if you have the original, scan that",
        "transparent pixels",
        "transparency",
    ),
    Advice("constant image", "constant image", "nothing to find here", "all pixels are alike"),
    Advice(
        "useless model",
        "no better than chance",
        "do not use this model; train one on more images, or other ones",
        "the model is no better than chance",
    ),
    Advice(
        "undecided",
        r"errs too often at scores between",
        "report no finding; what the file says of itself is another witness (spectral-detect provenance --depth full), "
        "and so is a model that you train on 20 or more images of its kind",
        "a score at which the model errs too often",
    ),
    Advice(
        "low confidence",
        r"^(?!called ).+ with a probability of only",
        "take it for undecided, as you asked; look for other evidence, or train a model of your own on more images",
        "less certain than asked for",
    ),
    Advice(
        "depends on delivery",
        "depends on delivery|whether the verdict depends on its delivery",
        "get the file in its original form; train a model with --augment",
        "the verdict depends on delivery",
    ),
    Advice(
        None,
        r"^called .+ by the threshold of .*(only [\d.]+|equally frequent)$",
        "take it for undecided: only the threshold makes it {called}; by the score itself {other} is more probable, "
        "also where both are equally frequent; ask for certainty with --min-confidence 0.9",
        subject=PROBABILITY,
    ),
    Advice(
        None,
        r"^called .+ by the threshold of .*only [\d.]+ where (?!.*equally frequent$)",
        "take it for undecided: the score speaks for {called}, but at the prevalence that you gave (--prevalence) "
        "{other} is more probable; look for other evidence, or ask for certainty with --min-confidence 0.9",
        subject=PROBABILITY,
    ),
    Advice(
        None,
        "called real, but the file says",
        "read what spectral-detect provenance finds: a mark of AI is seldom there by accident, but anybody can put one "
        "there, and a C2PA manifest that does not fit the file may come from another one",
    ),
    Advice(
        None,
        "the file says that no AI made it",
        "read what spectral-detect provenance finds: such a mark proves little unless a trusted signature holds it",
    ),
    Advice(None, "trained without labels", "train a model on labelled images before you rely on a verdict"),
    Advice(None, "of the pixels are transparent", "judge the opaque part alone with --region", subject="transparency"),
    Advice(
        None, "an image without colours", "get the image in colour if there is one; else take the verdict for a hint"
    ),
    Advice(None, "several frames: only the first", "judge the other frames with spectral-detect video"),
    Advice(None, "several pages: only the first", "save each of the other pages as a file of its own, without loss"),
    Advice(None, "truncated: only the upper", "get the whole file: what is missing was not judged"),
    Advice(
        None,
        "fewer than 16 bits",
        "find out how many bits the camera or the program wrote, and save the image again on the full scale",
    ),
    Advice(None, "this picture may be mixed", "score its parts with --region, and compare them"),
    Advice(
        None,
        "a training image of the model, or a copy",
        "test the model on images that it has not seen, with spectral-detect evaluate",
    ),
)
AFTER = {
    "fake": "ask where the image comes from, and look for its original; a score is no proof",
    "real": "remember that a network of another kind may leave no trace that this model knows; a score is no proof",
}
OF_OWN_CLASS = "look for what else speaks for this class or against it; a score is no proof"
SAYS_GENERATED = (
    "the file says of itself that AI made or edited it, whatever the score: read what spectral-detect provenance "
    "finds, and check the signature if there is one"
)


OF_PART = "name a larger part with --region: the model has seen no images as small as this one"
WEAK = (
    "take it for undecided: such a score is nearly as frequent among {other} images as among {called} ones; ask for "
    "certainty with --min-confidence 0.9"
)


def next_steps(
    record: ImageRecord,
    warnings: tuple[str, ...],
    class_names: tuple[str, str] = CLASS_NAMES,
    *,
    is_part: bool = False,
) -> list[str]:
    """Return what to do next, the steps for the reasons of an inconclusive verdict first, each once."""
    label = LABELS.get(record.verdict or "", FAKE)
    names = {"called": visible(class_names[label]), "other": visible(class_names[1 - label])}
    fitting = [a for a in ADVICE if any(re.search(a.pattern, warning) for warning in warnings)]
    fitting.sort(key=lambda a: a.reason is None)
    by_subject = {a.subject: a for a in reversed(fitting)}
    steps = [a.next_step.format(**names) for a in fitting if not a.subject or by_subject[a.subject] is a]
    steps = [OF_PART if is_part and step == OF_SIZE.next_step else step for step in steps]
    is_improbable = PROBABILITY in by_subject
    says_little = is_weak(record.verdict, record.log10_likelihood_ratio) and not is_improbable
    steps += [WEAK.format(**names)] if says_little else []
    first = [SAYS_GENERATED] if record.says_generated == "yes" and record.verdict != "real" else []
    after = OF_OWN_CLASS if record.class_name else AFTER.get(record.verdict or "")
    is_undecided = says_little or is_improbable  # as such it is to be taken: no step comes after that
    last = [after] if after and not is_undecided else []
    return [*dict.fromkeys([*first, *steps, *last])]


def text_of_reason(reason: Reason | None, warnings: tuple[str, ...]) -> str:
    """Return the warning that says why a verdict is inconclusive; the first one if none is known to."""
    patterns = [advice.pattern for advice in ADVICE if advice.reason == reason]
    telling = (warning for warning in warnings if any(re.search(pattern, warning) for pattern in patterns))
    return next(telling, warnings[0] if warnings else "")


def title_of(reason: Reason) -> str:
    """Return a reason of an inconclusive verdict in a few words, the first that has them."""
    return next(advice.title for advice in ADVICE if advice.reason == reason)


def sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
