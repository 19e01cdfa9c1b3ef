"""The matched copy: what it cuts, what it drops and why, and that nothing half-written is left."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run
from spectral_detect import FAKE, REAL, Work, read_image
from spectral_detect.audit.matched_copy import write_matched
from spectral_detect.audit.matched_format import choose_format
from spectral_detect.errors import DatasetError, OutputError
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.delivery import Delivery, central_window
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import files_in_folders, files_in_manifest
from spectral_detect.training.lookalikes import near_pairs

pytestmark = pytest.mark.usefixtures("in_this_process")

N = 12


@pytest.fixture
def biased(tmp_path: Path, tiles: list[Image.Image]) -> Path:
    """Real: 64x64, JPEG of quality 90; fake: 64x96, PNG, one gray."""
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
    for number, tile in enumerate(tiles[:N]):
        tile.save(tmp_path / "real" / f"{number:02d}.jpg", quality=90)
    for number, tile in enumerate(tiles[N : 2 * N]):
        taller = Image.new("RGB", (64, 96))
        taller.paste(tile, (0, 16))
        taller.save(tmp_path / "fake" / f"{number:02d}.png")
    taller.convert("L").save(tmp_path / "fake" / "gray.png")
    return tmp_path


def read_folders(folder: Path) -> Dataset:
    return read_dataset(files_in_folders([str(folder / "real")], [str(folder / "fake")]), Extractor(None))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        return list(csv.DictReader(stream))


def test_a_window_starts_on_the_grid_and_holds_the_centre() -> None:
    pixels = np.arange(218 * 178).reshape(218, 178)
    window = central_window(pixels, 128)
    assert window.shape == (128, 128)
    assert divmod(int(window[0, 0]), 178) == (32, 16)
    assert central_window(pixels[:128, :128], 128).tolist() == pixels[:128, :128].tolist()


def test_one_format_fits_nine_tenths_of_each_class(tmp_path: Path, tiles: list[Image.Image]) -> None:
    for label, side in (("real", 60), ("fake", 50)):
        (tmp_path / label).mkdir()
        for number, tile in enumerate(tiles[:20]):
            small = 17 if number == 0 else side
            quality = 30 if number < 2 else 80
            tile.crop((0, 0, small, 64)).save(tmp_path / label / f"{number}.jpg", quality=quality)
    dataset = read_folders(tmp_path)
    assert choose_format(dataset) == Delivery(48, (30,))
    assert choose_format(dataset, side_px=20, quality=70) == Delivery(20, (70,))
    assert choose_format(dataset, quality="reals").qualities[::18] == (30, 80)


def test_the_quality_depends_on_the_content_alone() -> None:
    matched = Delivery(16, (50, 90, 90, 90))
    qualities = [matched.quality_of(f"{k:064x}") for k in range(400)]
    assert qualities == [matched.quality_of(f"{k:064x}") for k in range(400)]
    assert 0.6 < np.mean(np.array(qualities) == 90) < 0.9


def test_all_images_come_out_alike_and_the_manifest_trains(biased: Path, run: Run) -> None:
    out = biased / "out"
    result = run("audit", "--real", biased / "real", "--fake", biased / "fake", "--fix", out, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    values = json.loads(result.stdout)
    assert values["is_biased"]
    fix = values["fix"]
    assert (fix["side_px"], fix["jpeg_qualities"], fix["n_real"], fix["n_fake"]) == (64, [90], N, N)
    assert fix["dropped"] == {"gray": 1}
    assert (fix["audit"]["is_biased"], fix["audit"]["metadata_auroc_ci"]) == (False, [0.5, 0.5])
    facts = {read_image(path, colour=True).metadata for path in out.glob("*/*.jpg")}
    assert len(facts) == 1
    (one,) = facts
    assert one is not None
    assert (one.width, one.height, one.jpeg_quality, one.coding.chroma, one.has_exif) == (64, 64, 90, "4:2:0", False)
    assert rows_of(out / "dropped.csv") == [{"path": f"{biased}/fake/gray.png", "label": "fake", "reason": "gray"}]
    assert {row["source"] for row in rows_of(out / "manifest.csv")} >= {f"{biased}/real/00.jpg"}
    assert run("train", "--manifest", out / "manifest.csv", "-o", biased / "m.pkl", "--allow-useless").exit_code == 0
    text = run("audit", "--manifest", out / "manifest.csv", "--fix", biased / "again").stdout
    assert "BIASED" not in text
    assert text.count("Fair, as far as metadata tell") == 2
    assert f"{biased}/again: 12 real, 12 fake" in text


def test_a_jpeg_of_the_chosen_quality_keeps_its_coefficients(biased: Path) -> None:
    """Its grid stays in place, so that a second compression at the same quality takes nearly nothing away."""
    write_matched(read_folders(biased), biased / "out", Delivery(64, (90,)))
    for path in sorted((biased / "real").iterdir()):
        (copy,) = (biased / "out" / "real").glob(f"*_{path.stem}.jpg")
        before, after = (read_image(p).pixels.astype(int) for p in (path, copy))
        assert np.abs(before - after).mean() < 1


def test_what_is_dropped_and_why(biased: Path, tiles: list[Image.Image]) -> None:
    real, fake = biased / "real", biased / "fake"
    (real / "copy.jpg").write_bytes((real / "00.jpg").read_bytes())
    (real / "both.png").write_bytes((fake / "00.png").read_bytes())
    (real / "bad.jpg").write_bytes(b"")
    tiles[-1].crop((0, 0, 32, 64)).save(fake / "small.png")
    half = Image.new("RGB", (160, 160), "gray")
    half.paste("red", (0, 0, 16, 160))
    half.save(real / "edge.png")
    copy = write_matched(read_folders(biased), biased / "out", Delivery(64, (90,)))
    reasons = {Path(d.path).name: d.reason for d in copy.dropped if "surplus" not in d.reason}
    assert reasons == {
        "bad.jpg": "failed: the file is empty; copy it again from its source",
        "both.png": "in both classes",
        "00.png": "in both classes",
        "copy.jpg": "exact copy",
        "small.png": "smaller than 64x64",
        "gray.png": "gray",
        "edge.png": "gray in the window",
    }
    facts = copy.to_dict()
    assert facts["dropped"]["surplus of its class"] == 1
    assert facts["n_real"] == facts["n_fake"] == N - 1 == len(os.listdir(biased / "out" / "real"))
    listed = {row["path"] for row in rows_of(biased / "out" / "manifest.csv")}
    assert listed == {str(p.relative_to(biased / "out")) for p in (biased / "out").glob("*/*.jpg")}


def test_the_larger_class_loses_whole_groups(tmp_path: Path, tiles: list[Image.Image]) -> None:
    rows = ["path,label,group"]
    for number, tile in enumerate(tiles[:30]):
        tile.save(tmp_path / f"{number:02d}.png")
        rows.append(f"{number:02d}.png," + (f"real,{number // 4}" if number < 24 else "fake,"))
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n")
    dataset = read_dataset(files_in_manifest(str(tmp_path / "m.csv")), Extractor(None))
    copy = write_matched(dataset, tmp_path / "out", Delivery(64, (90,)))
    sizes = np.unique([c.group for c in copy.copied if c.label == REAL], return_counts=True)[1]
    assert sorted(sizes.tolist()) == [2, 4]
    assert sum(c.label == FAKE for c in copy.copied) == 6
    again = write_matched(dataset, tmp_path / "again", Delivery(64, (90,)))
    assert copy.copied == again.copied


def test_lookalikes_share_a_group(biased: Path) -> None:
    with Image.open(biased / "real" / "00.jpg") as image:
        image.point(lambda value: min(255, value + 1)).save(biased / "fake" / "like.png")  # no exact copy: it goes
    write_matched(read_folders(biased), biased / "out", Delivery(64, (90,)))
    groups = {Path(row["source"]).name: row["group"] for row in rows_of(biased / "out" / "manifest.csv")}
    assert groups["like.png"] == groups["00.jpg"]
    assert groups["01.jpg"] != groups["00.jpg"]


def test_images_whose_windows_look_the_same_share_a_group(biased: Path, tiles: list[Image.Image]) -> None:
    tiles[2 * N].save(biased / "fake" / "one_more.png")  # that no real image is too many
    framed = Image.fromarray(np.random.default_rng(1).integers(0, 256, (192, 192, 3), np.uint8))
    with Image.open(biased / "real" / "00.jpg") as image:
        framed.paste(image.point(lambda value: min(255, value + 1)), (64, 64))  # no exact copy: it goes
    framed.save(biased / "real" / "framed.png")
    dataset = read_folders(biased)
    copy = write_matched(dataset, biased / "out", Delivery(64, (90,)))
    groups = {Path(c.source).name: c.group for c in copy.copied if c.label == REAL}
    assert groups["framed.png"] == groups["00.jpg"] != groups["01.jpg"]
    again = read_dataset(files_in_manifest(str(biased / "out" / "manifest.csv")), Extractor(None))
    assert not any(len(first) for first, _ in near_pairs(again))


def test_odd_names_are_safe(biased: Path) -> None:
    odd = os.path.join(os.fsencode(biased), b"real", b"=1+1\xff\n.jpg")
    os.rename(os.fsencode(biased / "real" / "00.jpg"), odd)
    write_matched(read_folders(biased), biased / "out", Delivery(64, (90,)), Work(jobs=1))
    (row,) = (r for r in rows_of(biased / "out" / "manifest.csv") if os.fsencode(r["source"]) == odd)
    assert row["path"] == "real/000011__1_1_.jpg"
    assert (biased / "out" / row["path"]).exists()


def test_any_number_of_jobs_writes_the_same_bytes(biased: Path, run: Run) -> None:
    written = []
    for jobs in (0, 1, 2):
        out = biased / f"out{jobs}"
        arguments = ("--real", biased / "real", "--fake", biased / "fake", "--fix", out, "--jobs", jobs)
        assert run("audit", *arguments, "--quality", "reals", "--size", 48).exit_code == 0
        written.append({p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()})
    assert written[0] == written[1] == written[2]


def test_an_output_that_holds_something_is_left_alone(biased: Path) -> None:
    dataset = read_folders(biased)
    (biased / "out").mkdir()
    write_matched(dataset, biased / "out", Delivery(64, (90,)))
    before = sorted((biased / "out").rglob("*"))
    with pytest.raises(OutputError, match="is not empty; name a new folder"):
        write_matched(dataset, biased / "out", Delivery(48, (90,)))
    assert sorted((biased / "out").rglob("*")) == before
    with pytest.raises(OutputError, match="is a file"):
        write_matched(dataset, biased / "real" / "00.jpg", Delivery(48, (90,)))


def test_a_failure_leaves_nothing(biased: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = read_folders(biased)
    before = sorted(biased.rglob("*"))
    with pytest.raises(DatasetError, match=r"no real image is left \(12 smaller than 65x65\)"):
        write_matched(dataset, biased / "out", Delivery(65, (90,)))

    def full_disk(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match="out' cannot be written: No space left on device"):
        write_matched(dataset, biased / "out", Delivery(64, (90,)))
    assert sorted(biased.rglob("*")) == before


def test_a_file_that_changed_since_is_not_copied(biased: Path) -> None:
    dataset = read_folders(biased)
    (biased / "real" / "00.jpg").write_bytes((biased / "real" / "01.jpg").read_bytes())
    copy = write_matched(dataset, biased / "out", Delivery(64, (90,)))
    assert "failed: changed while it was read" in {d.reason for d in copy.dropped}


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for path in sorted((EXAMPLES / label).glob("*.png")):
            for copy in range(15):
                (tmp_path / label / f"{copy}_{path.name}").write_bytes(path.read_bytes() + bytes([copy]))
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from spectral_detect.cli import main; main()"
    arguments = ["audit", "--real", tmp_path / "real", "--fake", tmp_path / "fake", "--fix", tmp_path / "out"]
    fixing = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stderr=subprocess.PIPE)
    while not list(tmp_path.glob(".out.*/real/*.jpg")):
        assert fixing.poll() is None
        time.sleep(0.01)
    fixing.send_signal(signal.SIGINT)
    _, stderr = fixing.communicate()
    assert fixing.returncode == 130, stderr
    assert sorted(os.listdir(tmp_path)) == ["fake", "real"]
