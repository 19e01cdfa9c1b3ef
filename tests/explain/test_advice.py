"""Each reason and each common warning has a next step, and the pages say the same."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import pytest

from conftest import ROOT
from spectral_detect.detector.experience import Experience
from spectral_detect.detector.memory.files import TRAINING_IMAGE
from spectral_detect.explain.advice import ADVICE, AFTER, SAYS_GENERATED, Advice, next_steps, sentence, text_of_reason
from spectral_detect.extraction.one_file import CONSTANT_IMAGE
from spectral_detect.media.coding import Coding
from spectral_detect.media.images import SEVERAL_FRAMES, SEVERAL_PAGES
from spectral_detect.records import ImageRecord, Reason
from spectral_detect.report.html.words import REASONS, reasons_of
from spectral_detect.scanning.doubts import TRANSPARENT
from spectral_detect.scanning.judge import GRAY, GUESS
from spectral_detect.scanning.names import CONTRADICTED

pytestmark = pytest.mark.usefixtures("in_this_process")

SEEN = Experience(256, 512, 0.01, {"lossless": None}, portrait_share=0.9)
PARTS = (
    "images of this size",
    "such a coding",
    "an effect, a drawing",
    "has seen such content",
    "if it is no photograph",
)
OBJECTIONS = [*SEEN.objections(2000, 1000, Coding("JPEG", 90), 2.0, is_portrait=False), "it looks like drawings"]
TEXTS = dict(zip(PARTS, OBJECTIONS, strict=True)) | {
    "no opaque part": "no pixel is opaque: the stored colours count, which a viewer sees pale, or not at all",
    "a crop, or explain --region": TRANSPARENT,
    "nothing to find here": CONSTANT_IMAGE,
    "do not use this model": "the model m is no better than chance: cross-validated AUROC 51.0 %",
    "report no finding": "the model world errs too often at scores between 0.339 and 0.847",
    "take it for undecided, as you asked": "fake with a probability of only 0.612",
    "in its original form": "depends on delivery: real after JPEG 90 (0.300)",
    "only the threshold makes it fake": "called fake by the threshold of 0.424, with a probability of only 0.269",
    "at the prevalence": "called fake by the threshold of 0.424, with a probability of only 0.269 where 1 % are fake",
    "labelled images": GUESS,
    "the opaque part alone with": "2 % of the pixels are transparent, in full or in part, and their colours count",
    "spectral-detect video": SEVERAL_FRAMES,
    "as a file of its own": SEVERAL_PAGES,
    "in colour if there is one": GRAY.format("m"),
    "the whole file": "truncated: only the upper 32 of 64 rows are there and were judged",
    "on the full scale": "no pixel is brighter than 4095 of 65535: perhaps the file holds fewer than 16 bits",
    "seldom there by accident": f"{CONTRADICTED}: a prompt",
    "proves little": "the file says that no AI made it: a camera",
    "that it has not seen": TRAINING_IMAGE,
    "score its parts": "this picture may be mixed: the scores of its 16 tiles run from 0.1 to 0.9",
}


def record(verdict: str | None) -> ImageRecord:
    return ImageRecord(*("x" for _ in range(7)), verdict, *(None for _ in range(5)), "", "", "")  # type: ignore[arg-type]


@pytest.mark.parametrize("step", TEXTS)
def test_each_text_gets_its_next_step(step: str) -> None:
    (found,) = next_steps(record("inconclusive"), (TEXTS[step],))
    assert step in found


def test_every_reason_has_a_next_step() -> None:
    assert {advice.reason for advice in ADVICE} == {*get_args(Reason), None}
    assert len({advice.next_step for advice in ADVICE}) == len(ADVICE) == len(TEXTS)


def test_reasons_come_before_warnings_and_each_step_once() -> None:
    steps = next_steps(record("inconclusive"), (GUESS, TRANSPARENT, TRANSPARENT))
    assert [step.split()[0] for step in steps] == ["judge", "train"]
    assert next_steps(record("fake"), ()) == [AFTER["fake"]]


def test_a_reason_and_a_warning_of_one_subject_give_one_step() -> None:
    share = TEXTS["the opaque part alone with"]
    for warnings in ((share, TRANSPARENT), (TRANSPARENT, share)):
        (step,) = next_steps(record("inconclusive"), warnings)
        assert "if you have the original" in step
        assert text_of_reason("transparent", warnings) == TRANSPARENT
    assert text_of_reason("undecided", (share,)) == share
    steps = next_steps(record("inconclusive"), (share, TRANSPARENT, TEXTS["report no finding"]))
    assert len(steps) == 2


def test_without_an_opaque_pixel_no_crop_is_advised() -> None:
    nothing = TEXTS["no opaque part"]
    for warnings in ((nothing, TRANSPARENT), (TRANSPARENT, nothing)):
        (step,) = next_steps(record("inconclusive"), warnings)
        assert "no opaque part" in step and "crop" not in step
        assert [REASONS[k].title for k in reasons_of("inconclusive", warnings)] == ["no opaque pixel"]


def test_what_the_file_says_of_itself_comes_first() -> None:
    undecided = replace(record("inconclusive"), says_generated="yes")
    first, second = next_steps(undecided, ("the model world errs too often at scores between 0.339 and 0.847",))
    assert first == SAYS_GENERATED
    assert "report no finding" in second
    assert SAYS_GENERATED not in next_steps(replace(undecided, verdict="real"), ())  # there the contradiction is told
    assert sentence("look at it.") == "Look at it."


def plain(page: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", text.replace("`", ""))


@pytest.mark.parametrize("advice", ADVICE, ids=lambda advice: advice.pattern)
def test_the_pages_say_the_same(advice: Advice) -> None:
    page = plain("scanning.md" if advice.reason else "explain.md")
    assert f"| {advice.next_step.format(called='fake', other='real')} |" in page


def test_the_page_says_what_follows_a_verdict() -> None:
    text = plain("explain.md").lower()
    assert all(step in text for step in AFTER.values())
