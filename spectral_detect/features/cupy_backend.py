"""Compute on a CUDA device with CuPy, the only module that imports CuPy; OpenCV's filters are written anew for it."""

from __future__ import annotations

from functools import cache, partial
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from spectral_detect.errors import DeviceError
from spectral_detect.features.backend import Array, Backend, half_cross_power, half_power

TILES_AT_ONCE = 2048  # batches of products of rows of blocks thus stay below 65536, the limit of a CUDA grid
PLAN_BYTES = 2**30  # for FFT plans; CuPy keeps the last sixteen, whatever their size
NO_GPU = "no GPU can be used: "
NOT_INSTALLED = f"{NO_GPU}CuPy is not installed; pip install '.[gpu]' in the checkout"
NO_DRIVER = f"{NO_GPU}there is no NVIDIA driver; install one"
NO_DEVICE = f"{NO_GPU}CUDA sees no device; see nvidia-smi and CUDA_VISIBLE_DEVICES"
OUT_OF_MEMORY_SIGNS = ("cudaErrorMemoryAllocation", "ALLOC_FAILED", "INSUFFICIENT_RESOURCES")  # in CUDA's libraries


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an array, or a library's working memory, did not fit: CuPy has no single exception for that."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY_SIGNS)


@cache
def cupy_backend() -> Backend:
    """Return the backend of the current CUDA device: CuPy arrays with cuFFT and cuSPARSE.

    Raises
    ------
    DeviceError
        If CuPy, a driver, a device or one of CUDA's libraries is missing; the message says which.
    """
    if not is_cupy_installed():
        raise DeviceError(NOT_INSTALLED)
    try:
        import cupy
        import cupyx.scipy.fft
        import cupyx.scipy.sparse
    except ImportError as error:
        raise DeviceError(f"{NO_GPU}CuPy cannot be imported ({_line(error)})", remedy="install it anew") from None
    check_device(cupy.cuda.runtime)
    pool = cupy.get_default_memory_pool()

    def rfft2(images: Array) -> Array:
        plans = cupy.fft.config.get_plan_cache()  # each plan keeps its working memory
        if plans.get_curr_memsize() > PLAN_BYTES:
            plans.clear()
        return cupyx.scipy.fft.rfft2(images)

    def release() -> None:
        cupy.fft.config.get_plan_cache().clear()
        pool.free_all_blocks()

    backend = Backend(
        name="cupy",
        xp=cupy,
        rfft2=rfft2,
        dft=rfft2,
        cross_power=half_cross_power,
        power=half_power,
        matrix_of=lambda content, shape: cupyx.scipy.sparse.coo_matrix(content, shape=shape).tocsr(),
        laplacian=partial(laplacian, xp=cupy),
        rgb_to_gray=partial(rgb_to_gray, xp=cupy),
        rgb_to_ycc=partial(rgb_to_ycc, xp=cupy),
        planes=partial(planes, xp=cupy),
        tiles_at_once=TILES_AT_ONCE,
        to_host=cupy.asnumpy,
        free_bytes=lambda: int(cupy.cuda.runtime.memGetInfo()[0]) + int(pool.free_bytes()),
        release=release,
    )
    try_device(backend)
    return backend


def is_cupy_installed() -> bool:
    """Tell whether CuPy is installed, without importing it, which takes a second."""
    return find_spec("cupy") is not None


def device_problem() -> str | None:
    """Return why no GPU can be used, with the remedy; None if one can."""
    try:
        cupy_backend()
    except DeviceError as error:
        return str(error)
    return None


def check_device(runtime: Any) -> None:
    """Raise `DeviceError` if there is no device that `cupy.cuda.runtime` can use."""
    try:
        if runtime.getDeviceCount() == 0:
            raise DeviceError(NO_DEVICE)
    except runtime.CUDARuntimeError as error:
        if "cudaErrorNoDevice" in str(error):
            raise DeviceError(NO_DEVICE) from None
        if "cudaErrorInsufficientDriver" not in str(error):
            raise DeviceError(f"{NO_GPU}{_line(error)}") from None
        driver = runtime.driverGetVersion()  # 0 without a driver, which CUDA reports as one that is too old
        if driver == 0:
            raise DeviceError(NO_DRIVER) from None
        known, needed = (f"{v // 1000}.{v % 1000 // 10}" for v in (driver, runtime.runtimeGetVersion()))
        reason = (
            f"the NVIDIA driver is too old (it knows CUDA {known}, CuPy was built for {needed}); install a newer one"
        )
        raise DeviceError(f"{NO_GPU}{reason}") from None


def try_device(backend: Backend) -> None:
    """Raise `DeviceError` if a library that features need is missing: CuPy loads each on first use."""
    xp = backend.xp
    try:
        ones = xp.ones((2, 4, 4), "float32")
        power = xp.abs(backend.rfft2(ones)).reshape(2, -1)
        index = xp.arange(power.shape[1], dtype="int32")
        summed = backend.matrix_of((power[0], (index, index)), 2 * index.shape) @ power.T
        backend.to_host(summed.T @ summed)
    except Exception as error:  # each library raises its own kinds
        remedy = "pip install 'cupy-cuda12x[ctk]' brings CUDA's libraries"
        raise DeviceError(f"{NO_GPU}{_line(error)}", remedy=remedy) from None


def _line(error: Exception) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


# ---------------------------------------------------------------- OpenCV's filters in terms of an array module `xp`


def laplacian(images: Array, dtype: str, *, xp: ModuleType) -> Array:
    """Return `Backend.laplacian`."""
    images = images.astype(dtype, copy=False)
    filtered = xp.zeros_like(images)
    inner = filtered[:, 1:-1, 1:-1]
    inner += images[:, :-2, 1:-1]
    inner += images[:, 2:, 1:-1]
    inner += images[:, 1:-1, :-2]
    inner += images[:, 1:-1, 2:]
    inner -= 4 * images[:, 1:-1, 1:-1]
    return filtered


def rgb_to_gray(rgb: Array, *, xp: ModuleType) -> Array:
    """Return `Backend.rgb_to_gray`; for 8 bit in OpenCV's integers, whose weights are multiplied by 2^15."""
    red, green, blue = _channels(rgb)
    if rgb.dtype.name != "uint8":
        return 0.299 * red + 0.587 * green + 0.114 * blue
    return (9798 * red + 19235 * green + 3735 * blue + (1 << 14) >> 15).astype("uint8")


def rgb_to_ycc(rgb: Array, *, xp: ModuleType) -> Array:
    """Return `Backend.rgb_to_ycc`; for 8 bit in OpenCV's integers, whose weights are here multiplied by 2^14."""
    red, green, blue = _channels(rgb)
    if rgb.dtype.name != "uint8":
        luma = rgb_to_gray(rgb, xp=xp)
        return xp.stack([luma, 0.564 * (blue - luma) + 0.5, 0.713 * (red - luma) + 0.5], axis=-1)
    luma = 4899 * red + 9617 * green + 1868 * blue + (1 << 13) >> 14
    middle = (128 << 14) + (1 << 13)
    chroma = (9241 * (blue - luma) + middle >> 14, 11682 * (red - luma) + middle >> 14)
    return xp.stack([plane.clip(0, 255).astype("uint8") for plane in (luma, *chroma)], axis=-1)


def planes(stack: Array, *, xp: ModuleType) -> Array:
    """Return `Backend.planes`."""
    return xp.stack([stack[..., k] for k in range(3)])


def _channels(rgb: Array) -> list[Array]:
    return [rgb[..., k].astype("int32") if rgb.dtype.name == "uint8" else rgb[..., k] for k in range(3)]
