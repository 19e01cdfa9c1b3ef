"""Files are read whole, however few bytes the system gives at once."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from spectral_detect.errors import ImageReadError
from spectral_detect.sources import reading
from spectral_detect.sources.location import Location


@pytest.mark.parametrize("size", [0, 1, 10, 11, 5000])
def test_a_file_is_read_to_its_end_in_as_many_pieces_as_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    content, path = os.urandom(size), tmp_path / "file"
    path.write_bytes(content)
    whole = os.read
    monkeypatch.setattr(reading.os, "read", lambda descriptor, n_bytes: whole(descriptor, min(n_bytes, 10)))
    read = reading.read_file(Location(str(path)))
    assert (read.content, read.sha256) == (content, sha256(content).hexdigest())
    assert read.mtime_ns == path.stat().st_mtime_ns


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.mkfifo(tmp_path / "pipe")
    lowest = os.dup(0)
    os.close(lowest)
    for _ in range(3):
        reading.read_file(Location(str(path)))
        with pytest.raises(ImageReadError, match="not a regular file"):
            reading.read_file(Location(str(tmp_path / "pipe")))
        with pytest.raises(ImageReadError, match="7 bytes: files over 6 are refused"):
            reading.read_file(Location(str(path)), max_bytes=6)
    again = os.dup(0)
    os.close(again)
    assert again == lowest
