"""A model with another one beside it, for the images that are too small for it."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run
from gaussian import SPEC
from spectral_detect import Model, load_model, save_model
from spectral_detect.detector.calibration import Calibration
from spectral_detect.detector.classifiers import LogisticRegression
from spectral_detect.detector.content.model_content import content_sha256, to_plain
from spectral_detect.detector.experience import Experience
from spectral_detect.detector.memory.files import marks_of
from spectral_detect.detector.track_record import TrackRecord
from spectral_detect.errors import ModelFileError, OptionError
from spectral_detect.extraction.one_file import Extraction, Extractor
from spectral_detect.media.edits import Edit
from spectral_detect.report.metrics import prevalence_text
from spectral_detect.report.models import card_text, model_facts
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.discovery import find_images
from spectral_detect.sources.location import Location

N = 12


def model_of(sides: tuple[int, int], sign: float, undecided: tuple[float, float], **more: Any) -> Model:
    """The first feature is its log odds of fake, times `sign`."""
    seen = Experience(*sides, refusal_rate=0.01, codings={"lossless": None})
    weights = LogisticRegression(np.eye(N)[0] * sign, 0.0)
    calibration = Calibration("platt", n_real=99, n_fake=99)
    record = (TrackRecord(None, None, 100, 50, 0.5, 0.9, 0.8),)
    made = Model(SPEC, weights, np.zeros(N), np.ones(N), calibration, threshold=0.5, experience=seen, name="m")
    return replace(made, undecided=undecided, track_record=record, reference=np.eye(N)[:2], **more)


@pytest.fixture
def both() -> Model:
    small = model_of((125, 300), -1.0, (0.1, 0.9), file_marks=marks_of(["7" * 64]))
    return model_of((300, 1000), 1.0, (0.4, 0.6)).with_small(small)


def image(side: int, log_odds: float, sha256: str = "") -> Extraction:
    features = np.eye(N)[0] * log_odds
    return Extraction(Location("a.png"), width=2 * side, height=side, features=features, sha256=sha256 or None)


def test_each_image_is_judged_by_the_model_of_its_size(both: Model) -> None:
    judge = Judge(both)
    large, small = judge([image(240, 1.0)]), judge([image(239, -3.0)])
    assert (large.verdict, small.verdict) == ("fake", "fake")
    assert (large.undecided_low, small.undecided_low) == (0.4, 0.1)
    assert {large.model, small.model} == {"m"} and large.settings_sha256 == small.settings_sha256
    assert small.score == pytest.approx(1 / (1 + np.exp(-3.0)))
    assert small.such_files == "all files, below 240 pixels: decided 50 % of 100; fake right 90 %, real right 80 %"
    undecided = judge([image(239, 1.0)])
    assert (undecided.reason, undecided.warnings) == (
        "undecided",
        ("the model m errs too often at scores between 0.100 and 0.900",),
    )


def test_only_edits_that_the_same_part_judges_tell_whether_a_verdict_is_stable(both: Model) -> None:
    def edited(side: int, log_odds: float) -> Extraction:
        return replace(image(250, log_odds), edit=Edit("resize", 0.9), edited_px=(2 * side, side))

    judge = Judge(both, Rules(stability=True))
    assert (
        judge([image(250, 3.0), edited(245, 3.0), edited(225, 3.0)]).verdict == "fake"
    )  # another part judges the last
    record = judge([image(250, 3.0), edited(245, -3.0)])
    assert record.reason == "depends on delivery"
    assert "real after resize 0.9 (0.047)" in record.warnings[0]
    assert "real after" in judge([image(200, -3.0), edited(180, 3.0)]).warnings[0]
    for side in (225, 90):
        assert "no mild edit leaves an image large enough" in judge([image(250, 3.0), edited(side, 3.0)]).warnings[0]
    only_edited = replace(edited(225, -3.0), edit=None)
    assert Judge(both)([only_edited]).verdict == "fake"


def test_the_file_says_how_large_an_edited_image_is(tmp_path: Path) -> None:
    photograph = Image.open(min((EXAMPLES / "real").glob("*.png"))).resize((300, 260))
    photograph.save(tmp_path / "a.png")
    (found,) = find_images([Location(str(tmp_path / "a.png"))])
    as_it_is, reduced = Extractor(None, (None, Edit("resize", 0.5))).of_file(found)
    assert (as_it_is.judged_px, reduced.judged_px, reduced.size_px) == ((300, 260), (150, 130), (300, 260))


def test_what_is_too_small_for_both_is_told_all_sizes_that_are_judged(both: Model) -> None:
    record = Judge(both)([image(90, 9.0)])
    assert record.reason == "outside experience"
    assert "180x90 pixels (it judges a shorter side of 100 to 1250)" in record.warnings[0]
    assert not Judge(both)([image(100, 9.0)]).reason


def test_a_threshold_of_ones_own_holds_for_both(both: Model) -> None:
    judge = Judge(both, Rules(threshold=0.7))
    assert [judge([image(side, odds)]).verdict for side, odds in ((240, 0.5), (239, -0.5), (239, -2.0))] == [
        "real",
        "real",
        "fake",
    ]


def test_the_training_images_of_both_are_known(both: Model) -> None:
    assert "a training image" in Judge(both)([image(239, -3.0, "7" * 64)]).warnings[-1]
    assert both.was_trained_on("7" * 64, None) and not both.was_trained_on("8" * 64, None)


def test_it_is_saved_and_loaded_within_the_file(both: Model, tmp_path: Path) -> None:
    save_model(both, tmp_path / "pair.pkl")
    loaded = load_model(tmp_path / "pair.pkl")
    assert loaded.small is not None
    record = Judge(loaded)([image(239, -3.0)])
    assert (record.model, record.model_sha256) == ("pair", loaded.sha256)
    assert loaded.small.undecided == (0.1, 0.9)
    assert loaded.of_size(500, 150) is loaded.small and loaded.of_size(240, 500) is loaded
    X = np.eye(N)[:3]
    np.testing.assert_array_equal(loaded.small.scores(X), both.small.scores(X) if both.small else None)


def test_reports_on_the_model_tell_of_both(both: Model) -> None:
    text = card_text(both)
    assert " pixels (so it judges 240 to " in text
    assert "  small images   with a shorter side of 100 to 239 pixels it judges by a part of its own," in text
    assert (
        "undecided: scores between 0.100 and 0.900" in text
        and "  such files     all files, below 240 pixels: decided 50 %" in text
    )
    facts = json.loads(json.dumps(model_facts(both), default=str))
    assert facts["small"]["undecided"] == [0.1, 0.9] and facts["small"]["small"] is None
    assert "all files, below 240 pixels" in prevalence_text(both, 0.5)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"spec": replace(SPEC, n_bins=13)}, "other features"),
        ({"class_names": ("a", "b")}, "other features, classes"),
        ({"experience": None}, "know which sizes"),
        ({"calibration": Calibration("none")}, "only one is calibrated"),
        ({"undecided": None}, "decides every score"),
    ],
)
def test_models_that_do_not_fit_are_refused(both: Model, change: dict[str, Any], why: str) -> None:
    assert both.small is not None
    with pytest.raises(OptionError, match=why):
        replace(both, small=None).with_small(replace(both.small, **change))
    with pytest.raises(OptionError, match="not made of others"):
        both.with_small(both.small)


def test_a_file_with_a_model_within_that_does_not_fit_is_damaged(both: Model, tmp_path: Path) -> None:
    for k, wrong in enumerate((both, replace(both.small or both, class_names=("a", "b")), None)):
        path = tmp_path / f"{k}.pkl"
        path.write_bytes(pickle.dumps(to_plain(replace(both, small=wrong)) if wrong else b"", protocol=4))
        with pytest.raises(ModelFileError, match=r"damaged|not a model"):
            load_model(path)


def test_a_model_within_that_scores_otherwise_than_when_it_was_saved_is_damaged(both: Model, tmp_path: Path) -> None:
    values = to_plain(both)
    within = pickle.loads(values["arrays"]["small"])
    scores = np.frombuffer(within["arrays"]["reference_scores"], "<f8").copy()
    scores[0] = 0.123
    within["arrays"]["reference_scores"] = scores.tobytes()
    within["sha256"] = content_sha256(within["header"], within["arrays"])
    values["arrays"]["small"] = pickle.dumps(within, protocol=4)
    values["sha256"] = content_sha256(values["header"], values["arrays"])
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol=4))
    with pytest.raises(ModelFileError, match="no longer gives the scores stored in it"):
        load_model(tmp_path / "a.pkl")


def test_the_shipped_model_judges_small_images(run: Run, tmp_path: Path) -> None:
    for name in ("real/Garden.png", "fake/Garden.png"):
        with Image.open(EXAMPLES / name) as whole:
            whole.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS).save(tmp_path / name.replace("/", "_"))
    records = [json.loads(line) for line in run("scan", tmp_path, "--format", "jsonl").stdout.splitlines()]
    assert len(records) == 2 and not any(record["reason"] == "outside experience" for record in records)
    world = load_model("world")
    assert world.small is not None and world.small.undecided is not None
    assert {record["undecided_low"] for record in records} == {world.small.undecided[0]}


def test_explain_says_which_part_judged(run: Run, tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "fake" / "Garden.png") as whole:
        whole.crop((0, 0, 200, 200)).save(tmp_path / "part.png")
    assert "for images with a shorter side below 240 pixels" in " ".join(
        run("explain", tmp_path / "part.png").stdout.split()
    )
    said = run("explain", EXAMPLES / "fake" / "Garden.png").stdout
    assert "shorter side below 240" not in " ".join(said.split())


def test_a_video_of_frames_of_both_sizes_names_the_part_that_gave_its_verdict(run: Run, tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "fake" / "Aqua.png") as whole:
        frame = whole.convert("RGB")
    (tmp_path / "frames").mkdir()
    for k, side in enumerate((256, 256, 256, 180)):
        frame.crop((0, 0, side, side)).save(tmp_path / "frames" / f"{k}.png")
    said = run("video", tmp_path / "frames", "--group-by", "parent", "--format", "jsonl").stdout
    record = json.loads(said.splitlines()[0])
    world = load_model("world")
    assert record["verdict"] == "fake" and world.undecided is not None
    assert record["undecided_low"] == world.undecided[0] and "below" not in record["such_files"]
    assert any("judged them by a part of its own" in warning for warning in record["warnings"])


def test_frames_that_were_refused_name_no_limits(run: Run, tmp_path: Path) -> None:
    for name, sides in (("large", (256, *[100] * 5)), ("small", (180, *[100] * 5))):
        (tmp_path / name).mkdir()
        with Image.open(EXAMPLES / "fake" / "Aqua.png") as whole:
            for k, side in enumerate(sides):
                whole.convert("RGB").crop((0, 0, side, side)).save(tmp_path / name / f"{k}.png")
    world = load_model("world")
    for name, part in (("large", world), ("small", world.small)):
        said = run("video", tmp_path / name, "--group-by", "parent", "--format", "jsonl").stdout
        record = json.loads(said.splitlines()[0])
        assert part is not None and part.undecided is not None
        assert record["undecided_low"] == part.undecided[0]
        assert not any("part of its own" in warning for warning in record["warnings"])


def test_the_smaller_decides_nothing_up_to_the_threshold_of_the_larger(both: Model) -> None:
    assert both.small is not None and both.threshold < 0.6
    joined = replace(both, small=None).with_small(replace(both.small, undecided=(0.6, 0.7)))
    assert joined.small is not None
    assert joined.small.undecided == (both.threshold, 0.7)
