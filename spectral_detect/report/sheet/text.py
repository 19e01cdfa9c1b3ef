"""Write an explanation as text for a terminal, and the sentences that picture and page share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from textwrap import wrap

from spectral_detect.detector.model import MIN_TILES
from spectral_detect.explain.advice import sentence, text_of_reason, title_of
from spectral_detect.explain.evidence import Evidence
from spectral_detect.explain.explanation import NOTHING_TO_EXPLAIN, Explanation
from spectral_detect.explain.neighbours import Neighbour
from spectral_detect.outputs.writer import ALARMS
from spectral_detect.records import LABELS
from spectral_detect.report.html.words import MADE_FROM_JPEG, SCALE_NAME, sides_of, support
from spectral_detect.report.models import decides_text
from spectral_detect.text import visible

WIDTH, TITLE = 100, 21
LEAST_WIDTH = TITLE + 20
LEAST_REASON = 0.1  # of the largest contribution; less is not named as a reason
BUT_CLAIMED = ", but the file says AI"
MEANINGS = {
    "fake": "it looks more like the generated images that the model has seen",
    "real": "it looks more like the camera images that the model has seen",
    "inconclusive": "the model cannot know",
}


def shown_verdict(explanation: Explanation) -> str:
    """Return the verdict as a scan's table shows it: an improbable one as alarm, others by the model's own names.

    Where the file itself contradicts it, that is said with it.
    """
    record = explanation.record
    if explanation.is_improbable:
        return ALARMS[record.verdict or ""] + BUT_CLAIMED * record.is_contradicted
    return visible(record.class_name or record.verdict or "failed") + BUT_CLAIMED * record.is_contradicted


def names_of(explanation: Explanation) -> tuple[str, str]:
    """Return what the model calls real and fake, fit to be shown."""
    first, second = explanation.class_names
    return visible(first), visible(second)


def meaning(explanation: Explanation) -> str:
    """Return what the verdict means, and of an inconclusive one the reason, in one sentence."""
    record = explanation.record
    text = MEANINGS.get(record.verdict or "", "")
    if explanation.is_improbable:
        return _meaning_of_alarm(explanation)
    if record.class_name:
        text = f"it looks more like the images called {shown_verdict(explanation)} that the model has seen"
    if reason := reason_of(explanation):
        text = f"{text}: {visible(reason)}"
    return sentence(text)


def _meaning_of_alarm(explanation: Explanation) -> str:
    record, names = explanation.record, names_of(explanation)
    label, posterior = LABELS[record.verdict or ""], record.posterior or 0.0
    return (
        f"The score is {'high' if label else 'low'} enough to be called {names[label]}, but where "
        f"{100 * (explanation.prevalence or 0.0):g} % of such images are {names[1]}, {names[1 - label]} is more "
        f"probable ({1 - posterior if label else posterior:.3f})."
    )


def reason_of(explanation: Explanation) -> str:
    """Return why the verdict is inconclusive, as the record has it; nothing if it is not."""
    record = explanation.record
    return text_of_reason(explanation.record.reason, record.warnings) if record.verdict == "inconclusive" else ""


def other_warnings(explanation: Explanation) -> list[str]:
    """Return the warnings without the reason of the verdict, which is said where the verdict stands."""
    return [visible(note) for note in explanation.record.warnings if note != reason_of(explanation)]


def explanation_text(explanation: Explanation, width: int = WIDTH) -> str:
    """Return the report of `explain`: verdict, score, evidence, what to do next; wrapped at so many columns."""
    record, width = explanation.record, max(LEAST_WIDTH, min(WIDTH, width))
    rows = partial(_rows, width=width)
    lines = [f"{what_was_judged(explanation)}:", *wrap(verdict_line(explanation), width, break_long_words=False)]
    if len(" ".join(lines)) <= width:
        lines = [" ".join(lines)]
    if record.error is None:
        reason = "" if record.reason == "undecided" else reason_of(explanation)  # that one is in the line above
        lines += rows("reason", [sentence(visible(reason))] if reason else [])
        lines += _evidence_lines(explanation, rows)
        lines += rows("likelihood ratio", [ratio_sentence(explanation)])
        lines += rows("generator", [generator_sentence(explanation)])
        lines += rows("track record", [track_sentence(explanation)])
        lines += rows("spectrum", [spectrum_sentence(explanation)])
        lines += rows("tiles", [tiles_sentence(explanation)])
        lines += rows("nearest", list(neighbour_sentences(explanation)))
        lines += rows("the file says", [visible(record.provenance or "")])
        lines += rows("not known", [sentence(note) for note in explanation.missing])
        lines += rows("warnings", other_warnings(explanation))
        lines += rows("what to do next", [sentence(step) for step in explanation.next_steps])
    return "\n".join(lines)


def what_was_judged(explanation: Explanation) -> str:
    """Return the path, the part that was named, and the form in which the model takes all images, if it has one."""
    region, path, delivery = explanation.region, visible(explanation.record.path), explanation.record.delivery
    part = "" if region is None else f", part {','.join(map(str, region.box))}"
    return f"{path}{part}" + (f", judged as {visible(delivery)}" if delivery else "")


def verdict_line(explanation: Explanation) -> str:
    """Return verdict, score and threshold in one line."""
    record, verdict = explanation.record, shown_verdict(explanation)
    real, fake = names_of(explanation)
    if explanation.is_empty:
        return f"{record.verdict} by the model {visible(record.model or '')}, without a score"
    if record.score is None or record.threshold is None:
        return visible(f"failed: {record.error}")
    if not record.score_has_meaning:
        named = visible(record.model or "")
        return (
            f"{record.verdict} by the model {named}, whose score of {record.score:.3f} means nothing for such an image"
        )
    decides = decides_text(record.threshold, explanation.undecided, explanation.class_names)
    decides += ", where it errs too often" if explanation.record.reason == "undecided" else ""
    if explanation.record.reason in ("low confidence", "depends on delivery"):  # by the score alone it would be decided
        decides = title_of(explanation.record.reason)
    model = visible(record.model or "")
    return f"{verdict}, score {record.score:.3f} by the model {model} (0 {real} to 1 {fake}; {decides})"


def generator_sentence(explanation: Explanation) -> str:
    """Say what the image is most like; nothing if the model names no generators."""
    name, score = explanation.record.generator, explanation.record.generator_score
    if name is None:
        return ""
    probability = "" if score is None else f", with a probability of {score:.3f} among them"
    return f"Of the classes that the model names it is most like {visible(name)}{probability}."


def ratio_sentence(explanation: Explanation) -> str:
    """Say the likelihood ratio in numbers and words, as a report does; nothing beside an inconclusive verdict."""
    ratio = explanation.record.log10_likelihood_ratio
    if ratio is None or explanation.record.verdict == "inconclusive":
        return ""
    sides, size = sides_of(explanation.class_names), 10 ** abs(ratio)
    number = ("" if ratio >= 0 else "1/") + (f"{size:.1f}" if size < 10 else f"{size:,.0f}")
    return (
        f"{number} ({sides[1]} to {sides[0]}): {support(ratio, sides)} ({SCALE_NAME}). It holds for images such as "
        "those that the model was validated on."
    )


def track_sentence(explanation: Explanation) -> str:
    """Say how the model did on files like this one, or in cross-validation; nothing if it does not know."""
    such, fake = explanation.record.such_files, names_of(explanation)[1]
    if such:
        known = f"Of such files {explanation.unseen}, half of them {fake}: {visible(such)}."
        return f"{known} {MADE_FROM_JPEG}" if such.startswith("lossless") else known
    if explanation.region is not None and explanation.record.verdict in ("real", "fake"):
        return "How often a verdict on a part of an image is right was not measured."
    if (right := explanation.cross_validated) is None:
        return ""
    value, low, high = (100 * share for share in (right.value, right.low, right.high))
    return (
        f"Balanced accuracy in cross-validation on its training images: {value:.1f} % (95 % interval {low:.1f} to "
        f"{high:.1f} %). On images of other sources it may be lower."
    )


def why_sentence(explanation: Explanation) -> str:
    """Return the main reasons in one sentence."""
    evidence = explanation.evidence
    if evidence is None:
        return sentence(explanation.record.error or NOTHING_TO_EXPLAIN)
    is_fake = evidence.decision_value >= evidence.boundary
    side, other = names_of(explanation)[:: -1 if is_fake else 1]
    least = LEAST_REASON * max(abs(value) for value in (evidence.start, *(value for _, value in evidence.kinds)))
    telling = [(title, value > 0) for title, value in evidence.kinds if abs(value) >= least]
    behind = [title for title, speaks_for_fake in telling if speaks_for_fake == is_fake][:2]
    against = [title for title, speaks_for_fake in telling if speaks_for_fake != is_fake][:1]
    if not telling:
        return f"Nothing in the image speaks clearly for either class; a mean training image would be {side} as well."
    text = f"Most for {side}: {'; '.join(behind) or 'nothing'}."
    return f"{text} Most for {other}: {against[0]}." if against else text


def side_of(contribution: float, names: tuple[str, str]) -> str:
    """Name the class for which a contribution speaks."""
    return names[contribution > 0]


def spectrum_sentence(explanation: Explanation) -> str:
    """Say at which periods the spectrum has peaks."""
    if explanation.spectrum is None:
        return ""
    clear = [peak for peak in explanation.spectrum.peaks if peak.is_clear]
    if not clear:
        return "No clear peak at the periods of 2, 4 or 8 pixels."
    of_origin: dict[str, list[str]] = {}
    for peak in clear:
        of_origin.setdefault(peak.origin, []).append(f"{peak.period_px} pixels ({peak.height_db:.0f} dB)")
    scene = "or a regular pattern in the scene"
    told = (f"{', '.join(periods)}: from {origin}, {scene}" for origin, periods in of_origin.items())
    return f"Clear peaks at a period of {'; at one of '.join(told)}."


def tiles_sentence(explanation: Explanation) -> str:
    """Say whether the places of the image agree."""
    tiles = explanation.tiles
    if tiles is None:
        return ""
    spread = f"{len(tiles.scores)} places score {tiles.scores.min():.3f} to {tiles.scores.max():.3f}"
    if tiles.limit is None or len(tiles.scores) < MIN_TILES:
        return f"{spread}. A score of a place is no proof of it."
    verdict = "more than" if tiles.is_mixed else "no more than"
    return f"{spread}; they disagree {verdict} the model's training images do. A score of a place is no proof of it."


def neighbour_sentences(explanation: Explanation) -> Iterator[str]:
    """Name the nearest training images."""
    names = names_of(explanation)
    for each in explanation.neighbours:
        tells = explanation.tells_sources and each.has_own_source
        source = f", from {visible(each.source)}" if tells else ""
        yield f"{names[LABELS[each.label]]}{source} ({distance_words(each)})"
    if explanation.neighbours:
        yield f"These are the nearest of {explanation.n_positions} training images by their main look, and no vote."


def distance_words(neighbour: Neighbour) -> str:
    """Return how far a training image lies, or that it is none other."""
    return "this image, or a copy of it" if neighbour.is_same else f"distance {neighbour.distance:.2f}"


def decision_text(explanation: Explanation, evidence: Evidence) -> str:
    """Say from which decision value on an image is fake: another scale than that of scores."""
    return f"on its scale {decides_text(evidence.boundary, evidence.undecided, explanation.class_names, '+.3f')}"


def _evidence_lines(explanation: Explanation, rows: Callable[..., list[str]]) -> list[str]:
    """Return the sum that the decision value is: numbers, sides and kinds of trace in columns."""
    evidence, names = explanation.evidence, names_of(explanation)
    if evidence is None:
        return []
    decides = f"= the decision value; {decision_text(explanation, evidence)}"
    parts = [
        (evidence.start, "", f"start: {evidence.start_title}"),
        *((value, side_of(value, names), title) for title, value in evidence.kinds),
        (evidence.decision_value, "", decides),
    ]
    side = max(map(len, names))
    indent = " " * len(f"{0:+8.3f} {'':<{side}}  ")
    return [
        line
        for k, (value, name, text) in enumerate(parts)
        for line in rows("" if k else "why", [f"{value:+8.3f} {name:<{side}}  {text}"], indent=indent)
    ]


def _rows(title: str, sentences: list[str], *, width: int, indent: str = "") -> list[str]:
    """Return wrapped lines, the first with the title in front, and those after the first of a sentence indented."""
    wrapped = [
        line
        for text in sentences
        if text
        for line in wrap(text, width - TITLE, subsequent_indent=indent[: (width - TITLE) // 2])
    ]
    return [f"{title if not k else '':<{TITLE}}{line}" for k, line in enumerate(wrapped)]
