"""Batches for a device: what goes together, in which bounds, and what happens where memory runs out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run
from fake_cupy import FakeRuntime, install_fake_cupy
from spectral_detect import FeatureSpec, extract_features
from spectral_detect.errors import DeviceError, FeatureError
from spectral_detect.extraction.many_files import device_for, extract_then
from spectral_detect.extraction.on_gpu import extract_on_gpu
from spectral_detect.extraction.one_file import Extraction, Extractor, Keep
from spectral_detect.features import gpu_batches as batching
from spectral_detect.features.backend import Backend
from spectral_detect.features.extract import Stack, cut_stack
from spectral_detect.features.gpu_batches import Batch, Device, features_as_done, working_bytes
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.media.edits import Edit
from spectral_detect.parallel.work import Work
from spectral_detect.sources.discovery import FoundFile, FoundVideo, find_images
from spectral_detect.sources.location import Location
from strict_arrays import StrictArray, StrictModule, strict_backend

AZIMUTHAL = FeatureSpec.preset("azimuthal")


# ------------------------------------------------------------------------------------------------------------- device


def with_asarray(asarray: Callable[[np.ndarray], StrictArray], **changes: Any) -> Backend:
    """A strict device whose way there is `asarray`."""
    module: Any = StrictModule()
    module.asarray = asarray
    return replace(strict_backend(**changes), xp=module)


class SmallDevice:
    """Where no more than `most` images of 32x32 pixels fit; it counts what is asked of it."""

    def __init__(self, most: int, error: Exception) -> None:
        self.attempts: list[int] = []
        self.n_released = 0
        self._most, self._error, self._strict = most, error, strict_backend()
        self.backend = with_asarray(self._asarray, release=self._release)

    def _asarray(self, values: np.ndarray) -> StrictArray:
        if values.dtype == np.uint8:
            self.attempts.append(len(values))
            if values.size > self._most * 32 * 32:
                raise self._error
        return self._strict.xp.asarray(values)

    def _release(self) -> None:
        self.n_released += 1


def batch_of(images: np.ndarray) -> Batch[int]:
    batch = Batch[int](0)
    for k, image in enumerate(images):
        batch.add(k, Stack(image[None]))
    return batch


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUFFT_ALLOC_FAILED")])
def test_out_of_memory_halves_the_batch_and_goes_on(error: Exception, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (20, 32, 32), np.uint8)
    small = SmallDevice(6, error)
    device = Device(AZIMUTHAL, small.backend)
    for _ in range(2):
        outcomes = device.outcomes(batch_of(images))
        assert [ticket for ticket, _ in outcomes] == list(range(20))
        np.testing.assert_allclose([v for _, v in outcomes], extract_features(images), atol=1e-5)
    assert small.attempts == [20, 10, 5, 5, 5, 5, 5, 5, 5, 5]  # the second batch begins with what has fitted
    assert small.n_released == 2


def test_the_size_that_has_fitted_holds_for_other_sizes_too(rng: np.random.Generator) -> None:
    small = SmallDevice(6, MemoryError())
    device = Device(AZIMUTHAL, small.backend)
    device.outcomes(batch_of(rng.integers(0, 256, (20, 32, 32), np.uint8)))
    small.attempts.clear()
    device.outcomes(batch_of(rng.integers(0, 256, (4, 64, 32), np.uint8)))
    assert small.attempts == [2, 2]


def test_an_image_that_never_fits_is_done_on_the_cpu(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    images = rng.integers(0, 256, (3, 64, 96), np.uint8)
    small = SmallDevice(1, MemoryError())
    with caplog.at_level(logging.WARNING):
        outcomes = Device(AZIMUTHAL, small.backend).outcomes(batch_of(images))
    np.testing.assert_array_equal([v for _, v in outcomes], [extract_features(image) for image in images])
    assert caplog.messages == ["96x64 pixels do not fit into the GPU's memory: done on the CPU"] * 3


def test_a_batch_is_cut_to_the_memory_that_is_free(rng: np.random.Generator) -> None:
    fits_four = int(4.5 * working_bytes(Stack(np.zeros((1, 32, 32), np.uint8)), AZIMUTHAL) / batching.SHARE_OF_MEMORY)
    small = SmallDevice(100, MemoryError())
    device = Device(AZIMUTHAL, replace(small.backend, free_bytes=lambda: fits_four))
    device.outcomes(batch_of(rng.integers(0, 256, (10, 32, 32), np.uint8)))
    assert small.attempts == [4, 4, 2]
    assert small.n_released == 0


def test_a_device_that_fails_otherwise_is_an_error(rng: np.random.Generator) -> None:
    small = SmallDevice(0, RuntimeError("cudaErrorIllegalAddress"))
    with pytest.raises(DeviceError, match=r"the GPU failed \(cudaErrorIllegalAddress\); `device=cpu` does without it"):
        Device(AZIMUTHAL, small.backend).outcomes(batch_of(rng.integers(0, 256, (2, 32, 32), np.uint8)))


def test_images_without_enough_rings_fail_and_not_the_run() -> None:
    spec = FeatureSpec.preset("durall", min_size_px=8)
    outcomes = Device(spec, strict_backend()).outcomes(batch_of(np.zeros((2, 8, 8), np.uint8)))
    assert all(isinstance(error, FeatureError) and "too few rings" in str(error) for _, error in outcomes)


def test_the_estimate_of_memory_covers_what_numpy_takes(rng: np.random.Generator) -> None:
    import tracemalloc

    from spectral_detect.features.extract import stack_features

    small, large = rng.integers(0, 256, (16, 64, 64, 3), np.uint8), rng.integers(0, 256, (512, 512, 3), np.uint8)
    stacks = [("azimuthal", Stack(large[..., 0].reshape(16, 128, 128))), ("durall", Stack(small[..., 0]))]
    stacks += [("residual", Stack(small)), ("residual", cut_stack(large, FeatureSpec.preset("residual")))]
    for name, stack in stacks:
        spec, device = FeatureSpec.preset(name), strict_backend()
        tiles = stack.map(device.xp.asarray)
        stack_features(tiles[:1], spec, device)
        tracemalloc.start()
        stack_features(tiles, spec, device)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        estimate = len(stack) * working_bytes(stack, spec)
        assert estimate / 4 < peak < 0.7 * estimate, name  # the rest is for cuFFT


# -------------------------------------------------------------------------------------------------------------- queue


@pytest.mark.parametrize("name", ["azimuthal", "residual", "durall"])
def test_each_image_gets_its_own_features(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_IMAGES", 4)
    spec = FeatureSpec.preset(name)
    sides = [32, 48, 32, 200, 32, 48, 32, 32, 32, 200, 32, 140]
    images = [rng.integers(0, 256, (side, side, 3), np.uint8) for side in sides]
    tickets: list[tuple[str, Stack | None]] = [(f"image {k}", cut_stack(image, spec)) for k, image in enumerate(images)]
    tickets.insert(5, ("nothing", None))
    done = dict(features_as_done(tickets, spec, strict_backend()))
    assert done.pop("nothing") is None
    assert len(done) == len(images)
    for k, image in enumerate(images):
        expected = extract_features(image, spec)
        found = done[f"image {k}"]
        assert isinstance(found, np.ndarray)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_images_are_taken_while_the_device_works_but_not_without_end(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_IMAGES", 4)
    most = 4 * (batching.MAX_UNDER_WAY + 1)
    taken, is_at_most, may_go_on = 0, threading.Event(), threading.Event()
    done: list[int] = []

    def asarray(values: np.ndarray) -> StrictArray:
        assert may_go_on.wait(20)
        return strict_backend().xp.asarray(values)

    def images() -> Iterator[tuple[int, Stack | None]]:
        nonlocal taken
        for k in range(100):
            taken = k + 1
            if taken == most:
                is_at_most.set()
            yield k, Stack(np.full((1, 32, 32), k, np.uint8))

    def consume() -> None:
        done.extend(k for k, _ in features_as_done(images(), AZIMUTHAL, with_asarray(asarray)))

    consumer = threading.Thread(target=consume)
    consumer.start()
    assert is_at_most.wait(20)
    consumer.join(0.3)  # time enough to take more
    assert taken == most
    may_go_on.set()
    consumer.join(20)
    assert done == list(range(100))


def test_an_error_on_the_device_reaches_the_caller(rng: np.random.Generator) -> None:
    small = SmallDevice(0, RuntimeError("cudaErrorIllegalAddress"))
    tickets = [(k, Stack(rng.integers(0, 256, (1, 32, 32), np.uint8))) for k in range(9)]
    with pytest.raises(DeviceError, match="the GPU failed"):
        list(features_as_done(tickets, AZIMUTHAL, small.backend))


# ----------------------------------------------------------------------------------------------------------- pipeline


@pytest.fixture
def files(tmp_path: Path, rng: np.random.Generator) -> list[FoundFile | FoundVideo]:
    """Images of several sizes and types, in colour and gray; constant, broken and missing ones; a folder as video."""
    for number in range(40):
        side = (32, 48, 32, 150)[number % 4]
        pixels = rng.integers(0, 256, (side, side, 3), np.uint8)
        if number == 7:
            pixels[:] = 9
        suffix = "jpg" if number % 3 == 0 else "png"
        Image.fromarray(pixels[..., 0] if number % 5 == 0 else pixels).save(tmp_path / f"{number:02d}.{suffix}")
    Image.fromarray(rng.integers(0, 65536, (40, 40), np.uint16)).save(tmp_path / "10.png")
    Image.fromarray(rng.integers(0, 65536, (40, 40), np.uint16)).save(tmp_path / "50.tif")
    (tmp_path / "20.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    Image.fromarray(rng.integers(0, 256, (8, 99), np.uint8)).save(tmp_path / "60.png")  # too small
    found: list[FoundFile | FoundVideo] = list(find_images([Location(str(tmp_path))]))
    found.insert(30, FoundFile(Location(str(tmp_path / "missing.png"))))
    (tmp_path / "frames").mkdir()
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "frames" / f"{number}.png")
    folder = str(tmp_path / "frames")
    found.insert(12, FoundVideo(Location(folder), tuple(f"{folder}/{number}.png" for number in range(3))))
    return found


def assert_same(there: tuple[Extraction, ...], here: tuple[Extraction, ...]) -> None:
    """Equal in all but the last digits of the features."""
    assert len(there) == len(here)
    for ours, expected in zip(there, here, strict=True):
        assert (ours.features is None) == (expected.features is None)
        if ours.features is not None and expected.features is not None:
            largest = np.abs(expected.features).max()
            tolerance = 1e-3 if expected.is_constant else 1e-4 * largest  # there all is rounding
            np.testing.assert_allclose(ours.features, expected.features, atol=tolerance)
            np.testing.assert_equal(ours.tiles, expected.tiles)
        bare = [replace(e, features=None, tiles=None) for e in (ours, expected)]
        assert bare[0] == bare[1]


@pytest.mark.parametrize("name", ["azimuthal", "residual"])
@pytest.mark.parametrize("jobs", [0, 2])
def test_a_device_gives_what_the_cpu_gives_in_the_same_order(
    name: str, jobs: int, files: list[FoundFile | FoundVideo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_IMAGES", 5)
    spec, work = FeatureSpec.preset(name), Work(jobs, device="cpu")
    edits = (None, Edit("jpeg", 90), Edit("crop", 0.9)) if jobs else (None,)
    extractor = Extractor(spec, edits, examine=True)
    expected = list(extract_then(files, extractor, Keep(), work))
    found = list(extract_on_gpu(files, extractor, Keep(), work, strict_backend()))
    assert [len(variants) for variants in found] == [len(variants) for variants in expected]
    for there, here in zip(found, expected, strict=True):
        assert_same(there, here)
    errors = [e.error for variants in found for e in variants if e.error]
    assert len(errors) == 3 * len(edits)


def test_closing_early_stops_everything(files: list[FoundFile | FoundVideo]) -> None:
    before = set(threading.enumerate())  # other tests leave some of Dask's
    results = extract_on_gpu(files, Extractor(AZIMUTHAL), Keep(), Work(2), strict_backend())
    next(results)
    assert set(threading.enumerate()) - before
    results.close()
    assert not set(threading.enumerate()) - before


def test_a_few_files_are_not_worth_a_device(fake_cupy: ModuleType) -> None:
    backend, files = device_for(range(24), Work())
    assert backend is None
    assert list(files) == list(range(24))
    backend, files = device_for(range(99), Work())
    assert backend is not None
    assert backend.name == "cupy"
    assert list(files) == list(range(99))
    assert device_for([1], Work(device="gpu"))[0] is backend
    assert device_for(range(99), Work(device="cpu"))[0] is None


def test_a_device_that_cannot_be_used_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install_fake_cupy(monkeypatch, FakeRuntime(n_devices=0))
    backend, files = device_for(range(99), Work())
    assert backend is None
    assert list(files) == list(range(99))
    assert caplog.messages == [
        "no GPU can be used: CUDA sees no device; see nvidia-smi and CUDA_VISIBLE_DEVICES; the CPU does the work"
    ]
    with pytest.raises(DeviceError, match="CUDA sees no device"):
        device_for(range(99), Work(device="gpu"))


def test_without_cupy_nothing_is_said_and_no_file_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    if __import__("importlib.util").util.find_spec("cupy"):
        pytest.skip("CuPy is installed")
    files = iter(range(99))
    assert device_for(files, Work()) == (None, files)
    assert not caplog.messages


# ------------------------------------------------------------------------------------------------------- command line


def test_verdicts_are_the_same_on_a_device(run: Run, fake_cupy: ModuleType, tmp_path: Path) -> None:
    records = {}
    for device in ("cpu", "gpu"):
        output = tmp_path / f"{device}.csv"
        done = run("scan", EXAMPLES, "--device", device, "--jobs", 1, "--output", output)
        assert done.exit_code == 0
        assert done.stderr.count("\n") == 1, "more than the counts"
        records[device] = [line.split(",") for line in output.read_text().splitlines()]
    assert len(records["cpu"]) == 25
    score = records["cpu"][0].index("score")
    numbers = [records["cpu"][0].index(name) for name in ("score", "log10_likelihood_ratio")]
    for here, there in zip(records["cpu"], records["gpu"], strict=True):
        assert [v for k, v in enumerate(here) if k not in numbers] == [
            v for k, v in enumerate(there) if k not in numbers
        ]
    scores = [[float(row[score]) for row in records[device][1:]] for device in ("cpu", "gpu")]
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_a_device_that_was_asked_for_and_is_not_there_is_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_fake_cupy(monkeypatch, FakeRuntime("cudaErrorInsufficientDriver", driver=11040))
    done = run("scan", EXAMPLES, "--device", "gpu", "--output", tmp_path / "x.csv")
    assert done.exit_code == 2
    assert "the NVIDIA driver is too old" in done.stderr
    assert "--device cpu" in done.stderr
    assert not list(tmp_path.iterdir())


def test_auto_says_once_why_the_cpu_does_the_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    install_fake_cupy(monkeypatch, FakeRuntime("cudaErrorNoDevice"))
    done = run("scan", EXAMPLES / "real", EXAMPLES, "--device", "auto", "--jobs", 1)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("no GPU can be used: CUDA sees no device")
    assert done.stderr.endswith("the CPU does the work\n")


def test_the_numpy_backend_takes_part_in_the_same_way() -> None:
    """The stage itself knows nothing of CuPy."""
    cpu = numpy_backend()
    tickets = [(k, Stack(np.full((1, 32, 32), k, np.uint8))) for k in range(3)]
    assert sorted(k for k, _ in features_as_done(tickets, AZIMUTHAL, cpu)) == [0, 1, 2]
