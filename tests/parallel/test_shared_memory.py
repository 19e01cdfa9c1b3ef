"""Arrays go between processes through memory that both map."""

from __future__ import annotations

import gc
import os
import pickle
import signal
from multiprocessing import Pipe
from threading import Thread
from typing import Any

import numpy as np
import pytest

from spectral_detect.parallel.pool import DIED, in_order, map_as_done
from spectral_detect.parallel.shared_memory import BLOCK, LEAST_SHARED, Channel, mapped, shared_memory
from spectral_detect.parallel.task import Cost

SIDE = 256  # an image of one block


def pair(n_blocks: int) -> tuple[Channel, Channel]:
    """Return a sender and a receiver, with memory for so many blocks."""
    theirs, ours = Pipe()
    descriptor = shared_memory((n_blocks + 1) * BLOCK)
    memory = None if descriptor is None else mapped(os.dup(descriptor))
    return Channel(theirs, memory), Channel(ours, mapped(descriptor))


def received(channel: Channel) -> Any:
    """Return the one message that has been sent."""
    messages: list[Any] = []
    while not messages:
        messages = channel.receive()
    (message,) = messages
    return message


def n_taken(channel: Channel) -> int:
    """Count the blocks in use."""
    gc.collect()
    assert channel._memory is not None
    return channel._memory[: channel._n_blocks].count(b"\1")


needs_memory = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has memory without a name")


@needs_memory
def test_large_arrays_arrive_and_leave_their_place_when_they_are_dropped(rng: np.random.Generator) -> None:
    sender, receiver = pair(n_blocks=7)
    image = rng.integers(0, 256, (2 * SIDE, SIDE), np.uint8)
    deep = rng.uniform(size=(90, 100)).astype(np.float32)[::-1]
    for _ in range(5):
        sender.send({"image": image, "deep": np.asfortranarray(deep), "small": image[:5], "name": "x"})
        message = received(receiver)
        np.testing.assert_array_equal(message["image"], image)
        np.testing.assert_array_equal(message["deep"], deep)
        np.testing.assert_array_equal(message["small"], image[:5])
        assert n_taken(receiver) == 2 + 1
        part = message["image"][7:]
        del message
        assert n_taken(sender) == 2  # a part of an image keeps the whole
        np.testing.assert_array_equal(part, image[7:])
        del part
        assert n_taken(sender) == 0


@needs_memory
def test_places_are_found_between_others(rng: np.random.Generator) -> None:
    sender, receiver = pair(n_blocks=4)
    images = [rng.integers(0, 256, (SIDE, SIDE), np.uint8) for _ in range(4)]
    held = []
    for image in images:
        sender.send(image)
        held.append(received(receiver))
    assert n_taken(receiver) == 4
    del held[1]
    sender.send(images[0])
    held.append(received(receiver))
    for found, expected in zip(held, (images[0], images[2], images[3], images[0]), strict=True):
        np.testing.assert_array_equal(found, expected)


@needs_memory
def test_arrays_that_find_no_room_go_through_the_pipe(rng: np.random.Generator) -> None:
    sender, receiver = pair(n_blocks=2)
    image = rng.integers(0, 256, (2 * SIDE, SIDE), np.uint8)
    thread = Thread(target=lambda: [sender.send(image) for _ in range(3)])
    thread.start()
    held: list[Any] = []
    while len(held) < 3:
        held += receiver.receive()
    thread.join()
    assert n_taken(receiver) == 2
    for found in held:
        np.testing.assert_array_equal(found, image)


def test_without_memory_all_goes_through_the_pipe() -> None:
    assert shared_memory(0) is None
    assert mapped(None) is None
    theirs, ours = Pipe()
    Channel(theirs).send([np.arange(9), "x"])
    array, text = received(Channel(ours))
    assert array.tolist() == list(range(9))
    assert text == "x"


def test_all_messages_that_have_come_are_received_at_once() -> None:
    theirs, ours = Pipe()
    sender, receiver = Channel(theirs), Channel(ours)
    for k in range(20):
        sender.send((k, "x" * k))
    assert receiver.receive() == [(k, "x" * k) for k in range(20)]
    theirs.close()
    with pytest.raises(EOFError):
        receiver.receive()


def test_a_message_that_the_sender_did_not_finish_is_never_received() -> None:
    theirs, ours = Pipe()
    Channel(theirs).send("whole")
    os.write(theirs.fileno(), (100).to_bytes(4, "big") + b"torn")
    receiver = Channel(ours)
    assert receiver.receive() == ["whole"]
    theirs.close()
    with pytest.raises(EOFError):
        receiver.receive()


def test_a_message_longer_than_four_bytes_can_count_has_its_length_in_eight() -> None:
    theirs, ours = Pipe()
    content = pickle.dumps("long")
    os.write(theirs.fileno(), (-1).to_bytes(4, "big", signed=True) + len(content).to_bytes(8, "big") + content)
    assert Channel(ours).receive() == ["long"]


class Picture:
    """Make an array in a worker; number 5 kills the worker."""

    cost: Cost = "short"

    def __call__(self, item: int) -> np.ndarray:
        if item == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full((SIDE, 3 * SIDE), item, np.uint8)

    def failed(self, item: int, reason: str) -> np.ndarray:
        return np.array([item, len(reason)])


@pytest.mark.parametrize("shared_bytes", [0, 2 * 2**20])
def test_images_of_workers_outlive_them(shared_bytes: int) -> None:
    results = map_as_done(Picture(), range(40), jobs=2, timeout_s=60.0, largest_chunk=2, shared_bytes=shared_bytes)
    held = dict(results)
    assert sorted(held) == list(range(40))
    assert held.pop(5).tolist() == [5, len(DIED)]
    for number, image in held.items():
        assert image.shape == (SIDE, 3 * SIDE)
        assert (image == number).all()
    assert LEAST_SHARED < 3 * SIDE**2


def test_numbered_results_are_put_in_order() -> None:
    assert list(in_order([(2, "c"), (0, "a"), (1, "b"), (3, "d")])) == list("abcd")
    assert list(in_order([])) == []
