"""IPTC's vocabulary of digital source types, in words."""

from __future__ import annotations

from spectral_detect.provenance.findings import Says, shown

# cv.iptc.org/newscodes/digitalsourcetype, 2024-09-17: the term in words, and whether it says that AI took part
SOURCE_TYPES: dict[str, tuple[str, Says | None]] = {
    "trainedAlgorithmicMedia": ("made by a model trained on other media", "yes"),
    "compositeWithTrainedAlgorithmicMedia": ("edited with a model trained on other media", "yes"),
    "compositeSynthetic": ("a mix with synthetic parts", "yes"),
    "digitalCapture": ("captured by a camera", "no"),
    "computationalCapture": ("several captures of a camera, combined", "no"),
    "negativeFilm": ("scanned from a negative", "no"),
    "positiveFilm": ("scanned from a positive", "no"),
    "print": ("scanned from a print", "no"),
    "minorHumanEdits": ("with minor edits by a human", "no"),
    "humanEdits": ("edited by a human, without generative tools", "no"),
    "compositeCapture": ("a mix of captures", "no"),
    "digitalArt": ("created by a human with digital tools", "no"),
    "digitalCreation": ("created by a human with digital tools", "no"),
    "algorithmicallyEnhanced": ("altered by an algorithm that is not generative", None),
    "algorithmicMedia": ("made by an algorithm without training data", None),
    "dataDrivenMedia": ("a picture of data", None),
    "screenCapture": ("captured from a screen", None),
    "virtualRecording": ("recorded in a virtual world", None),
    "composite": ("a mix of several elements", None),
    "softwareImage": ("created by software", None),
}

BY_LOWER_CASE = {term.lower(): meaning for term, meaning in SOURCE_TYPES.items()}


def source_type(value: str) -> tuple[str, Says | None]:
    """Return a DigitalSourceType in words, and whether it says that AI made or edited the image.

    Some programs write a term otherwise than IPTC does, as `TrainedAlgorithmicMedia`: upper and lower case count alike.
    """
    term = value.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    words, says = BY_LOWER_CASE.get(term.lower(), ("a term that is not in IPTC's list", None))
    return f"source type {shown(term)}: {words}", says
