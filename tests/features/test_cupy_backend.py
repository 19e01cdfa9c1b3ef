"""The filters of a device against OpenCV's, and why a device cannot be used."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fake_cupy import FakeRuntime
from spectral_detect.errors import DeviceError
from spectral_detect.features import cupy_backend as devices
from spectral_detect.features.cupy_backend import (
    PLAN_BYTES,
    check_device,
    cupy_backend,
    device_problem,
    is_out_of_memory,
    laplacian,
    rgb_to_gray,
    rgb_to_ycc,
    try_device,
)
from spectral_detect.features.numpy_backend import numpy_backend
from strict_arrays import strict_backend


@pytest.fixture
def colours(rng: np.random.Generator) -> np.ndarray:
    """(2, 512, 512, 3) 8 bit: random ones, and every combination of values that are near a rounding or an end."""
    some = np.array([0, 1, 2, 63, 64, 127, 128, 129, 191, 192, 253, 254, 255, 17, 85, 170], np.uint8)
    corners = np.stack(np.meshgrid(some, some, some), axis=-1).reshape(-1, 3)
    rgb = rng.integers(0, 256, (2, 512, 512, 3), np.uint8)
    rgb[0].reshape(-1, 3)[: len(corners)] = corners
    return rgb


def test_eight_bit_colour_is_opencvs_to_the_bit(colours: np.ndarray) -> None:
    np.testing.assert_array_equal(rgb_to_gray(colours, xp=np), numpy_backend().rgb_to_gray(colours))
    np.testing.assert_array_equal(rgb_to_ycc(colours, xp=np), numpy_backend().rgb_to_ycc(colours))
    assert rgb_to_gray(colours, xp=np).dtype == rgb_to_ycc(colours, xp=np).dtype == np.uint8


def test_floating_colour_is_opencvs_up_to_rounding(colours: np.ndarray) -> None:
    rgb = colours.astype(np.float32)
    for ours, theirs in ((rgb_to_gray, numpy_backend().rgb_to_gray), (rgb_to_ycc, numpy_backend().rgb_to_ycc)):
        assert ours(rgb, xp=np).dtype == np.float32
        np.testing.assert_allclose(ours(rgb, xp=np), theirs(rgb), atol=1e-4)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 16, 17), (1, 8, 99)])
def test_the_laplacian_is_opencvs(kind: type, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, shape).astype(kind)
    cpu, dtype = numpy_backend(), np.dtype(kind).name
    np.testing.assert_array_equal(laplacian(images, dtype, xp=np), cpu.laplacian(images, dtype))
    eight_bit = images.astype(np.uint8)
    np.testing.assert_array_equal(laplacian(eight_bit, dtype, xp=np), cpu.laplacian(eight_bit, dtype))
    fractions = rng.uniform(0, 255, shape).astype(kind)
    np.testing.assert_allclose(laplacian(fractions, dtype, xp=np), cpu.laplacian(fractions, dtype), atol=1e-3)


# ------------------------------------------------------------------------------------------------------------ devices


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (FakeRuntime("cudaErrorNoDevice: no CUDA-capable device is detected"), "CUDA sees no device; see nvidia-smi"),
        (FakeRuntime(n_devices=0), "CUDA sees no device"),
        (FakeRuntime("cudaErrorInsufficientDriver: CUDA driver version is insufficient"), "there is no NVIDIA driver"),
        (
            FakeRuntime("cudaErrorInsufficientDriver: CUDA driver version is insufficient", driver=11040),
            r"the NVIDIA driver is too old \(it knows CUDA 11.4, CuPy was built for 12.9\); install a newer one",
        ),
        (FakeRuntime("cudaErrorUnknown: unknown\n error"), "no GPU can be used: cudaErrorUnknown: unknown error"),
    ],
)
def test_what_is_wrong_with_a_device_is_told_apart(runtime: FakeRuntime, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        check_device(runtime)


def test_a_device_is_enough() -> None:
    runtime = FakeRuntime()
    check_device(runtime)
    assert runtime.asked == 1


def test_without_cupy_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"CuPy is not installed; pip install '\.\[gpu\]'"):
        cupy_backend()
    assert "CuPy is not installed" in str(device_problem())


def test_a_broken_cupy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "is_cupy_installed", lambda: True)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"CuPy cannot be imported \(import of cupy halted.*; install it anew"):
        cupy_backend()


def test_a_library_that_is_missing_is_noticed_before_the_first_image() -> None:
    def rfft2(images: object) -> object:
        raise ImportError("libcufft.so.11: cannot open")

    try_device(strict_backend())
    with pytest.raises(DeviceError, match=r"libcufft.so.11: cannot open; pip install 'cupy-cuda12x\[ctk\]' brings"):
        try_device(replace(strict_backend(), rfft2=rfft2))


def test_a_device_with_cupy_can_be_used(fake_cupy: ModuleType) -> None:
    assert device_problem() is None
    backend = cupy_backend()
    assert backend.name == "cupy"
    assert backend.xp is fake_cupy
    assert backend is cupy_backend()
    assert backend.free_bytes() == 5 * 2**30  # of the device, and of CuPy's own store
    backend.release()
    assert fake_cupy.released == ["plans", "blocks"]


def test_plans_do_not_hoard_memory(fake_cupy: Any) -> None:
    backend = cupy_backend()
    images = backend.xp.ones((2, 8, 8))
    backend.rfft2(images)
    assert fake_cupy.released == []
    fake_cupy.plan_bytes = PLAN_BYTES + 1
    backend.rfft2(images)
    assert fake_cupy.released == ["plans"]


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUFFT_ALLOC_FAILED"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUSPARSE_STATUS_INSUFFICIENT_RESOURCES: not enough resources"), True),
        (RuntimeError("cudaErrorMemoryAllocation: out of memory"), True),
        (RuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered"), False),
        (ValueError("shape"), False),
    ],
)
def test_every_kind_of_exhausted_memory_is_known(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory
