"""What is done to each of many items, and what an item becomes over which a worker was lost."""

from __future__ import annotations

from typing import Literal, Protocol, TypeVar

Item = TypeVar("Item", contravariant=True)
Result = TypeVar("Result", covariant=True)

Cost = Literal["trivial", "short", "long"]


class Task(Protocol[Item, Result]):
    """A function over one item, called in a worker process: picklable, and it raises nothing.

    Attributes
    ----------
    cost : Cost
        "trivial" takes microseconds and is not worth a worker; "short" takes milliseconds, and items are handed over by
        the dozen; "long" takes seconds, and items are handed over one by one.
    """

    @property
    def cost(self) -> Cost:
        """How long one item takes, roughly."""
        ...

    def __call__(self, item: Item, /) -> Result:
        """Work on one item."""
        ...

    def failed(self, item: Item, reason: str, /) -> Result:
        """Return the result of an item that could not be worked on, and why."""
        ...
