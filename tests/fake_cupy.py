"""CuPy without a GPU: its module tree, as far as this package uses it, over strict arrays."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from spectral_detect.features.cupy_backend import cupy_backend
from strict_arrays import FUNCTIONS, StrictModule, StrictSparse, strict_backend, to_host


class FakeRuntime:
    """`cupy.cuda.runtime`; `error` is what any look for a device gives, and `asked` counts such looks."""

    class CUDARuntimeError(RuntimeError):
        pass

    def __init__(self, error: str | None = None, *, n_devices: int = 1, driver: int = 0) -> None:
        self._error, self._n_devices, self._driver = error, n_devices, driver
        self.asked = 0

    def getDeviceCount(self) -> int:
        self.asked += 1
        if self._error:
            raise self.CUDARuntimeError(self._error)
        return self._n_devices

    def driverGetVersion(self) -> int:
        return self._driver

    def runtimeGetVersion(self) -> int:
        return 12090

    def memGetInfo(self) -> tuple[int, int]:
        return 4 * 2**30, 8 * 2**30


def install_fake_cupy(monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime | None = None) -> Any:
    """Put the tree where `import cupy` finds it; gives the module."""
    cupy: Any = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", None)
    cupy.released = []
    pool = SimpleNamespace(free_bytes=lambda: 2**30, free_all_blocks=lambda: cupy.released.append("blocks"))
    cupy.plan_bytes = 0
    cache = SimpleNamespace(clear=lambda: cupy.released.append("plans"), get_curr_memsize=lambda: cupy.plan_bytes)
    cupy.cuda = SimpleNamespace(runtime=runtime or FakeRuntime())
    cupy.fft = SimpleNamespace(config=SimpleNamespace(get_plan_cache=lambda: cache))
    cupy.get_default_memory_pool = lambda: pool
    cupy.asnumpy = to_host
    for name in ("asarray", *FUNCTIONS):
        setattr(cupy, name, getattr(StrictModule(), name))
    cupyx: Any = ModuleType("cupyx")
    cupyx.scipy = ModuleType("cupyx.scipy")
    cupyx.scipy.fft = ModuleType("cupyx.scipy.fft")
    cupyx.scipy.fft.rfft2 = strict_backend().rfft2
    cupyx.scipy.sparse = ModuleType("cupyx.scipy.sparse")
    cupyx.scipy.sparse.coo_matrix = StrictSparse.coo
    for module in (cupy, cupyx, cupyx.scipy, cupyx.scipy.fft, cupyx.scipy.sparse):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    cupy_backend.cache_clear()
    return cupy
