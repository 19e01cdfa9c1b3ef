"""A cluster whose workers die, differ, or were started elsewhere: always the records of the local engine."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from answers import Answer, Answering, answer
from conftest import EXAMPLES, ROOT, Run
from spectral_detect import Work, load_shipped_models, scan
from spectral_detect.errors import ClusterError
from spectral_detect.parallel import dask_map as room
from spectral_detect.parallel.dask_map import LEAST_SHARD, MOST_AHEAD, SHARD_FILES, Crews, _Shards, map_in_cluster
from spectral_detect.parallel.pool import DIED, LARGEST_CHUNK, Pool

distributed = pytest.importorskip("distributed")

ANSWERING = Answering()
OPTIONS: dict[str, Any] = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def running(elsewhere: Path) -> Iterator[Any]:
    """A scheduler with two worker processes, started in another folder."""
    before = os.getcwd()
    os.chdir(elsewhere)
    try:
        started = distributed.LocalCluster(n_workers=2, **OPTIONS)
    finally:
        os.chdir(before)
    with started:
        yield started


@pytest.fixture
def cluster(running: Any) -> Any:
    """The same, with both workers, whatever the test before did to them."""
    deadline = time.monotonic() + 30
    while len(running.scheduler.workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(running.scheduler.workers) == 2
    return running


def answers(items: Any, cluster: Any, task: Answering = ANSWERING, timeout_s: float = 60.0, **options: Any) -> Any:
    address = cluster.scheduler_address
    return map_in_cluster(task, items, scheduler=address, jobs=2, timeout_s=timeout_s, **options)


def becomes_true(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not (fulfilled := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return fulfilled


# -------------------------------------------------------------------------------------------------------------- shards


def sizes(n_items: int, n_threads: int, largest: int = SHARD_FILES) -> list[int]:
    shards = _Shards(range(n_items), largest)
    cut = list(iter(partial(shards.next, n_threads), []))
    assert [item for shard in cut for item in shard] == list(range(n_items))
    return [len(shard) for shard in cut]


def test_shards_are_large_but_at_the_beginning_and_the_end() -> None:
    million = sizes(1_000_000, 16)
    assert len(million) < 1.1 * 1_000_000 / SHARD_FILES
    assert max(million) == SHARD_FILES
    assert million[0] == million[-2] == LEAST_SHARD
    assert max(sizes(700, 2)) < 700 / 4  # neither of two workers waits long for the other
    assert sizes(0, 2) == []
    assert sizes(3, 2) == [3]
    assert sizes(5, 2, largest=1) == [1] * 5


def test_large_results_make_small_shards() -> None:
    shards = _Shards(iter(range(10_000)), SHARD_FILES)
    first = shards.next(1)
    shards.heed(len(first), len(first) * 2**20)
    assert len(shards.next(1)) == room.SHARD_BYTES // 2**20
    shards.heed(1, 2**40)
    assert len(shards.next(1)) == 1


def test_the_graph_is_small_and_the_function_travels_once(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    submit = distributed.Client.submit

    def spy(client: Any, function: Any, *args: Any, **options: Any) -> Any:
        sent.append(len(pickle.dumps((function, [a for a in args if isinstance(a, bytes)]))))
        return submit(client, function, *args, **options)

    monkeypatch.setattr(distributed.Client, "submit", spy)
    items = [str(k) for k in range(3000)]
    results = list(answers(items, cluster, Answering(partial(heavy_answer, ballast=bytes(range(256)) * 2**13))))
    assert [name for name, _ in results] == items
    assert len(sent) < 40
    assert sum(size > 2**21 for size in sent) == 1
    assert sum(sent) < 2**21 + 2**17
    assert len({pid for _, pid in results}) == 2  # started once, for all shards


def heavy_answer(item: str, ballast: bytes) -> Answer:
    return answer(item)


def test_items_are_taken_no_further_ahead_than_the_bound(cluster: Any) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "quick"

    results = answers(endless(), cluster, largest_shard=32)
    assert taken == 0
    for _ in range(500):
        next(results)
    results.close()
    assert taken <= 500 + 2 * (MOST_AHEAD + 2) * 32


# ------------------------------------------------------------------------------------------------ workers and their end


def test_a_poisonous_item_costs_one_record(cluster: Any) -> None:
    items = [{7: "kill 7", 30: "hang 30"}.get(k, str(k)) for k in range(60)]
    expected = [f"{i}: {DIED}" if i[0] == "k" else i for i in items]
    expected[30] = "hang 30: given up after 1.5 s; see --timeout"
    assert [name for name, _ in answers(items, cluster, timeout_s=1.5)] == expected


def test_one_item_at_a_time_where_each_takes_long(cluster: Any) -> None:
    results = list(answers(["slow"] * 6, cluster, Answering(cost="long")))
    assert [name for name, _ in results] == ["slow"] * 6
    assert len({pid for _, pid in results}) == 2


def test_closed_early_it_leaves_nothing_behind(cluster: Any) -> None:
    results = answers(("slow" for _ in range(500)), cluster, largest_shard=8)
    pids = {next(results)[1] for _ in range(9)}
    assert len(pids) == 2
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 5
    assert becomes_true(lambda: not cluster.scheduler.tasks)
    assert becomes_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids)), "their workers live on"


def test_an_item_that_kills_every_worker_of_the_cluster_fails(cluster: Any) -> None:
    before = cluster.scheduler.allowed_failures
    cluster.scheduler.allowed_failures = 0
    try:
        items = [f"murder {k}" if k == 25 else str(k) for k in range(200)]
        names = [name for name, _ in answers(items, cluster, Answering(murder), largest_shard=16)]
    finally:
        cluster.scheduler.allowed_failures = before
    failed = [k for k, name in enumerate(names) if "worker after worker of the cluster died" in name]
    assert 25 in failed
    assert len(failed) <= 2 * 16  # of one shard, and of the one that the worker held ready
    assert [name for k, name in enumerate(names) if k not in failed] == [str(k) for k in range(200) if k not in failed]
    assert len(names) == 200


def murder(item: str) -> Answer:
    if item.startswith("murder"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return answer(item)


def test_without_workers_it_says_so_and_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "PATIENCE_S", 0.1)
    monkeypatch.setattr(room, "POLL_S", 0.1)
    with distributed.LocalCluster(n_workers=0, processes=False, **OPTIONS) as empty:
        results = answers(["a", "b"], empty)
        timer = threading.Timer(1.0, empty.scale, [1])
        timer.start()
        assert [name for name, _ in results] == ["a", "b"]
        timer.join()
    assert [r.getMessage() for r in caplog.records if r.name == room.__name__] == [
        f"waiting for workers: the scheduler has none; start some with: dask worker {empty.scheduler_address}"
    ]


def test_a_scheduler_that_goes_in_the_middle_is_an_error() -> None:
    with distributed.LocalCluster(n_workers=1, processes=False, **OPTIONS) as short:
        results = answers((str(k) for k in range(50_000)), short)
        next(results)
        short.close()
        with pytest.raises(ClusterError, match="lost; what was written is whole: --resume goes on with it"):
            list(results)


def test_another_version_on_a_worker_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "__version__", "0.0.9")
    with pytest.raises(ClusterError, match=r"worker tcp://.* has spectral-detect \d.*; install 0\.0\.9 on all hosts"):
        answers(["a"], cluster)
    crews = Crews(pickle.dumps(Answering()), timeout_s=1.0, largest_chunk=1, folder=None)
    monkeypatch.undo()
    monkeypatch.setattr(room, "_this_worker", lambda: "tcp://there:1")
    with pytest.raises(ClusterError, match=r"tcp://there:1 has spectral-detect .*those of 0\.0\.9"):
        pickle.loads(pickle.dumps(crews)).work_through(pickle.dumps(["a"]))


def test_a_worker_without_what_is_needed_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_installed", sys.intern)  # it wants an argument, as a missing module would raise too
    with pytest.raises(ClusterError, match=r"worker tcp://.* cannot do this work .*on all hosts"):
        answers(["a"], cluster)


def test_relative_names_begin_where_they_did_or_nowhere(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for folder, expected in ((str(tmp_path), True), (str(tmp_path / "no such folder"), False)):
        crew: Pool[str, Any] = Pool(pickle.dumps(Answering(os.path.isdir)), jobs=1, timeout_s=60.0, folder=folder)
        assert list(crew.map(["here", "here"])) == [expected] * 2
        assert list(crew.map(["/"])) == [True]
        crew.stop()


def test_a_crew_that_lost_a_worker_between_two_maps_has_another(tmp_path: Path) -> None:
    crew: Pool[str, Answer] = Pool(pickle.dumps(Answering()), jobs=1, timeout_s=60.0)
    ((_, pid),) = crew.map(["a"])
    assert [p for _, p in crew.map(["b"] * 2 * LARGEST_CHUNK)] == [pid] * 2 * LARGEST_CHUNK
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    ((name, other),) = crew.map(["c"])
    assert name == "c"
    assert other != pid
    crew.stop()


# ------------------------------------------------------------------------------------------------ from the command line


@pytest.fixture
def evidence(tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 312 images and a broken one; its parent is the current one. Where the workers are, it is another."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "ev"
    for copy in range(13):
        for image in sorted(EXAMPLES.rglob("*.png")):
            link = folder / str(copy) / image.relative_to(EXAMPLES)
            link.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image, link)
    (folder / "5" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (elsewhere / "ev" / "0").mkdir(parents=True, exist_ok=True)
    return folder


def test_a_scan_of_which_a_worker_is_killed_is_the_scan_of_one_machine(evidence: Path, cluster: Any, run: Run) -> None:
    output = evidence.parent / "cluster.jsonl"
    pids = {worker.pid for worker in cluster.workers.values()}

    def kill_one() -> None:
        assert becomes_true(lambda: output.exists() and output.read_bytes().count(b"\n") > 20)
        os.kill(min(pids), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    result = run("scan", "ev", "--scheduler", cluster.scheduler_address, "--output", output)
    killer.join()
    assert becomes_true(lambda: {worker.pid for worker in cluster.workers.values()} != pids), "it was not killed"
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "ev/5/broken.jpg" in result.stderr
    assert run("scan", "ev", "--jobs", 2, "--output", "local.jsonl").exit_code == 1
    assert output.read_bytes().count(b"\n") == 313
    assert output.read_bytes() == Path("local.jsonl").read_bytes()


def test_other_commands_and_resume_work_on_the_cluster(evidence: Path, cluster: Any, run: Run) -> None:
    dask = ("--scheduler", cluster.scheduler_address)
    for command in (
        ("scan", "ev/5"),
        ("extract", "ev/5"),
        ("video", "ev/1/real", "ev/2/real", "ev/3/fake", "--model", "photographs"),
    ):
        local = run(*command, "--output", "local.csv", "--jobs", 1)
        rows = Path("local.csv").read_bytes().splitlines(keepends=True)
        Path("cluster.csv").write_bytes(b"".join(rows[:3]))
        resumed = run(*command, "--resume", "cluster.csv", *dask)
        assert resumed.exit_code == local.exit_code, resumed.output
        assert re.search(r"^cluster.csv: [12] rows? kept", resumed.stderr)
        assert Path("cluster.csv").read_bytes() == b"".join(rows)


def test_a_cluster_on_this_machine_needs_no_more_than_the_engine(evidence: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "spectral_detect", "scan", "ev/1", "--format", "jsonl"]
    local, dask = (
        subprocess.run([*command, *options], env=environment, capture_output=True, text=True)
        for options in (["--jobs", "0"], ["--engine", "dask", "--jobs", "2"])
    )
    assert (dask.returncode, dask.stderr) == (0, "")
    assert dask.stdout == local.stdout
    assert dask.stdout.count("\n") == 24


def test_a_scheduler_that_does_not_answer_is_named_before_an_output_is_begun(
    evidence: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spectral_detect.parallel.dask_client.CONNECT_S", 0.3)
    Path("out.csv").write_text("precious\n")
    Path("scheduler.json").write_text('{"address": "tcp://127.0.0.1:1"}')
    for scheduler in ("127.0.0.1:1", "tcp://127.0.0.1:1", "scheduler.json", "nonsense"):
        for command in ("scan", "extract"):
            result = run(command, "ev/1", "--scheduler", scheduler, "--output", "out.csv")
            assert result.exit_code == 2
            assert f"no Dask scheduler at '{scheduler}'" in result.stderr
            assert "name the HOST:PORT that `dask scheduler` prints" in result.stderr
    assert Path("out.csv").read_text() == "precious\n"


def test_a_scheduler_file_will_do(evidence: Path, cluster: Any, run: Run) -> None:
    Path("scheduler.json").write_text(f'{{"address": "{cluster.scheduler_address}"}}')
    result = run("scan", "ev/1/real/Aqua.png", "--scheduler", "scheduler.json", "--format", "csv")
    assert result.exit_code == 0, result.output
    assert "ev/1/real/Aqua.png" in result.stdout
    by_library = scan(["ev/1/real/Aqua.png"], load_shipped_models(), work=Work(scheduler="scheduler.json"))
    assert f",{next(by_library).score}," in result.stdout
    by_library.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "local", "--scheduler", "a:1"), "--engine local does without one"),
        (("--jobs", 3, "--scheduler", "a:1"), "those of a cluster: dask worker --nthreads"),
        (("--jobs", 0, "--engine", "dask"), "give --jobs 1 or more"),
        (("--engine", "dask", "--device", "gpu"), "the workers of a cluster compute on their CPUs"),
    ],
)
def test_options_that_contradict_one_another(options: tuple[object, ...], message: str, run: Run) -> None:
    result = run("scan", EXAMPLES, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_without_dask_it_says_how_to_get_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    result = run("scan", EXAMPLES, "--engine", "dask")
    assert result.exit_code == 2
    assert "--engine dask needs Dask: pip install 'spectral-detect[dask]'" in result.stderr


def test_a_local_scan_loads_nothing_of_dask() -> None:
    code = (
        "import sys; from spectral_detect.cli import main\n"
        f"main(['scan', {str(EXAMPLES)!r}, '--jobs', '0'], standalone_mode=False)\n"
        "print('dask' in sys.modules or 'distributed' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.endswith("False\n"), done.stderr
