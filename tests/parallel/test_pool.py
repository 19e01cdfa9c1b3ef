"""Worker processes that die, hang, or are left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from answers import N_LONG, Answer, Answering, answer
from spectral_detect.errors import SpectralDetectError
from spectral_detect.parallel.pool import DIED, LARGEST_CHUNK, MOST_AHEAD, _growing_chunks, map_in_workers


def answers(items: list[str], jobs: int = 2, timeout_s: float = 60.0) -> list[Answer]:
    return list(map_in_workers(Answering(), items, jobs=jobs, timeout_s=timeout_s))


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_come_in_order_from_other_processes(jobs: int) -> None:
    items = [f"slow {k}" if k % 20 == 0 else str(k) for k in range(90)]
    results = answers(items, jobs)
    assert [name for name, _ in results] == items
    processes = {pid for _, pid in results}
    assert os.getpid() not in processes
    assert len(processes) <= jobs


def test_no_worker_starts_for_nothing() -> None:
    assert answers([]) == []
    assert len({pid for _, pid in answers(["one"], jobs=5)}) == 1


def test_long_answers_and_many_items_do_not_block() -> None:
    """Answers of ten times what a pipe holds before its writer waits, beside items as long as a path may be."""
    items = [f"long {'x' * 3000} {k}" if k % 3 == 0 else f"{'y' * 4000} {k}" for k in range(60)]
    assert [name for name, _ in answers(items)] == [i * N_LONG if i[0] == "l" else i for i in items]


def test_a_worker_that_dies_costs_only_the_item_it_was_at() -> None:
    items = [{5: "kill 5", 6: "leave 6", 40: "kill 40", 59: "kill 59"}.get(k, str(k)) for k in range(60)]
    expected = [f"{i}: {DIED}" if i[0] in "kl" else i for i in items]
    for jobs in (1, 2):
        assert [name for name, _ in answers(items, jobs)] == expected


def test_every_worker_may_die_every_time() -> None:
    assert [name for name, _ in answers(["kill"] * 7)] == [f"kill: {DIED}"] * 7


def test_an_item_that_takes_too_long_is_given_up_once() -> None:
    results = answers(["a", "hang", "b", "hang", "c"], timeout_s=1.5)
    assert [name for name, _ in results] == [
        "a",
        "hang: given up after 1.5 s; see `timeout_s`",
        "b",
        "hang: given up after 1.5 s; see `timeout_s`",
        "c",
    ]


def test_the_clock_is_each_items_own() -> None:
    """All take longer than the limit, each a small part of it."""
    results = map_in_workers(Answering(nap), ["a"] * 32, jobs=1, timeout_s=1.5)
    assert [name for name, _ in results] == ["a"] * 32


def nap(item: str) -> Answer:
    time.sleep(0.05)
    return answer(item)


def test_items_are_taken_no_further_ahead_than_the_bound() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        yield "slow"
        while True:
            taken += 1
            yield "quick"

    results = map_in_workers(Answering(), endless(), jobs=2, timeout_s=60.0)
    for _ in range(100):
        next(results)
    results.close()
    assert taken <= 100 + 2 * (MOST_AHEAD + 1) * LARGEST_CHUNK


def test_chunks_grow_to_a_bound() -> None:
    chunks = list(_growing_chunks(iter(enumerate(range(100)))))
    assert [len(c) for c in chunks[:6]] == [1, 2, 4, 8, 16, 16]
    assert [item for chunk in chunks for _, item in chunk] == list(range(100))


def test_workers_that_cannot_start_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SpectralDetectError, match=r"cannot start \(status 1\); `jobs=0` does without them"):
        answers(["a"])


def test_a_parent_that_is_killed_leaves_no_worker() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from answers import Answering\n"
        "from spectral_detect.parallel.pool import map_in_workers\n"
        "for _, pid in map_in_workers(Answering(), ['slow'] * 1000, jobs=2, timeout_s=60.0):\n"
        "    print(pid, flush=True)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = {int(parent.stdout.readline()) for _ in range(6)}
        parent.kill()
    assert pids
    for pid in pids:
        for _ in range(600):
            if not Path(f"/proc/{pid}").exists():
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"worker {pid} lives on")
