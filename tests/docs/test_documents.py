"""Every command and Python block of the README and of docs/ runs, and prints what the page says it prints.

The blocks of one page run in the order of the page, in a folder of their own that holds a copy of `examples/`: a block
may use the files that an earlier block of its page has written, and none of another page.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from conftest import ROOT
from spectral_detect import records
from spectral_detect.cli import main
from spectral_detect.grouping.record import GROUP_COLUMNS

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(DOCS.glob("*.md")))
LINKED_FROM = (
    *PAGES,
    *(ROOT / name for name in ("CHANGELOG.md", "examples/images/README.md", "examples/models/README.md")),
)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MEASURED = re.compile(r"spectral-detect (train|evaluate|matrix|audit|regularize)\b|--prevalence")
MOST_README_LINES = 200


@dataclass(frozen=True)
class Step:
    """One command, or one Python block, and the output that its page shows."""

    name: str
    command: tuple[str, ...]
    shown: str
    digits_may_differ: bool


def steps_of(page: Path) -> list[Step]:
    """The commands (`$ ` in ```console blocks) and ```python blocks of a page, in its order.

    A command goes on in the next line after a backslash. A ```text block right after a Python block is its output.
    """
    text = page.read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    steps: list[Step] = []
    for fence, following in zip(fences, [*fences, None][1:], strict=True):
        language, block = fence.groups()
        if language == "console":
            steps += _commands_of(block)
        if language == "python":
            is_output = following and following[1] == "text" and not text[fence.end() : following.start()].strip()
            shown = following[2] if following and is_output else ""
            steps.append(Step(block, (sys.executable, "-W", "error", "-c", block), shown, False))
    return steps


def _commands_of(block: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        found = re.match(r"(.*?[^\\])\n(.*)", part, re.DOTALL)
        assert found is not None
        command, shown = found.groups()
        # measured numbers depend in their last digits on the versions of the libraries; a scan's verdicts do not
        yield Step(command, ("bash", "-c", command), shown, MEASURED.search(command) is not None)


def problems_of(step: Step, folder: Path) -> Iterator[str]:
    """In words, what is otherwise than the page says."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(step.command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        yield f"{step.name}\nends with status {done.returncode}:\n{done.stdout}{done.stderr}"
        return
    comparable = without_digits if step.digits_may_differ else str
    printed = [comparable(line) for line in done.stdout.splitlines()]
    for line in step.shown.splitlines():
        if line.strip() not in ("", "...") and comparable(line) not in printed:
            yield f"{step.name}\ndoes not print\n{line}\nbut\n{done.stdout}"


def without_digits(line: str) -> str:
    return re.sub(r"[ \d]+", "#", line)


@pytest.mark.parametrize("page", [page for page in PAGES if steps_of(page)], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_and_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    problems = [problem for step in steps_of(page) for problem in problems_of(step, tmp_path)]
    assert not problems, "\n\n".join(problems)


# ---------------------------------------------------------------------------------------------------------- the pages


def test_the_two_lines_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    assert re.search(r"^python3 -m venv .*spectral-detect scan examples/images$", text, re.MULTILINE)
    assert len(re.findall(r"^python3 -m venv .*pytest$", text, re.MULTILINE)) == 1


def test_the_readme_is_short_and_lists_the_pages() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_README_LINES
    assert {page.stem for page in PAGES[1:]} <= set(re.findall(r"\]\(docs/([\w-]+)\.md\)", text))


def test_the_page_of_options_is_what_help_prints() -> None:
    written = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert written == _make_cli()["page"](), "run python docs/make_cli.py"


def test_every_command_has_a_page_that_treats_it() -> None:
    make_cli = _make_cli()
    commands = {" ".join(names) for names in make_cli["command_names"]()}
    assert set(make_cli["PAGE_OF"]) == commands
    text_of = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
    for command, stem in make_cli["PAGE_OF"].items():
        assert f"spectral-detect {command}" in text_of.get(stem, ""), f"docs/{stem}.md does not treat {command}"
        assert f"`{command}" in text_of["README"], f"the README's table does not name {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_that_are_not_run_have_such_options(page: Path) -> None:
    fences = FENCE.findall(page.read_text(encoding="utf-8"))
    for block in (block for language, block in fences if language in ("sh", "console")):
        for name, rest in re.findall(r"spectral-detect ((?:regularize |plot )?[a-z]+)([^|&;\n]*)", block):
            known = {option for parameter in command_of(name).params for option in parameter.opts}
            used = set(re.findall(r"(?<= )--[a-z][a-z0-9-]*", rest))
            assert used <= {*known, "--help"}, f"{name} has no {used - known}"


def command_of(name: str) -> click.Command:
    command: click.Command = main
    for word in name.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None, f"there is no command {name}"
        command = found
    return command


def _make_cli() -> dict[str, object]:
    return runpy.run_path(str(DOCS / "make_cli.py"))


@pytest.mark.parametrize(
    ("title", "columns"),
    [
        ("Images", records.IMAGE_COLUMNS),
        ("Videos", records.VIDEO_COLUMNS),
        ("Frames", records.FRAME_COLUMNS),
        ("Provenance", records.PROVENANCE_COLUMNS),
        ("Groups", GROUP_COLUMNS),
        ("Features", (*records.FEATURE_COLUMNS, *records.TILE_COLUMNS, "f0", "f1")),
    ],
)
def test_every_column_is_explained(title: str, columns: tuple[str, ...]) -> None:
    text = (DOCS / "records.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    table = next(part for part in section if part.startswith(f"{title}\n"))
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)] == list(columns)


# ---------------------------------------------------------------------------------------------------------- the links


def test_links_lead_somewhere() -> None:
    assert [broken for page in LINKED_FROM for broken in broken_links(page)] == []


def broken_links(page: Path) -> Iterator[str]:
    """The relative links of a page to files, or to headings, that are not there."""
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            yield f"{page.name}: {link}"


def anchors_of(page: Path) -> set[str]:
    """The anchors that a page's headings get on the web."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return anchors
