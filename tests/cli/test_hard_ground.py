"""Damaged, hostile and odd files, through the command line: each named, each alone, the scan going on."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from conftest import EXAMPLES, MODELS, Run, texture
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.images import decode
from spectral_detect.training.dataset import read_dataset
from spectral_detect.training.labelled_files import files_in_folders
from spectral_detect.training.lookalikes import near_pairs

MODEL = MODELS / "photographs.pkl"
SOUND = EXAMPLES / "real" / "Aqua.png"


def jpeg(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.fixture
def photograph() -> Image.Image:
    with Image.open(SOUND) as image:
        return image.convert("RGB")


@pytest.fixture
def judge(tmp_path: Path, run: Run) -> object:
    """Scan a folder of one odd file between two sound ones; return the odd one's record."""

    def scan_one(name: str, content: bytes | None, *options: object, status: int = 1) -> dict[str, object]:
        folder = tmp_path / "evidence"
        folder.mkdir(exist_ok=True)
        for sound in ("a.png", "z.png"):
            (folder / sound).write_bytes(SOUND.read_bytes())
        if content is not None:
            (folder / name).write_bytes(content)
        result = run("scan", folder, "--model", MODEL, "--format", "jsonl", "--jobs", 0, *options)
        assert result.exit_code == status, result.output
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert [Path(r["path"]).name for r in rows] == ["a.png", name, "z.png"]
        assert rows[0]["verdict"] == rows[2]["verdict"] == "real"
        if status:
            assert rows[1]["verdict"] is None
            assert f"{folder / name}: {rows[1]['error']}" in result.stderr
        return rows[1]

    return scan_one


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header announces a size and whose data hold nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def small(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((width, height), 50).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; copy it again from its source"),
        (b"a text with the name of an image", "; look at what it is: get an intact copy of the image, or leave"),
        (small(1, 1), "1x1 pixels: the features 'residual' need at least 16 on the shorter side"),
        (small(3, 5), "on the shorter side, and the model photographs judges from 205 on"),
        (png_of_size(2**31 - 1, 2**31 - 1), "2147483647x2147483647 pixels, more than the limit"),
        (png_of_size(40_000, 40_000), "40000x40000 pixels, more than the limit of 120000000; see --max-pixels"),
        (png_of_size(64, 64), "truncated; of such a file"),
        (png_of_size(0, 64), "not an image in a known format|damaged"),
        (SOUND.read_bytes()[:20_000], "truncated; of such a file no part can be judged for certain"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "not an image|damaged"),
    ],
)
def test_what_cannot_be_judged_is_an_error_of_its_own(judge: object, content: bytes, message: str) -> None:
    error = judge("odd.jpg", content)["error"]
    assert any(m in error for m in message.split("|")), error


def test_a_jpeg_under_another_name_is_judged_by_its_content(judge: object, photograph: Image.Image) -> None:
    row = judge("odd.png", jpeg(photograph, quality=95), status=0)
    assert (row["format"], row["error"]) == ("JPEG", None)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_of_a_truncated_jpeg_what_is_there_is_judged(judge: object, photograph: Image.Image, share: float) -> None:
    content = jpeg(photograph, quality=95)
    cut = content[: int(share * len(content))]
    row = judge("odd.jpg", cut, status=0)
    assert row["warnings"][0].startswith("truncated: only the upper ")
    assert (row["width"], row["height"]) == (256, 256)
    rows = decode(cut).pixels
    assert 0.5 * share < len(rows) / 256 < min(1, 1.5 * share)
    np.testing.assert_array_equal(rows, decode(content).pixels[: len(rows)])


