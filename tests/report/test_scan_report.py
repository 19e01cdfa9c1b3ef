"""`scan --report`: what the page says, that it is safe to write and to open, and that the scan is the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from conftest import EXAMPLES, MODELS, Run
from headless_chromium import chromium, needs_browser
from spectral_detect.cli.shared import report_options
from spectral_detect.media.limits import Limits
from spectral_detect.media.thumbnail import thumbnail
from spectral_detect.report.html import frame, run_facts, second_look
from spectral_detect.sources.sharding import Shard

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
HOSTILE = (
    '"><img src=x onerror=document.title=1>.png',
    "<script>document.title=2<\u2044script>.png",
    "red\x1b[31m\x01\u202egnp.png",
    os.fsdecode(b"na\xefve {{ 7*7 }}.png"),
)
SCRIPT = "</script><script>document.title='owned'</script>"
PARAMETERS = f"<b onclick=alert(1)>cat</b>{SCRIPT}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Model: sdxl"


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """Two fakes, a camera image, the same with a text that contradicts its verdict, a larger one, one that fails."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    for name in ("Aqua", "Garden"):
        shutil.copy(EXAMPLES / "fake" / f"{name}.png", folder / f"fake_{name}.png")
    shutil.copy(EXAMPLES / "real" / "Aqua.png", folder / "real.png")
    with Image.open(EXAMPLES / "real" / "Aqua.png") as image:
        said = PngImagePlugin.PngInfo()
        said.add_text("parameters", PARAMETERS)
        image.save(folder / "contradicted.png", pnginfo=said)
        image.resize((900, 900)).save(folder / "large.png")
    (folder / "broken.png").write_bytes(b"nothing")
    return folder


def scanned(run: Run, folder: Path, *options: object, status: int = 1) -> str:
    """Scan with a report; return the page."""
    page = folder.parent / "report.html"
    result = run("scan", folder, "--model", MODEL, "--jobs", 0, "--report", page, *options)
    assert result.exit_code == status, result.output
    return page.read_text("utf-8")


