"""Which images share a batch for a device, and how long they wait for it."""

from __future__ import annotations

import numpy as np
import pytest

from spectral_detect.features import gpu_batches as batching
from spectral_detect.features.extract import Stack
from spectral_detect.features.gpu_batches import Buckets


def stack(height: int = 32, width: int = 32, *, kind: str = "uint8", is_ycc: bool = False) -> Stack:
    return Stack(np.zeros((1, height, width), kind), is_ycc=is_ycc)


def test_equal_images_fill_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_IMAGES", 3)
    buckets = Buckets[int]()
    kinds = [stack(), stack(40), stack(), stack(kind="uint16"), stack(is_ycc=True), stack()]
    given = [batch for k, s in enumerate(kinds) for batch in buckets.add(k, s)]
    assert [batch.tickets for batch in given] == [[0, 2, 5]]
    assert [batch.tickets for batch in buckets.rest()] == [[1], [3], [4]]
    assert list(buckets.rest()) == []


def test_large_images_fill_a_batch_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "BATCH_BYTES", 2000)
    buckets = Buckets[int]()
    assert [[batch.tickets for batch in buckets.add(k, stack())] for k in range(4)] == [[], [[0, 1]], [], [[2, 3]]]
    assert [batch.tickets for batch in buckets.add(4, stack(64))] == [[4]]


def test_what_waits_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr(batching, "WAITING_BYTES", 20_000)
    buckets, given = Buckets[int](), []
    for k in range(300):
        side = int(rng.integers(16, 80))
        before = {kind: batch.n_bytes for kind, batch in buckets._filling.items()}
        for batch in buckets.add(k, stack(side)):
            given += batch.tickets
            assert batch.n_bytes >= max(before.values())  # the fullest
        assert buckets.n_bytes <= 20_000
    given += [ticket for batch in buckets.rest() for ticket in batch.tickets]
    assert sorted(given) == list(range(300))


def test_a_rare_size_is_not_overtaken_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_OVERTAKING", 10)
    monkeypatch.setattr(batching, "MAX_IMAGES", 4)
    buckets = Buckets[int]()
    given = [(k, batch.tickets) for k in range(30) for batch in buckets.add(k, stack(99 if k == 2 else 32))]
    assert next(k for k, tickets in given if tickets == [2]) == 2 + 10
