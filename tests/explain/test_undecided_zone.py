"""Of a model that leaves scores undecided, texts and pictures name the two ends, and no threshold between them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import EXAMPLES, MODELS, Run
from headless_chromium import chromium, needs_browser
from spectral_detect import load_model
from spectral_detect.report.models import decides_text, models_text
from spectral_detect.report.sheet import panels
from spectral_detect.report.sheet.text import decision_text

pytestmark = pytest.mark.usefixtures("in_this_process")

IMAGE = EXAMPLES / "real" / "Aqua.png"
HERE = ("--jobs", "0")


@needs_browser
def test_an_opened_row_names_the_end_that_decides(run: Run, tmp_path: Path) -> None:
    low, high = load_model("world").undecided or (0, 0)
    assert run("scan", EXAMPLES, *HERE, "--report", tmp_path / "r.html").exit_code == 0
    with chromium(tmp_path / "profile") as page:
        page.open(tmp_path / "r.html")
        page.value("for (const open of document.querySelectorAll('.open')) open.click()")
        text = page.value("document.body.textContent")
    assert f"is not above {low:.3f}; scores between {low:.3f} and {high:.3f} are inconclusive." in text
    assert f"is not below {high:.3f}; scores between" in text and "the threshold 0." not in text


@pytest.mark.parametrize(
    ("undecided", "text"),
    [
        (None, "b from 0.500 on"),
        ((0.3, 0.8), "a up to 0.300, b from 0.800 on, inconclusive between"),
        ((0.2, 0.4), "b from 0.500 on, but inconclusive between 0.200 and 0.400"),  # 0.45 is real
    ],
)
def test_which_scores_are_called_what(undecided: tuple[float, float] | None, text: str) -> None:
    assert decides_text(0.5, undecided, ("a", "b")) == text


def test_the_report_names_two_ends_and_no_threshold(run: Run, tmp_path: Path) -> None:
    world = load_model("world")
    low, high = world.undecided or (0, 0)
    assert run("scan", IMAGE, *HERE, "--report", tmp_path / "r.html").exit_code == 0
    (said,) = re.findall(r"<dt>Threshold</dt><dd>(.*?)</dd>", (tmp_path / "r.html").read_text())
    between = "real up to {:.3f}, fake from {:.3f} on, inconclusive between"
    of_small = between.format(*((world.small and world.small.undecided) or (0, 0)))
    small = f"Of images with a shorter side below 240 pixels: {of_small}"
    assert said == f"by the score: {between.format(low, high)}. {small}"
    assert run("scan", IMAGE, *HERE, "--threshold", 0.6, "--report", tmp_path / "r.html").exit_code == 0
    (said,) = re.findall(r"<dt>Threshold</dt><dd>(.*?)</dd>", (tmp_path / "r.html").read_text())
    assert said.startswith("a score of 0.600 or more is called fake; set by --threshold")
    assert f"threshold      {world.threshold:.3f} where every score has to decide (evaluate); scores" in models_text(
        [world]
    )
    assert "where every score" not in models_text([load_model(MODELS / "small.pkl")])


def test_an_explanation_says_on_which_scale_its_ends_are(run: Run, tmp_path: Path) -> None:
    world, photographs = load_model("world"), load_model(MODELS / "photographs.pkl")
    facts = json.loads(run("explain", IMAGE, *HERE, "--format", "json").stdout)["evidence"]
    for value, score in zip(facts["undecided"], world.undecided or (), strict=True):
        assert float(world.calibration.scores([value])[0]) == pytest.approx(score, abs=1e-9)
    low, high = facts["undecided"]
    text = " ".join(run("explain", IMAGE, *HERE).stdout.split())  # lines are wrapped
    assert f"= the decision value; on its scale real up to {low:+.3f}, fake from {high:+.3f} on, inconclusive" in text
    assert "threshold" not in text
    assert run("explain", IMAGE, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    assert f"(on its scale real up to {low:+.3f}" in (tmp_path / "x.html").read_text()
    text = run("explain", IMAGE, "--model", MODELS / "photographs.pkl", *HERE).stdout
    assert (
        f"fake from {photographs.threshold:.3f} on)" in text
        and "= the decision value; on its scale fake from +" in text
    )


def test_the_gauge_shows_the_ends(explained: object) -> None:
    from spectral_detect.explain.explanation import Explanation

    assert isinstance(explained, Explanation) and explained.evidence is not None
    low, high = explained.undecided or (0, 0)
    shown = drawn_texts(explained)
    assert f"{low:.3f}" in shown and f"{high:.3f}" in shown and "undecided" in shown
    assert not any("threshold" in text or f"{explained.record.threshold:.3f}" in text for text in shown)
    own = replace(explained, undecided=None)
    assert f"fake from {explained.record.threshold:.3f}" in drawn_texts(own)
    assert "inconclusive" not in decision_text(own, replace(explained.evidence, undecided=None))


@pytest.fixture(scope="module")
def explained() -> object:
    from spectral_detect.explain.explanation import explain
    from spectral_detect.parallel.work import Work
    from spectral_detect.scanning.judge import Judge
    from spectral_detect.sources.discovery import FoundFile
    from spectral_detect.sources.location import Location

    return explain(FoundFile(Location(str(IMAGE))), Judge(load_model("world")), work=Work(jobs=0))


def test_each_variant_is_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from spectral_detect.detector.model import Model
    from spectral_detect.explain.explanation import Explainer
    from spectral_detect.scanning.judge import Judge
    from spectral_detect.scanning.rules import Rules
    from spectral_detect.sources.discovery import FoundFile
    from spectral_detect.sources.location import Location

    n_scored = []
    scores = Model.scores
    monkeypatch.setattr(Model, "scores", lambda self, X: scores(self, [n_scored.append(1) or x for x in X]))
    explainer = Explainer(Judge(load_model(MODELS / "photographs.pkl"), Rules(stability=True)))
    n_scored.clear()
    explained = explainer(FoundFile(Location(str(IMAGE))))
    assert explained.evidence is not None
    assert len(n_scored) == len(explainer.judge.edits) == 4


def drawn_texts(explanation: object) -> list[str]:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    panels.draw_gauge(axes, explanation)  # type: ignore[arg-type]
    return [text.get_text().strip() for text in axes.texts]
