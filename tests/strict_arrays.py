"""A device without a GPU: arrays that NumPy cannot touch, and the functions that CuPy has for them.

CuPy refuses to turn its arrays into NumPy's on the quiet. So do these; the numbers behind them are NumPy's, so that
whatever runs on both must give the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.fft
import scipy.sparse

from spectral_detect.features.backend import Backend, half_cross_power, half_power
from spectral_detect.features.cupy_backend import laplacian, planes, rgb_to_gray, rgb_to_ycc
from spectral_detect.features.numpy_backend import matrix_of

FUNCTIONS = (
    *"abs arange ascontiguousarray concatenate empty empty_like full isfinite max min rint".split(),
    *"log ones repeat sqrt square stack zeros_like".split(),
)
METHODS = "all astype clip conj mean reshape swapaxes".split()
PROPERTIES = "T dtype imag nbytes ndim real shape size".split()
BINARY = "add sub mul truediv pow matmul rshift".split()
IN_PLACE = "iadd isub imul itruediv".split()


class StrictArray:
    """An array on the device."""

    __array_ufunc__ = None  # an operator with a NumPy array on the left comes here, and is refused

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __array__(self, *arguments: object, **options: object) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __iter__(self) -> Any:
        if self._values.ndim < 2:
            raise TypeError("an element at a time would be transferred")
        return map(StrictArray, self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __getitem__(self, index: object) -> Any:
        return wrapped(self._values[checked_index(index)])

    def __setitem__(self, index: object, value: object) -> None:
        self._values[checked_index(index)] = unwrapped(value)


def _method(name: str) -> Callable[..., Any]:
    def call(self: StrictArray, *arguments: object, **options: object) -> Any:
        return wrapped(getattr(self._values, name)(*map(unwrapped, arguments), **options))

    return call


def _binary(name: str, *, swapped: bool = False) -> Callable[..., Any]:
    function = getattr(operator, f"__{name}__")

    def call(self: StrictArray, other: object) -> Any:
        pair = (unwrapped(other), self._values) if swapped else (self._values, unwrapped(other))
        return wrapped(function(*pair))

    return call


def _in_place(name: str) -> Callable[..., Any]:
    function = getattr(operator, f"__{name}__")

    def call(self: StrictArray, other: object) -> StrictArray:
        function(self._values, unwrapped(other))
        return self

    return call


for _name in METHODS:
    setattr(StrictArray, _name, _method(_name))
for _name in PROPERTIES:
    setattr(StrictArray, _name, property(lambda self, name=_name: wrapped(getattr(self._values, name))))
for _name in BINARY:
    setattr(StrictArray, f"__{_name}__", _binary(_name))
    setattr(StrictArray, f"__r{_name}__", _binary(_name, swapped=True))
for _name in IN_PLACE:
    setattr(StrictArray, f"__{_name}__", _in_place(_name))


def wrapped(value: Any) -> Any:
    """What a function gives: arrays on the device, also in place of NumPy's scalars, as CuPy's have no dimensions."""
    return StrictArray(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


def unwrapped(value: Any) -> Any:
    """What a function takes: arrays of the device and Python's numbers, alone or in a sequence; no NumPy array."""
    if isinstance(value, StrictArray):
        return value._values
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, list | tuple):
        return type(value)(unwrapped(v) for v in value)
    return value


def checked_index(index: Any) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        if not (part is None or part is Ellipsis or isinstance(part, int | slice | list)):
            raise IndexError(f"an index of type {type(part).__name__}")
    return index


class StrictModule:
    """The functions of NumPy that features need, for arrays of the device alone."""

    def __getattr__(self, name: str) -> Any:
        if name not in FUNCTIONS:
            raise AttributeError(f"is {name} in CuPy? then add it to FUNCTIONS")
        function = getattr(np, name)
        return lambda *arguments, **options: wrapped(function(*map(unwrapped, arguments), **options))

    @staticmethod
    def asarray(values: Any) -> StrictArray:
        """The way to the device."""
        return values if isinstance(values, StrictArray) else StrictArray(np.array(values))


class StrictSparse:
    """A sparse matrix on the device."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    @classmethod
    def coo(cls, content: tuple[StrictArray, tuple[StrictArray, StrictArray]], shape: tuple[int, int]) -> StrictSparse:
        return cls(scipy.sparse.coo_matrix(unwrapped(content), shape=shape))

    def tocsr(self) -> StrictSparse:
        return StrictSparse(self._matrix.tocsr())

    def __matmul__(self, other: StrictArray) -> Any:
        return wrapped(self._matrix @ unwrapped(other))

    def __getattr__(self, name: str) -> Any:
        return wrapped(getattr(self._matrix, name))


def to_host(array: StrictArray) -> np.ndarray:
    """The way back."""
    if not isinstance(array, StrictArray):
        raise TypeError(f"a {type(array).__name__} is not on the device")
    return array._values


def strict_backend(**changes: Any) -> Backend:
    """The backend of such arrays, with the kernels that a GPU has."""
    module: Any = StrictModule()

    def rfft2(images: StrictArray) -> Any:
        return wrapped(scipy.fft.rfft2(unwrapped(images)))

    settings: dict[str, Any] = {
        "name": "strict",
        "xp": module,
        "rfft2": rfft2,
        "dft": rfft2,
        "cross_power": half_cross_power,
        "power": half_power,
        "matrix_of": lambda content, shape: StrictSparse(matrix_of(unwrapped(content), shape)),
        "laplacian": partial(laplacian, xp=module),
        "rgb_to_gray": partial(rgb_to_gray, xp=module),
        "rgb_to_ycc": partial(rgb_to_ycc, xp=module),
        "planes": partial(planes, xp=module),
        "tiles_at_once": 2048,
        "to_host": to_host,
    }
    return Backend(**settings | changes)
