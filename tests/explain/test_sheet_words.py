"""What the sheet says: the numbers of its charts, likelihood ratios, how often it is right, what is behind peaks."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, MODELS, Run
from spectral_detect import load_model
from spectral_detect.detector.model import MIN_TILES
from spectral_detect.explain.explanation import Explanation, explain
from spectral_detect.explain.spectrum import EARLIER_GRID, JPEG_GRID, OTHER_GRID, Peak, grid_of
from spectral_detect.explain.tiles import TileScores
from spectral_detect.media.coding import Coding
from spectral_detect.media.region import Region
from spectral_detect.parallel.work import Work
from spectral_detect.report.sheet.text import (
    LEAST_WIDTH,
    explanation_text,
    spectrum_sentence,
    tiles_sentence,
    track_sentence,
)
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.location import Location

pytestmark = pytest.mark.usefixtures("in_this_process")

IMAGE = EXAMPLES / "fake" / "Garden.png"
HERE = ("--jobs", "0")
SUMMED = "is the sum of the rows below it, and counts once"


def rows_of(page: Path) -> list[tuple[str, float, bool]]:
    """Title, number, and whether it is a sum, of each row of numbers."""
    table = page.read_text().partition('id="numbers"')[2].partition("</table>")[0]
    found = re.findall(r'<tr( class="sum")?><t[dh]>([^<]*)</t[dh]><t[dh] class="n">([+-][\d.]+)<', table)
    return [(html.unescape(title), float(value), bool(is_sum)) for is_sum, title, value in found]


def test_the_page_shows_the_sums_of_the_chart_and_their_parts(run: Run, tmp_path: Path) -> None:
    evidence = json.loads(run("explain", IMAGE, *HERE, "--format", "json").stdout)["evidence"]
    assert run("explain", IMAGE, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    start, *rows, decision_value = rows_of(tmp_path / "x.html")
    sums = {title.removesuffix(", sum"): value for title, value, is_sum in rows if is_sum}
    kinds = {kind["title"]: kind["contribution"] for kind in evidence["kinds"]}
    assert sums == {title: pytest.approx(kinds[title], abs=1e-4) for title in sums} and sums
    parts = [value for _, value, is_sum in rows if not is_sum]
    assert len(parts) == len(evidence["groups"])
    assert start[1] + sum(parts) == pytest.approx(decision_value[1], abs=1e-3)
    place = next(k for k, row in enumerate(rows) if row[2])
    assert rows[place + 1][1] + rows[place + 2][1] == pytest.approx(rows[place][1], abs=2e-4)
    assert SUMMED in (tmp_path / "x.html").read_text()


def test_a_model_of_one_size_has_no_sums(run: Run, tmp_path: Path) -> None:
    model = ("--model", MODELS / "photographs.pkl")
    assert run("explain", IMAGE, *model, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    assert not any(is_sum for _, _, is_sum in rows_of(tmp_path / "x.html"))
    assert SUMMED not in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize(
    ("coding", "grid"),
    [
        (Coding("JPEG", 90), JPEG_GRID),
        (Coding("lossless"), EARLIER_GRID),
        (Coding("palette"), EARLIER_GRID),
        (Coding("WebP"), OTHER_GRID),
        (None, JPEG_GRID),
    ],
)
def test_which_grid_may_be_behind_a_peak(coding: Coding | None, grid: str) -> None:
    assert grid_of(coding) == grid
    assert grid_of(coding, is_delivered=True) == JPEG_GRID
    assert Peak(8, 9.0, grid).origin == grid and Peak(2, 9.0, grid).origin == f"up-sampling, or {grid}"


def test_of_a_png_the_sheet_says_why_it_names_a_jpeg(run: Run, tmp_path: Path) -> None:
    with Image.open(IMAGE) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    pixels[:, ::8] += 24
    stripes = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    stripes.save(tmp_path / "x.png")
    stripes.save(tmp_path / "x.jpg", quality=95)
    for name, grid in (("x.png", EARLIER_GRID), ("x.jpg", JPEG_GRID)):
        said = " ".join(run("explain", tmp_path / name, *HERE).stdout.split())
        assert f"{grid}, or a regular pattern in the scene" in said


def test_a_peak_of_the_grid_alone_is_not_put_down_to_up_sampling() -> None:
    found = explanation(("real", "fake"))
    assert found.spectrum is not None
    peaks = (Peak(2, 9.0, JPEG_GRID), Peak(4, 1.0, JPEG_GRID), Peak(8, 12.0, JPEG_GRID))
    text = spectrum_sentence(replace(found, spectrum=replace(found.spectrum, peaks=peaks)))
    assert text == (
        f"Clear peaks at a period of 2 pixels (9 dB): from up-sampling, or {JPEG_GRID}, or a regular pattern in the "
        f"scene; at one of 8 pixels (12 dB): from {JPEG_GRID}, or a regular pattern in the scene."
    )


@pytest.mark.parametrize(("n_tiles", "words"), [(MIN_TILES - 1, "."), (MIN_TILES, "; they disagree more than")])
def test_only_enough_places_are_said_to_agree_or_not(n_tiles: int, words: str) -> None:
    boxes, scores = ((0, 0, 64, 64),) * n_tiles, np.linspace(0.01, 0.99, n_tiles)
    tiles = TileScores(boxes, scores, disagreement=5.0, limit=1.0)
    text = tiles_sentence(replace(explanation(("real", "fake")), tiles=tiles))
    assert text.startswith(f"{n_tiles} places score 0.010 to 0.990{words}")


def test_an_image_of_one_colour_is_explained_by_the_rules_that_were_given(tmp_path: Path) -> None:
    Image.new("RGB", (256, 256), "red").save(tmp_path / "x.png")
    model = replace(load_model(MODELS / "photographs.pkl"), class_names=("clean", "upscaled"))
    judge = Judge(model, Rules(prevalence=0.1))
    found = explain(FoundFile(Location(str(tmp_path / "x.png"))), judge, work=Work(jobs=0))
    assert found.is_empty and (found.class_names, found.prevalence) == (("clean", "upscaled"), 0.1)


def said(run: Run, *arguments: object) -> str:
    return " ".join(run("explain", *arguments, *HERE).stdout.split())


def test_the_likelihood_ratio_is_said_in_numbers_and_words(run: Run, tmp_path: Path) -> None:
    model = ("--model", MODELS / "photographs.pkl")
    ratio = (
        10
        ** json.loads(run("explain", IMAGE, *model, *HERE, "--format", "json").stdout)["record"][
            "log10_likelihood_ratio"
        ]
    )
    words = f"{ratio:.0f} (generated to camera): moderate support for generated (ENFSI 2015"
    assert f"likelihood ratio {words}" in said(run, IMAGE, *model)
    assert run("explain", IMAGE, *model, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    assert f'<p id="likelihood-ratio">{words}' in (tmp_path / "x.html").read_text()
    of_camera = said(run, EXAMPLES / "real" / "Aqua.png", *model)
    assert re.search(r"likelihood ratio 1/[\d.,]+ \(generated to camera\): [a-z ]+ support for camera", of_camera)


def test_an_inconclusive_verdict_has_no_likelihood_ratio(run: Run) -> None:
    text = said(run, IMAGE, "--model", MODELS / "photographs.pkl", "--min-confidence", 0.98)
    assert ": inconclusive, score" in text and "(0 real to 1 fake; less certain than asked for)" in text
    assert "likelihood ratio" not in text and "Balanced accuracy" not in text


def test_a_model_without_a_track_record_says_its_cross_validation(run: Run, tmp_path: Path) -> None:
    path = MODELS / "photographs.pkl"
    metrics = load_model(path).metrics
    value, (low, high) = metrics["balanced_accuracy"], metrics["balanced_accuracy_ci"]
    words = f"training images: {100 * value:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)."
    assert f"Balanced accuracy in cross-validation on its {words}" in said(run, IMAGE, "--model", path)
    facts = json.loads(run("explain", IMAGE, "--model", path, *HERE, "--format", "json").stdout)
    assert facts["cross_validated"] == {"balanced_accuracy": value, "balanced_accuracy_ci": [low, high]}
    assert run("explain", IMAGE, "--model", path, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    assert words in (tmp_path / "x.html").read_text()
    for others in (("--model", path, "--threshold", 0.2), ()):  # another threshold; a model with a track record
        assert "cross-validation" not in said(run, IMAGE, *others)


def explanation(class_names: tuple[str, str]) -> Explanation:
    judge = Judge(replace(load_model(MODELS / "photographs.pkl"), class_names=class_names))
    return explain(FoundFile(Location(str(IMAGE))), judge, work=Work(jobs=0))


def test_no_accuracy_is_claimed_of_a_part_of_an_image() -> None:
    whole = explanation(("real", "fake"))
    assert "Balanced accuracy" in track_sentence(whole)
    assert track_sentence(replace(whole, region=Region(0, 0, 64, 64))).endswith("right was not measured.")


def test_kinds_of_trace_stand_in_one_column_whatever_the_classes_are_called() -> None:
    found = explanation(("clean", "upscaled"))
    lines = explanation_text(found).splitlines()
    titles = [title for title, _ in found.evidence.kinds] if found.evidence else []
    rows = [line for line in lines if re.match(r" {21} *[+-]\d\.\d{3} (clean|upscaled) ", line)]
    assert len(rows) == len(titles) > 1 and any(" clean " in row for row in rows)
    places = {row.index(title) for row, title in zip(rows, titles, strict=True)}
    assert places == {next(line for line in lines if "= the decision value" in line).index("=")}


@pytest.mark.parametrize(("columns", "limit"), [(80, 80), (1000, 100), (None, 100), (1, LEAST_WIDTH)])
def test_text_is_no_wider_than_the_terminal(columns: int | None, limit: int) -> None:
    found = explanation(("clean", "upscaled"))
    text = explanation_text(found) if columns is None else explanation_text(found, columns)
    widths = [len(line) for line in text.splitlines()[1:]]
    assert limit - 12 < max(widths) <= limit


def test_an_explanation_on_a_terminal_is_as_wide_as_it() -> None:
    import pty

    first, second = pty.openpty()
    command = (sys.executable, "-m", "spectral_detect", "explain", str(IMAGE), *HERE)
    done = subprocess.run(command, stdout=second, env={**os.environ, "COLUMNS": "70"}, check=True, timeout=120)
    os.close(second)
    shown = os.read(first, 2**16).decode()
    assert done.returncode == 0 and max(map(len, shown.splitlines()[1:])) <= 70 and "likelihood ratio" in shown
