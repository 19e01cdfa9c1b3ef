"""Scores read back: which files hold the truth, and which do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

from conftest import EXAMPLES, MODELS, Run
from spectral_detect.detector.model_file import load_model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.scored_files import ScoredSet, read_scored
from spectral_detect.records import FAKE, REAL
from spectral_detect.report.pictures import scores as pictures
from spectral_detect.report.pictures.histograms import FEW, POINT_WIDTH, stacked
from spectral_detect.report.pictures.scores import det_points, plot_scores, tippett_steps

pytestmark = pytest.mark.usefixtures("in_this_process")

HEADER = "path,label,group,score,log10_likelihood_ratio\n"


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_file_of_evaluate_holds_labels_groups_and_ratios(tmp_path: Path) -> None:
    rows = "a.png,real,0,0.1,-1.5\nb.png,real,0,0.4,-0.2\nc.png,fake,1,0.9,1.25\nd.png,fake,2,,\n"
    (scored,) = read_scored([written(tmp_path / "s.csv", HEADER + rows)])
    assert scored.name == "s.csv" and scored.n_left_out == 1
    assert scored.y.tolist() == [REAL, REAL, FAKE] and scored.groups.tolist() == [0, 0, 1]
    assert scored.scores.tolist() == [0.1, 0.4, 0.9]
    assert scored.log10_ratios is not None and scored.log10_ratios.tolist() == [-1.5, -0.2, 1.25]
    assert scored.threshold is None and scored.measure().auroc.value == 1


def test_the_models_own_names_of_its_classes_are_read(tmp_path: Path) -> None:
    header = "path,label,score,verdict,class_name\n"
    rows = "a.png,real,0.1,real,clean\nb.png,real,0.5,inconclusive,\nc.png,fake,0.9,fake,upscaled\n"
    (scored,) = read_scored([written(tmp_path / "s.csv", header + rows)])
    assert scored.class_names == ("clean", "upscaled")


def test_scans_are_named_by_class(tmp_path: Path, run: Run) -> None:
    outputs = {}
    for label, name in (("real", "reals.csv"), ("fake", "fakes.jsonl")):
        outputs[label] = str(tmp_path / name)
        model = ("--model", MODELS / "photographs.pkl")
        assert run("scan", EXAMPLES / label, *model, "--jobs", 0, "--output", outputs[label]).exit_code == 0
    (scored,) = read_scored([], [outputs["real"]], [outputs["fake"]])
    assert scored.name == "reals.csv against fakes.jsonl"
    assert np.bincount(scored.y).tolist() == [12, 12] and scored.measure().auroc.value == 1
    assert scored.threshold == pytest.approx(0.424, abs=1e-3)
    with pytest.raises(DatasetError, match="its labels are its own verdicts"):
        read_scored([outputs["real"]])


def test_scores_of_two_models_are_not_mixed(tmp_path: Path) -> None:
    head = "path,score,model,model_sha256\n"
    real = written(tmp_path / "r.csv", f"{head}a.png,0.1,faces,aaaa\nb.png,,,\n")
    same, other = (written(tmp_path / f"{sha}.csv", f"{head}c.png,0.9,faces,{sha}\n") for sha in ("aaaa", "bbbb"))
    assert read_scored([], [real], [same])[0].scores.tolist() == [0.1, 0.9]
    with pytest.raises(DatasetError, match=r"scores of 2 models \(faces \(aaaa\), faces \(bbbb\)\).*with one model"):
        read_scored([], [real], [other])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,verdict\na.png,real\n", "has no column `score`"),
        (HEADER + "a.png,real,0,1.5,\n", "score '1.5' is not a number from 0 to 1"),
        (HEADER + "a.png,real,0,nan,\n", "score 'nan' is not a number"),
        (HEADER + "a.png,camera,0,0.5,\n", "label 'camera', neither real nor fake"),
        (HEADER + "a.png,real,0,0.5,\n", "1 real and 0 fake images with a score"),
        (HEADER + "a.png,real,0,0.5,1e308\n", "log10_likelihood_ratio '1e308' is not a number from -1000 to 1000"),
        (HEADER, "0 real and 0 fake"),
        ("", "0 real and 0 fake"),
    ],
)
def test_what_is_no_file_of_scores_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_scored([written(tmp_path / "s.csv", text)])


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.csv' cannot be read: No such file"):
        read_scored([str(tmp_path / "none.csv")])
    (tmp_path / "wide.csv").write_text(HEADER + "a.png,real,0,0.5,\n", encoding="utf-16")
    with pytest.raises(DatasetError, match="is in UTF-16, not in UTF-8"):
        read_scored([str(tmp_path / "wide.csv")])
    for text in ('{"score": 0.5,\n', "[" * 100_000 + "\n", '{"score": ' + "1" * 5000 + "}\n"):
        broken = written(tmp_path / "s.jsonl", text)
        with pytest.raises(DatasetError, match="neither CSV nor JSON Lines"):
            read_scored([], [broken], [str(tmp_path / "none.csv")])
    large = written(tmp_path / "s.jsonl", '{"score": ' + "1" * 401 + "}\n")
    with pytest.raises(DatasetError, match="is not a number from 0 to 1"):
        read_scored([], [large], [str(tmp_path / "none.csv")])


def test_normal_scores_give_a_straight_det_curve() -> None:
    """With deviations 1 and means d apart, the normal deviates of both rates add up to -d."""
    rng = np.random.default_rng(0)
    n, d = 20_000, 2.0
    margins = np.concatenate([rng.normal(0, 1, n), rng.normal(d, 1, n)])
    scored = ScoredSet("a", np.repeat([REAL, FAKE], n), 1 / (1 + np.exp(-margins)), np.arange(2 * n))
    alarms, misses = det_points(scored)
    inside = (alarms > 0.01) & (misses > 0.01)
    np.testing.assert_allclose((ndtri(alarms) + ndtri(misses))[inside], -d, atol=0.1)


def test_a_perfect_detector_has_no_det_curve() -> None:
    scored = ScoredSet("a", np.array([REAL, REAL, FAKE]), np.array([0.1, 0.2, 0.9]), np.arange(3))
    assert [len(rates) for rates in det_points(scored)] == [0, 0]


def test_the_steps_of_a_tippett_plot_are_the_shares_above() -> None:
    ratios = np.array([-2.0, 0.5, 1.0, 9.0])
    scored = ScoredSet("a", np.array([REAL, REAL, REAL, FAKE]), np.full(4, 0.5), np.arange(4), ratios)
    x, share = tippett_steps(scored, REAL, 10)
    assert x.tolist() == [-10, -2, 0.5, 1, 10]
    np.testing.assert_allclose(share, [1, 2 / 3, 1 / 3, 0, 0])


def test_files_tell_threshold_and_undecided_scores(tmp_path: Path, run: Run) -> None:
    world = load_model("world")
    manifest = ("--manifest", EXAMPLES / "manifest.csv")
    assert run("evaluate", "world", *manifest, "--jobs", 0, "--scores", tmp_path / "e.csv").exit_code == 0
    (scored,) = read_scored([str(tmp_path / "e.csv")])
    assert (scored.threshold, scored.undecided) == (world.threshold, world.undecided)


def test_scans_tell_the_undecided_scores_of_their_model_unless_another_threshold_decides(
    tmp_path: Path, run: Run
) -> None:
    for options, zone in (((), load_model("world").undecided), (("--threshold", 0.5), None)):
        for label in ("real", "fake"):
            output = ("--output", tmp_path / f"{label}.csv", "--jobs", 0)
            assert run("scan", EXAMPLES / label, *output, *options).exit_code == 0
        (scored,) = read_scored([], [str(tmp_path / "real.csv")], [str(tmp_path / "fake.csv")])
        assert scored.undecided == zone


def test_points_that_lie_near_each_other_are_drawn_apart() -> None:
    scores = np.sort(np.concatenate([np.full(9, 0.5), np.linspace(0.52, 0.6, 9), [0.0, 1.0]]))
    drawn = np.stack([scores / POINT_WIDTH, stacked(scores) / 0.08], axis=1)
    distances = np.linalg.norm(drawn[:, None] - drawn, axis=2) + 9 * np.eye(len(drawn))
    assert distances.min() > 0.99
    assert stacked(np.array([0.1, 0.5, 0.9])).tolist() == [0, 0, 0]
    assert len(stacked(np.full(300, 0.5))) == 300


@pytest.mark.parametrize(("n", "is_points"), [(3, True), (FEW, False)])
def test_few_images_are_points_and_many_are_bars(
    n: int, is_points: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(pictures, "write_figure", lambda figure, output: figures.append(figure))
    y = np.repeat([REAL, FAKE], n)
    scored = ScoredSet("a", y, np.linspace(0, 1, 2 * n), np.arange(2 * n), None, 0.5, 0, (0.3, 0.8))
    plot_scores([scored], "histogram", str(tmp_path / "x.png"))
    (axes,) = figures[0].axes
    assert sum(len(points.get_offsets()) for points in axes.collections) == (2 * n if is_points else 0)
    words = {text.get_text() for text in axes.get_legend().get_texts()}
    assert {"threshold 0.500", "undecided 0.300 to 0.800"} <= words
    plot_scores([scored, scored], "histogram", str(tmp_path / "x.png"))
    for axes in figures[1].axes:
        assert axes.get_title() == "a, threshold 0.500, undecided 0.300 to 0.800"
    plot_scores([scored], "roc", str(tmp_path / "x.png"))
    marks = {line.get_label(): line.get_xydata()[0].tolist() for line in figures[2].axes[0].lines}
    real, fake = scored.scores[y == REAL], scored.scores[y == FAKE]
    assert marks["fake from 0.800 on"] == [float((real >= 0.8).mean()), float((fake >= 0.8).mean())]
    assert marks["real up to 0.300"] == [float((real > 0.3).mean()), float((fake > 0.3).mean())]