def test_a_truncated_progressive_jpeg_is_refused(judge: object, photograph: Image.Image) -> None:
    content = jpeg(photograph, quality=95, progressive=True)
    row = judge("odd.jpg", content[: len(content) // 3])
    assert row["error"] == "JPEG: truncated; of such a file no part can be judged for certain; get an intact copy"


def test_a_jpeg_cut_within_its_header_or_first_rows_is_refused(judge: object, photograph: Image.Image) -> None:
    content = jpeg(photograph, quality=95)
    assert judge("odd.jpg", content[:700])["error"] == "JPEG: truncated before its first rows; get an intact copy"


def test_a_jpeg_that_lacks_only_its_end_marker_is_judged_whole(judge: object, photograph: Image.Image) -> None:
    row = judge("odd.jpg", jpeg(photograph, quality=95)[:-2], status=0)
    assert row["score"] == judge("odd.jpg", jpeg(photograph, quality=95), status=0)["score"]
    assert "truncated" not in str(row["warnings"])


def test_a_constant_image_is_inconclusive(judge: object) -> None:
    row = judge("odd.jpg", jpeg(Image.new("RGB", (64, 64), (9, 9, 9))), status=0)
    assert (row["verdict"], row["label"], row["warnings"]) == (
        "inconclusive",
        None,
        ["constant image: there is no spectrum to judge"],
    )


@pytest.mark.parametrize("value", [7.0, np.nan, np.inf, -np.inf])
def test_a_float_tiff_has_no_scale(judge: object, value: float) -> None:
    pixels = np.full((32, 32), 7.0, np.float32)
    pixels[3, 4] = value
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TIFF")
    assert judge("odd.tif", stream.getvalue())["error"] == (
        "TIFF, 32-bit float: the file does not tell which value is white; convert it to 8 or 16 bit gray or RGB"
    )


def test_a_decompression_bomb_is_refused_by_its_header(judge: object, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "PNG")
    load = PngImageFile.load
    loaded: list[tuple[int, int]] = []
    monkeypatch.setattr(PngImageFile, "load", lambda picture: (loaded.append(picture.size), load(picture))[1])
    row = judge("odd.png", stream.getvalue())
    assert row["error"] == "30000x30000 pixels, more than the limit of 120000000; see --max-pixels"
    assert loaded
    assert (30_000, 30_000) not in loaded


def test_the_limit_of_pixels_can_be_changed(judge: object, photograph: Image.Image) -> None:
    content = jpeg(photograph.resize((300, 300)))
    assert "limit of 70000" in judge("odd.jpg", content, "--max-pixels", 70_000)["error"]
    assert judge("odd.jpg", content, "--max-pixels", 90_000, status=0)["error"] is None


def test_a_tiff_of_ten_thousand_pages_costs_one_page(judge: object, monkeypatch: pytest.MonkeyPatch) -> None:
    page = texture(np.random.default_rng(0), 16)[..., 0].tobytes()
    entries = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 256)]
    size = 2 + 12 * len(entries) + 4
    content = bytearray(b"II*\x00" + struct.pack("<I", 8 + len(page)) + page)
    for number in range(10_000):
        following = 0 if number == 9999 else len(content) + size
        content += struct.pack("<H", len(entries))
        content += b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", following)
    count = TiffImageFile.n_frames.fget
    counted: list[str] = []
    monkeypatch.setattr(TiffImageFile, "n_frames", property(lambda tiff: (counted.append("pages"), count(tiff))[1]))
    row = judge("odd.tif", bytes(content), status=0)
    assert row["warnings"][0] == "several pages: only the first is judged"
    assert not counted


def test_an_animated_webp_is_judged_by_its_first_frame(judge: object, photograph: Image.Image) -> None:
    stream = io.BytesIO()
    photograph.save(stream, "WEBP", lossless=True, save_all=True, append_images=[photograph.rotate(90)])
    row = judge("odd.webp", stream.getvalue(), status=0)
    assert row["warnings"][0] == "several frames: only the first is judged"


