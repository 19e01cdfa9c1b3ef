"""`spectral-detect explain`, from the command line to the parts of its sheets."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from conftest import EXAMPLES, MODELS, Run
from spectral_detect import load_model, save_model
from spectral_detect._version import PROGRAM
from spectral_detect.detector.calibration import Calibration
from spectral_detect.detector.memory.files import TRAINING_IMAGE
from spectral_detect.detector.model_file import find_model
from spectral_detect.explain.explanation import NOTHING_TO_EXPLAIN, UNCALIBRATED, Explanation
from spectral_detect.explain.neighbours import Neighbour
from spectral_detect.records import ImageRecord
from spectral_detect.report.sheet.text import WIDTH, neighbour_sentences

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
FAKE = EXAMPLES / "fake" / "Garden.png"
REAL = EXAMPLES / "real" / "Garden.png"
HERE = ("--jobs", "0")  # a worker takes a second to start
PHOTOGRAPHS = ("--model", str(MODEL), *HERE)
HOSTILE = "<script>alert(1)</script> $\\frac{1}{2}$ \x1b[31m {{ 7 * 7 }}.png"


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an explanation of one image in each format."""
    from click.testing import CliRunner

    from spectral_detect.cli import main

    folder = tmp_path_factory.mktemp("explained")
    for suffix in ("png", "html", "json", "txt"):
        result = CliRunner().invoke(main, ["explain", str(FAKE), *PHOTOGRAPHS, "--output", str(folder / f"x.{suffix}")])
        assert result.exit_code == 0, result.output
        assert re.fullmatch(
            rf"{re.escape(str(folder))}/x\.{suffix}: \S+Garden\.png: fake, score 0\.9\d\d by the model .*\n",
            result.stdout,
        )
    return folder


def test_text_says_verdict_reasons_and_the_next_step(run: Run) -> None:
    result = run("explain", FAKE, "--model", MODEL, "--jobs", 1)  # in a worker process
    assert result.exit_code == 0 and result.stderr == ""
    name, verdict, *rows = result.stdout.splitlines()
    assert name.endswith("Garden.png:") and re.match(r"fake, score 0\.9\d\d by the model photographs", verdict)
    start, *parts = [float(found[1]) for row in rows if (found := re.match(r".{21} *([+-]\d\.\d{3})", row))]
    assert start + sum(parts[:-1]) == pytest.approx(parts[-1], abs=0.005)
    assert "what to do next      Ask where the image comes from" in result.stdout


def test_json_holds_the_same_facts_as_a_scan(run: Run, explained: Path) -> None:
    facts = json.loads((explained / "x.json").read_text())
    scanned = json.loads(run("scan", FAKE, *PHOTOGRAPHS, "--format", "jsonl").stdout)
    assert facts["record"] == scanned
    assert set(facts) == {
        "schema", "record", "reason", "undecided", "prevalence", "region", "evidence", "class_distances", "spectrum",
        "profile", "tiles", "neighbours", "is_training_image", "missing", "next_steps", "class_names",
        "cross_validated",
    }  # fmt: skip
    assert facts["schema"] == "spectral-detect/explanation/1"
    evidence = facts["evidence"]
    total = evidence["start"] + sum(group["contribution"] for group in evidence["groups"])
    assert total == pytest.approx(evidence["decision_value"], abs=1e-9)
    for group in evidence["groups"]:
        assert sum(group["features"]) == pytest.approx(group["contribution"], abs=1e-9)
    score = load_model(MODEL).calibration.scores(np.array([evidence["decision_value"]]))[0]
    assert score == pytest.approx(facts["record"]["score"], abs=1e-5)
    assert len(facts["tiles"]["tiles"]) == 16
    assert [peak["period_px"] for peak in facts["spectrum"]["peaks"] if peak["is_clear"]] == [2]
    assert json.loads(run("explain", FAKE, *PHOTOGRAPHS, "--format", "json").stdout) == facts


def test_the_picture_is_one_sheet_that_may_be_drawn_again(run: Run, explained: Path) -> None:
    with Image.open(explained / "x.png") as sheet:
        assert 1190 <= sheet.width <= 1210
        assert sheet.info["Software"] == PROGRAM
        shown = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(shown, axis=0)) > 1000
    assert run("explain", REAL, *PHOTOGRAPHS, "--output", explained / "x.png").exit_code == 0


