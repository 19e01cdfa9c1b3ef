"""Every command in the README runs, and prints what the README says it prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def commands_of(block: str) -> list[tuple[str, str]]:
    """(command, what the README shows of its output) of each `$ ` line of a block."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(part.split("\n", 1)[0], part.split("\n", 1)[1]) for part in parts]


COMMANDS = [pair for block in BLOCKS for pair in commands_of(block)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a fresh checkout, in which the commands run one after the other."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "examples", folder / "examples")
    return folder


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=[c for c, _ in COMMANDS])
def test_commands_run_and_print_what_is_shown(command: str, shown: str, checkout: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", command], cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # what is measured depends in its last digits on the versions of the libraries; a scan's verdicts do not
    comparable = (
        without_digits if command.split()[1] in ("train", "evaluate", "audit") or "--prevalence" in command else str
    )
    printed = [comparable(line) for line in done.stdout.splitlines()]
    for line in shown.splitlines():
        if line.strip() not in ("", "..."):
            assert comparable(line) in printed, f"{command!r} does not print {line!r}"


def without_digits(line: str) -> str:
    return re.sub(r"[ \d]+", "#", line)


@pytest.mark.parametrize("code", PYTHON_BLOCKS)
def test_the_python_examples_run(code: str, checkout: Path) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=checkout, check=True, capture_output=True)


def test_every_command_is_shown() -> None:
    from spectral_detect.cli import main

    for name in main.commands:
        assert f"spectral-detect {name}" in README


def test_the_two_lines_are_there() -> None:
    assert re.search(r"^python3 -m venv .*spectral-detect scan examples/images$", README, re.MULTILINE)
    assert len(re.findall(r"^python3 -m venv .*pytest$", README, re.MULTILINE)) == 1
