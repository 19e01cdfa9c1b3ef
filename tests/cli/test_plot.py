"""The plots on the command line: formats, errors, the same file each time, and no window."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import EXAMPLES, Run
from spectral_detect.media.images import decode

pytestmark = pytest.mark.usefixtures("in_this_process")

pytest.importorskip("matplotlib")
START_OF = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
COMMANDS = {
    "profiles": ("--features", "durall", "--bins", 50),
    "spectra": ("--side", 32),
    "embedding": ("--method", "tsne"),
}


@pytest.fixture
def here(labelled_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder outside the folders of images."""
    (labelled_folder / "work").mkdir()
    monkeypatch.chdir(labelled_folder / "work")
    return labelled_folder


@pytest.mark.parametrize("kind", START_OF)
@pytest.mark.parametrize("command", COMMANDS)
def test_each_format_is_written_and_the_same_each_time(command: str, kind: str, here: Path, run: Run) -> None:
    contents = []
    for _ in range(2):
        output = Path(f"picture.{kind}")
        options: tuple[Any, ...] = (*COMMANDS[command], "--jobs", 0, "--output", output)
        result = run("plot", command, here / "real", here / "fake", *options)
        assert result.exit_code == 0, result.output
        assert result.stdout == f"picture.{kind}: real (12 images), fake (12 images)\n"
        contents.append(output.read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].startswith(START_OF[kind])


def test_defaults_have_a_name_in_the_working_folder(here: Path, run: Run) -> None:
    for command in COMMANDS:
        assert run("plot", command, here / "real", here / "fake", "--jobs", 0).exit_code == 0
        assert decode(Path(f"{command}.png").read_bytes()).width > 500


def test_a_foreign_image_is_not_overwritten(here: Path, run: Run) -> None:
    shutil.copy(EXAMPLES / "real" / "Aqua.png", "profiles.png")
    result = run("plot", "profiles", here / "real", here / "fake")
    assert result.exit_code == 2 and "would be overwritten" in result.stderr
    inside = run("plot", "spectra", here / "real", here / "fake", "--output", here / "real" / "new.png")
    assert inside.exit_code == 2 and "whose images are read" in inside.stderr
    assert not (here / "real" / "new.png").exists()


def test_files_that_fail_are_named_and_counted(here: Path, run: Run) -> None:
    (here / "fake" / "bad.png").write_bytes(b"no image")
    for command in COMMANDS:
        result = run("plot", command, here / "real", here / "fake", "--jobs", 0)
        assert result.exit_code == 1, result.output
        assert result.stderr.count("bad.png: not an image") == 1
        assert "fake (12 images)" in result.stdout


def test_files_of_a_folder_without_a_usable_image_say_why(here: Path, run: Run) -> None:
    (here / "broken").mkdir()
    (here / "broken" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = run("plot", "spectra", here / "real", here / "broken", "--jobs", 0)
    assert result.exit_code == 2 and "no usable image in" in result.stderr
    assert result.stderr.count("bad.png: ") == 1


def test_usage_is_checked(here: Path, run: Run) -> None:
    (here / "empty").mkdir()
    for arguments, message in (
        (("profiles", here / "real"), "name 2 or more"),
        (("profiles", here / "real", here / "empty"), "no image found"),
        (("profiles", here / "real", here / "none"), "no such file or folder"),
        (("spectra", here / "real" / "00.png"), "is a file; name folders of images"),
        (("embedding", here / "real", "--perplexity", 5), "--perplexity goes with --method tsne"),
        (("embedding", here / "real", "--method", "tsne", "--perplexity", 12), "--perplexity 12 needs more images"),
        (("profiles", here / "real", here / "fake", "--output", "a.jpg"), "end it in .png"),
        (("scores",), "name files of scores"),
        (("scores", "--real", "a.csv"), "--real and --fake go together"),
        (("scores", "none.csv"), "No such file"),
    ):
        result = run("plot", *arguments)
        assert result.exit_code == 2 and message in result.stderr, result.output


def test_scores_of_evaluate_and_of_scans_are_drawn(here: Path, run: Run) -> None:
    rows = [f"{k}.png,{('real', 'fake')[k % 2]},{k % 7 / 10 + 0.3 * (k % 2)},{(k % 7 - 3) / 2}" for k in range(40)]
    Path("a.csv").write_text("\n".join(["path,label,score,log10_likelihood_ratio", *rows, "x.png,fake,,"]))
    Path("b.csv").write_text("\n".join(["path,label,score", *(row.rsplit(",", 1)[0] for row in rows)]))
    result = run("plot", "scores", "a.csv", "b.csv", "--threshold", 0.5)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "scores.png: a.csv (40 images); 1 row without a score left out",
        "scores.png: b.csv (40 images)",
    ]
    for kind in ("histogram", "roc", "det", "reliability", "tippett"):
        assert run("plot", "scores", "b.csv", "--kind", kind, "-o", f"{kind}.svg").exit_code == 0
        assert Path(f"{kind}.svg").read_bytes().startswith(START_OF["svg"])
    refused = run("plot", "scores", "a.csv", "--output", "a.csv")
    assert refused.exit_code == 2 and "would be overwritten" in refused.stderr


def test_no_window_can_open(here: Path) -> None:
    program = (
        "import sys; from spectral_detect.cli import main\n"
        f"main(['plot', 'spectra', {str(here / 'real')!r}, '--jobs', '0'], standalone_mode=False)\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