class Parts(HTMLParser):
    """The ids, pictures and scripts of a page, and the text in it."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str | None] = []
        self.pictures: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.pictures += [values["src"] or ""] if tag == "img" else []

    def handle_data(self, data: str) -> None:
        self.text += data


def parts_of(page: Path) -> Parts:
    parts = Parts()
    parts.feed(page.read_text(encoding="utf-8"))
    return parts


def test_the_page_holds_all_parts_and_needs_no_other_file(explained: Path) -> None:
    parts = parts_of(explained / "x.html")
    assert {"verdict", "next-steps", "pictures", "evidence", "neighbours", "facts", "numbers"} <= set(parts.ids)
    assert len(parts.pictures) == 7
    for picture in parts.pictures:
        head, content = picture.split(",", 1)
        assert head == "data:image/png;base64"
        with Image.open(BytesIO(base64.b64decode(content))) as drawn:
            assert min(drawn.size) > 100
    assert "script" not in parts.tags and "link" not in parts.tags
    assert "http" not in re.sub(r"http-equiv", "", (explained / "x.html").read_text())


def test_hostile_names_and_texts_do_nothing(run: Run, tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "<img src=x onerror=alert(2)>\x1b[2J $x$ Steps: 20")
    hostile = tmp_path / HOSTILE
    hostile.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(FAKE) as image:
        image.save(hostile, pnginfo=text)
    for suffix in ("png", "html"):
        assert run("explain", hostile, *PHOTOGRAPHS, "--output", tmp_path / f"out.{suffix}").exit_code == 0
    parts = parts_of(tmp_path / "out.html")
    assert "script" not in parts.tags
    assert len(parts.pictures) == 7
    assert "script>" in parts.text and "{{ 7 * 7 }}" in parts.text
    assert "\x1b" not in (tmp_path / "out.html").read_text()
    assert "\x1b" not in run("explain", hostile, *PHOTOGRAPHS).stdout


def test_names_that_are_not_utf8_are_kept(run: Run, tmp_path: Path) -> None:
    strange = Path(f"{tmp_path}/\udcff.png")
    shutil.copy(FAKE, strange)
    for suffix in ("txt", "json", "html", "png"):
        assert run("explain", strange, *PHOTOGRAPHS, "--output", tmp_path / f"out.{suffix}").exit_code == 0
    assert json.loads((tmp_path / "out.json").read_text())["record"]["path"] == str(strange)


def test_a_part_scores_like_the_crop(run: Run, tmp_path: Path) -> None:
    with Image.open(FAKE) as image:
        image.crop((64, 32, 256, 224)).save(tmp_path / "crop.png")
    part = json.loads(run("explain", FAKE, *PHOTOGRAPHS, "--region", "64,32,192,192", "--format", "json").stdout)
    crop = json.loads(run("explain", tmp_path / "crop.png", *PHOTOGRAPHS, "--format", "json").stdout)
    assert part["record"]["score"] == crop["record"]["score"]
    assert part["record"]["width"] == 192
    assert part["region"] == [64, 32, 192, 192]
    assert "192x192 pixels" in part["record"]["warnings"][1]
    assert part["tiles"]["tiles"] == crop["tiles"]["tiles"]


def test_a_part_off_the_grid_says_where_it_begins(run: Run) -> None:
    part = json.loads(run("explain", FAKE, *PHOTOGRAPHS, "--region", "70,33,100,100", "--format", "json").stdout)
    where = "only a part was judged: 64,32,106,101 (left, top, width, height)"
    assert f"{where}, as parts begin on the grid of a JPEG's blocks" in part["record"]["warnings"]
    assert (part["record"]["width"], part["record"]["height"]) == (106, 101)


@pytest.mark.parametrize("orientation", [3, 6])
def test_parts_and_tiles_lie_where_they_are_displayed(run: Run, tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(FAKE) as image:
        stored = image.convert("RGB").crop((0, 0, 256, 192))
    stored.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        width, height = ImageOps.exif_transpose(image).size
    facts = json.loads(run("explain", tmp_path / "turned.png", *PHOTOGRAPHS, "--format", "json").stdout)
    assert all(t["x"] + t["width"] <= width and t["y"] + t["height"] <= height for t in facts["tiles"]["tiles"])
    box = f"0,0,{width // 2},{height // 2}"
    part = run("explain", tmp_path / "turned.png", *PHOTOGRAPHS, "--region", box, "--format", "json")
    assert json.loads(part.stdout)["record"]["width"] == width // 2


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        ((FAKE, "--region", "250,0,64,64"), "does not lie within 256x256 pixels", 1),
        ((FAKE, "--region", "1,2,3"), "is not X,Y,W,H in pixels", 2),
        ((FAKE, "--region", "0,0,0,5"), "is empty", 2),
        ((FAKE, "--output", "sheet.gif"), "end it in .png, .html, .json, .txt", 2),
        ((FAKE, "--output", FAKE), "would be overwritten", 2),
        ((EXAMPLES / "fake",), "takes one image", 2),
        ((EXAMPLES / "manifest.csv",), "not an image", 1),
        (("nowhere.png",), "no such file", 2),
    ],
)
def test_what_is_refused(run: Run, arguments: tuple[object, ...], message: str, status: int) -> None:
    result = run("explain", *arguments, *PHOTOGRAPHS)
    assert result.exit_code == status
    assert message in result.stderr
    assert result.stdout == ""


def test_a_model_without_a_summary_says_so(run: Run, tmp_path: Path) -> None:
    save_model(dataclasses.replace(load_model(MODELS / "small.pkl"), summary=None), tmp_path / "bare.pkl")
    model = ("--model", tmp_path / "bare.pkl", *HERE)
    assert "holds no summary of its training images" in " ".join(run("explain", FAKE, *model).stdout.split())
    facts = json.loads(run("explain", FAKE, *model, "--format", "json").stdout)
    assert facts["neighbours"] == [] and facts["profile"]["real"] is None and facts["tiles"]["limit"] is None
    for suffix in ("png", "html"):
        assert run("explain", FAKE, *model, "--output", tmp_path / f"x.{suffix}").exit_code == 0


def test_a_model_of_whole_images_says_why_there_is_no_map(run: Run, tmp_path: Path) -> None:
    assert "no place has a score of its own" in " ".join(run("explain", FAKE, *HERE).stdout.split())
    assert json.loads(run("explain", FAKE, *HERE, "--format", "json").stdout)["tiles"] is None
    for suffix in ("png", "html"):
        assert run("explain", FAKE, *HERE, "--output", tmp_path / f"x.{suffix}").exit_code == 0
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert 'alt="The power spectrum"' in page and 'alt="The score of each place"' not in page


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_an_image_of_one_colour_has_nothing_to_explain(run: Run, tmp_path: Path, mode: str) -> None:
    Image.new(mode, (256, 256), "gray").save(tmp_path / "flat.png")
    for model in (PHOTOGRAPHS, HERE):
        facts = json.loads(run("explain", tmp_path / "flat.png", *model, "--format", "json").stdout)
        assert facts["reason"] == "constant image" and facts["record"]["verdict"] == "inconclusive"
        assert facts["evidence"] is facts["spectrum"] is facts["profile"] is facts["tiles"] is None
        assert facts["neighbours"] == facts["class_distances"] == []
        assert facts["missing"] == [NOTHING_TO_EXPLAIN]
        assert not any("training image" in warning for warning in facts["record"]["warnings"])
        text = run("explain", tmp_path / "flat.png", *model).stdout
        assert "nothing to explain" in text and "for fake" not in text and "nearest" not in text
        assert not re.search(r"score \d|[+-]\d\.\d", text)
    for suffix in ("png", "html"):
        assert run("explain", tmp_path / "flat.png", *HERE, "--output", tmp_path / f"x.{suffix}").exit_code == 0
    parts = parts_of(tmp_path / "x.html")
    assert len(parts.pictures) == 1  # the image alone
    assert "nothing to explain" in parts.text and not {"evidence", "numbers", "neighbours"} & set(parts.ids)


def test_a_region_of_one_colour_has_nothing_to_explain(run: Run, tmp_path: Path) -> None:
    with Image.open(FAKE) as image:
        half = image.convert("RGB")
    half.paste((9, 9, 9), (0, 0, 128, 256))
    half.save(tmp_path / "half.png")
    part = run("explain", tmp_path / "half.png", *PHOTOGRAPHS, "--region", "0,0,128,128", "--format", "json")
    assert json.loads(part.stdout)["missing"] == [NOTHING_TO_EXPLAIN]


def test_a_model_that_leaves_scores_undecided_says_which(run: Run) -> None:
    low, high = load_model("world").undecided or (0, 0)
    said = said_first(run("explain", FAKE, *HERE).stdout)
    assert f"real up to {low:.3f}, fake from {high:.3f} on, inconclusive between" in said and "threshold" not in said
    assert "fake from 0.500 on)" in said_first(run("explain", FAKE, *HERE, "--threshold", 0.5).stdout)


def said_first(text: str) -> str:
    """Return what a text says before the table of reasons, in one line."""
    first, _, _ = text.partition("\nwhy ")
    assert all(len(line) <= WIDTH for line in first.splitlines()[1:])
    return " ".join(first.split())


def test_what_the_training_warned_of_stands_beside_each_verdict(run: Run, tmp_path: Path) -> None:
    model = load_model(MODELS / "small.pkl")
    training = {**model.training, "warnings": ["few images"]}
    save_model(dataclasses.replace(model, calibration=Calibration(), training=training), tmp_path / "few.pkl")
    few = ("--model", tmp_path / "few.pkl", *HERE)
    notes = json.loads(run("explain", FAKE, *few, "--format", "json").stdout)["record"]["warnings"]
    assert notes[-2:] == ["the training of the model warned: few images", UNCALIBRATED]
    assert UNCALIBRATED in " ".join(run("explain", FAKE, *few).stdout.split())


def with_neighbour(label: str, source: str) -> Explanation:
    record = ImageRecord(*("x" for _ in range(7)), "fake", *(None for _ in range(5)), "", "", "")  # type: ignore[arg-type]
    return Explanation(record, neighbours=(Neighbour(label, source, 1.5),), n_positions=10)


@pytest.mark.parametrize("image", ["real/Dragonfly_by_Bolly.png", "small.png"])
def test_the_reason_of_an_inconclusive_verdict_is_said_once(run: Run, tmp_path: Path, image: str) -> None:
    with Image.open(FAKE) as whole:
        whole.crop((0, 0, 96, 96)).save(tmp_path / "small.png")
    path = EXAMPLES / image if "/" in image else tmp_path / image
    facts = json.loads(run("explain", path, *HERE, "--format", "json").stdout)
    (warning,) = facts["record"]["warnings"]
    telling = warning.rpartition(": ")[2] if facts["reason"] == "outside experience" else "errs too often"
    assert " ".join(run("explain", path, *HERE).stdout.split()).count(telling) == 1
    assert run("explain", path, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    page = parts_of(tmp_path / "x.html")
    assert page.text.count(telling) == 1 and "warnings" not in page.ids


def test_other_warnings_stay_beside_the_reason(run: Run, tmp_path: Path) -> None:
    with Image.open(FAKE) as whole:
        pixels = np.asarray(whole.convert("RGBA")).copy()
    pixels[:2, :, 3] = 0  # too few to be a reason, enough for a warning
    Image.fromarray(pixels[:96, :250]).save(tmp_path / "x.png")
    text = " ".join(run("explain", tmp_path / "x.png", *HERE).stdout.split())
    reason, warnings = text.partition(" why ")[0], text.partition(" warnings ")[2]
    assert "reason Outside the experience" in reason and "Outside" not in warnings
    assert re.match(r"[\d.]+ % of the pixels are transparent", warnings)


def test_the_track_record_has_a_place_of_its_own(run: Run, tmp_path: Path) -> None:
    assert run("explain", FAKE, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    text = (tmp_path / "x.html").read_text()
    assert re.search(
        r'often it is right</h2><p id="track-record">Of such files from sources that it had not seen, [^<]+</p>',
        text,
    )
    assert "Of such files" not in text.partition("Spectrum and places")[2].partition("</ul>")[0]


def test_the_folders_of_a_shipped_model_are_not_named(run: Run, tmp_path: Path) -> None:
    shipped = run("explain", FAKE, *HERE).stdout
    assert re.search(r"^nearest +(real|fake) \(distance", shipped, re.MULTILINE) and "fake, from " not in shipped
    assert run("explain", FAKE, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    assert "folder or group" not in parts_of(tmp_path / "x.html").text
    shutil.copy(find_model("world"), tmp_path / "own.pkl")
    assert "fake, from " in run("explain", FAKE, "--model", tmp_path / "own.pkl", *HERE).stdout


@pytest.mark.parametrize(("source", "words"), [("fake", "fake"), ("1_Fakes", "fake"), ("sdxl", "fake, from sdxl")])
def test_a_source_that_is_named_as_its_label_is_said_once(source: str, words: str) -> None:
    first, *_ = neighbour_sentences(with_neighbour("fake", source))
    assert first == f"{words} (distance 1.50)"


def test_a_source_that_is_named_as_the_other_label_is_said() -> None:
    assert next(neighbour_sentences(with_neighbour("real", "fake"))) == "real, from fake (distance 1.50)"


def test_a_training_image_is_called_one(run: Run, labelled_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "own.pkl"
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    assert run("train", *folders, "--output", model, *HERE).exit_code == 0
    trained = labelled_folder / "fake" / "03.png"
    with Image.open(trained) as image:
        image.save(tmp_path / "copy.bmp")
        other = np.roll(np.asarray(image), 7, axis=(0, 1))
    Image.fromarray(other[::-1]).save(tmp_path / "other.png")
    for path, is_known in ((trained, True), (tmp_path / "copy.bmp", True), (tmp_path / "other.png", False)):
        facts = json.loads(run("explain", path, "--model", model, *HERE, "--format", "json").stdout)
        assert facts["is_training_image"] is is_known
        assert facts["neighbours"][0]["is_same"] is is_known
        assert (TRAINING_IMAGE in facts["record"]["warnings"]) is is_known
        assert any("has not seen" in step for step in facts["next_steps"]) is is_known
    assert "fake (this image, or a copy of it)" in run("explain", trained, "--model", model, *HERE).stdout
    assert run("explain", trained, "--model", model, *HERE, "--output", tmp_path / "x.html").exit_code == 0
    assert "this image, or a copy" in parts_of(tmp_path / "x.html").text


def test_of_transparent_pixels_the_sheet_says_once_what_to_do(run: Run, tmp_path: Path) -> None:
    with Image.open(REAL) as image:
        pixels = np.asarray(image.convert("RGBA")).copy()
    pixels[:, :160, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "cutout.png")
    facts = json.loads(run("explain", tmp_path / "cutout.png", *PHOTOGRAPHS, "--format", "json").stdout)
    assert facts["reason"] == "transparent"
    assert sum("opaque part" in step for step in facts["next_steps"]) == 1
    text = " ".join(run("explain", tmp_path / "cutout.png", *PHOTOGRAPHS).stdout.split())
    assert text.count("Judge the opaque part") == 1


def test_dollars_in_a_name_are_no_mathematics(run: Run, tmp_path: Path) -> None:
    model = dataclasses.replace(load_model(MODEL), class_names=("camera", r"x$\q"))
    save_model(model, tmp_path / "own.pkl")
    written = run("explain", FAKE, "--model", tmp_path / "own.pkl", *HERE, "--output", tmp_path / "x.png")
    assert written.exit_code == 0, written.stderr


def test_a_part_is_judged_by_its_own_transparency(run: Run, tmp_path: Path) -> None:
    with Image.open(REAL) as image:
        pixels = np.asarray(image.convert("RGBA")).copy()
    pixels[:, :64, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "cutout.png")
    part = ("--region", "64,0,192,192", "--format", "json")
    facts = json.loads(run("explain", tmp_path / "cutout.png", *PHOTOGRAPHS, *part).stdout)
    assert facts["reason"] != "transparent" and not any("transparent" in note for note in facts["record"]["warnings"])


def test_a_verdict_on_a_part_does_not_pass_for_one_on_the_whole(run: Run, tmp_path: Path) -> None:
    box = ("--region", "0,0,128,128")
    part, whole = (json.loads(run("explain", FAKE, *PHOTOGRAPHS, *r, "--format", "json").stdout) for r in (box, ()))
    assert part["record"]["settings_sha256"] != whole["record"]["settings_sha256"]
    assert part["record"]["warnings"][0] == "only a part was judged: 0,0,128,128 (left, top, width, height)"
    assert "Garden.png, part 0,0,128,128: " in " ".join(run("explain", FAKE, *PHOTOGRAPHS, *box).stdout.split())
    written = run("explain", FAKE, *PHOTOGRAPHS, *box, "--output", tmp_path / "x.txt").stdout
    assert "Garden.png, part 0,0,128,128: " in written
    small = run("explain", FAKE, *HERE, "--region", "0,0,100,100", "--format", "json")
    assert json.loads(small.stdout)["next_steps"][0].startswith("name a larger part with --region")


def test_a_score_that_hardly_speaks_for_its_verdict_is_to_be_taken_for_undecided(run: Run) -> None:
    facts = json.loads(run("explain", REAL, *PHOTOGRAPHS, "--format", "json").stdout)
    assert (facts["record"]["verdict"], abs(facts["record"]["log10_likelihood_ratio"]) < 0.3) == ("real", True)
    (step,) = facts["next_steps"]
    assert step.startswith("take it for undecided: such a score is nearly as frequent among fake images as among real")
    assert "take it for undecided" not in run("explain", FAKE, *PHOTOGRAPHS).stdout
