"""On a CUDA device: the features are those of the CPU, and so are the verdicts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import EXAMPLES, SHARED, Run, needs_shared
from spectral_detect import FeatureSpec, extract_features, read_image
from spectral_detect.features.backend import Backend
from spectral_detect.features.cupy_backend import cupy_backend, device_problem, is_cupy_installed
from spectral_detect.features.extract import cut_stack
from spectral_detect.features.gpu_batches import Device, features_as_done
from spectral_detect.features.spec import PRESETS
from strict_arrays import BINARY, FUNCTIONS, IN_PLACE, METHODS, PROPERTIES

ON_A_DEVICE = sorted(name for name, spec in PRESETS.items() if not spec.scales)
AGREEMENT = 1e-4  # of the largest value of a vector


@pytest.fixture(scope="module")
def device() -> Backend:
    problem = device_problem()
    if problem is not None:
        pytest.skip(problem)
    return cupy_backend()


def assert_agree(there: Any, here: np.ndarray, name: str) -> None:
    assert there.dtype == here.dtype
    assert np.abs(there - here).max() <= AGREEMENT * max(1, np.abs(here).max()), name


def images(*, colour: bool) -> Iterator[tuple[Path, np.ndarray, bool]]:
    for path in sorted(EXAMPLES.glob("*/*.png")):
        image = read_image(path, colour=colour)
        yield path, image.pixels, image.is_ycc


@pytest.mark.skipif(not is_cupy_installed(), reason="CuPy is not installed")
def test_cupy_has_what_the_strict_arrays_have() -> None:
    """Needs no device: what stands for CuPy in the other tests promises nothing that CuPy has not."""
    import cupy

    assert all(hasattr(cupy, name) for name in FUNCTIONS)
    assert all(hasattr(cupy.ndarray, name) for name in (*METHODS, *PROPERTIES))
    assert all(hasattr(cupy.ndarray, f"__{name}__") for name in (*BINARY, *IN_PLACE))


@pytest.mark.gpu
@pytest.mark.parametrize("name", ON_A_DEVICE)
def test_features_of_photographs_agree(name: str, device: Backend) -> None:
    spec = FeatureSpec.preset(name)
    for path, pixels, is_ycc in images(colour=spec.needs_colour):
        there = extract_features(device.xp.asarray(pixels), spec, is_ycc=is_ycc, backend=device)
        assert_agree(device.to_host(there), extract_features(pixels, spec, is_ycc=is_ycc), path.name)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ON_A_DEVICE)
@pytest.mark.parametrize("shape", [(32, 32), (97, 131), (1024, 1024), (720, 1280, 3), (499, 333, 3)])
def test_features_of_all_sizes_agree(
    name: str, shape: tuple[int, ...], device: Backend, rng: np.random.Generator
) -> None:
    spec = FeatureSpec.preset(name)
    batch = rng.integers(0, 256, (3, *shape), np.uint8)
    there = device.to_host(extract_features(device.xp.asarray(batch), spec, backend=device))
    assert_agree(there, extract_features(batch, spec), name)


@pytest.mark.gpu
def test_a_queue_of_all_kinds_agrees(device: Backend, rng: np.random.Generator) -> None:
    for name in ON_A_DEVICE:
        spec = FeatureSpec.preset(name)
        pictures = [rng.integers(0, 256, (64 + k % 3, 80, 3)[: 2 + k % 2], np.uint8) for k in range(50)]
        stacks = [(k, cut_stack(picture, spec)) for k, picture in enumerate(pictures)]
        found = dict(features_as_done(stacks, spec, device))
        for k, picture in enumerate(pictures):
            assert_agree(found[k], extract_features(picture, spec), name)


@pytest.mark.gpu
def test_a_batch_beyond_the_memory_of_the_device_is_halved(device: Backend, rng: np.random.Generator) -> None:
    import cupy
    from test_batching import batch_of

    pictures = rng.integers(0, 256, (32, 512, 512), np.uint8)
    spec = FeatureSpec.preset("azimuthal")
    expected = extract_features(pictures, spec)
    pool = cupy.get_default_memory_pool()
    device.release()
    pool.set_limit(size=pool.used_bytes() + 64 * 2**20)
    try:
        outcomes = Device(spec, device).outcomes(batch_of(pictures))
    finally:
        pool.set_limit(size=0)
    assert_agree(np.stack([vector for _, vector in outcomes]), expected, "azimuthal")


def verdicts(run: Run, tmp_path: Path, folder: Path, device: str) -> dict[str, str]:
    output = tmp_path / f"{device}.csv"
    run("scan", folder, "--device", device, "--output", output)
    with output.open(newline="") as stream:
        return {row["path"]: row["verdict"] for row in csv.DictReader(stream)}


@pytest.mark.gpu
def test_verdicts_on_the_example_images_are_equal(device: Backend, run: Run, tmp_path: Path) -> None:
    on_gpu, on_cpu = (verdicts(run, tmp_path, EXAMPLES, name) for name in ("gpu", "cpu"))
    assert len(on_cpu) == 24
    assert on_gpu == on_cpu


@needs_shared
@pytest.mark.gpu
def test_verdicts_on_the_development_images_are_equal(device: Backend, run: Run, tmp_path: Path) -> None:
    on_gpu, on_cpu = (verdicts(run, tmp_path, SHARED / "data", name) for name in ("gpu", "cpu"))
    assert on_cpu
    assert on_gpu == on_cpu
