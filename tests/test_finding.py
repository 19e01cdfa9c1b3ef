"""Which files of a folder are images."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import texture
from spectral_detect.finding import expand_arguments, find_images


@pytest.fixture
def png(rng: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(texture(rng, 32)).save(stream, "PNG")
    return stream.getvalue()


def found(*paths: object) -> tuple[list[str], list[str]]:
    skipped: list[str] = []
    files = [f.path for f in find_images([str(p) for p in paths], on_skip=skipped.append)]
    return files, skipped


def test_folders_are_searched_in_sorted_order_by_content_or_suffix(tmp_path: Path, png: bytes) -> None:
    for name, content in (
        ("b/2.PNG", png),
        ("b/10.png", png),
        ("a.jpg", b"text"),
        ("c/no_suffix", png),
        ("c/wrong.txt", png),
        ("c/notes.txt", b"BMW and other cars"),
        ("c/.hidden.png", png),
        ("z.mp4", b"\x00\x00\x00\x20ftypisom"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    files, skipped = found(tmp_path)
    names = ["a.jpg", "b/10.png", "b/2.PNG", "c/.hidden.png", "c/no_suffix", "c/wrong.txt"]
    assert files == [str(tmp_path / n) for n in names]
    assert skipped == [str(tmp_path / n) for n in ("c/notes.txt", "z.mp4")]


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path, png: bytes) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "folder").mkdir(parents=True)
    (elsewhere / "image.png").write_bytes(png)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").symlink_to(elsewhere / "image.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "dangling.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.png")
    files, skipped = found(folder)
    assert files == [str(folder / "dangling.png"), str(folder / "file")]
    assert sorted(skipped) == [str(folder / "pipe.png"), str(folder / "up")]


def test_an_existing_file_wins_over_a_pattern(tmp_path: Path) -> None:
    for name in ("a[1].png", "a1.png"):
        (tmp_path / name).touch()
    assert expand_arguments([str(tmp_path / "a[1].png")]) == [str(tmp_path / "a[1].png")]
    assert expand_arguments([str(tmp_path / "a?.png")]) == [str(tmp_path / "a1.png")]
    with pytest.raises(FileNotFoundError, match="b"):
        expand_arguments([str(tmp_path / "b*")])
