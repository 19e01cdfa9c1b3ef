"""From a score to a verdict: confidence, prevalence, experience, stability."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, MODELS, Run
from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, REAL, FeatureSpec, Model, load_model, scan, train_model
from spectral_detect.detector.calibration import Calibration
from spectral_detect.detector.classifiers import LogisticRegression
from spectral_detect.detector.experience import Experience, FeatureCloud
from spectral_detect.detector.memory.files import marks_of
from spectral_detect.detector.track_record import TrackRecord
from spectral_detect.errors import ModelFileError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.media.coding import Coding
from spectral_detect.media.edits import Edit
from spectral_detect.media.header import Metadata
from spectral_detect.outputs.table import image_layout
from spectral_detect.report.metrics import accuracy_interval, prevalence_text
from spectral_detect.scanning.judge import Judge, Judgement
from spectral_detect.scanning.rules import STABILITY, Rules
from spectral_detect.sources.location import Location
from spectral_detect.training.track_records import verdicts_of

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
PHOTOGRAPHS = EXAMPLES / "real"


@pytest.fixture(scope="module")
def model() -> Model:
    """One feature is its log odds of fake; calibrated on 999 images of each class."""
    calibration = Calibration("platt", n_real=999, n_fake=999)
    weights = LogisticRegression(np.array([1.0]), 0.0)
    seen = Experience(100, 200, refusal_rate=0.01, codings={"JPEG": (75, 75), "lossless": None})
    unit = np.ones(1)
    cloud = FeatureCloud(0 * unit, unit, np.ones((1, 1)), unit, variance_of_rest=1.0, limits=np.full(2, 60.0))
    return Model(SPEC, weights, 0 * unit, unit, calibration, threshold=0.5, experience=seen, cloud=cloud, name="m")


def image(log_odds: float, edit: Edit | None = None) -> Extraction:
    return Extraction(Location("a.png"), width=128, height=128, features=np.array([log_odds]), edit=edit)


def judge(variants: list[Extraction], model: Model, rules: Rules) -> Judgement:
    return Judge(model, rules).judge(variants)


def test_without_rules_the_threshold_decides(model: Model) -> None:
    for log_odds, verdict in ((0.1, "fake"), (-0.1, "real")):
        judgement = judge([image(log_odds)], model, Rules())
        assert (judgement.verdict, judgement.reason, judgement.warnings) == (verdict, None, ())
        assert judgement.log10_likelihood_ratio == pytest.approx(log_odds / np.log(10))
        assert judgement.posterior == pytest.approx(judgement.score)
    assert judge([image(0.1)], model, Rules(threshold=0.6)).verdict == "real"


@pytest.mark.parametrize("target_fpr", [None, 0.02])
@pytest.mark.parametrize("errors", [(0.05, 0.05), (0.4, 0.4)])  # the second leaves nothing undecided
def test_a_track_record_counts_the_verdicts_that_a_scan_gives(
    model: Model, errors: tuple[float, float], target_fpr: float | None
) -> None:
    trained = train_model(gaussian_data(200), SPEC, "logreg", target_fpr=target_fpr, verdict_errors=errors)
    assert trained.undecided is not None
    like = replace(model, threshold=trained.threshold, undecided=trained.undecided)
    log_odds = np.concatenate([np.linspace(-6, 6, 241), [np.log(trained.threshold / (1 - trained.threshold))]])
    judged = [judge([image(float(at))], like, Rules()) for at in log_odds]
    counted = verdicts_of(np.array([each.score for each in judged]), trained.undecided)
    names = {FAKE: "fake", REAL: "real", -1: "inconclusive"}
    assert [each.verdict for each in judged] == [names[verdict] for verdict in counted.tolist()]


def test_a_verdict_less_probable_than_asked_is_inconclusive(model: Model) -> None:
    rules = Rules(min_confidence=0.9)
    verdicts = [judge([image(np.log(odds))], model, rules).verdict for odds in (1 / 10, 1 / 8, 1, 8, 10)]
    assert verdicts == ["real", "inconclusive", "inconclusive", "inconclusive", "fake"]
    doubt = judge([image(np.log(8))], model, rules)
    assert doubt.reason == "low confidence"
    assert doubt.warnings == ("fake with a probability of only 0.889",)
    between = judge([image(np.log(10))], replace(model, threshold=0.95), rules)  # neither side of it is sure
    assert between.verdict == "inconclusive"


def test_the_posterior_is_bayes_rule_and_no_surer_than_the_images(model: Model) -> None:
    at = judge([image(np.log(99))], model, Rules(prevalence=0.01))
    assert at.posterior == pytest.approx(0.5)
    assert (Rules(prevalence=0.0).posterior(1.0), Rules(prevalence=1.0).posterior(1.0)) == (0.0, 1.0)
    certain = judge([image(30.0)], model, Rules(prevalence=0.01))
    assert certain.score == pytest.approx(1.0)
    assert certain.posterior == pytest.approx(1000 / 1099)  # 1000 to 1 is all that 999 reals support
    assert judge([image(7.0)], model, Rules(prevalence=0.01, min_confidence=0.95)).reason == "low confidence"


@pytest.mark.parametrize("name", ["threshold", "min_confidence", "prevalence"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_rule_that_is_no_share_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; it must be a number from 0 to 1"):
        Rules(**{name: value})


def test_a_confidence_that_no_verdict_can_have_is_refused(model: Model) -> None:
    Rules(min_confidence=0.998).check(model)
    with pytest.raises(ModelFileError, match=r"is surer than 0.999, .* 999 real and 999 fake groups"):
        Rules(min_confidence=0.9995).check(model)
    Rules(min_confidence=0.9995, prevalence=0.01).check(model)  # a real may be: they are many


def test_a_verdict_less_probable_than_the_other_says_so(model: Model) -> None:
    eager = judge([image(-1.0)], replace(model, threshold=0.2), Rules())
    assert eager.verdict == "fake"
    assert eager.warnings == ("called fake by the threshold of 0.200, with a probability of only 0.269",)
    rare = judge([image(2.0)], model, Rules(prevalence=0.01))
    assert "with a probability of only" in rare.warnings[0]


def test_rules_need_a_calibrated_model() -> None:
    few = train_model(gaussian_data(14), SPEC)
    assert few.calibration.kind == "none"
    for rules in (Rules(min_confidence=0.9), Rules(prevalence=0.5)):
        with pytest.raises(ModelFileError, match=r"are not calibrated .* need 10 or more of each class"):
            scan([str(PHOTOGRAPHS)], few, rules=rules)
    assert judge([Extraction(Location("a"), features=gaussian_data().features[0])], few, Rules()).posterior is None


def test_a_verdict_that_an_edit_turns_depends_on_delivery(model: Model) -> None:
    rules = Rules(stability=True)
    steady = [image(2.0), *(image(1.0, edit) for edit in STABILITY)]
    assert judge(steady, model, rules).verdict == "fake"
    turned = [*steady[:2], image(-1.0, STABILITY[1]), image(-3.0, STABILITY[2])]
    judgement = judge(turned, model, rules)
    assert (judgement.verdict, judgement.reason) == ("inconclusive", "depends on delivery")
    assert judgement.warnings == ("depends on delivery: real after crop 0.9 (0.269), resize 0.9 (0.047)",)
    guarded = replace(model, undecided=(0.3, 0.8))
    turned = [image(2.0), image(1.0, STABILITY[0]), image(-1.0, STABILITY[1]), image(2.0, STABILITY[2])]
    assert judge(turned, guarded, rules).warnings == (
        "depends on delivery: inconclusive after jpeg 90 (0.731); real after crop 0.9 (0.269)",
    )
    assert judge([image(0.0), *turned[1:]], guarded, rules).reason == "undecided"
    too_small = [steady[0], *(Extraction(Location("a.png"), edit=edit, error="too small") for edit in STABILITY)]
    assert "large enough to check" in judge(too_small, model, rules).warnings[0]


def test_every_doubt_is_named_and_the_first_is_the_reason(model: Model) -> None:
    far = replace(image(8.0), width=1000, height=1000)
    judgement = judge([far], model, Rules(min_confidence=0.99, prevalence=0.01))
    assert judgement.reason == "outside experience"
    (outside,) = judgement.warnings  # its score means nothing, and so no probability either
    assert "1000x1000 pixels" in outside
    assert "features unlike" in outside


def test_an_image_of_which_much_is_transparent_is_inconclusive(model: Model) -> None:
    little, much = (replace(image(0.1), transparent_share=share) for share in (0.05, 0.051))
    assert judge([little], model, Rules()).verdict == "fake"
    judgement = judge([much], model, Rules())
    assert (judgement.verdict, judgement.reason) == ("inconclusive", "transparent")
    assert "above 5 % of transparent pixels" in judgement.warnings[0]


@pytest.mark.parametrize(("corner", "verdicts"), [(6, {"real", "fake"}), (128, {"inconclusive"})])
def test_scan_says_how_much_is_transparent(tmp_path: Path, run: Run, corner: int, verdicts: set[str]) -> None:
    with Image.open(PHOTOGRAPHS / "Garden.png") as photograph:
        cut_out = photograph.convert("RGBA")
    cut_out.paste((0, 0, 0, 0), (0, 0, corner, corner))
    share = corner**2 / (cut_out.width * cut_out.height)
    for name, picture in (("cut.png", cut_out), ("whole.png", cut_out.convert("RGB"))):
        picture.save(tmp_path / name)
    result = run("scan", tmp_path, "--model", MODEL, "--format", "jsonl", "--jobs", 0)
    cut, whole = map(json.loads, result.stdout.splitlines())
    assert cut["verdict"] in verdicts
    assert f"{max(round(100 * share, 1), 0.1):g} % of the pixels are transparent" in cut["warnings"][0]
    assert not any("transparent" in warning for warning in whole["warnings"])
    frames = run("video", tmp_path, "--model", MODEL, "--format", "jsonl", "--jobs", 0)
    assert ("transparent" in frames.stdout) == (corner > 100)


def test_scan_tells_what_a_verdict_is_worth(run: Run) -> None:
    command = ("scan", PHOTOGRAPHS, "--model", MODEL, "--prevalence", "0.01")
    table = run(*command)
    assert table.exit_code == 0, table.output
    assert table.stdout.splitlines()[0].split() == ["verdict", "score", "P(fake)", "accuracy", "path"]
    assert "where 1 % of the images are fake, of those with a verdict:" in table.stdout
    rows = [json.loads(line) for line in run(*command, "--format", "jsonl").stdout.splitlines()]
    for row in rows:
        odds = 10 ** row["log10_likelihood_ratio"] / 99
        assert row["posterior"] == pytest.approx(odds / (1 + odds))
    without = [json.loads(line) for line in run(*command[:4], "--format", "jsonl").stdout.splitlines()]
    assert [row["posterior"] for row in without] == [None] * 12
    assert [row["log10_likelihood_ratio"] for row in without] == [row["log10_likelihood_ratio"] for row in rows]
    assert "measured for the model's own threshold alone" in run(*command, "--threshold", "0.9").stdout
    for wrong in ("0", "1", "nan", "2"):
        assert run(*command[:4], "--prevalence", wrong).exit_code == 2


def test_scan_tells_what_a_verdict_of_world_is_worth(run: Run) -> None:
    world = load_model("world")
    said = run("scan", PHOTOGRAPHS / "Aqua.png", "--prevalence", "0.01", "--jobs", 0).stdout
    assert "where 1 % of the images are fake, of those with a verdict:" in said
    for record in world.track_record:
        fake, real = record.fake_right or 0, record.real_right or 0
        ppv, npv = fake / (fake + 99 * (1 - fake)), 99 * real / (99 * real + 1 - real)
        row = f"{record.kind} called fake: fake {100 * ppv:.1f} % called real: real {100 * npv:.1f} %"
        assert row in " ".join(said.split())
    assert " ".join(said.split()).count("called fake: fake") == len(world.track_record) + 1 > 2  # small images
    bare = replace(world, track_record=())
    assert "is not known, as its file holds no record of them" in prevalence_text(bare, 0.01)


@pytest.mark.parametrize("prevalence", [0.01, 0.5, 0.9])
def test_how_often_a_verdict_is_right_follows_from_the_rates_of_both_classes(prevalence: float) -> None:
    called = {"fake": (0.08, 0.6), "real": (0.5, 0.1)}  # verdict -> rates among reals and among fakes
    right = [called["fake"][1] / sum(called["fake"]), called["real"][0] / sum(called["real"])]
    record = TrackRecord(None, None, 1000, 100, 0.64, *right)
    hits, alarms = prevalence * 0.6, (1 - prevalence) * 0.08
    assert record.right_at("fake", prevalence) == pytest.approx(hits / (hits + alarms))
    rejected, missed = (1 - prevalence) * 0.5, prevalence * 0.1
    assert record.right_at("real", prevalence) == pytest.approx(rejected / (rejected + missed))
    assert record.right_at("inconclusive", prevalence) is None
    assert replace(record, fake_right=None).right_at("fake", prevalence) is None
    assert replace(record, fake_right=1.0).right_at("fake", 0.0) is None


def test_a_doubt_names_the_limit_that_gave_the_verdict(model: Model) -> None:
    leaves = replace(model, threshold=0.5, undecided=(0.3, 0.7))
    doubted = judge([image(2.0)], leaves, Rules(prevalence=0.01)).warnings
    assert doubted[0].startswith("called fake by the threshold of 0.700, with")
    doubted = judge([image(-2.0)], leaves, Rules(prevalence=0.99)).warnings
    assert doubted[0].startswith("called real by the threshold of 0.300, with")
    given = Rules(threshold=0.6, prevalence=0.01)
    assert judge([image(2.0)], leaves, given).warnings[0].startswith("called fake by the threshold of 0.600")
    assert given.limit_of(replace(model, undecided=(0.4, 0.4)), 0.2) == 0.6
    assert Rules().limit_of(replace(model, threshold=0.8, undecided=(0.4, 0.6)), 0.7) == 0.8


def test_scan_with_stability_names_the_edits_that_turn_a_verdict(run: Run) -> None:
    rows = [
        json.loads(line)
        for line in run(
            "scan", PHOTOGRAPHS, "--model", MODEL, "--stability", "--format", "jsonl", "--jobs", 1
        ).stdout.splitlines()
    ]
    plain = [record.score for record in scan([str(PHOTOGRAPHS)], load_model(MODEL))]
    assert [row["score"] for row in rows] == plain
    unstable = [row for row in rows if row["verdict"] == "inconclusive"]
    assert unstable
    for row in unstable:
        assert any(w.startswith("depends on delivery: fake after") for w in row["warnings"])


def test_noise_and_other_sizes_are_refused_and_their_own_kind_is_not(tmp_path: Path, rng: np.random.Generator) -> None:
    for name, shape in (("gray", (256, 256)), ("colour", (256, 256, 3)), ("large", (600, 600, 3))):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / f"{name}.png")
    photographs = load_model(MODEL)
    assert [r.verdict for r in scan([str(tmp_path)], photographs)] == ["inconclusive"] * 3
    refused = [r.path for r in scan([str(EXAMPLES)], photographs) if r.verdict == "inconclusive"]
    assert len(refused) <= 2  # of 24


def test_augmented_often_a_model_has_seen_all_qualities(tmp_path: Path, run: Run) -> None:
    spec = FeatureSpec.preset("azimuthal")
    for augment, qualities in (("none", None), ("wang0.1", None), ("wang0.5", [30, 100])):
        output = tmp_path / f"{augment}.pkl"
        command = ("train", "--manifest", EXAMPLES / "manifest.csv", "--features", spec.name, "--output", output)
        assert run(*command, "--augment", augment).exit_code == 0
        seen = json.loads(run("models", output, "--json").stdout)["experience"]["codings"]
        assert seen == {"lossless": None} | ({"JPEG": qualities} if qualities else {})


def test_a_score_that_errs_too_often_is_undecided(model: Model) -> None:
    guarded = replace(model, undecided=(0.3, 0.8))
    judgement = judge([image(0.0)], guarded, Rules())
    assert (judgement.verdict, judgement.reason) == ("inconclusive", "undecided")
    assert judgement.warnings == ("the model m errs too often at scores between 0.300 and 0.800",)
    assert judge([image(2.0)], guarded, Rules()).verdict == "fake"
    assert judge([image(-2.0)], guarded, Rules()).verdict == "real"
    assert judge([image(0.1)], guarded, Rules(threshold=0.5)).verdict == "fake"  # as asked


def test_the_codec_of_stills_is_told_from_that_of_videos() -> None:
    seen = Experience(100, 200, 0.01, {"HEVC": (53, 96), "H.264": None})
    (objection,) = seen.objections(150, 150, Coding("H.265"), 0.5)
    assert objection == "coded as H.265 (seen: HEVC of stills, quality 53 to 96; H.264)"


def test_what_is_undecided_is_not_said_to_lack_confidence(model: Model) -> None:
    guarded = replace(model, undecided=(0.3, 0.8))
    assert judge([image(0.5)], guarded, Rules(min_confidence=0.9)).reason == "undecided"
    assert judge([image(2.0)], guarded, Rules(min_confidence=0.9)).reason == "low confidence"


def test_without_colours_it_is_not_known_how_often_a_verdict_is_right(model: Model) -> None:
    known = TrackRecord(None, None, 400, 40, 0.5, 0.9, 0.8)
    spec = FeatureSpec.preset("residual", groups=("coherence",))
    coloured = replace(model, spec=spec, undecided=(0.3, 0.8), track_record=(known,))
    coloured = replace(coloured, training={"n_real": 200, "n_fake": 200, "n_gray": 3})
    gray = replace(image(2.0), metadata=Metadata("PNG", 128, 128, is_gray=True))
    record = Judge(coloured)([gray])
    assert (record.verdict, record.verdict_right, record.such_files) == ("fake", None, None)
    assert record.warnings[-1].startswith("an image without colours: the model m looks at colours")
    measured = replace(coloured, metrics=load_model(MODEL).metrics)
    assert accuracy_interval(Judge(measured)) == "-" != accuracy_interval(Judge(replace(measured, track_record=())))
    in_colour = replace(image(2.0), metadata=Metadata("PNG", 128, 128))
    for other, seen in ((in_colour, 3), (gray, 4), (gray, None)):  # None: a model that does not say
        training = coloured.training | {"n_gray": seen}
        assert Judge(replace(coloured, training=training))([other]).verdict_right == 0.9


def test_how_often_it_is_right_is_not_said_of_a_training_image(model: Model) -> None:
    known = TrackRecord(None, None, 400, 40, 0.5, 0.9, 0.8)
    learned = replace(model, undecided=(0.3, 0.8), track_record=(known,), file_marks=marks_of(["a" * 64]))
    for sha256, right in (("a" * 64, None), ("b" * 64, 0.9)):
        assert Judge(learned)([replace(image(2.0), sha256=sha256)]).verdict_right == right


def test_a_record_says_how_often_such_a_verdict_was_right(model: Model) -> None:
    known = TrackRecord(None, None, 400, 40, 0.5, 0.9, 0.8)
    judging = Judge(replace(model, undecided=(0.3, 0.8), track_record=(known,)))
    for log_odds, right in ((2.0, 0.9), (-2.0, 0.8), (0.0, None)):
        record = judging([image(log_odds)])
        assert (record.verdict_right, record.such_files) == (right, known.line)
        assert image_layout().cells(record).endswith("-" if right is None else f"{100 * right:.1f} %")
    as_asked = Judge(judging.model, Rules(threshold=0.5))([image(2.0)])
    assert (as_asked.verdict_right, as_asked.such_files) == (None, None)  # it was counted at the model's own scores


def test_a_score_that_decides_nothing_is_in_brackets_and_one_without_meaning_not_shown(model: Model) -> None:
    large = replace(image(2.0), width=5000, height=5000)
    for shown, one, rules in (
        ("  (0.881)         -", image(2.0), Rules(min_confidence=0.9)),
        ("        -         -", large, Rules()),
    ):
        record = Judge(replace(model, track_record=(TrackRecord(None, None, 9, 9, 1.0, 1.0, 1.0),)), rules)([one])
        assert record.verdict == "inconclusive"
        assert record.score == pytest.approx(0.881, abs=1e-3)
        assert image_layout().cells(record) == shown
        assert record.reason == ("low confidence" if one is not large else "outside experience")
        posterior = image_layout(with_posterior=True).cells(replace(record, posterior=0.7))
        assert posterior == f"{shown[:9]}        -         -"  # no number of it looks like a verdict
