"""Check what a caller of the library gives, where a wrong value would pass as another or fail deep inside."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, cast

from spectral_detect.errors import ArgumentError, OptionError


def require_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise `OptionError` unless a setting is one of its choices."""
    if value not in (allowed := tuple(choices)):
        raise OptionError(f"{name} is {value!r}", remedy=f"it must be one of {', '.join(map(str, allowed))}")


def require_whole(name: str, value: object, least: int, none_means: str = "") -> None:
    """Raise `OptionError` unless a setting is a whole number from `least` on, or None if that means something."""
    if none_means and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        or_none = f", or None for {none_means}" if none_means else ""
        raise OptionError(f"{name} is {value!r}", remedy=f"it must be a whole number from {least} on{or_none}")


def is_number(value: object) -> bool:
    """Tell whether a setting is a number, which True and False are not meant to be."""
    return isinstance(value, Real) and not isinstance(value, bool)


def require_share(name: str, value: object, *, most: float) -> None:
    """Raise `OptionError` unless a setting is a number above 0, up to `most`."""
    if not is_number(value) or not 0 < cast(float, value) <= most:
        raise OptionError(f"{name} is {value!r}", remedy=f"it must be above 0 and at most {most:g}")


def require_type(name: str, value: object, kind: type[Any] | tuple[type[Any], ...], remedy: str) -> None:
    """Raise `ArgumentError` unless an argument is of the class that the function takes."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(one.__name__ for one in kinds)
        raise ArgumentError(f"{name} is {type(value).__name__} {value!r:.60}, not {expected}", remedy=remedy)
