"""Videos from end to end: frames judged as stills are, votes, tables, pictures, training."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import write_clip
from PIL import Image, PngImagePlugin

from conftest import EXAMPLES, MODELS, SHARED, Run, needs_shared
from spectral_detect import Model, Work, load_model, scan
from spectral_detect.detector.calibration import Calibration
from spectral_detect.detector.memory.files import TRAINING_IMAGE
from spectral_detect.detector.track_record import TrackRecord
from spectral_detect.errors import ModelFileError
from spectral_detect.extraction.one_file import Extraction, FramePlace
from spectral_detect.media import face_detection as faces
from spectral_detect.media.images import DecodedImage, decode
from spectral_detect.media.video import Frame, FrameOptions, open_video
from spectral_detect.records import FRAME_COLUMNS, VIDEO_COLUMNS
from spectral_detect.scanning.judge import Judge, Judgement
from spectral_detect.scanning.rules import Rules
from spectral_detect.scanning.thumbnails import Extremes
from spectral_detect.scanning.videos import VideoJudge, _elect, scan_videos
from spectral_detect.scanning.voting import Ballot, count_votes, decide, wilson_interval
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location

MODEL = MODELS / "photographs.pkl"
av = pytest.importorskip("av", reason="PyAV writes the clips of these tests")

REALS = sorted((EXAMPLES / "real").glob("*.png"))
FAKES = sorted((EXAMPLES / "fake").glob("*.png"))


@pytest.fixture(scope="module")
def photographs() -> Model:
    return load_model(MODEL)


def records(run: Run, *arguments: object, status: int = 0) -> list[dict[str, Any]]:
    result = run("video", *arguments, "--format", "jsonl")
    assert result.exit_code == status, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


# ------------------------------------------------------------------------------------------------------------ voting


def judgement(model: Model, verdict: str, score: float, log_ratio: float | None = 0.0) -> Judgement:
    return Judgement(model, score, 0.5, verdict, None, (), log_ratio, None)


def test_a_majority_is_more_than_chance_would_bring(photographs: Model) -> None:
    real, fake, unsure = (
        judgement(photographs, v, s) for v, s in (("real", 0.1), ("fake", 0.9), ("inconclusive", 0.7))
    )
    for n_fake, verdict in ((5, "real"), (6, "inconclusive"), (10, "inconclusive"), (14, "inconclusive"), (15, "fake")):
        ballot = count_votes([fake] * n_fake + [real] * (20 - n_fake) + [unsure] * 5)
        assert (ballot.verdict, ballot.n_votes) == (verdict, 20)
        assert ballot.fake_fraction == n_fake / 20
        assert (ballot.doubt is None) == (verdict != "inconclusive")
    assert count_votes([fake] * 6 + [real] * 2).doubt == (
        "the vote is too close: 6 of 8 votes are fake, and the 95 % interval of their share, 41 to 93 %, holds one half"
    )
    assert count_votes([fake] * 2 + [unsure] * 2).verdict == "fake"  # as sure as one frame alone
    assert count_votes([unsure] * 3) == Ballot("inconclusive", 0, n_frames=3)


def test_a_few_votes_decide_nothing(photographs: Model) -> None:
    fake, unsure = judgement(photographs, "fake", 0.9), judgement(photographs, "inconclusive", 0.7)
    few, enough = (count_votes([fake] * n + [unsure] * (20 - n)) for n in (4, 5))
    assert (few.verdict, few.doubt) == ("inconclusive", "only 4 of 20 frames have a vote: too few to decide")
    assert (enough.verdict, enough.doubt) == ("fake", None)
    for n_votes, n_frames, decides in (
        (1, 1, True),
        (1, 2, True),
        (1, 3, False),
        (1, 4, False),
        (2, 4, True),
        (3, 8, False),
    ):
        ballot = count_votes([fake] * n_votes + [unsure] * (n_frames - n_votes))
        assert (ballot.verdict == "fake") == decides


def test_a_face_in_a_frame_or_two_decides_nothing_beside_others(photographs: Model) -> None:
    def seen(track: int, verdict: str, n: int) -> list[Any]:
        place = FramePlace(0, None, track, (0, 0, 9, 9))
        return n * [(Extraction(Location("a.mp4"), frame=place), judgement(photographs, verdict, 0.5))]

    faces = seen(0, "real", 20)
    assert _elect(faces + seen(1, "fake", 3), "majority", Rules(), "face").verdict == "real"
    assert _elect(faces + seen(1, "fake", 4), "majority", Rules(), "face").verdict == "fake"
    assert _elect(seen(1, "fake", 1), "majority", Rules(), "face").verdict == "fake"


def test_a_mean_score_that_the_model_leaves_undecided_decides_nothing(photographs: Model) -> None:
    votes = (("fake", 0.9, 1), ("real", 0.2, -1))
    high, low = (replace(judgement(photographs, *each), undecided=(0.3, 0.8)) for each in votes)
    for vote in ("mean", "pooled"):
        assert count_votes([high] * 5 + [low], vote).doubt == (
            "the mean score, 0.783, is one at which the model photographs errs too often"
        )
        assert count_votes([high] * 8 + [low], vote).verdict == "fake"
    small = replace(low, undecided=(0.1, 0.89))  # judged by a part of the model, with other limits
    for frames in ([high] * 8 + [small], [small] + [high] * 8):
        assert "errs too often" in str(count_votes(frames, "mean").doubt)


def test_no_vote_calls_what_no_frame_is_called(photographs: Model) -> None:
    real = judgement(photographs, "real", 0.3, -0.1)
    other = replace(judgement(photographs, "inconclusive", 0.8, 0.9), reason="undecided")
    ballot = count_votes([real, other], "pooled")
    assert (ballot.verdict, ballot.doubt) == ("inconclusive", "fake by the pooled vote, though no frame is")


def test_other_votes_weigh_the_frames(photographs: Model) -> None:
    sure = judgement(photographs, "fake", 0.99, 2.0)
    doubtful = judgement(photographs, "real", 0.4, -0.2)
    frames = [sure, doubtful, doubtful]
    found = [count_votes(frames, vote).verdict for vote in ("majority", "mean", "pooled")]
    assert found == ["inconclusive", "fake", "fake"]
    assert count_votes(frames).log10_likelihood_ratio == pytest.approx(1.6 / 3)
    undecided = replace(judgement(photographs, "inconclusive", 0.5, -0.4), reason="undecided")
    other = replace(judgement(photographs, "inconclusive", 0.9, 3.0), reason="outside experience")
    assert count_votes([*frames, undecided, other]).log10_likelihood_ratio == pytest.approx(1.2 / 4)
    with pytest.raises(ModelFileError, match="not calibrated"):
        count_votes([replace(sure, log10_likelihood_ratio=None)], "pooled")


def test_one_fake_face_makes_a_fake_video() -> None:
    real, fake, tie = Ballot("real", 9, 0.1), Ballot("fake", 9, 0.8), Ballot("inconclusive", 8, 0.5)
    assert decide([real, fake, tie]) == fake
    assert decide([real, tie]) == tie
    assert decide([real, Ballot("real", 9, 0.3)]).fake_fraction == 0.3
    assert decide([]).verdict == "inconclusive"


def test_wilsons_interval() -> None:
    """Against his formula worked out by hand, and it stays inside 0 to 1."""
    assert wilson_interval(10, 20) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_interval(1, 1)[1] == 1.0


# ------------------------------------------------------------------------------------------------------------- scans


def test_the_timeline_finds_the_fake_frames(tmp_path: Path, run: Run) -> None:
    order = [*REALS[:5], *FAKES[5:9], *REALS[9:12]]
    clip = write_clip(tmp_path / "clip.mkv", order)
    frames = tmp_path / "frames.csv"
    plots = tmp_path / "plots"
    (record,) = records(run, clip, "--model", MODEL, "--all", "--per-frame", frames, "--plot", plots, "--jobs", 0)
    with open(frames, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == FRAME_COLUMNS
    assert [float(row["time_s"]) for row in rows] == pytest.approx(np.arange(12) / 10)
    verdicts = [row["verdict"] for row in rows]
    expected = ["real"] * 5 + ["fake"] * 4 + ["real"] * 3
    assert all(v in (e, "inconclusive") for v, e in zip(verdicts, expected, strict=True))
    assert verdicts.count("inconclusive") <= 1
    assert (record["verdict"], record["label"], record["n_frames"]) == ("inconclusive", None, 12)
    assert record["fake_fraction"] == pytest.approx(verdicts.count("fake") / record["n_judged"])
    assert (record["codec"], record["fps"], record["width"]) == ("FFV1".lower(), 10, 256) or record["codec"]
    assert tuple(record) == VIDEO_COLUMNS
    (picture,) = plots.iterdir()
    assert picture.name == "0000_clip.png"
    assert decode(picture.read_bytes()).width > 1000


def test_no_picture_is_drawn_among_the_frames_of_a_video(tmp_path: Path, run: Run) -> None:
    for path in REALS[:2]:
        shutil.copy(path, tmp_path)
    for folder in (tmp_path, tmp_path / "plots"):
        refused = run("video", tmp_path, "--model", MODEL, "--plot", folder)
        assert refused.exit_code == 2 and "whose images are read" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in REALS[:2])
    refused = run("video", tmp_path.parent, "--group-by", "parent", "--model", MODEL, "--plot", tmp_path.parent)
    assert refused.exit_code == 2 and "whose images are read" in refused.stderr


@pytest.mark.parametrize(("n_fake", "verdict"), [(1, "real"), (3, "inconclusive"), (5, "inconclusive"), (9, "fake")])
def test_the_vote_decides_beyond_chance(tmp_path: Path, run: Run, n_fake: int, verdict: str) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [*FAKES[:n_fake], *REALS[2 : 12 - n_fake]])
    (record,) = records(run, clip, "--model", MODEL, "--jobs", 0)
    assert record["n_judged"] == 10
    assert record["verdict"] == verdict


def test_a_verdict_by_few_votes_says_so(tmp_path: Path, run: Run) -> None:
    for n, said in ((1, ["decided by 1 vote alone: take it for a hint, or judge more frames"]), (4, [])):
        (record,) = records(run, write_clip(tmp_path / f"{n}.mkv", FAKES[:n]), "--model", MODEL, "--jobs", 0)
        assert (record["verdict"], record["n_judged"]) == ("fake", n)
        assert [warning for warning in record["warnings"] if warning.startswith("decided by")] == said


def test_a_frame_scores_as_its_png_does(tmp_path: Path, photographs: Model) -> None:
    clip = write_clip(tmp_path / "clip.mp4", REALS[:6], "libx264", "yuv420p")
    with open_video(FoundVideo(Location(str(clip))), FrameOptions()) as video:
        for frame in video.frames():
            Image.fromarray(frame.image.pixels).save(tmp_path / f"{frame.index:03d}.png")
    (result,) = scan_videos([FoundVideo(Location(str(clip)))], VideoJudge(Judge(photographs)), work=Work(jobs=0))
    stills = [r.score for r in scan([str(p) for p in sorted(tmp_path.glob("*.png"))], photographs)]
    assert [f.score for f in result.frames] == pytest.approx(stills, abs=1e-6)


def test_a_frame_that_cannot_be_judged_takes_no_accuracy_from_the_others(tmp_path: Path, photographs: Model) -> None:
    """A black first frame is no reason to know less of the rest."""
    known = TrackRecord(None, None, 400, 40, 0.5, 0.9, 0.8)
    model = replace(photographs, track_record=(known,), undecided=(0.3, 0.5))
    clips = {}
    for name, size in (("black", (256, 256)), ("none", None)):
        (tmp_path / name).mkdir()
        for k, image in enumerate(FAKES[:5]):
            shutil.copy(image, tmp_path / name / f"{k + 1}.png")
        if size:
            Image.new("RGB", size).save(tmp_path / name / "0.png")
        found = FoundVideo(Location(str(tmp_path / name)), tuple(map(str, sorted((tmp_path / name).iterdir()))))
        (result,) = scan_videos([found], VideoJudge(Judge(model)), work=Work(jobs=0))
        clips[name] = (result.record.verdict, result.record.verdict_right, result.record.such_files)
    assert clips["black"] == clips["none"] == ("fake", 0.9, known.line)


def test_a_folder_of_frames_is_a_video_in_natural_order(tmp_path: Path, run: Run) -> None:
    for folder, images in (("one", REALS[:3]), ("two", FAKES[:11])):
        (tmp_path / folder).mkdir()
        for k, image in enumerate(images):
            shutil.copy(image, tmp_path / folder / f"frame{k}.png")
    (record,) = records(run, tmp_path / "two", "--model", MODEL, "--jobs", 0)
    assert (record["verdict"], record["n_frames"], record["fps"]) == ("fake", 11, None)
    (tmp_path / "two" / "frame4.png").write_bytes(b"")
    frames = tmp_path / "frames.jsonl"
    (without,) = records(run, tmp_path / "two", "--model", MODEL, "--jobs", 0, "--per-frame", frames)
    assert (without["verdict"], without["n_frames"]) == ("fake", 10)
    assert any("frame4.png skipped" in w for w in without["warnings"])
    files = [Path(json.loads(line)["file"]).name for line in frames.read_text().splitlines()]
    assert files == [f"frame{k}.png" for k in range(11) if k != 4]
    both = records(run, tmp_path, "--model", MODEL, "--group-by", "parent")
    assert [Path(r["path"]).name for r in both] == ["one", "two"]
    assert [r["verdict"] for r in both] == ["real", "fake"]
    lost = run("video", tmp_path)
    assert lost.exit_code == 2
    assert "--group-by parent" in lost.stderr


def test_a_folder_of_images_of_several_sizes_may_be_no_video(tmp_path: Path, run: Run) -> None:
    for k, image in enumerate(REALS[:3]):
        shutil.copy(image, tmp_path / f"{k}.png")
    (alike,) = records(run, tmp_path, "--jobs", 0)
    assert not any("sizes" in warning for warning in alike["warnings"])
    with Image.open(REALS[3]) as picture:
        picture.crop((0, 0, 240, 256)).save(tmp_path / "3.png")
    (mixed,) = records(run, tmp_path, "--jobs", 0)
    assert mixed["warnings"][0].startswith("images of 2 sizes: if they are no frames of one video, judge each by")


def test_a_video_less_probable_than_its_opposite_says_so(tmp_path: Path, run: Run) -> None:
    clip = write_clip(tmp_path / "clip.mkv", REALS[:6])
    (eager,) = records(run, clip, "--model", MODEL, "--threshold", 0.001, "--jobs", 0)
    (plain,) = records(run, clip, "--model", MODEL, "--jobs", 0)
    assert (eager["verdict"], plain["verdict"], plain["warnings"]) == ("fake", "real", [])
    posterior = 1 / (1 + 10 ** -eager["log10_likelihood_ratio"])
    said = f"called fake by its frames, with a probability of only {posterior:.3f} by their mean ratio"
    assert eager["warnings"] == [said]


def test_a_bad_file_costs_itself_alone(tmp_path: Path, run: Run) -> None:
    write_clip(tmp_path / "b.mkv", REALS[:4])
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "c.avi").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    output = tmp_path / "out.csv"
    result = run("video", tmp_path, "--model", MODEL, "--output", output)
    assert result.exit_code == 1
    assert result.stderr.count("error: ") == 2
    with open(output, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["verdict"] for row in rows] == ["", "real", ""]
    assert rows[0]["error"]
    table = run("video", tmp_path, "--model", MODEL)
    assert "3 videos: 1 real, 0 fake, 0 inconclusive, 2 failed; 2 other files skipped" in table.stdout


def test_any_number_of_jobs_gives_the_same_records(tmp_path: Path, run: Run) -> None:
    for k in range(3):
        write_clip(tmp_path / f"{k}.mkv", [REALS[k], FAKES[k]])
    one, two = (run("video", tmp_path, "--jobs", jobs, "--format", "jsonl").stdout for jobs in (1, 2))
    assert one == two
    assert len(one.splitlines()) == 3


def test_wrong_usage(tmp_path: Path, run: Run) -> None:
    clip = write_clip(tmp_path / "clip.mkv", REALS[:2])
    for arguments, message in (
        (("--all", "--frames", 3), "give one of them"),
        (("--face-fraction", 2), "is not in the range"),
        (("--per-frame", tmp_path / "f.xml"), "end it in .csv"),
        (("--per-frame", tmp_path / "f.txt"), "end its name in .csv"),
        (("--per-frame", tmp_path / "f.csv", "--output", tmp_path / "f.csv"), "name the same file"),
        (("--per-frame", tmp_path / "no" / "f.csv", "--output", tmp_path / "f.csv"), "cannot be written"),
        (("--faces", "all"), "go with --crop face"),
        (("--output", clip, "--format", "csv"), "would be overwritten"),
        (("--model", "nowhere"), "cannot be read"),
    ):
        result = run("video", clip, *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
        assert not (tmp_path / "f.csv").exists()


def test_rules_hold_for_frames(tmp_path: Path, run: Run) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [*FAKES[:3], *REALS[:5]])
    (record,) = records(run, clip, "--model", MODEL, "--stability", "--prevalence", "0.01", "--jobs", 0)
    assert any("depends on delivery" in w for w in record["warnings"])
    if record["log10_likelihood_ratio"] is not None:
        odds = 10 ** record["log10_likelihood_ratio"] / 99
        assert record["posterior"] == pytest.approx(odds / (1 + odds))
    assert "P(fake)" in run("video", clip, "--prevalence", "0.01", "--jobs", 0).stdout.splitlines()[0]


def test_the_least_confidence_holds_for_the_video(tmp_path: Path, run: Run) -> None:
    (tmp_path / "mixed").mkdir()
    for k, image in enumerate([*FAKES[:10], *REALS[-2:]]):
        shutil.copy(image, tmp_path / "mixed" / f"{k:02d}.png")
    named = (tmp_path / "mixed", "--model", MODEL, "--jobs", 0)
    for vote in ("majority", "mean", "pooled"):
        (sure,) = records(run, *named, "--vote", vote, "--prevalence", 0.5, "--min-confidence", 0.9)
        assert (sure["verdict"], sure["n_judged"]) == ("fake", 12)
        assert 0.9 < sure["posterior"] < 0.95
        (unsure,) = records(run, *named, "--vote", vote, "--min-confidence", 0.95)
        assert (unsure["verdict"], unsure["n_judged"]) == ("inconclusive", 12)
        assert unsure["warnings"][0].startswith("fake with a probability of only 0.93")
    refused = run("video", *named, "--prevalence", 0.001, "--min-confidence", 0.999)
    assert refused.exit_code == 2
    assert "no verdict of the model photographs is surer than" in refused.stderr
    (rare,) = records(run, *named, "--prevalence", 0.001, "--min-confidence", 0.9)
    assert rare["n_judged"] == 12  # the prevalence is of videos, and takes no frame its vote
    assert rare["posterior"] < 0.5
    assert rare["verdict"] == "inconclusive"


def test_a_vote_by_ratios_against_all_frames_decides_nothing(tmp_path: Path, photographs: Model) -> None:
    for k, image in enumerate(FAKES[:3]):
        shutil.copy(image, tmp_path / f"{k}.png")
    found = FoundVideo(Location(str(tmp_path)), tuple(map(str, sorted(tmp_path.iterdir()))))
    for threshold, verdict in ((1.0, "inconclusive"), (0.5, "fake")):
        judge = VideoJudge(Judge(photographs, Rules(threshold=threshold)), vote="pooled")
        (result,) = scan_videos([found], judge, work=Work(jobs=0))
        assert result.record.verdict == verdict
        assert ("fake by the pooled vote, though no frame is" in result.record.warnings) == (threshold == 1.0)


def test_images_in_folders_below_are_told(tmp_path: Path, run: Run) -> None:
    for name, image in (("contact.png", REALS[0]), ("a/0.png", FAKES[0]), ("a/1.png", FAKES[1])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(image, tmp_path / name)
    (record,) = records(run, tmp_path, "--model", MODEL, "--jobs", 0)
    assert "folders in it hold images too, which were not judged: see --group-by parent" in record["warnings"]
    for folder in records(run, tmp_path, "--model", MODEL, "--group-by", "parent", "--jobs", 0):
        assert not any("folders in it" in warning for warning in folder["warnings"])


def test_a_video_is_known_by_its_content_and_never_written_over(tmp_path: Path, run: Run) -> None:
    clip = write_clip(tmp_path / "clip.mp4", REALS[:3], "libx264", "yuv420p")
    content = clip.read_bytes()
    (tmp_path / "in").mkdir()
    for name in ("noext", "x.insv", "wrong.jpg"):
        shutil.copy(clip, tmp_path / "in" / name)
    (tmp_path / "in" / "sound.m4a").write_bytes(content)
    for brand in ("heic", "miaf", "avif", "jp2 "):
        (tmp_path / "in" / brand.strip()).write_bytes(b"\0\0\0\x18ftyp" + brand.encode() + bytes(99))
    found = records(run, tmp_path / "in", "--jobs", 0)
    assert [Path(r["path"]).name for r in found] == ["noext", "wrong.jpg", "x.insv"]
    assert all(r["n_frames"] == 3 for r in found)
    for command in (("video", clip), ("scan", REALS[0]), ("provenance", REALS[0])):
        for victim in (
            tmp_path / "in" / "noext",
            tmp_path / "in" / "x.insv",
            shutil.copy(clip, tmp_path / "other.mp4"),
        ):
            result = run(*command, "--format", "csv", "--output", victim)
            assert result.exit_code == 2
            assert "is an image, a video or an input, and would be overwritten" in result.stderr
            assert victim.read_bytes() == content


def test_a_second_stream_of_pictures_is_told(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as file:
        streams: list[Any] = [file.add_stream("ffv1", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 256, 256, "bgr0"
        for stream, images in zip(streams, (REALS, FAKES), strict=True):
            for image in images[:2]:
                with Image.open(image) as picture:
                    frame = av.VideoFrame.from_ndarray(np.asarray(picture.convert("RGB")), format="rgb24")
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    (record,) = records(run, path, "--jobs", 0)
    assert "2 streams of pictures: only number 0 is judged" in record["warnings"]


def test_a_damaged_animation_has_the_same_record_each_time(tmp_path: Path, run: Run) -> None:
    whole = BytesIO()
    frames = [Image.open(path).convert("RGB") for path in REALS[:3]]
    frames[0].save(whole, "AVIF", save_all=True, append_images=frames[1:])
    (tmp_path / "cut.avif").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    first, second = (records(run, tmp_path / "cut.avif", "--jobs", 0, status=1)[0] for _ in range(2))
    assert first == second
    assert "0x" not in first["error"]


def test_faces_are_counted_as_faces(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "clip.mkv", REALS[:4])
    monkeypatch.setattr(faces, "detect_faces", lambda rgb: [(0, 0, 120, 120), (128, 128, 120, 120)])
    (record,) = records(run, clip, "--crop", "face", "--faces", "all", "--model", MODEL, "--jobs", 0)
    assert record["n_frames"] == 4
    assert any(warning.startswith("8 of 8 faces inconclusive") for warning in record["warnings"])


def test_a_model_that_has_not_seen_the_coding_of_a_video_decides_nothing(tmp_path: Path, run: Run) -> None:
    clip = write_clip(tmp_path / "clip.mkv", REALS[:6])
    (record,) = records(run, clip, "--jobs", 0)
    assert record["model"] == "world"
    (named,) = records(run, clip, "--model", MODELS / "faces.pkl", "--jobs", 0)
    assert (record["coding"], named["coding"]) == ("lossless", "lossless")
    assert named["verdict"] == "inconclusive"
    assert any("coded as lossless (seen: JPEG, quality 75)" in w for w in named["warnings"])
    assert "train a model on videos coded as lossless" in named["warnings"][-1]
    assert "spectral-detect train --real REAL_VIDEOS --fake FAKE_VIDEOS --output my.pkl" in named["warnings"][-1]


def test_an_undecided_video_says_what_to_train(tmp_path: Path, run: Run) -> None:
    clip = write_clip(tmp_path / "clip.mp4", REALS[:6], "libx264", "yuv420p")
    (record,) = records(run, clip, "--model", MODEL, "--jobs", 0)
    assert record["verdict"] == "inconclusive"
    assert "train a model on videos coded as H.264" in record["warnings"][-1]
    (seen,) = records(run, write_clip(tmp_path / "clip.mkv", REALS[:6]), "--model", MODEL, "--jobs", 0)
    assert not any("train a model" in w for w in seen["warnings"])


def test_a_folder_of_animations_gives_as_many_verdicts(tmp_path: Path, run: Run) -> None:
    for name, images in (("a.webp", FAKES[:4]), ("b.webp", REALS[2:6])):
        first, *others = [Image.open(path).convert("RGB") for path in images]
        first.save(tmp_path / name, save_all=True, append_images=others, duration=100, lossless=True)
    results = records(run, tmp_path, "--model", MODEL, "--jobs", 0)
    assert [(Path(r["path"]).name, r["verdict"], r["n_judged"]) for r in results] == [
        ("a.webp", "fake", 4),
        ("b.webp", "real", 4),
    ]
    assert [(r["fps"], r["coding"].split(",")[0], r["warnings"]) for r in results] == [(10, "lossless", [])] * 2
    (still,) = scan([str(tmp_path / "a.webp")], load_model(MODEL))
    assert still.warnings[0] == "several frames: only the first is judged"


@needs_shared
def test_the_animations_that_showed_the_fault(run: Run) -> None:
    folder = SHARED / "faults" / "animations"
    results = records(run, folder, "--jobs", 0)
    assert [Path(r["path"]).name for r in results] == ["clip0.webp", "clip1.webp"]
    assert [(r["n_frames"], r["error"]) for r in results] == [(4, None)] * 2


@needs_shared
def test_the_video_that_showed_the_fault(run: Run) -> None:
    (record,) = records(run, SHARED / "faults" / "video" / "change.ts", "--jobs", 0)
    assert "12 of 24 decoded frames are of another size (512x512)" in record["warnings"][0]


def test_pooling_needs_a_calibrated_model(tmp_path: Path, photographs: Model) -> None:
    raw = replace(photographs, calibration=Calibration())
    with pytest.raises(ModelFileError, match="not calibrated"):
        VideoJudge(Judge(raw), vote="pooled")


def test_faces_are_judged_and_frames_without_counted(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "clip.mkv", REALS[:10])
    monkeypatch.setattr(faces, "detect_faces", lambda rgb: [(30, 30, 192, 192)] if rgb.mean() > 0 else [])
    (record,) = records(run, clip, "--crop", "face", "--face-fraction", "0.5", "--model", MODEL, "--jobs", 0)
    assert (record["n_frames"], record["n_faces"], record["n_without_face"], record["n_tracks"]) == (10, 10, 0, 1)
    assert "96x96 pixels" in record["warnings"][0]  # the model knows 256 only
    monkeypatch.setattr(faces, "detect_faces", lambda rgb: [])
    (none,) = records(run, clip, "--crop", "face", "--jobs", 0, status=1)
    assert none["error"] == "no face found in 10 frames; --crop none judges whole frames"


# -------------------------------------------------------------------------------------------------------- training


def test_videos_train_and_evaluate(tmp_path: Path, run: Run) -> None:
    for label, images in (("real", REALS), ("fake", FAKES)):
        (tmp_path / label).mkdir()
        for k in range(6):
            write_clip(tmp_path / label / f"{k}.mkv", [*images[2 * k : 2 * k + 2]] * 2)
    folders = ("--real", tmp_path / "real", "--fake", tmp_path / "fake")
    model = tmp_path / "m.pkl"
    trained = run("train", *folders, "--output", model, "--frames", 3)
    assert trained.exit_code == 0, trained.output
    assert "12 groups" in trained.stdout
    assert "36 frames" in trained.stdout
    known, new = (
        records(run, clip, "--model", model)[0]["warnings"]
        for clip in (tmp_path / "real" / "0.mkv", write_clip(tmp_path / "new.mkv", REALS[:3]))
    )
    assert (TRAINING_IMAGE in known, TRAINING_IMAGE in new) == (True, False)
    found = json.loads(run("evaluate", model, *folders, "--frames", 2, "--json").stdout)
    assert (found["n_real"], found["n_fake"], found["n_groups"]) == (12, 12, 12)
    assert found["videos"]["n_videos"] == 12
    assert found["videos"]["majority"]["n_real"] == 6
    augmented = run(
        "train", *folders, "--output", model, "--frames", 2, "--augment", "wang0.1", "--copies", 2, "--allow-useless"
    )
    assert augmented.exit_code == 0, augmented.output
    scores = tmp_path / "scores.csv"
    text = run("evaluate", model, *folders, "--scores", scores).stdout
    with open(scores, newline="") as stream:
        assert {row["time_s"] for row in csv.DictReader(stream)} == {"0.0", "0.1", "0.2", "0.3"}
    refused = run("audit", *folders, "--fix", tmp_path / "out")
    assert refused.exit_code == 2
    assert "0.mkv is a video or an animation: leave it out" in refused.stderr
    assert "12 videos; the numbers above are of their frames" in text
    assert "by majority of the frames" in text


def test_frames_in_folders_can_be_kept_together(tmp_path: Path, run: Run) -> None:
    for label, images in (("real", REALS), ("fake", FAKES)):
        for k, image in enumerate(images):
            (tmp_path / label / str(k // 2)).mkdir(parents=True, exist_ok=True)
            shutil.copy(image, tmp_path / label / str(k // 2))
    command = ("train", "--real", tmp_path / "real", "--fake", tmp_path / "fake", "--output", tmp_path / "m.pkl")
    assert "in 24 groups" in run(*command).stdout
    assert "in 12 groups" in run(*command, "--group-by", "parent").stdout


def test_a_tie_says_that_it_is_one(run: Run, tmp_path: Path) -> None:
    for label in ("real", "fake"):
        shutil.copy(EXAMPLES / label / "Aqua.png", tmp_path / f"{label}.png")
    table = run("video", tmp_path, "--model", MODEL, "--jobs", 0)
    assert "a tie: as many frames are fake as real" in table.stdout


# ------------------------------------------------------------------------------------------------------ provenance


def test_frames_and_containers_say_who_made_them(run: Run, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    said = PngImagePlugin.PngInfo()
    said.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Model: sdxl")
    for k, path in enumerate(REALS[:4]):
        with Image.open(path) as image:
            image.save(tmp_path / "frames" / f"{k}.png", pnginfo=said)
    (record,) = records(run, tmp_path / "frames", "--model", MODEL, "--jobs", 0)
    assert (record["verdict"], record["says_generated"]) == ("real", "yes")
    assert record["provenance"].startswith("generated by Stable Diffusion web UI")
    assert "and 3 other places" in record["provenance"]
    assert record["warnings"][0].startswith("called real, but the file says that AI made or edited it: generated by")
    table = run("video", tmp_path / "frames", "--model", MODEL, "--jobs", 0).stdout
    assert "real !!" in table
    assert "made by AI as the file itself says: 1, of which called real: 1" in table
    clip = write_clip(tmp_path / "clip.mkv", REALS[:4])
    (silent,) = records(run, clip, "--model", MODEL, "--jobs", 0)
    assert silent["says_generated"] is None
    assert silent["provenance"].startswith("software Lavf")


def test_a_video_that_cannot_be_read_has_a_hash_all_the_same(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (record,) = records(run, tmp_path / "a.mp4", status=1)
    assert (record["sha256"], record["size_bytes"]) == (hashlib.sha256(b"no video").hexdigest(), 8)
    (tmp_path / "empty.mp4").touch()
    (empty,) = records(run, tmp_path / "empty.mp4", status=1)
    assert (empty["sha256"], empty["size_bytes"]) == (hashlib.sha256(b"").hexdigest(), 0)
    assert empty["error"] == "the file is empty; copy it again from its source"
    assert (empty["model"], empty["model_sha256"]) == ("world", load_model("world").sha256)


def test_no_frame_is_shown_twice() -> None:
    extremes = Extremes(True)
    image = decode(REALS[0].read_bytes(), colour=True)
    for k, score in enumerate((0.9, 0.1, 0.5, 0.7)):
        extremes.offer(Frame(k, None, image, None), score)
    highest, lowest = extremes.chosen()
    assert [each.frame for each in highest] == [0, 3, 2]
    assert [each.frame for each in lowest] == [1]


def test_a_turned_frame_is_shown_upright() -> None:
    image = DecodedImage(np.zeros((60, 120, 3), np.uint8), 60, 120, "VIDEO", orientation=8)
    extremes = Extremes(True)
    extremes.offer(Frame(0, 0.0, image, None), 0.5)
    assert extremes.chosen()[0][0].pixels.shape == (120, 60, 3)
