"""Which files of a folder are images."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import texture
from spectral_detect.sources.discovery import FoundVideo, expand_arguments, find_images, find_videos
from spectral_detect.sources.formats import has_video_suffix
from spectral_detect.sources.location import Location


@pytest.fixture
def png(rng: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(texture(rng, 32)).save(stream, "PNG")
    return stream.getvalue()


def found(*paths: object) -> tuple[list[str], list[str]]:
    skipped: list[str] = []
    files = [f.path for f in find_images([Location(str(p)) for p in paths], on_skip=skipped.append)]
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
    assert expand_arguments([str(tmp_path / "a[1].png")]) == [Location(str(tmp_path / "a[1].png"))]
    assert expand_arguments([str(tmp_path / "a?.png")]) == [Location(str(tmp_path / "a1.png"))]
    with pytest.raises(FileNotFoundError, match="b"):
        expand_arguments([str(tmp_path / "b*")])


# ------------------------------------------------------------------------------------------------------------ videos


@pytest.fixture
def tree(tmp_path: Path, png: bytes) -> Path:
    for name in ("a/frame10.png", "a/frame2.png", "a/frame02.png", "a/notes.txt", "b/c/1.png", "b/film.MOV", "b/x.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png if name.endswith(".png") else b"whatever it holds")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "gone.mp4").symlink_to(tmp_path / "nowhere")
    return tmp_path


def found_videos(*paths: object, **options: bool) -> tuple[list[FoundVideo], list[str]]:
    skipped: list[str] = []
    videos = list(find_videos([Location(str(path)) for path in paths], on_skip=skipped.append, **options))
    return videos, skipped


def test_the_videos_of_a_tree_are_its_video_files(tree: Path) -> None:
    videos, skipped = found_videos(tree)
    assert videos == [FoundVideo(Location(str(tree / "b" / name))) for name in ("film.MOV", "gone.mp4", "x.mp4")]
    inside_a = [f"a/{name}" for name in ("frame02.png", "frame10.png", "frame2.png", "notes.txt")]
    assert skipped == [str(tree / name) for name in (*inside_a, "b/c/1.png", "b/up")]


def test_a_folder_of_images_is_one_video_in_natural_order(tree: Path) -> None:
    frames = tuple(str(tree / "a" / name) for name in ("frame02.png", "frame2.png", "frame10.png"))
    assert found_videos(tree / "a") == (
        [FoundVideo(Location(str(tree / "a")), frames)],
        [str(tree / "a" / "notes.txt")],
    )


def test_images_below_a_folder_are_no_video_unless_grouped_by_parent(tree: Path) -> None:
    assert found_videos(tree / "b" / "c" / "..", group_by_parent=True)[0][-1].frames
    for name in ("film.MOV", "gone.mp4", "x.mp4"):
        (tree / "b" / name).unlink()
    assert found_videos(tree / "b") == ([], [str(tree / "b" / "c" / "1.png"), str(tree / "b" / "up")])


def test_grouped_by_parent_each_folder_of_images_is_a_video_too(tree: Path) -> None:
    videos, skipped = found_videos(tree, group_by_parent=True)
    names = [os.path.relpath(video.path, tree) for video in videos]
    assert names == ["a", "b/film.MOV", "b/gone.mp4", "b/x.mp4", "b/c"]
    assert [len(video.frames) for video in videos] == [3, 0, 0, 0, 1]
    assert skipped == [str(tree / "a" / "notes.txt"), str(tree / "b" / "up")]


def _animate(path: Path, rng: np.random.Generator, n: int = 3) -> Path:
    first, *others = [Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in range(n)]
    first.save(path, save_all=True, append_images=others, duration=40)
    return path


def test_animations_are_videos_and_stills_beside_them_are_not(tmp_path: Path, rng: np.random.Generator) -> None:
    animations = [_animate(tmp_path / name, rng) for name in ("a.gif", "b.png", "c.webp")]
    assert [video.path for video in found_videos(tmp_path)[0]] == [str(path) for path in animations]
    stills = [_animate(tmp_path / name, rng, n=1) for name in ("d.gif", "e.png", "f.webp")]
    videos, skipped = found_videos(tmp_path)
    assert [(video.path, video.frames) for video in videos] == [(str(path), ()) for path in animations]
    assert skipped == [str(path) for path in stills]
    whole, *single = found_videos(tmp_path, group_by_parent=True)[0]
    assert (whole.path, whole.frames) == (str(tmp_path), tuple(str(path) for path in stills))
    assert [video.path for video in single] == [str(path) for path in animations]


def test_pages_are_no_animation(tmp_path: Path, rng: np.random.Generator) -> None:
    pages = _animate(tmp_path / "pages.tif", rng)
    assert found_videos(tmp_path) == ([FoundVideo(Location(str(tmp_path)), (str(pages),))], [])


def test_a_named_file_is_taken_for_a_video_whatever_its_name(tree: Path) -> None:
    named = str(tree / "a" / "notes.txt")
    assert found_videos(named)[0] == [FoundVideo(Location(named))]
    assert has_video_suffix("A.MP4")
    assert not has_video_suffix(named)


@pytest.mark.parametrize(("number", "is_taken"), [(errno.EIO, True), (errno.EMFILE, True), (errno.EACCES, False)])
def test_a_file_whose_start_the_system_cannot_give_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_taken: bool
) -> None:
    """Evidence behind a bad sector, or beyond the limit of open files, becomes an error and is not skipped."""
    (tmp_path / "no_suffix").write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("builtins.open", refuse)
    skipped: list[str] = []
    found = [f.path for f in find_images([Location(str(tmp_path))], on_skip=skipped.append)]
    monkeypatch.undo()
    path = str(tmp_path / "no_suffix")
    assert (found, skipped) == (([path], []) if is_taken else ([], [path]))


def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    for grouped in (False, True):
        (video,), _ = found_videos(tmp_path, group_by_parent=grouped)
        assert video.problem == "the folder cannot be listed: Permission denied"


def test_numbers_of_any_length_sort_by_value(tmp_path: Path, png: bytes) -> None:
    names = ["9.png", "10.png", "0010a.png", "9" * 200 + ".png", "1" + "0" * 200 + ".png", "a1b2.png", "a1b10.png"]
    for name in reversed(names):
        (tmp_path / name).write_bytes(png)
    ((folder,), _) = found_videos(tmp_path)
    assert [os.path.basename(path) for path in folder.frames] == names
