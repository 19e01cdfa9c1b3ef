"""The loop of audit, matched copy, training and scan ends at the originals; what no copy can hide is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run
from spectral_detect.detector.experience import codings_in_common
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.media.coding import Coding
from spectral_detect.media.delivery import Delivery
from spectral_detect.media.images import decode, read_image
from spectral_detect.sources.location import Location
from spectral_detect.training.delivered import DELIVERY_FILE, how_delivered

pytestmark = pytest.mark.usefixtures("in_this_process")

JPEG, PNG = {"suffix": ".jpg", "quality": 92}, {"suffix": ".png"}
WEBP = {"suffix": ".webp", "quality": 60}


def write_originals(folder: Path, real: dict[str, object], fake: dict[str, object]) -> tuple[object, ...]:
    """Save the example images, the classes in different codings; return the options that name them."""
    for label, options in (("real", real), ("fake", fake)):
        (folder / label).mkdir(parents=True)
        for path in sorted((EXAMPLES / label).glob("*.png")):
            given = {name: value for name, value in options.items() if name != "suffix"}
            Image.open(path).convert("RGB").save(folder / label / f"{path.stem}{options['suffix']}", **given)
    return "--real", folder / "real", "--fake", folder / "fake"


def verdicts(run: Run, *arguments: object) -> list[dict[str, object]]:
    return [json.loads(line) for line in run("scan", *arguments, "--format", "jsonl").stdout.splitlines()]


def test_the_loop_ends_at_the_originals(tmp_path: Path, run: Run) -> None:
    folders = write_originals(tmp_path / "originals", JPEG, PNG)
    copy, model = tmp_path / "copy", tmp_path / "m.pkl"
    fixed = run("audit", *folders, "--fix", copy)
    assert "BIASED: format" in fixed.stdout
    assert "CANNOT" not in fixed.stdout
    trained = run("train", "--manifest", copy / "manifest.csv", "--output", model)
    assert trained.exit_code == 0, trained.output
    records = verdicts(run, tmp_path / "originals", "--model", model)
    decided = [r for r in records if r["verdict"] != "inconclusive"]
    assert len(decided) >= 22  # of 24, on which it was trained
    assert all(f"/{r['verdict']}/" in str(r["path"]) for r in decided)
    assert {r["delivery"] for r in records} == {"central 256x256, JPEG 90"}
    assert {r["coding"] for r in records} == {"JPEG, quality 92, 4:2:0", "lossless"}
    assert "central 256x256, JPEG 90" in run("models", model).stdout
    write_originals(tmp_path / "webp", WEBP, WEBP)
    assert {r["verdict"] for r in verdicts(run, tmp_path / "webp", "--model", model)} == {"inconclusive"}
    evaluated = json.loads(run("evaluate", model, *folders, "--json").stdout)
    assert evaluated["balanced_accuracy"] == 1.0


def test_a_copy_of_higher_quality_hides_no_earlier_jpeg(tmp_path: Path, run: Run) -> None:
    folders = write_originals(tmp_path / "originals", {"suffix": ".jpg", "quality": 60}, JPEG)
    fixed = run("audit", *folders, "--fix", tmp_path / "copy", "--quality", 95)
    assert "CANNOT BE MATCHED: the originals were JPEG (12 real, 12 fake, of other qualities)." in fixed.stdout


def test_what_a_lossy_coding_took_is_hidden_by_no_copy(tmp_path: Path, run: Run) -> None:
    folders = write_originals(tmp_path / "originals", WEBP, PNG)
    copy, model = tmp_path / "copy", tmp_path / "m.pkl"
    fixed = run("audit", *folders, "--fix", copy, "--fail-on-bias")
    assert fixed.exit_code == 3
    assert "CANNOT BE MATCHED: the originals were WebP (12 real, 0 fake); lossless (0 real, 12 fake)." in fixed.stdout
    trained = run("train", "--manifest", copy / "manifest.csv", "--output", model)
    assert (
        "warning: no coding (JPEG, lossless, ...) of a like quality is that of at least 5 images of each class"
        in trained.stderr
    )
    assert {r["verdict"] for r in verdicts(run, tmp_path / "originals", "--model", model)} == {"inconclusive"}


def test_a_model_of_two_codings_that_tell_its_classes_apart_judges_neither(tmp_path: Path, run: Run) -> None:
    folders = write_originals(tmp_path / "originals", JPEG, PNG)
    trained = run("train", *folders, "--output", tmp_path / "m.pkl")
    assert "every image inconclusive" in trained.stderr
    records = verdicts(run, tmp_path / "originals", "--model", tmp_path / "m.pkl")
    assert {r["verdict"] for r in records} == {"inconclusive"}
    assert "(seen: no coding in both classes)" in str(records[0]["warnings"])
    assert "it calls every image inconclusive: the classes have no coding" in run("models", tmp_path / "m.pkl").stdout


def jpegs(*qualities: int) -> list[Coding | None]:
    return [Coding("JPEG", quality) for quality in qualities]


PLAIN, WEBPS = [Coding("lossless")] * 6, [Coding("WebP", 80)] * 6


@pytest.mark.parametrize(
    ("real", "fake", "common", "delivered"),
    [
        (PLAIN, PLAIN, {"lossless": None}, {"lossless": None}),
        (jpegs(*[75] * 5), PLAIN, {}, {"JPEG": (75, 75), "lossless": None}),
        (jpegs(60, 70, 80, 90, 95), jpegs(*[75] * 5), {"JPEG": (75, 75)}, {"JPEG": (60, 95)}),
        (jpegs(*[90] * 5), jpegs(*[86] * 5), {"JPEG": (86, 90)}, {"JPEG": (86, 90)}),
        (jpegs(*[95] * 5), jpegs(*[60] * 5), {}, {"JPEG": (60, 95)}),
        (WEBPS, PLAIN, {}, {}),
        ([*WEBPS, *PLAIN], PLAIN, {"lossless": None}, {"lossless": None}),
        ([*PLAIN, *WEBPS[:4]], [*PLAIN, *WEBPS], {"lossless": None}, {"lossless": None}),
        (WEBPS, WEBPS, {"WebP": (80, 80)}, {"WebP": (80, 80)}),
    ],
)
def test_codings_of_both_classes_are_experience(real: object, fake: object, common: object, delivered: object) -> None:
    classes: object = (real, fake)
    assert codings_in_common(classes) == common  # type: ignore[arg-type]
    assert codings_in_common(classes, delivered_quality=60) == delivered  # type: ignore[arg-type]


def test_a_delivery_hides_no_jpeg_of_lower_quality() -> None:
    low, high = jpegs(*[60] * 6), jpegs(*[95] * 6)
    assert codings_in_common((low, high), delivered_quality=90) == {}
    assert codings_in_common((low, PLAIN), delivered_quality=90) == {}
    assert codings_in_common((high, PLAIN), delivered_quality=90) == {"JPEG": (95, 95), "lossless": None}
    assert codings_in_common((low, low), delivered_quality=90) == {"JPEG": (60, 60)}


def test_a_delivery_is_the_file_of_the_copy(tmp_path: Path, run: Run) -> None:
    folders = write_originals(tmp_path / "originals", JPEG, PNG)
    run("audit", *folders, "--fix", tmp_path / "copy", "--size", 128, "--quality", 70)
    delivery = Delivery(128, (70,))
    for label in ("real", "fake"):
        original = read_image(next(iter(sorted((tmp_path / "originals" / label).iterdir()))), colour=True)
        delivered = delivery.apply(original, "0" * 64)
        copied = next(iter(sorted((tmp_path / "copy" / label).iterdir())))
        assert np.array_equal(delivered.pixels, read_image(copied, colour=True).pixels)
        assert (delivered.width, delivered.height, delivered.format) == (
            original.width,
            original.height,
            original.format,
        )
        assert delivered.metadata == original.metadata


def test_a_small_image_is_delivered_whole() -> None:
    pixels = np.full((40, 30, 3), 200, np.uint8)
    small = decode(Delivery(256, (90,)).jpeg_of(read_image(EXAMPLES / "real" / "Aqua.png"), "0" * 64))
    assert (small.width, small.height) == (256, 256)
    image = Delivery(256, (90,)).apply(decode(_png(pixels)), "0" * 64)
    assert image.pixels.shape[:2] == (40, 30)


def _png(pixels: np.ndarray) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_only_a_whole_copy_is_known_by_its_delivery(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    file = Extraction(Location(str(copy / "real" / "1.jpg")))
    other = Extraction(Location(str(tmp_path / "elsewhere" / "real" / "1.jpg")))
    assert how_delivered([file, file]) is None
    (copy / DELIVERY_FILE).write_text("{")
    with pytest.raises(DatasetError, match=r"delivery.json' is damaged; make the matched copy again"):
        how_delivered([file])
    values = {"delivery": {"side_px": 64, "qualities": [80]}, "min_side_px": 64, "max_side_px": 99, "codings": {}}
    (copy / DELIVERY_FILE).write_text(json.dumps(values))
    delivered = how_delivered([file])
    assert delivered is not None
    assert delivered.delivery == Delivery(64, (80,))
    assert how_delivered([file, other]) is None
