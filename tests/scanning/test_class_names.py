"""A model may have names of its own for its two classes."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run, save_unchecked
from gaussian import SPEC, gaussian_data
from spectral_detect import load_model, save_model, train_model
from spectral_detect.detector.class_names import why_no_class_names
from spectral_detect.detector.content.model_content import to_plain
from spectral_detect.detector.track_record import TrackRecord
from spectral_detect.errors import ModelFileError
from spectral_detect.records import CLASS_NAMES, VideoRecord
from spectral_detect.report.html import video_words, words

pytestmark = pytest.mark.usefixtures("in_this_process")

OWN = ("clean", "perturbed")
PHOTOGRAPH = EXAMPLES / "real" / "Garden.png"


@pytest.fixture
def named(labelled_folder: Path, tmp_path: Path, run: Run) -> Path:
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    model = tmp_path / "own.pkl"
    result = run("train", *folders, "--class-names", *OWN, "--features", "magnitude", "-o", model, "--jobs", 0)
    assert result.exit_code == 0, result.stderr
    assert "12 clean, 12 perturbed images" in result.stdout
    return model


def test_a_scan_says_the_names_of_the_model(named: Path, labelled_folder: Path, run: Run) -> None:
    table = run("scan", labelled_folder, "--model", named, "--jobs", 0).stdout
    assert "perturbed " in table and "clean " in table
    assert table.splitlines()[-1].startswith("24 images: 12 clean, 12 perturbed, 0 inconclusive, 0 failed")
    described = run("models", named).stdout
    assert "classes        clean and perturbed" in described
    assert "12 clean, 12 perturbed images" in described


def test_records_keep_verdict_and_label(named: Path, labelled_folder: Path, tmp_path: Path, run: Run) -> None:
    output = tmp_path / "rows.csv"
    run("scan", labelled_folder, "--model", named, "--jobs", 0, "--output", output)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert {(row["verdict"], row["label"], row["class_name"]) for row in rows} == {
        ("real", "0", "clean"),
        ("fake", "1", "perturbed"),
    }
    resumed = run("scan", labelled_folder, "--model", named, "--jobs", 0, "--resume", output)
    assert "12 clean, 12 perturbed" in resumed.stderr
    assert run("scan", labelled_folder, "--model", named, "--jobs", 0, "--fail-on-fake").exit_code == 3


def test_other_models_name_no_class(labelled_folder: Path, run: Run) -> None:
    shown = run("scan", labelled_folder / "real" / "00.png", "--format", "jsonl", "--jobs", 0).stdout
    assert json.loads(shown)["class_name"] is None


def test_a_report_says_what_the_verdicts_mean(named: Path, labelled_folder: Path, tmp_path: Path, run: Run) -> None:
    run("scan", labelled_folder, "--model", named, "--jobs", 0, "--report", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "<dt>Real means</dt><dd>clean</dd>" in page and "<dt>Fake means</dt><dd>perturbed</dd>" in page


def lookalikes(folder: Path) -> tuple[str, ...]:
    """Add an image to both classes, without a name that tells one."""
    with Image.open(PHOTOGRAPH) as photograph:
        photograph.save(folder / "real" / "photo.png")
        photograph.resize((256, 257)).crop((0, 0, 256, 256)).save(folder / "fake" / "photo.png")
    return "--real", str(folder / "real"), "--fake", str(folder / "fake")


def test_warnings_of_lookalikes_say_the_names(labelled_folder: Path, tmp_path: Path, run: Run) -> None:
    folders, model = lookalikes(labelled_folder), tmp_path / "m.pkl"
    trained = run("train", *folders, "--class-names", *OWN, "-o", model, "--jobs", 0)
    evaluated = run("evaluate", model, *folders, "--jobs", 0)
    for result in (trained, evaluated):
        assert result.exit_code == 0, result.stderr
        assert "1 pair of images, one clean and one perturbed, look the same" in result.stderr
        said = re.sub(r"--(real|fake)|\S*/(real|fake)/\S*", "", result.stderr)
        assert not re.search(r"\b(real|fakes?|generated|generators?)\b", said)
    (kept,) = load_model(model).training_warnings  # which would tell the names of files
    assert kept.startswith("1 pair of images, one clean and one perturbed, look the same; an estimate of accuracy")


@pytest.mark.parametrize("command", [("scan",), ("video", "--group-by", "parent")])
def test_the_limits_of_a_report_say_the_names(
    named: Path, labelled_folder: Path, tmp_path: Path, run: Run, command: tuple[str, ...]
) -> None:
    page = tmp_path / "r.html"
    result = run(*command, labelled_folder, "--model", named, "--prevalence", 1e-6, "--jobs", 0, "--report", page)
    assert result.exit_code == 0, result.stderr
    limits = re.findall(r'<ul class="limits">(.*?)</ul>', page.read_text(), flags=re.DOTALL)[0]
    assert "“clean” does not exclude “perturbed”" in limits and " is perturbed: that depends also on" in limits
    assert not re.search(r"\b(real|fakes?|generated|generators?)\b|[{}]", limits)
    (rare,) = re.findall(r'<p class="warn">(.*?)</p>', page.read_text(), flags=re.DOTALL)
    assert "<em>alarm</em> in place of <em>perturbed</em>" in rare and not re.search(r"\ba (clean|perturbed)", rare)


def test_the_limits_are_those_of_generators_for_the_usual_names() -> None:
    for each in (words, video_words):
        limits = " ".join(words.limits_of(each, CLASS_NAMES))
        assert "does not exclude a generated" in limits and "is generated: that depends" in limits
        assert "{" not in limits


def test_beside_a_prevalence_its_names_are_said(
    named: Path, labelled_folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(labelled_folder)  # so that no path says "fake"
    (labelled_folder / "fake").rename("b")
    page = tmp_path / "r.html"
    for prevalence, called in ((1e-6, "called perturbed by the threshold"), (0.3, "of the images are perturbed")):
        said = run("scan", ".", "--model", named, "--jobs", 0, "--prevalence", prevalence, "--report", page).stdout
        assert called in said and "P(perturbed)" in said.splitlines()[0]
        assert "fake" not in said.replace("made by AI as the file itself says", "")
        text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", "", page.read_text(), flags=re.DOTALL)
        assert "P(perturbed) at" in text and "Prevalence of perturbed" in text and "P(fake)" not in text
        assert "of the images are fake" not in text
    assert "revalence of fakes" not in text


def test_its_track_record_and_doubts_say_its_names(named: Path, labelled_folder: Path, run: Run) -> None:
    known = TrackRecord(None, None, 400, 40, 0.5, 0.9, 0.8)
    undecided = replace(load_model(named), undecided=(0.4, 0.5), track_record=(known,))
    undecided = replace(undecided, file_marks=np.empty(0), summary=None)  # as if the image were new to it
    save_model(undecided, named)
    path = labelled_folder / "fake" / "00.png"
    table = run("scan", path, "--model", named, "--jobs", 0).stdout
    assert "not seen, half of them perturbed\n" in table
    record = json.loads(run("scan", path, "--model", named, "--jobs", 0, "--format", "jsonl").stdout)
    assert record["such_files"] == "all files: decided 50 % of 400; perturbed right 90 %, clean right 80 %"
    doubted = run("scan", path, "--model", named, "--jobs", 0, "--prevalence", 0.3, "--min-confidence", 0.95)
    assert doubted.exit_code == 0, doubted.stderr
    assert "(perturbed with a probability of only" in doubted.stdout


def test_a_video_is_called_by_the_names(named: Path, labelled_folder: Path, tmp_path: Path, run: Run) -> None:
    folders, rows, frames = labelled_folder, tmp_path / "videos.csv", tmp_path / "frames.csv"
    drawn = tmp_path.with_name(f"{tmp_path.name}-drawn")  # not among the images
    command = ("video", folders, "--group-by", "parent", "--model", named, "--jobs", 0)
    table = run(*command).stdout
    assert "verdict       perturbed" in table and "clean " in table
    assert "1 clean, 1 perturbed, 0 inconclusive" in table
    run(*command, "--output", rows, "--per-frame", frames, "--plot", drawn, "--report", tmp_path / "r.html")
    for path in (rows, frames):
        found = {(row["verdict"], row["class_name"]) for row in csv.DictReader(path.read_text().splitlines())}
        assert found == {("real", "clean"), ("fake", "perturbed")}
    page = (tmp_path / "r.html").read_text()
    assert "<dt>Fake means</dt><dd>perturbed</dd>" in page and "<span>perturbed</span>" in page
    assert (
        "more like the images called clean" in page
        and "camera image" not in page.split("<script")[0].split("Limits")[0]
    )


def test_a_videos_own_word_contradicts_no_such_verdict() -> None:
    unknown = dict.fromkeys(VideoRecord.__dataclass_fields__) | {
        "path": "a",
        "verdict": "real",
        "says_generated": "yes",
    }
    assert VideoRecord(**unknown).is_contradicted
    assert not VideoRecord(**unknown | {"class_name": "clean"}).is_contradicted


def test_an_evaluation_is_in_the_names(named: Path, labelled_folder: Path, tmp_path: Path, run: Run) -> None:
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    command = ("evaluate", named, *folders, "--prevalence", "0.1", "--jobs", 0)
    text = run(*command, "--scores", tmp_path / "s.csv", "--report", tmp_path / "r.html").stdout
    assert "12 clean, 12 perturbed, 24 groups" in text and "  of clean images" in text
    page = (tmp_path / "r.html").read_text()
    assert "Prevalence of perturbed</dt><dd>0.1" in page and "an image called perturbed is perturbed" in page
    assert "called clean called perturbed" in text and "10 % of the images are perturbed" in text
    assert not {"real", "fake"} & set(text.split())
    values = json.loads(run(*command, "--json").stdout)
    assert values["class_names"] == list(OWN) and values["confusion"]["real"]["real"] == 12
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert {(row["label"], row["class_name"]) for row in rows} == {("real", "clean"), ("fake", "perturbed")}
    assert "perturbed images called perturbed" in (tmp_path / "r.html").read_text()


def test_an_explanation_is_in_the_names(named: Path, labelled_folder: Path, tmp_path: Path, run: Run) -> None:
    image = labelled_folder / "fake" / "00.png"
    text = " ".join(run("explain", image, "--model", named).stdout.split())
    assert ": perturbed, score" in text and "0 clean to 1 perturbed; perturbed from" in text
    assert "generated" not in text and not {"real", "fake"} & set(text.split())
    for name in ("sheet.html", "sheet.png", "sheet.json"):
        run("explain", image, "--model", named, "--output", tmp_path / name)
    page = (tmp_path / "sheet.html").read_text()
    assert ">PERTURBED</h1>" in page and "images called perturbed" in page and "from the mean clean" in page
    sheet = json.loads((tmp_path / "sheet.json").read_text())
    assert (sheet["record"]["verdict"], sheet["record"]["class_name"]) == ("fake", "perturbed")
    assert sheet["class_names"] == list(OWN)


def test_the_scan_page_shows_the_names(named: Path, labelled_folder: Path, tmp_path: Path, run: Run) -> None:
    run("scan", labelled_folder, "--model", named, "--jobs", 0, "--report", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert '"names":{"inconclusive":"inconclusive","failed":"failed","real":"clean","fake":"perturbed"}' in page
    assert '"sides":["clean","perturbed"]' in page and "<em>clean</em>" in page
    assert "It is of the kind that the model calls perturbed." in page
    assert "or more is called perturbed" in page and "false alarms among clean images" in page
    assert "support for clean" in page and "12 clean images and 12 perturbed images" in page


def test_a_model_file_keeps_the_names(tmp_path: Path) -> None:
    model = train_model(gaussian_data(), SPEC)
    assert "class_names" not in to_plain(model)["header"]
    save_model(replace(model, class_names=OWN), tmp_path / "m.pkl")
    kept = load_model(tmp_path / "m.pkl")
    assert kept.class_names == OWN
    assert (kept.class_name("fake"), kept.class_name("inconclusive"), model.class_name("fake")) == (
        "perturbed",
        None,
        None,
    )
    save_unchecked(replace(model, class_names=("fake", "real")), tmp_path / "swapped.pkl")
    with pytest.raises(ModelFileError, match="would mislead"):
        load_model(tmp_path / "swapped.pkl")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("", "a"), "no name of a class"),
        (("a\x1b[0m", "b"), "no name of a class"),
        ((" a", "b"), "no name of a class"),
        (("a" * 25, "b"), "no name of a class"),
        (("inconclusive", "b"), "would mislead"),
        (("fake", "b"), "would mislead"),
        (("a", "real"), "would mislead"),
        (("a", "a"), "one name"),
        (("Same", "same"), "one name"),
        (("Fake", "b"), "would mislead"),
    ],
)
def test_names_that_would_mislead_are_refused(names: tuple[str, str], message: str, run: Run) -> None:
    assert message in str(why_no_class_names(*names))
    result = run("train", "--real", "a", "--fake", "b", "--class-names", *names, "-o", "m.pkl")
    assert result.exit_code == 2
    assert "--class-names" in result.stderr


def test_the_usual_names_may_be_given() -> None:
    assert why_no_class_names("real", "fake") is None
    assert why_no_class_names("real", "perturbed") is None