def test_links_that_loop_are_named(judge: object, tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "odd.png").symlink_to(tmp_path / "evidence" / "odd.png")
    assert "symbolic link" in judge("odd.png", None)["error"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(judge: object, tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "odd.png").touch(mode=0)
    assert "Permission denied" in judge("odd.png", None)["error"]


def test_refused_permission_is_named(judge: object, monkeypatch: pytest.MonkeyPatch) -> None:
    system_open = os.open

    def guarded(path: object, *rest: object, **more: object) -> int:
        if str(path).endswith("odd.png"):
            raise PermissionError(13, "Permission denied")
        return system_open(path, *rest, **more)

    monkeypatch.setattr(os, "open", guarded)
    assert judge("odd.png", b"x")["error"] == "cannot be read: Permission denied"


def test_pipes_devices_and_linked_folders_are_skipped(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(SOUND.read_bytes())
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "up").symlink_to(tmp_path)
    result = run("scan", tmp_path, "--jobs", 0, "--model", MODEL)
    assert result.stdout.splitlines()[-1].startswith("1 image: 1 real")
    assert result.stdout.splitlines()[-1].endswith("3 other files skipped: 2 .png, 1 more")
    named = run("scan", tmp_path / "pipe.png", tmp_path / "device.png", "--jobs", 0, "--format", "jsonl")
    assert named.exit_code == 1
    assert {json.loads(line)["error"] for line in named.stdout.splitlines()} == {
        "not a regular file; name a file or a folder of files"
    }


def test_a_file_that_vanishes_or_is_replaced_during_the_scan(tmp_path: Path) -> None:
    from spectral_detect import load_model, scan
    from spectral_detect.parallel.work import Work

    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(SOUND.read_bytes())
    records = scan([str(tmp_path)], load_model(MODEL), work=Work(jobs=0))
    first = next(records)
    (tmp_path / "b.png").unlink()
    (tmp_path / "c.png").write_bytes(b"something else")
    second, third = records
    assert first.verdict == "real"
    assert second.error == "cannot be read: No such file or directory"
    assert third.error is not None
    assert third.sha256 != first.sha256


def test_a_timeout_is_per_file_and_the_scan_goes_on(run: Run, tmp_path: Path) -> None:
    Image.new("L", (8000, 8000)).save(tmp_path / "b.png", compress_level=1)  # `durall` takes half a minute over it
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(SOUND.read_bytes())
    manifest, slow = EXAMPLES / "manifest.csv", tmp_path / "slow.pkl"
    run("train", "--manifest", manifest, "-o", slow, "--features", "durall")
    result = run("scan", tmp_path, "--model", slow, "--timeout", 12, "--format", "jsonl", "--jobs", 2)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert rows[1]["error"] == "given up after 12 s; see --timeout"
    assert [r["verdict"] for r in (rows[0], rows[2])] == ["real", "real"]
    assert run("scan", tmp_path, "--timeout", 0, "--jobs", 2).exit_code == 2


def test_sigterm_leaves_whole_lines_and_no_process(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "spectral_detect", "scan", *[str(EXAMPLES)] * 500, "-o", str(output)]
    scanning = subprocess.Popen([*command, "--jobs", "2"], stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (output.exists() and output.stat().st_size > 5000):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    scanning.send_signal(signal.SIGTERM)
    _, stderr = scanning.communicate(timeout=60)
    assert scanning.returncode == 143
    assert stderr.decode().strip() == "terminated; what was written so far is complete"
    assert all(json.loads(line) for line in output.read_text().splitlines())
    assert output.read_text().endswith("\n")
    with pytest.raises(ProcessLookupError):  # the whole group is gone
        for _ in range(100):
            os.killpg(scanning.pid, 0)
            time.sleep(0.05)


# ---------------------------------------------------------------------------------------------------------- training


def test_a_class_of_four_is_refused(run: Run, labelled_folder: Path) -> None:
    for number in range(4, 12):
        (labelled_folder / "fake" / f"{number:02d}.png").unlink()
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("train", *folders, "-o", labelled_folder / "m.pkl")
    assert result.exit_code == 2
    assert "4 usable fake images; training needs at least 5 of each class" in result.stderr


def test_near_duplicates_across_classes_are_warned_of(run: Run, labelled_folder: Path, photograph: Image.Image) -> None:
    photograph.save(labelled_folder / "real" / "photo.png")
    photograph.resize((200, 200)).save(labelled_folder / "fake" / "photo_small.jpg", quality=80)
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("train", *folders, "-o", labelled_folder / "m.pkl")
    assert result.exit_code == 0
    assert "warning: 1 pair of images, one real and one fake, look the same, the first: " in result.stderr
    assert "photo_small.jpg; " in result.stderr
    photograph.resize((220, 220)).save(labelled_folder / "real" / "photo_again.png")
    again = run("train", *folders, "-o", labelled_folder / "m.pkl").stderr
    assert "warning: 1 pair of images, both real, look the same, the first: " in again


def test_before_and_after_are_near_duplicates_and_strangers_are_not() -> None:
    spec = FeatureSpec.preset("azimuthal", n_bins=20)
    dataset = read_dataset(files_in_folders([str(EXAMPLES / "real")], [str(EXAMPLES / "fake")]), Extractor(spec))
    pairs = [(i, j) for block in near_pairs(dataset) for i, j in zip(*block, strict=True)]
    assert all(Path(dataset.samples[i].path).name == Path(dataset.samples[j].path).name for i, j in pairs)
    assert len(pairs) >= 11


def test_an_output_that_is_a_folder_is_named(run: Run, tmp_path: Path) -> None:
    for command in (["scan", EXAMPLES, "--format", "csv"], ["extract", EXAMPLES]):
        (tmp_path / "out.csv").mkdir(exist_ok=True)
        result = run(*command, "-o", tmp_path / "out.csv", "--jobs", 0)
        assert result.exit_code == 2
        assert "out.csv" in result.stderr
        assert "Is a directory" in result.stderr
