"""The sentences of a report of videos, under the names that `words` has for images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from spectral_detect.explain.advice import Advice
from spectral_detect.report.html import words
from spectral_detect.report.html.words import REFERENCES, SCALE, SCALE_NAME, fitting_of

__all__ = [
    "CAMERA", "GENERATED", "KNOWN_KINDS", "LIMITS", "OTHER_REASON", "REASONS", "REFERENCES", "SCALE", "SCALE_NAME",
    "VERDICTS", "reasons_of",
]  # fmt: skip

GENERATED = (
    "The frames of the video, or of the part of them that was judged, were made or altered as a whole by a neural "
    "network of a kind that the model has learned to tell."
)
CAMERA = "The frames come from a camera and have not been through such a network."

VERDICTS = {
    "real": "the frames that voted are, by the vote named below, more like the camera images that the model has seen",
    "fake": "they are more like the generated images that the model has seen",
    "inconclusive": "fewer than a quarter of the frames (half of few) have a verdict, or the vote is too close",
    "failed": "the file could not be judged",
}
KNOWN_KINDS = (
    "The model knows the kinds of generators that it was trained on. A network of another kind may leave no trace that "
    "it finds, so that “real” does not exclude a generated video."
)
LIMITS = (  # see `words.LIMITS`
    "A verdict says what the spectra of the frames resemble. It does not say who made the video, with what, or why, "
    "and it is never the only evidence: weigh it with the origin of the file and with other examinations.",
    "Frames of one video are no independent witnesses: they show the same scene and went through the same camera, "
    "network and compression, so that an error repeats itself in all of them. Many frames that agree are hardly more "
    "evidence than one. Hence the likelihood ratio is the mean over the frames that the model can judge, as of one "
    "image, and the interval of the share of frames called {fake}, which takes frames for independent, is narrower "
    "than it should be.",
    "Compression of video takes away much of what the model looks for, and leaves traces of its own. A codec, a size "
    "or a strength of compression that the model has not seen in training moves the scores; a platform compresses "
    "anew.",
    "Only the frames that were looked at count. A passage between them does not show, nor does a part that is "
    "{fake} in a video most of whose frames are {real}: look at the timeline, and not at the verdict alone.",
    KNOWN_KINDS,
    "A frame is judged as a whole (or the face in it, if faces were looked for): a small part that was replaced does "
    "not show. Sound and movement are not looked at.",
    "The likelihood ratio holds for frames such as those of the validation. It is not the probability that a video is "
    "{kind}: that depends also on how frequent such videos are among those examined.",
    "What a file says of its own origin can be removed or forged by anybody, unless a signature that you trust holds "
    "it. It stands beside the verdict and never changes it.",
    "The results relate only to the files that are listed, with the hashes that are listed.",
)
NEXT_STEPS = {  # by the title of the reason; the others read the same for frames as for images
    "a size that the model has not seen": "train on videos of this size; if you have the original, judge that. Never "
    "resize a video to fit: this changes the traces",
    "a coding that the model has not seen": "train on videos of this codec, both classes compressed alike. "
    "Do not convert: this changes the traces",
    "features unlike those of the training images": "look at the frames: an effect, a drawing, a screenshot, noise? "
    "Train on such videos",
    "no large face, and the model has seen little else": "look at the frames; give --crop face if there are faces, or "
    "use a model that has seen such content",
    "a score at which the model errs too often": "report no finding; look at the timeline, and at what the file says "
    "of itself, which stands beside the verdict; a model that you train on such videos may decide",
    "the verdict depends on delivery": "get the file in its original form; train on videos compressed in several ways",
}
CLOSE = Advice(
    None,
    r"^a tie: as many frames are .+ as|^the vote is too close|^the mean score, [\d.]+, is one at which",
    "look at the timeline: is a part of the video unlike the rest? Judge it with --all, and see which frames",
    "a vote that is too close",
)
REASONS = (*(replace(a, next_step=NEXT_STEPS.get(a.title, a.next_step)) for a in words.REASONS), CLOSE)
OTHER_REASON = replace(words.OTHER_REASON, next_step="see the warnings of the video")


def reasons_of(verdict: str | None, warnings: Iterable[str]) -> list[int]:
    """Return the numbers in `REASONS` of the reasons of an inconclusive verdict; its length for another reason."""
    if verdict != "inconclusive":
        return []
    return fitting_of(REASONS, list(warnings)) or [len(REASONS)]
