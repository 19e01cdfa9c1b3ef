"""What tells two classes apart is found and named; what does not is not accused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, SHARED, Run, needs_shared
from spectral_detect import FAKE, REAL
from spectral_detect.audit.dataset_audit import audit_dataset
from spectral_detect.audit.duplicates import Pairs
from spectral_detect.audit.facts import FACTS, CategorySummary, FactComparison, compare_classes, culprits
from spectral_detect.audit.metadata_classifier import separability
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.one_file import Extraction, Extractor
from spectral_detect.media.coding import Coding
from spectral_detect.media.header import Metadata
from spectral_detect.report.audit import verdict
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import files_in_folders

pytestmark = pytest.mark.usefixtures("in_this_process")

N = 24
Save = Callable[[Image.Image, Path], None]


def exif(**tags: str) -> bytes:
    fields = Image.Exif()
    fields[0x010F] = "Camera"
    for number, text in tags.items():
        fields[int(number[1:], 16)] = text
    return fields.tobytes()


def saved(suffix: str = ".jpg", **options: object) -> Save:
    return lambda image, path: image.save(path.with_suffix(suffix), **options)


def by_opencv(suffix: str) -> Save:
    def save(image: Image.Image, path: Path) -> None:
        assert cv2.imwrite(str(path.with_suffix(suffix)), np.asarray(image)[..., ::-1])

    return save


def cropped(image: Image.Image, path: Path) -> None:
    image.crop((0, 0, 64, 48)).save(path.with_suffix(".jpg"))


def in_gray(image: Image.Image, path: Path) -> None:
    image.convert("L").convert("RGB").save(path.with_suffix(".jpg"))


BIASES: dict[str, tuple[Save, Save, str]] = {
    "quality 95": (saved(quality=90), saved(quality=95), "jpeg_quality"),
    "progressive": (saved(), saved(progressive=True), "progressive"),
    "PNG by OpenCV and Pillow": (by_opencv(".png"), saved(".png"), "layout"),
    "JPEG by OpenCV and Pillow": (by_opencv(".jpg"), saved(), "jpeg_quality"),
    "EXIF": (saved(exif=exif()), saved(), "exif"),
    "software": (saved(exif=exif()), saved(exif=exif(x0131="Editor 1.0")), "software"),
    "subsampling": (saved(subsampling=0), saved(subsampling=2), "subsampling"),
    "Huffman codes": (saved(), saved(optimize=True), "layout"),
    "format": (saved(".png"), saved(".webp"), "format"),
    "size": (saved(), cropped, "height"),
    "gray": (saved(), in_gray, "gray"),
}


def write_classes(folder: Path, tiles: list[Image.Image], save_real: Save, save_fake: Save) -> Dataset:
    for label, save, chosen in (("real", save_real, tiles[:N]), ("fake", save_fake, tiles[N : 2 * N])):
        (folder / label).mkdir()
        for number, tile in enumerate(chosen):
            save(tile, folder / label / f"{number:02d}")
    return read_dataset(files_in_folders([str(folder / "real")], [str(folder / "fake")]), Extractor(None))


@pytest.mark.parametrize("bias", BIASES)
def test_each_bias_is_found_and_named(bias: str, tmp_path: Path, tiles: list[Image.Image]) -> None:
    save_real, save_fake, culprit = BIASES[bias]
    result = audit_dataset(write_classes(tmp_path, tiles, save_real, save_fake))
    assert result.is_biased
    assert result.culprits[0] == culprit
    assert result.metadata_auroc == 1.0
    assert result.metadata_auroc_ci is not None
    assert result.metadata_auroc_ci[0] > 0.5
    assert result.facts[culprit].strength == pytest.approx(1.0)
    values = result.to_dict()
    assert json.loads(json.dumps(values)) == json.loads(json.dumps(values, allow_nan=False))


def deep(image: Image.Image, path: Path) -> None:
    assert cv2.imwrite(str(path.with_suffix(".png")), np.asarray(image)[..., ::-1].astype(np.uint16) * 257)


def converted(mode: str, suffix: str, **options: object) -> Save:
    return lambda image, path: saved(suffix, **options)(image.convert(mode), path)


def deep_gray(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path.with_suffix(".png"))


CODINGS: dict[str, tuple[Save, Save, str]] = {
    "WebP 60 and 90": (saved(".webp", quality=60), saved(".webp", quality=90), "coding_quality"),
    "WebP 60 and 80": (saved(".webp", quality=60), saved(".webp", quality=80), "coding_quality"),
    "WebP, lossy and not": (saved(".webp", quality=60), saved(".webp", lossless=True), "coding"),
    "AVIF 30 and 90": (saved(".avif", quality=30), saved(".avif", quality=90), "coding_quality"),
    "AVIF 4:2:0 and 4:4:4": (saved(".avif"), saved(".avif", subsampling="4:4:4"), "subsampling"),
    "HEIC 30 and 80": (saved(".heic", quality=30), saved(".heic", quality=80), "coding_quality"),
    "TIFF, LZW": (saved(".tif", compression="raw"), saved(".tif", compression="tiff_lzw"), "coding"),
    "TIFF, deflate": (saved(".tif", compression="raw"), saved(".tif", compression="tiff_adobe_deflate"), "coding"),
    "TIFF, PackBits": (saved(".tif", compression="raw"), saved(".tif", compression="packbits"), "coding"),
    "TIFF, LZW and deflate": (
        saved(".tif", compression="tiff_lzw"), saved(".tif", compression="tiff_adobe_deflate"), "coding"
    ),
    "TIFF, JPEG": (saved(".tif", compression="raw"), saved(".tif", compression="jpeg"), "coding"),
    "TIFF, JPEG 50 and 90": (
        saved(".tif", compression="jpeg", quality=50), saved(".tif", compression="jpeg", quality=90), "coding_quality"
    ),
    "TIFF, JPEG 4:4:4 and 4:2:2": (
        converted("YCbCr", ".tif", compression="jpeg"),
        converted("YCbCr", ".tif", compression="jpeg", tiffinfo={530: (2, 1)}),
        "subsampling",
    ),
    "PNG, 8 and 16 bit": (by_opencv(".png"), deep, "bits"),
    "gray PNG, 8 and 16 bit": (converted("L", ".png"), deep_gray, "bits"),
    "PNG with alpha": (saved(".png"), converted("RGBA", ".png"), "alpha"),
    "TIFF with alpha": (saved(".tif"), converted("RGBA", ".tif"), "alpha"),
    "BMP, 24 and 32 bit": (saved(".bmp"), converted("RGBA", ".bmp"), "coding"),
    "PNG and BMP": (saved(".png"), saved(".bmp"), "format"),
    "PNG, RGB and palette": (saved(".png"), converted("P", ".png"), "coding"),
    "JPEG, baseline and progressive": (saved(), saved(progressive=True), "progressive"),
    "PNG and GIF": (saved(".png"), saved(".gif"), "format"),
    "GIF and palette PNG": (saved(".gif"), converted("P", ".png"), "format"),
}  # fmt: skip


@pytest.fixture(scope="module")
def noise() -> list[Image.Image]:
    drawn = np.random.default_rng(8).integers(0, 256, (N, 48, 48, 3), dtype=np.uint8)
    return [Image.fromarray(pixels) for pixels in drawn]


@pytest.mark.parametrize("pair", CODINGS)
def test_the_same_noise_in_two_codings_is_biased(pair: str, tmp_path: Path, noise: list[Image.Image]) -> None:
    save_real, save_fake, culprit = CODINGS[pair]
    if "HEIC" in pair:
        pytest.importorskip("pillow_heif")
    dataset = write_classes(tmp_path, noise * 2, save_real, save_fake)
    assert not dataset.failures
    result = audit_dataset(dataset)
    assert (result.is_biased, result.metadata_auroc) == (True, 1.0)
    assert culprit in result.culprits


@pytest.mark.parametrize("coding", [".webp 50", ".webp 60", ".webp 75", ".webp 80", ".avif 60", ".heic 50", ".tif 75"])
def test_one_coding_of_noise_and_of_photographs_is_fair(
    coding: str, tmp_path: Path, noise: list[Image.Image], tiles: list[Image.Image]
) -> None:
    """An encoder that was told the same says the same, whatever the content."""
    suffix, quality = coding.split()
    if suffix == ".heic":
        pytest.importorskip("pillow_heif")
    save = saved(suffix, quality=int(quality), **({"compression": "jpeg"} if suffix == ".tif" else {}))
    photographs = [tile.crop((0, 0, 48, 48)) for tile in tiles[:N]]
    result = audit_dataset(write_classes(tmp_path, noise + photographs, save, save))
    assert (result.is_biased, result.metadata_auroc) == (False, 0.5)


def test_one_writer_gives_exactly_one_half(tmp_path: Path, tiles: list[Image.Image]) -> None:
    result = audit_dataset(write_classes(tmp_path, tiles, saved(), saved()))
    assert (result.metadata_auroc, result.metadata_auroc_ci) == (0.5, (0.5, 0.5))
    assert (result.is_biased, result.culprits, result.reason) == (False, (), None)
    assert result.facts["bits_per_pixel"].strength > 0
    assert not result.facts["bits_per_pixel"].is_seen
    assert {name: fact.strength for name, fact in result.facts.items() if fact.is_seen} == dict.fromkeys(
        (name for name, fact in FACTS.items() if fact.is_seen), 0.0
    )


def test_opencv_and_pillow_write_the_same_jpeg(tiles: list[Image.Image], tmp_path: Path) -> None:
    """At one quality there is nothing to find."""
    tiles[0].save(tmp_path / "pillow.jpg", quality=95)
    by_opencv(".jpg")(tiles[0], tmp_path / "opencv")
    assert (tmp_path / "pillow.jpg").read_bytes() == (tmp_path / "opencv.jpg").read_bytes()


def image_record(number: int, rng: np.random.Generator, **facts: object) -> Extraction:
    width, height = int(rng.integers(100, 4000)), int(rng.integers(100, 4000))
    quality = int(rng.integers(60, 100))
    known: dict[str, Any] = {
        "jpeg_quality": quality,
        "coding": Coding("JPEG", quality),
        "has_exif": bool(rng.random() < 0.5),
        **facts,
    }
    metadata = Metadata("JPEG", width, height, **known)
    return Extraction(Location(f"{number}"), f"{number:064x}", 1000, width=width, height=height, metadata=metadata)


def dataset_of(samples: list[Extraction], y: np.ndarray, groups: np.ndarray | None = None) -> Dataset:
    groups = np.arange(len(y)) if groups is None else groups
    return Dataset([np.empty(0)] * len(y), y, groups, tuple(samples), ())


def test_fair_splits_of_varied_files_are_not_accused(rng: np.random.Generator) -> None:
    samples = [image_record(k, rng) for k in range(80)]
    results = [audit_dataset(dataset_of(samples, rng.permutation(np.arange(80) % 2))) for _ in range(50)]
    assert sum(bool(r.is_biased) for r in results) == 0
    # of 40 + 40 equal scores an AUROC has a standard deviation of 0.065, the mean of 50 one of 0.009: four of them
    assert np.mean([r.metadata_auroc for r in results]) == pytest.approx(0.5, abs=0.036)
    assert np.mean([r.metadata_auroc_ci[1] >= 0.5 for r in results]) == 1


def test_a_bias_of_whole_groups_is_no_evidence(rng: np.random.Generator) -> None:
    """Four cameras, two a class: that the classes differ in their cameras says as little as four images would."""
    y, camera = np.arange(80) // 40, np.arange(80) // 20
    samples = [image_record(k, rng, software=f"camera {camera[k]}") for k in range(80)]
    assert not audit_dataset(dataset_of(samples, y, camera)).is_biased


def test_facts_that_tell_only_together_are_found(rng: np.random.Generator) -> None:
    bits = rng.integers(0, 2, (200, 2))
    columns = [np.array(["no", "yes"])[bits[:, 0]], bits[:, 1]]
    found = separability(columns, bits[:, 0] ^ bits[:, 1], np.arange(200))
    assert found is not None
    assert found.auroc == 1.0
    assert found.is_above_chance
    alone = separability(columns[:1], bits[:, 0] ^ bits[:, 1], np.arange(200))
    assert alone is not None
    assert not alone.is_above_chance


def test_the_interval_is_found_again_and_holds_the_estimate(rng: np.random.Generator) -> None:
    y = np.arange(60) % 2
    columns = [rng.normal(size=60) + y]
    first, second = (separability(columns, y, np.arange(60), seed=3) for _ in range(2))
    assert first == second
    assert first is not None
    assert 0 <= first.interval[0] <= first.auroc <= first.interval[1] <= 1


def test_culprits_are_significant_or_else_the_strongest() -> None:
    def facts(**p_and_strength: tuple[float, float]) -> dict[str, FactComparison]:
        nothing = CategorySummary(0, {})
        return {
            name: FactComparison("ks", strength, p, True, nothing, nothing)
            for name, (p, strength) in p_and_strength.items()
        }

    assert culprits(facts(a=(1e-9, 0.5), b=(1e-9, 0.9), c=(0.2, 0.95))) == ["b", "a"]
    assert culprits(facts(a=(0.009, 0.5), b=(0.5, 0.6))) == ["b"]


def test_too_few_images_are_not_measured(tmp_path: Path, tiles: list[Image.Image], run: Run) -> None:
    dataset = write_classes(tmp_path, tiles, saved(), saved(quality=95))
    few = dataset.select(np.r_[0:4, N : 2 * N])
    result = audit_dataset(few)
    assert (result.metadata_auroc, result.metadata_auroc_ci, result.is_biased) == (None, None, None)
    assert result.reason == "4 images of a class: at least 5 of each are needed"
    unsure = replace(result, metadata_auroc=0.9, metadata_auroc_ci=(0.5, 0.95), is_biased=False)
    assert verdict(unsure).startswith("Not known: so few images may hide metadata that tell the classes apart with")
    assert "up to\n0.95. Remedy: add images" in verdict(unsure)
    one_group = replace(dataset, groups=np.zeros(2 * N, int))
    assert audit_dataset(one_group).reason == "too few groups to cross-validate"
    with pytest.raises(DatasetError, match="24 real and 0 fake images: an audit compares both"):
        audit_dataset(dataset.select(dataset.y == REAL))


def test_copies_and_lookalikes_are_counted_within_and_across(tmp_path: Path, tiles: list[Image.Image]) -> None:
    dataset = write_classes(tmp_path, tiles, saved(".png"), saved(".png"))
    assert audit_dataset(dataset).duplicates.near.across.n_pairs == 0
    real, fake = tmp_path / "real", tmp_path / "fake"
    (real / "a.png").write_bytes((real / "00.png").read_bytes())
    (fake / "b.png").write_bytes((real / "00.png").read_bytes())
    tiles[1].save(fake / "c.jpg", quality=90)
    found = audit_dataset(read_dataset(files_in_folders([str(real)], [str(fake)]), Extractor(None))).duplicates
    exact = found.exact
    assert (exact.real.n_pairs, exact.fake.n_pairs, exact.across.n_pairs) == (1, 0, 2)
    assert exact.across.first[0] == (str(real / "00.png"), str(fake / "b.png"))
    assert found.near.across == Pairs(1, ((str(real / "01.png"), str(fake / "c.jpg")),))


def test_lookalikes_that_are_not_printed_are_counted_and_a_remedy_is_given(
    tmp_path: Path, tiles: list[Image.Image], run: Run
) -> None:
    write_classes(tmp_path, tiles, saved(".png"), saved(".png"))
    for k in range(5):
        tiles[k].save(tmp_path / "fake" / f"{k}c.jpg", quality=90)
    printed = run("audit", *folders(tmp_path)).stdout
    assert "5 of a real and a fake\n" in printed
    assert printed.count("c.jpg") == 2
    assert "\n                     and 3 more\n" in printed
    assert "unless a manifest puts each pair of lookalikes into one group;\naudit --fix OUT writes such" in printed


# ---------------------------------------------------------------------------------------------------- command line


def folders(folder: Path) -> tuple[object, ...]:
    return ("--real", folder / "real", "--fake", folder / "fake")


def test_the_report_says_what_leaks_and_what_to_do(tmp_path: Path, tiles: list[Image.Image], run: Run) -> None:
    write_classes(tmp_path, tiles, saved(exif=exif()), saved(exif=exif(x0131="\x1b[31mred")))
    result = run("audit", *folders(tmp_path))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "BIASED: software tells real from fake" in " ".join(result.stdout.split())
    assert "audit --fix OUT" in result.stdout
    assert "\x1b" not in result.stdout
    assert r"\x1b[31mred" in result.stdout
    as_json = json.loads(run("audit", *folders(tmp_path), "--json").stdout)
    assert as_json["culprits"] == ["software"]
    assert run("audit", *folders(tmp_path), "--fail-on-bias").exit_code == 3


def test_a_fair_set_is_called_fair_and_a_bad_file_is_status_1(
    tmp_path: Path, tiles: list[Image.Image], run: Run
) -> None:
    write_classes(tmp_path, tiles, saved(), saved())
    result = run("audit", *folders(tmp_path), "--fail-on-bias")
    assert result.exit_code == 0
    assert "Fair, as far as metadata tell" in result.stdout
    (tmp_path / "real" / "bad.png").write_bytes(b"text")
    result = run("audit", *folders(tmp_path), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["n_failed"] == 1
    assert "bad.png: not an image" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --real DIR and --fake DIR"),
        (("--manifest", EXAMPLES / "manifest.csv", "--size", 64), "give --fix OUT as well"),
        (("--manifest", EXAMPLES / "manifest.csv", "--fix", EXAMPLES), "is not empty; name a new folder"),
        (("--manifest", EXAMPLES / "manifest.csv", "--fix", "nowhere/out"), "there is no folder 'nowhere'"),
        (("--manifest", EXAMPLES / "manifest.csv", "--fix", "out", "--quality", "best"), "not a valid integer"),
        (("--manifest", EXAMPLES / "manifest.csv", "--fix", "out", "--quality", "reals"), "no real image is a JPEG"),
        (("--manifest", EXAMPLES / "manifest.csv", "--fix", "out", "--size", 512), "no real image is left (12 smaller"),
    ],
)
def test_wrong_usage(
    arguments: tuple[object, ...], message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("audit", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "matched copy" not in result.stdout  # what could be found out stands there
    assert list(tmp_path.iterdir()) == []


def test_train_and_evaluate_warn_in_one_line(tmp_path: Path, tiles: list[Image.Image], run: Run) -> None:
    write_classes(tmp_path, tiles, saved(), saved(quality=95))
    model = tmp_path / "m.pkl"
    augmented = ("--augment", "wang0.5", "--copies", 2, "--allow-useless")
    trained = run("train", *folders(tmp_path), "-o", model, "--features", "azimuthal", *augmented)
    for result in (trained, run("evaluate", model, *folders(tmp_path))):
        assert result.exit_code == 0
        expected = "the model is no better", "were in the training of the model"
        (line,) = (line for line in result.stderr.splitlines() if not any(text in line for text in expected))
        assert line.startswith("warning: jpeg quality tells the classes apart: metadata alone reach")


@needs_shared
@pytest.mark.parametrize(
    ("real", "fake", "culprit"),
    [("celeba/real", "celeba/fake_dcgan", "width"), ("faces300/real", "faces300/fake", "gray")],
)
def test_known_collections(real: str, fake: str, culprit: str) -> None:
    files = files_in_folders([str(SHARED / "data" / real)], [str(SHARED / "data" / fake)])
    result = audit_dataset(read_dataset([f for k, f in enumerate(files) if k % 4 == 0], Extractor(None)))
    assert result.is_biased
    assert result.culprits[0] == culprit


def test_labels_are_where_they_belong(rng: np.random.Generator) -> None:
    y = np.repeat([REAL, FAKE], 20)
    samples = [image_record(k, rng, has_exif=bool(y[k] == REAL)) for k in range(40)]
    facts = audit_dataset(dataset_of(samples, y)).facts["exif"]
    assert (facts.real, facts.fake) == (CategorySummary(1, {"yes": 20}), CategorySummary(1, {"no": 20}))


def test_a_file_in_both_classes_is_not_fair(labelled_folder: Path, run: Run) -> None:
    real, fake = labelled_folder / "real", labelled_folder / "fake"
    shutil.copy(real / "00.png", fake / "copy.png")
    found = run("audit", "--real", real, "--fake", fake, "--fail-on-bias")
    assert found.exit_code == 3
    assert "CONTRADICTORY: 1 pair of" in found.stdout
    fixed = run("audit", "--real", real, "--fake", fake, "--fix", labelled_folder / "out", "--fail-on-bias")
    assert fixed.exit_code == 0
    assert "2 in both classes" in fixed.stdout


def test_a_copy_inside_a_folder_that_is_read_is_refused(labelled_folder: Path, run: Run) -> None:
    real, fake = labelled_folder / "real", labelled_folder / "fake"
    refused = run("audit", "--real", real, "--fake", fake, "--fix", real / "out")
    assert refused.exit_code == 2
    assert "whose images are read; name another place" in refused.stderr
    assert not (real / "out").exists()


def test_a_quality_that_hides_nothing_is_warned_of(labelled_folder: Path, run: Run) -> None:
    command = ("audit", "--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    assert "can still be seen" in run(*command, "--fix", labelled_folder / "a", "--quality", 100).stderr
    assert "can still be seen" not in run(*command, "--fix", labelled_folder / "b", "--quality", 80).stderr


@needs_shared
def test_the_folders_that_showed_the_fault(run: Run) -> None:
    faults = SHARED / "faults" / "audit"
    biased, fair = (
        json.loads(run("audit", "--real", faults / name / "real", "--fake", faults / name / "fake", "--json").stdout)
        for name in ("webp_q60_vs_lossless", "control_png")
    )
    assert biased["is_biased"]
    assert "coding" in biased["culprits"]
    assert not fair["is_biased"]


def test_one_image_of_each_class_may_differ_by_chance() -> None:
    """SciPy's own p of one value against one is a division by zero, of which warnings are errors here."""
    column, y = np.array([3.0, 5.0]), np.array([REAL, FAKE])
    found = compare_classes(next(fact for fact in FACTS.values() if fact.is_number), column, y)
    assert (found.strength, found.p) == (1.0, 1.0)
