"""`evaluate --report`: the numbers that the command prints, its pictures and their limits on one page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES, MODELS, Run
from headless_chromium import chromium, needs_browser
from spectral_detect import load_model, save_model
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.report import evaluation_plots, plots
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.location import Location

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"

pytest.importorskip("matplotlib", reason="the page has pictures")

HOSTILE = '"><img src=x onerror=document.title=1>.png'
MANIFEST = EXAMPLES / "manifest.csv"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The examples and a file that fails, whose name is hostile."""
    shutil.copytree(EXAMPLES, tmp_path / "images")
    (tmp_path / "images" / "real" / HOSTILE).write_bytes(b"nothing")
    return tmp_path / "images"


def evaluated(run: Run, *options: object, status: int = 0) -> tuple[str, str]:
    """The page, and what the command printed."""
    page = Path("report.html")
    result = run("evaluate", MODEL, "--jobs", 0, "--report", page, *options)
    assert result.exit_code == status, result.output
    return page.read_text("utf-8"), result.stdout


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)))


def test_the_page_has_the_numbers_that_are_printed(run: Run) -> None:
    page, printed = evaluated(run, "--manifest", MANIFEST, "--prevalence", "0.05", "--robustness", "--curve")
    text = words_of(page)
    for title in ("accuracy", "AUROC", "ECE", "Brier score", "Cllr", "called fake: fake", "jpeg 95", "crop 0.75"):
        found = re.search(rf"^ *{title} +(\d+\.\d+)", printed, re.MULTILINE)
        assert found, title
        assert f" {title} {found[1]}" in text, title
    for said in (
        "photographs on 12 real and 12 fake images in 12 groups",
        "Fewer than 20 images of a class",
        "TPR at 5 % FPR – needs 20 real images",
        "What the numbers may not be used for",
        "They say nothing about a single image.",
        "SHA-256 of its file",
        "The card of the model",
        "spectral-detect evaluate",
        "What more training images buy",
    ):
        assert said in text, said
    assert page.count('src="data:image/') == 7


def test_the_number_of_the_report_is_the_hash_of_the_json(run: Run) -> None:
    page, printed = evaluated(run, "--manifest", MANIFEST, "--json")
    assert json.loads(printed)["auroc"] == 1.0
    assert hashlib.sha256(printed.encode()).hexdigest() in words_of(page)


def test_each_generator_has_its_row(run: Run, images: Path) -> None:
    page, printed = evaluated(run, "--by", images, "--protocol", "wang", status=1)
    assert "fake" in printed
    text = words_of(page)
    assert "photographs on 1 generator, each against camera images" in text
    assert "fake 12 12 100.0 % (73.5 to 100.0 %)" in text
    assert "mean (mAP) 100.0 % 100.0 %" in text
    assert page.count('src="data:image/') == 1


def test_warnings_and_failures_stand_on_the_page(run: Run, images: Path) -> None:
    page, _ = evaluated(run, "--real", images / "real", "--fake", images / "fake", status=1)
    text = words_of(page)
    assert "Warning: 11 pairs of images, one real and one fake, look the same" in text
    assert "They are in none of the numbers." in text
    assert "not an image in a known format" in text
    assert "<img src=x" not in page
    assert "onerror=document.title=1&gt;.png" in page


def test_two_runs_differ_in_their_times_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    first, _ = evaluated(run, "--manifest", MANIFEST)
    assert evaluated(run, "--manifest", MANIFEST)[0] == first
    assert "2001-09-09 01:46:40 UTC" in first


def test_what_is_printed_is_the_same(run: Run) -> None:
    _, printed = evaluated(run, "--manifest", MANIFEST)
    assert run("evaluate", MODEL, "--jobs", 0, "--manifest", MANIFEST).stdout == printed


def test_pictures_of_many_points_are_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn_anew() -> str:
        figure = plots.new_figure(2, 2)
        figure.subplots().plot([0, 1], [0, 1])
        return plots.picture_uri(figure)

    drawn = drawn_anew()
    assert drawn == drawn_anew()
    assert b"<svg" in base64.b64decode(drawn.removeprefix("data:image/svg+xml;base64,"))
    monkeypatch.setattr(plots, "MOST_SVG_BYTES", 10)
    assert drawn_anew().startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--report", "report.txt"), "end its name in .html"),
        (("--report", "no/report.html"), "there is no folder"),
        (("--report", "a.html", "--scores", "a.html"), "name the same file"),
        (("--report", "manifest.html", "--manifest", "manifest.html"), "is an image, a video or an input"),
    ],
)
def test_nothing_is_overwritten(run: Run, options: tuple[str, ...], message: str) -> None:
    Path("manifest.html").write_text("path,label\n")
    result = run("evaluate", MODEL, "--jobs", 0, *options)
    assert (result.exit_code, message in result.stderr) == (2, True), result.output


@needs_browser
def test_the_page_shows_its_pictures_and_runs_nothing(run: Run, images: Path, tmp_path: Path) -> None:
    evaluated(run, "--real", images / "real", "--fake", images / "fake", status=1)
    with chromium(tmp_path / "profile") as page:
        page.open(tmp_path / "report.html")
        pictures = "[...document.images]"
        assert page.value(f"{pictures}.length") == 5
        assert page.value(f"{pictures}.every(image => image.complete && image.naturalWidth > 0)")
        assert page.value("document.title") == "Evaluation of photographs"
        assert page.value("document.querySelectorAll('[onerror], script').length") == 0
        assert page.dialogs == 0
        assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}
        page.open(tmp_path / "report.html", width=360)
        assert page.value("document.documentElement.scrollWidth <= innerWidth")


def test_the_undecided_scores_are_drawn_unless_another_threshold_decides() -> None:
    model = load_model("world")
    far = Extraction(Location("a.png"), width=256, height=256, features=np.zeros(model.n_features))
    judged = [Judge(model, rules).judge([far]) for rules in (Rules(), Rules(threshold=0.5))]
    decides_all = Judge(replace(model, undecided=(0.5, 0.5))).judge([far])
    zones = [evaluation_plots.undecided_of([each]) for each in (*judged, decides_all)]
    assert zones == [model.undecided, None, None]


def test_pictures_call_the_classes_as_the_model_does(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    drawn: list[str] = []

    def noted(figure: Figure) -> str:
        drawn.extend(text.get_text() for text in figure.findobj(Text))
        return ""

    monkeypatch.setattr(evaluation_plots, "picture_uri", noted)
    save_model(replace(load_model(MODEL), class_names=("clean", "upscaled")), tmp_path / "own.pkl")
    command = ("evaluate", tmp_path / "own.pkl", "--jobs", 0, "--report", tmp_path / "x.html")
    for options in (("--manifest", MANIFEST, "--robustness"), ("--by", images)):
        assert run(*command, *options).exit_code in (0, 1)
        page = (tmp_path / "x.html").read_text("utf-8")
        assert "ROC: fakes" not in page and not re.search(r'<th scope="col"[^>]*>[^<]*\b(real|fake)\b', page)
        assert ("clean right" in page) is (options[0] == "--by")
    assert {"clean images", "upscaled images", "score (1: upscaled)", "upscaled images found"} <= set(drawn)
    assert not [text for text in drawn if re.search(r"\b(real|fakes?)\b", text) and text != "fake"]  # a folder
