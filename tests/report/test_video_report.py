"""`video --report`: what the page says of videos, their frames and their files, and that names of files do nothing."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_clips import write_clip
from PIL import Image, PngImagePlugin

from conftest import EXAMPLES, MODELS, Run
from headless_chromium import chromium, needs_browser
from spectral_detect import load_model
from spectral_detect.records import VIDEO_COLUMNS, FrameRecord
from spectral_detect.report import plots
from spectral_detect.report.html import second_look, video_words
from spectral_detect.report.html.timeline import timeline_of
from spectral_detect.report.html.words import REASONS as REASONS_OF_IMAGES
from spectral_detect.sources.discovery import FoundVideo

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
av = pytest.importorskip("av", reason="PyAV writes the clips of these tests")

REALS = sorted((EXAMPLES / "real").glob("*.png"))
FAKES = sorted((EXAMPLES / "fake").glob("*.png"))
HOSTILE = (
    '"><img src=x onerror=document.title=1>.mkv',
    "<script>document.title=2<\u2044script>.mkv",
    "red\x1b[31m.mkv",
)
SCRIPT = "</script><script>document.title='owned'</script>"
PARAMETERS = f"<b onclick=alert(1)>cat</b>{SCRIPT}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Model: sdxl"

Rows = list[dict[str, Any]]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """A fake clip, a real one, a tie, one that fails, and frames that contradict their verdict in a folder apart."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    write_clip(folder / "fake.mkv", FAKES[:4])
    write_clip(folder / "real.mkv", REALS[:6], title=SCRIPT)
    write_clip(folder / "tie.mkv", [*REALS[:2], *FAKES[:2]])
    (folder / "broken.mkv").write_bytes(b"nothing")
    said = PngImagePlugin.PngInfo()
    said.add_text("parameters", PARAMETERS)
    (tmp_path / "frames").mkdir()
    for k, path in enumerate(REALS[:3]):
        with Image.open(path) as image:
            image.save(tmp_path / "frames" / f"{k}.png", pnginfo=said)
    return folder


def judged(run: Run, folder: Path, *options: object, status: int = 1) -> str:
    """Judge both folders with a report; return the page."""
    page = folder.parent / "report.html"
    places = (folder, folder.parent / "frames")
    result = run("video", *places, "--model", MODEL, "--jobs", 0, "--report", page, *options)
    assert result.exit_code == status, result.output
    return page.read_text("utf-8")


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)))


def rows_of(page: str) -> Rows:
    """The rows of the table, by the names of their columns."""

    def held(name: str) -> Any:
        found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
        assert found
        return json.loads(found[1])

    facts = held("facts")
    rows = []
    for cells in held("rows"):
        row = dict(zip(facts["columns"], cells, strict=True))
        rows.append({n: facts["words"][v] if n in facts["coded"] and v is not None else v for n, v in row.items()})
    return rows


# ------------------------------------------------------------------------------------------------------ what it says


