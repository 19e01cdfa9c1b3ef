"""Where the opposite of a verdict is more probable, `explain` says the same as `scan`, and why."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conftest import EXAMPLES, MODELS, Run
from spectral_detect import load_model, save_model
from spectral_detect.explain.advice import next_steps
from spectral_detect.records import CLASS_NAMES, ImageRecord

pytestmark = pytest.mark.usefixtures("in_this_process")

PHOTOGRAPHS = ("--model", MODELS / "photographs.pkl", "--jobs", "0")
IMAGES = {"fake": EXAMPLES / "fake" / "Aqua.png", "real": EXAMPLES / "real" / "Aqua.png"}


@pytest.mark.parametrize(
    ("label", "prevalence", "word", "meaning"),
    [
        ("fake", 0.01, "alarm", "high enough to be called fake, but where 1 % of such images are fake, real is more"),
        (
            "real",
            0.99,
            "no alarm",
            "low enough to be called real, but where 99 % of such images are fake, fake is",
        ),
    ],
)
def test_an_improbable_verdict_has_one_word(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str, prevalence: float, word: str, meaning: str
) -> None:
    from spectral_detect.report.sheet import picture

    written: list[str] = []
    monkeypatch.setattr(picture, "plain", lambda text, *_: written.append(text) or text)
    arguments = (IMAGES[label], *PHOTOGRAPHS, "--prevalence", prevalence)
    (row,) = [line for line in run("scan", *arguments).stdout.splitlines() if str(IMAGES[label]) in line]
    assert row.startswith(f"{word}  ")
    assert f"Aqua.png: {word}, score" in joined(run("explain", *arguments).stdout)
    assert run("explain", *arguments, "--output", tmp_path / "x.html").exit_code == 0
    page = (tmp_path / "x.html").read_text()
    assert f">{word.upper()}</h1>" in page and meaning in page and "looks more like" not in page
    assert f"<title>{word}: " in page
    assert run("explain", *arguments, "--output", tmp_path / "x.png").exit_code == 0
    assert word in written and label not in written
    record = json.loads(run("explain", *arguments, "--format", "json").stdout)
    assert record["record"]["verdict"] == label and record["prevalence"] == prevalence


def test_a_probable_verdict_keeps_its_word(run: Run) -> None:
    for prevalence in ((), ("--prevalence", 0.5)):
        assert "Aqua.png: fake, score" in joined(run("explain", IMAGES["fake"], *PHOTOGRAPHS, *prevalence).stdout)


def joined(text: str) -> str:
    """Return a text without its line breaks, which depend on the length of the path."""
    return " ".join(text.split())


def steps_of(run: Run, image: Path, *options: object) -> list[str]:
    facts = json.loads(run("explain", image, *options, "--format", "json").stdout)
    return [step for step in facts["next_steps"] if "take it for undecided" in step]


def test_the_advice_says_which_of_the_two_holds(run: Run, tmp_path: Path) -> None:
    from dataclasses import replace

    own = replace(load_model(MODELS / "photographs.pkl"), class_names=("plain", "upscaled"))
    save_model(own, tmp_path / "own.pkl")
    model = ("--model", tmp_path / "own.pkl", "--jobs", "0")
    (step,) = steps_of(run, IMAGES["fake"], *model, "--prevalence", 0.01)
    assert "the score speaks for upscaled" in step and "plain is more probable" in step and "threshold" not in step
    alarm = json.loads(run("explain", IMAGES["fake"], *PHOTOGRAPHS, "--prevalence", 0.01, "--format", "json").stdout)
    assert len(alarm["next_steps"]) == 1  # and not what follows a verdict without doubt
    (step,) = steps_of(run, IMAGES["fake"], *model, "--threshold", 0.9999)
    assert "only the threshold makes it plain" in step and "prevalence" not in step
    (step,) = steps_of(run, IMAGES["fake"], *model, "--threshold", 0.9999, "--prevalence", 0.4)
    assert "only the threshold makes it plain" in step  # 40 % make upscaled less probable, but not enough
    said = joined(run("explain", IMAGES["fake"], *model, "--prevalence", 0.01).stdout)
    assert ": alarm, score" in said and not re.search(r"\b(fake|real)\b", said.replace("fake/Aqua.png", ""))


def test_names_with_braces_do_no_harm() -> None:
    record = ImageRecord(*("x" for _ in range(7)), "fake", *(None for _ in range(5)), "", "", "")  # type: ignore[arg-type]
    warning = "called {0} by the threshold of 0.424, with a probability of only 0.269"
    (step,) = next_steps(record, (warning,), ("{other}", "{0}"))
    assert "makes it {0}" in step and "itself {other} is" in step
    assert "makes it fake" in next_steps(record, (warning,), CLASS_NAMES)[0]
