"""What libraries print goes nowhere while they read a file, and nothing else does."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os
from spectral_detect.parallel import silence

def say(text):
    os.write(2, text)

say(b"before ")
with silence.libraries_silenced():
    say(b"heard ")
silence.own_stderr()
with silence.libraries_silenced():
    say(b"within ")
say(b"after ")
if {for_good}:
    silence.silence_for_good()
    n_open = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with silence.libraries_silenced():
        say(b"within ")
        assert not n_open or len(os.listdir("/proc/self/fd")) == n_open
    say(b"never again ")
"""


def printed(*, for_good: bool) -> str:
    script = SCRIPT.format(for_good=for_good)
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stderr


def test_a_library_is_silent_for_as_long_as_it_reads_where_stderr_is_ours() -> None:
    assert printed(for_good=False) == "before heard after "


def test_a_worker_is_silent_for_good_and_opens_nothing_for_each_file() -> None:
    assert printed(for_good=True) == "before heard after "