def words_of(page: str) -> str:
    """The text of a page outside of its scripts, spaces in one."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)))


def rows_of(page: str) -> list[list[object]]:
    found = re.search(r'<script type="application/json" id="rows">(.*?)</script>', page, re.DOTALL)
    assert found
    return list(json.loads(found[1]))


def test_the_head_says_what_a_laboratory_needs(run: Run, evidence: Path) -> None:
    output = evidence.parent / "rows.jsonl"
    page = scanned(run, evidence, "--case", "26/117", "--exhibit", "stick", "--examiner", "Dr. <b>Ä</b>", "-o", output)
    text = words_of(page)
    for said in (
        "26/117",
        "stick",
        "Dr. &lt;b&gt;Ä&lt;/b&gt;",
        "photographs",
        "ENFSI 2015",
        "false alarms",
        "95 % interval",
    ):
        assert said in text
    assert re.search(r"Started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)
    assert hashlib.sha256(output.read_bytes()).hexdigest() in text
    assert "6 images, of which 4 (67 %) have a verdict" in text
    assert "1 called real, but the file itself says that AI made or edited it" in text
    assert "broken.png not an image in a known format" in text
    assert "--case 26/117" in text


def test_the_page_is_told_which_scores_are_shown_in_brackets(run: Run, evidence: Path) -> None:
    page = scanned(run, evidence)
    found = re.search(r'<script type="application/json" id="facts">(.*?)</script>', page, re.DOTALL)
    assert found and set(json.loads(found[1])["by_score"]) == {"undecided", "low confidence", "depends on delivery"}
    assert "a score in brackets decides nothing, and none is shown where the model cannot judge" in words_of(page)


@pytest.mark.parametrize(
    ("depth", "said"), [("header", "earlier JPEGs were not (--provenance full)."), ("none", "not looked for.")]
)
def test_it_says_how_far_was_looked_for_what_files_say(run: Run, evidence: Path, depth: str, said: str) -> None:
    text = words_of(scanned(run, evidence, "--provenance", depth))
    assert re.search(rf"What files say of their origin was .*{re.escape(said)}", text)


def test_no_probability_of_fake_without_a_prevalence(run: Run, evidence: Path) -> None:
    assert "P(fake)" not in words_of(scanned(run, evidence))
    text = words_of(scanned(run, evidence, "--prevalence", 0.01))
    assert "P(fake) at 1 %" in text
    assert "2 of the verdicts are less probable than the opposite where 1 % of the images are fake" in text


def test_the_scan_itself_is_the_same(run: Run, evidence: Path) -> None:
    plain = run("scan", evidence, "--model", MODEL, "--jobs", 0)
    page = evidence.parent / "report.html"
    reported = run("scan", evidence, "--model", MODEL, "--jobs", 0, "--report", page)
    assert reported.stdout == plain.stdout
    assert "report of 6 images" in reported.stderr


def test_the_page_needs_no_other_file(run: Run, evidence: Path) -> None:
    page = scanned(run, evidence)
    assert re.findall(r'(?:src|href)="?(?!data:)[^">]*', page.partition("<script>")[0]) == []
    assert "default-src 'none'" in page
    assert page.count("data:image/jpeg;base64,") == 5


def test_a_scan_without_a_report_loads_nothing_for_it() -> None:
    code = "import sys, spectral_detect.cli.scan; print([m for m in sys.modules if m == 'jinja2' or 'scan_page' in m])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"


def test_thumbnails_are_bounded(run: Run, evidence: Path) -> None:
    assert scanned(run, evidence, "--thumbnails", 1).count("data:image/jpeg;base64,") == 1
    assert scanned(run, evidence, "--thumbnails", 0).count("data:image/jpeg;base64,") == 0


def test_a_thumbnail_holds_pixels_alone(evidence: Path) -> None:
    made = thumbnail((evidence / "contradicted.png").read_bytes(), 64, Limits())
    assert made is not None
    assert b"parameters" not in made
    assert len(made) < 5000
    (evidence / "small.jpg").write_bytes(made)
    with Image.open(evidence / "small.jpg") as image:
        assert max(image.size) == 64
    assert thumbnail(b"nothing", 64, Limits()) is None
    assert thumbnail((evidence / "small.jpg").read_bytes(), 64, Limits(max_pixels=10)) is None


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_thumbnail_stands_upright(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (200, 100), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / f"turned{suffix}", exif=exif)
    made = thumbnail((tmp_path / f"turned{suffix}").read_bytes(), 64, Limits())
    assert made is not None
    (tmp_path / "small.jpg").write_bytes(made)
    with Image.open(tmp_path / "small.jpg") as small:
        assert small.size == (32, 64)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_resuming_reports_the_rows_of_the_earlier_run_too(run: Run, evidence: Path, suffix: str) -> None:
    output = evidence.parent / f"rows.{suffix}"
    run("scan", evidence, "--model", MODEL, "--jobs", 0, "--resume", output)
    shutil.copy(EXAMPLES / "real" / "Garden.png", evidence / "added.png")
    text = words_of(page := scanned(run, evidence, "--resume", output))
    assert "7 images, of which 5 (71 %) have a verdict" in text
    assert "1 called real, but the file itself says" in text
    assert len(rows_of(page)) == 7


def test_a_file_that_changes_during_the_scan_is_told(run: Run, evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = second_look.read_file

    def changed(location: second_look.Location, max_bytes: int) -> object:
        if location.path.endswith("real.png"):
            Path(location.path).write_bytes(b"other")
        return look(location, max_bytes)

    monkeypatch.setattr(second_look, "read_file", changed)
    text = words_of(scanned(run, evidence))
    assert "1 file changed during the scan" in text
    assert hashlib.sha256(b"other").hexdigest() in text


def test_a_file_that_is_gone_is_not_called_unchanged(evidence: Path) -> None:
    values = {"path": str(evidence / "gone.png"), "sha256": "0" * 64, "error": None}
    look = second_look.look_again(values, Limits(), wants_picture=True)
    assert look.sha256 is None
    assert "could not be read again" in str(look.note)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("report.png", (), "--report writes HTML"),
        ("no/report.html", (), "there is no folder"),
        ("evidence/picture.html", (), "is an image, a video or an input"),
        ("list.html", ("--files-from", "list.html"), "is an image, a video or an input"),
    ],
)
def test_nothing_is_overwritten(
    run: Run, evidence: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(evidence.parent)
    shutil.copy(evidence / "real.png", evidence / "picture.html")
    Path("list.html").write_text("evidence\n")
    result = run("scan", "evidence", *options, "--model", MODEL, "--report", name)
    assert result.exit_code == 2
    assert message in result.stderr
    assert (evidence / "picture.html").read_bytes() == (evidence / "real.png").read_bytes()


def test_output_and_report_are_two_files(run: Run, evidence: Path) -> None:
    page = evidence.parent / "a.html"
    result = run("scan", evidence, "--format", "csv", "-o", page, "--report", page)
    assert (result.exit_code, "name the same file" in result.stderr) == (2, True)
    assert run("scan", evidence, "--case", "x").exit_code == 2


def test_no_credentials_in_the_command() -> None:
    shown = report_options._harmless("https://anna:secret@localhost:1/a.png?X-Amz-Signature=abc")
    assert shown == "https://localhost:1/a.png"
    assert report_options._harmless(0.01) == "0.01"
    assert report_options._harmless(Shard(2, 8)) == "2/8"


def test_the_commit_of_a_checkout_is_known(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "packed-refs").write_text(f"# pack-refs\n{'a' * 40} refs/heads/main\n")
    assert run_facts._checked_out(tmp_path) == "a" * 40
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text(f"{'b' * 40}\n")
    assert run_facts._checked_out(tmp_path) == "b" * 40


def test_a_commit_that_is_not_known_has_no_line(run: Run, evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for known, shown in (("c" * 40, 1), (None, 0)):
        monkeypatch.setattr(frame, "commit", lambda known=known: known)
        page = scanned(run, evidence)
        assert page.count("<dt>Commit</dt>") == shown and ("c" * 40 in page) is bool(known)


def test_hostile_names_stand_escaped(run: Run, evidence: Path) -> None:
    for name in HOSTILE:
        shutil.copy(EXAMPLES / "real" / "Garden.png", evidence / name)
    page = scanned(run, evidence, "--case", SCRIPT)
    assert page.count("<script") == page.count("</script>") == 3
    assert "<img src=x" not in page
    assert r"\\x1b[31m\\x01\\u202egnp.png" in page
    assert r"na\\udcefve {{ 7*7 }}.png" in page


@needs_browser
def test_the_page_sorts_filters_opens_and_runs_nothing_of_a_file(run: Run, evidence: Path, tmp_path: Path) -> None:
    for name in HOSTILE:
        shutil.copy(EXAMPLES / "real" / "Garden.png", evidence / name)
    scanned(run, evidence, "--case", SCRIPT, "--prevalence", 0.01)
    names = "[...document.querySelectorAll('#table .name')].map(e => e.textContent)"
    with chromium(tmp_path / "profile") as page:
        page.open(tmp_path / "report.html")
        assert len(page.value(names)) == 6 + len(HOSTILE)
        page.value("document.querySelector('th[data-sort=score] button').click()")
        assert page.value(names)[:2] == ["fake_Aqua.png", "fake_Garden.png"]
        assert page.value("document.querySelector('th[data-sort=score]').getAttribute('aria-sort')") == "descending"
        assert set(page.value(names)[-2:]) == {"large.png", "broken.png"}  # a score beside inconclusive does not rank
        scores = page.value("[...document.querySelectorAll('td[data-label=Score]')].map(e => e.textContent)")
        assert sorted(scores[-2:]) == ["", "-"]  # the model cannot judge the one, and read the other
        page.value("document.querySelector('input[value=real]').click()")
        assert len(page.value(names)) == 4
        page.value("for (const open of document.querySelectorAll('.open')) open.click()")
        assert page.value("document.querySelectorAll('.detail').length") == 4
        assert page.value("document.querySelector('.detail').textContent.includes('moderate support')")
        page.value("document.querySelector('input[value=real]').click()")
        page.value(
            "{const s = document.getElementById('search'); s.value = 'onerror'; s.dispatchEvent(new Event('input'))}"
        )
        page.wait_for(f"{names}.length === 1")
        page.value("{const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))}")
        page.wait_for(f"{names}.length === {6 + len(HOSTILE)}")
        page.value("for (const open of document.querySelectorAll('.open')) open.click()")
        page.value(
            "{const o = document.getElementById('only'); o.value = 'contradicted';o.dispatchEvent(new Event('change'))}"
        )
        assert page.value(names) == ["contradicted.png"]
        assert page.value("document.querySelector('tr.contradicted .mark').textContent") == "‼ the file says AI"
        assert page.value("document.title").startswith("Scan report: </script>")
        assert page.value("document.querySelectorAll('[onerror], [onclick], b').length") == 0
        assert page.dialogs == 0
        assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}
        page.open(tmp_path / "report.html", width=360)
        assert page.value("document.documentElement.scrollWidth <= innerWidth")
