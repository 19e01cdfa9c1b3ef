"""A short run of tests/fuzz.py; the full one takes a minute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_damaged_files_break_nothing() -> None:
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("fuzz.py"))]
    done = subprocess.run([*command, "--images", "400", "--models", "200"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "400 images: " in done.stdout
    assert "200 model files: " in done.stdout