def test_the_page_says_what_a_laboratory_needs(run: Run, evidence: Path) -> None:
    output = evidence.parent / "rows.jsonl"
    page = judged(run, evidence, "--case", "26/117", "--examiner", "Dr. <b>Ä</b>", "--output", output)
    text = words_of(page)
    for said in (
        "26/117",
        "Dr. &lt;b&gt;Ä&lt;/b&gt;",
        "Report of a video scan",
        "5 videos, of which 3 (60 %) have a verdict",
        "1 called real, but the file itself says that AI made or edited it",
        "a vote that is too close",
        "broken.mkv not a video in a known format",
        "Frames of one video are no independent witnesses",
        "majority: what most of the frames that voted were called",
        "at most 20, equally spaced",
        "video no codec of video seen",
        "ENFSI 2015",
        "--case 26/117",
    ):
        assert said in text, said
    assert re.search(r"Started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)
    assert hashlib.sha256(output.read_bytes()).hexdigest() in text
    assert page.count("data:image/jpeg;base64,") == 4


def test_a_row_holds_the_record_the_votes_and_the_scores_of_the_frames(run: Run, evidence: Path) -> None:
    output, frames = evidence.parent / "rows.jsonl", evidence.parent / "frames.jsonl"
    rows = rows_of(judged(run, evidence, "--output", output, "--per-frame", frames))
    records = [json.loads(line) for line in output.read_text().splitlines()]
    of_frames = [json.loads(line) for line in frames.read_text().splitlines()]
    assert [row["path"] for row in rows] == [record["path"] for record in records]
    for row, record in zip(rows, records, strict=True):
        same = set(VIDEO_COLUMNS) - {"mtime_ns"}
        assert {name: row[name] for name in same} == {name: record[name] for name in same}
        own = [frame for frame in of_frames if frame["path"] == record["path"]]
        assert [point[1] for point in row["timeline"]["points"]] == [round(frame["score"], 4) for frame in own]
        assert [point[2] for point in row["timeline"]["points"]] == [frame["verdict"][0] for frame in own]
        assert row["sha256_after"] == "="
    tie = next(row for row in rows if row["path"].endswith("tie.mkv"))
    assert tie["votes"] == {"fake": 2, "real": 2, "inconclusive": 0, "failed": 0}
    assert [point[0] for point in tie["timeline"]["points"]] == [0.0, 0.1, 0.2, 0.3]
    assert tie["picture_of"].startswith("frame ")


def test_the_run_itself_is_the_same(run: Run, evidence: Path) -> None:
    command = ("video", evidence, "--model", MODEL, "--jobs", 0)
    plain = run(*command)
    reported = run(*command, "--report", evidence.parent / "report.html")
    assert reported.stdout == plain.stdout
    assert "report of 4 videos" in reported.stderr


def test_two_runs_differ_in_their_times_alone(run: Run, evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    first = judged(run, evidence)
    assert judged(run, evidence) == first
    assert "2001-09-09 01:46:40 UTC" in first


def test_no_pictures_if_none_are_wanted(run: Run, evidence: Path) -> None:
    assert "data:image/jpeg" not in judged(run, evidence, "--thumbnails", 0)
    assert judged(run, evidence, "--thumbnails", 1).count("data:image/jpeg;base64,") == 1


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_resuming_reports_the_rows_of_the_earlier_run_too(run: Run, evidence: Path, suffix: str) -> None:
    output = evidence.parent / f"rows.{suffix}"
    run("video", evidence, "--model", MODEL, "--jobs", 0, "--resume", output)
    rows = {Path(row["path"]).name: row for row in rows_of(judged(run, evidence, "--resume", output))}
    assert len(rows) == 5
    assert rows["real.mkv"]["timeline"] is None
    assert (rows["real.mkv"]["n_judged"], rows["real.mkv"]["outcome"]) == (6, "real")
    assert len(rows["frames"]["timeline"]["points"]) == 3


def test_a_video_that_changes_during_the_run_is_told(run: Run, evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = second_look.video_sha256

    def changed(found: FoundVideo) -> tuple[str, int, int]:
        if found.path.endswith("real.mkv"):
            Path(found.path).write_bytes(b"other")
        if found.frames:
            Path(found.frames[1]).unlink()
        return look(found)

    monkeypatch.setattr(second_look, "video_sha256", changed)
    text = words_of(judged(run, evidence))
    assert "2 files changed during the scan" in text
    assert hashlib.sha256(b"other").hexdigest() in text


def test_reports_and_other_outputs_are_files_apart(run: Run, evidence: Path) -> None:
    page = evidence.parent / "a.html"
    command = ("video", evidence, "--report", page)
    assert "name the same file" in run(*command, "--format", "csv", "--output", page).stderr
    assert "end its name in .html" in run("video", evidence, "--report", evidence.parent / "a.txt").stderr
    assert run("video", evidence, "--case", "x").exit_code == 2


# -------------------------------------------------------------------------------------------------------- timelines


def frame(number: int, score: float, track: int = 0) -> FrameRecord:
    return FrameRecord("v", number, None, number / 25, track, None, 8, 8, "real", score, None)


def test_a_long_timeline_keeps_its_extremes_and_its_order() -> None:
    frames = [frame(k, 0.9 if k == 1234 else 0.001 * (k % 7)) for k in range(5000)]
    drawn = timeline_of(frames, most=100)
    points: Any = drawn["points"]
    assert len(points) <= 100
    assert max(points, key=lambda p: p[1])[4] == 1234
    assert [p[4] for p in points] == sorted(p[4] for p in points)
    assert drawn["n_frames"] == 5000
    both: Any = timeline_of([*frames, *(frame(k, 0.5, 1) for k in range(3))], most=100)["points"]
    assert sum(p[3] == 1 for p in both) == 3


def test_a_folder_has_numbers_in_place_of_times() -> None:
    still = FrameRecord("v", 3, "v/3.png", None, 0, None, 8, 8, "fake", 0.75, None)
    assert timeline_of([still]) == {"points": [(3, 0.75, "f", 0, 3)], "has_times": False, "n_frames": 1}


def test_the_reasons_of_frames_have_next_steps_for_videos() -> None:
    warning = "2 of 3 frames inconclusive, of the first of these: fake with a probability of only 0.6"
    (number,) = video_words.reasons_of("inconclusive", [warning])
    assert video_words.REASONS[number].reason == "low confidence"
    assert video_words.reasons_of("inconclusive", ["a tie: as many frames are fake as real"]) == [
        len(REASONS_OF_IMAGES)
    ]
    assert set(video_words.NEXT_STEPS) <= {advice.title for advice in REASONS_OF_IMAGES}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """The last figure that was written."""
    pytest.importorskip("matplotlib")
    figures: list[Any] = []
    write = plots.write_figure

    def keep(figure: Any, output: str) -> None:
        figures.append(figure)
        write(figure, output)

    monkeypatch.setattr(plots, "write_figure", keep)
    return lambda: figures[-1]


def test_the_picture_shades_what_the_model_leaves_undecided(run: Run, evidence: Path, drawn: Callable[[], Any]) -> None:
    clip, folder = evidence / "real.mkv", evidence.parent / "plots"
    run("video", clip, "--jobs", 0, "--plot", folder, "--model", "world")
    labels = [text.get_text() for text in drawn().axes[0].get_legend().get_texts()]
    undecided = load_model("world").undecided
    assert undecided is not None
    assert "undecided by world:\n{:.3f} to {:.3f}".format(*undecided) in labels
    assert "model world" in drawn().get_suptitle()
    run("video", clip, "--jobs", 0, "--plot", folder, "--model", "world", "--threshold", "0.5")
    assert not any("undecided" in text.get_text() for text in drawn().axes[0].get_legend().get_texts())


# ------------------------------------------------------------------------------------------------------ hostile files


def test_hostile_names_stand_escaped(run: Run, evidence: Path) -> None:
    for name in HOSTILE:
        shutil.copy(evidence / "real.mkv", evidence / name)
    page = judged(run, evidence, "--case", SCRIPT)
    assert page.count("<script") == page.count("</script>") == 3
    assert "<img src=x" not in page
    assert r"red\\x1b[31m.mkv" in page
    html = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="?(?!data:)[^">]*', html) == []
    assert "default-src 'none'" in page


@needs_browser
def test_the_page_sorts_filters_draws_and_runs_nothing_of_a_file(run: Run, evidence: Path, tmp_path: Path) -> None:
    for name in HOSTILE:
        shutil.copy(evidence / "real.mkv", evidence / name)
    judged(run, evidence, "--case", SCRIPT, "--prevalence", 0.01)
    names = "[...document.querySelectorAll('#table .name')].map(e => e.textContent)"
    with chromium(tmp_path / "profile") as page:
        page.open(tmp_path / "report.html")
        assert len(page.value(names)) == 5 + len(HOSTILE)
        assert page.value("document.querySelectorAll('#table svg.timeline').length") == 4 + len(HOSTILE)
        page.value("document.querySelector('th[data-sort=fake_fraction] button').click()")
        assert page.value(names)[:2] == ["fake.mkv", "tie.mkv"]
        page.value("document.querySelector('input[value=real]').click()")
        assert page.value(names) == ["fake.mkv", "tie.mkv", "broken.mkv"]
        page.value("for (const open of document.querySelectorAll('.open')) open.click()")
        assert page.value("document.querySelectorAll('.detail').length") == 3
        details = page.value("document.querySelector('.detail').textContent")
        assert "Called fake by the majority of the frames that voted" in details
        assert "Looked at 4 frames: 4 fake; votes that decide: 4." in details
        assert page.value("document.querySelectorAll('.detail .dot').length") == 8
        assert page.value("document.querySelector('.detail .dot title').textContent").startswith("0.00 s, frame 0: 0.")
        page.value("document.querySelector('input[value=real]').click()")
        page.value(
            "{const o = document.getElementById('only'); o.value = 'contradicted';o.dispatchEvent(new Event('change'))}"
        )
        assert page.value(names) == ["frames"]
        assert page.value("document.title").startswith("Scan report of videos: </script>")
        assert page.value("document.querySelectorAll('[onerror], [onclick], b').length") == 0
        assert page.dialogs == 0
        assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}
        page.open(tmp_path / "report.html", width=360)
        page.value("for (const open of document.querySelectorAll('.open')) open.click()")
        assert page.value("document.documentElement.scrollWidth <= innerWidth")
