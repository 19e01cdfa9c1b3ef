"""A cluster gives the records of the local engine, though its workers die, differ or were started elsewhere."""

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
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import pytest

from answers import Answer, Answering, answer
from conftest import EXAMPLES, MODELS, ROOT, Run
from spectral_detect import Work, load_default_model, scan
from spectral_detect.errors import ClusterError
from spectral_detect.parallel import dask_map as room
from spectral_detect.parallel.dask_map import (
    LARGEST_BATCH,
    MOST_AHEAD,
    SMALLEST_BATCH,
    WorkerPools,
    map_in_cluster,
)
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
    assert becomes_true(lambda: is_whole(running)), "a worker that died was not started again"
    return running


def is_whole(cluster: Any) -> bool:
    """Return whether both workers live, and the scheduler knows just these and not one whose death it has not noticed.

    A run that begins with one of them sends it four batches at once, where each of two is sent two.
    """
    nannies = list(cluster.workers.values())
    return {nanny.worker_address for nanny in nannies} == set(cluster.scheduler.workers) and all(
        nanny.is_alive() for nanny in nannies
    )


def answers(items: Any, cluster: Any, task: Answering = ANSWERING, timeout_s: float = 60.0) -> Any:
    return map_in_cluster(task, items, scheduler=cluster.scheduler_address, jobs=2, timeout_s=timeout_s)


def becomes_true(condition: Callable[[], bool], n_looks: int = 1200) -> bool:
    """Return whether a condition is fulfilled at one of many looks, which take a minute or more."""
    for _ in range(n_looks):
        if condition():
            return True
        time.sleep(0.05)
    return False


# ------------------------------------------------------------------------------------------------------------- batches


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The functions, with the bytes they are given, that go to the cluster; pickled."""
    tasks: list[bytes] = []
    submit = distributed.Client.submit

    def spy(client: Any, function: Any, *args: Any, **options: Any) -> Any:
        tasks.append(pickle.dumps((function, [a for a in args if isinstance(a, bytes)])))
        return submit(client, function, *args, **options)

    monkeypatch.setattr(distributed.Client, "submit", spy)
    return tasks


def test_batches_are_small_at_first_and_grow_to_a_bound(cluster: Any, sent: list[bytes]) -> None:
    items = [str(k) for k in range(6000)]
    assert [name for name, _ in answers(items, cluster)] == items
    sizes = [len(pickle.loads(pickle.loads(task)[0].__reduce__()[1][1])) for task in sent[1:]]
    assert sum(sizes) == 6000
    assert sizes[0] == SMALLEST_BATCH
    assert max(sizes) == LARGEST_BATCH
    assert sizes[:-1] == sorted(sizes[:-1])
    n_gone = 0
    for size in sizes:  # so that neither of two workers waits long for the other at the end
        assert size <= max(SMALLEST_BATCH, n_gone / 4)
        n_gone += size


def test_no_item_needs_no_batch(cluster: Any, sent: list[bytes]) -> None:
    assert list(answers([], cluster)) == []
    assert len(sent) == 1


def test_the_graph_is_small_and_the_function_travels_once(cluster: Any, sent: list[bytes]) -> None:
    # it drops copies that no task needs at the moment: when this process falls behind, a worker starts anew
    cluster.scheduler.extensions["amm"].stop()
    items = [str(k) for k in range(3000)]
    try:
        results = list(answers(items, cluster, Answering(partial(heavy_answer, ballast=bytes(range(256)) * 2**13))))
    finally:
        cluster.scheduler.extensions["amm"].start()
    assert [name for name, _ in results] == items
    sizes = [len(task) for task in sent]
    assert len(sizes) < 40
    assert sum(size > 2**21 for size in sizes) == 1
    assert sum(sizes) < 2**21 + 2**17
    assert len({pid for _, pid in results}) == 2  # started once, for all batches


def heavy_answer(item: str, ballast: bytes) -> Answer:
    return answer(item)


def test_items_are_taken_no_further_ahead_than_the_bound(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LARGEST_BATCH", 32)
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "quick"

    results = answers(endless(), cluster)
    assert taken == 0
    for _ in range(500):
        next(results)
    results.close()
    assert taken <= 500 + 2 * (MOST_AHEAD + 2) * 32


# ------------------------------------------------------------------------------------------------ workers and their end


def test_a_poisonous_item_costs_one_record(cluster: Any) -> None:
    items = [{7: "kill 7", 30: "hang 30"}.get(k, str(k)) for k in range(60)]
    expected = [f"{i}: {DIED}" if i[0] == "k" else i for i in items]
    expected[30] = "hang 30: given up after 2.5 s; see `timeout_s`"
    assert [name for name, _ in answers(items, cluster, timeout_s=2.5)] == expected


def test_one_item_at_a_time_where_each_takes_long(cluster: Any) -> None:
    results = list(answers(["slow"] * 6, cluster, Answering(cost="long")))
    assert [name for name, _ in results] == ["slow"] * 6
    assert len({pid for _, pid in results}) == 2


@pytest.mark.parametrize("n_items", [2, 4])
def test_few_long_items_are_shared_by_the_workers(n_items: int, cluster: Any) -> None:
    results = list(answers(["slow"] * n_items, cluster, Answering(cost="long")))
    counts = Counter(pid for _, pid in results)
    assert sorted(counts.values()) == [n_items // 2] * 2


class Enough(Exception):
    """Nothing more is wanted."""


def test_given_up_early_it_leaves_nothing_behind(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LARGEST_BATCH", 2000)  # ten minutes for a worker
    monkeypatch.setattr(room, "SMALLEST_BATCH", 2000)

    def items() -> Iterator[str]:
        yield from repeat("slow", 6000)
        assert becomes_true(lambda: len(list(tmp_path.iterdir())) == 2), "one of two workers has no work"
        raise Enough

    results = answers(items(), cluster, Answering(partial(noted_answer, folder=tmp_path)))
    raised: list[BaseException] = []

    def work() -> None:
        try:
            next(results)
        except BaseException as error:
            raised.append(error)

    closing = threading.Thread(target=work)
    closing.start()
    closing.join(120)
    assert not closing.is_alive(), "it waits for the work that it should withdraw"
    assert [type(error) for error in raised] == [Enough]
    assert becomes_true(lambda: not cluster.scheduler.tasks), "tasks are left on the scheduler"
    pids = [path.name for path in tmp_path.iterdir()]
    assert becomes_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids)), "their workers live on"


def noted_answer(item: str, folder: Path) -> Answer:
    (folder / str(os.getpid())).touch()
    return answer(item)


def test_an_item_that_kills_every_worker_of_the_cluster_fails(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LARGEST_BATCH", 16)
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    stealing = cluster.scheduler.extensions["stealing"]  # it may bring the worker a third batch
    cluster.sync(stealing.stop)
    try:
        items = [f"murder {k}" if k == 25 else str(k) for k in range(200)]
        names = [name for name, _ in answers(items, cluster, Answering(murder))]
    finally:
        cluster.sync(stealing.start)
    failed = [k for k, name in enumerate(names) if "worker after worker of the cluster died" in name]
    assert 25 in failed
    assert len(failed) <= 2 * 16  # of one batch, and of the one that the worker held ready
    assert [name for k, name in enumerate(names) if k not in failed] == [str(k) for k in range(200) if k not in failed]
    assert len(names) == 200


def murder(item: str) -> Answer:
    if item.startswith("murder"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return answer(item)


def test_results_that_are_lost_with_their_workers_are_computed_again(cluster: Any) -> None:
    def states() -> set[str]:
        return {task.state for task in cluster.scheduler.tasks.values()}

    items = [str(k) for k in range(120)]
    results = answers(items, cluster)
    first = next(results)
    assert becomes_true(lambda: states() == {"memory"})
    lost = set(cluster.scheduler.workers)
    for worker in list(cluster.workers.values()):
        os.kill(worker.pid, signal.SIGKILL)
    assert becomes_true(lambda: lost.isdisjoint(cluster.scheduler.workers))
    assert [name for name, _ in (first, *results)] == items


def test_without_workers_it_says_so_and_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == room.__name__]

    monkeypatch.setattr(room, "PATIENCE", 2)
    monkeypatch.setattr(room, "POLL_S", 0.1)
    with distributed.LocalCluster(n_workers=0, processes=False, **OPTIONS) as empty:
        results = answers(["a", "b"], empty)
        starter = threading.Thread(target=lambda: (becomes_true(lambda: bool(warnings())), empty.scale(1)))
        starter.start()
        assert [name for name, _ in results] == ["a", "b"]
        starter.join()
    assert warnings() == [
        f"waiting for workers: the scheduler has none; start some with: dask worker {empty.scheduler_address}"
    ]


def test_a_scheduler_that_goes_in_the_middle_is_an_error() -> None:
    with distributed.LocalCluster(n_workers=1, processes=False, **OPTIONS) as short:
        results = answers((str(k) for k in range(50_000)), short)
        next(results)
        short.close()
        with pytest.raises(ClusterError, match="lost; what was written is whole: `resume` goes on with it"):
            list(results)


def test_a_cluster_that_takes_too_long_to_start_is_an_error(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        raise distributed.TimeoutError

    monkeypatch.setattr(distributed.Client, "_ensure_connected", never)
    with pytest.raises(ClusterError, match=r"did not start \(no answer in 60 s\); try again when .* less busy"):
        answers(["a"], cluster)


def test_a_cluster_that_takes_too_long_to_end_does_not_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    kill = distributed.nanny.WorkerProcess.kill

    async def kill_late(self: Any, *args: Any, **options: Any) -> None:
        await kill(self, *args, **options)
        raise distributed.TimeoutError

    monkeypatch.setattr(distributed.nanny.WorkerProcess, "kill", kill_late)
    results = map_in_cluster(ANSWERING, ["a", "b"], scheduler=None, jobs=1, timeout_s=60.0)
    assert [name for name, _ in results] == ["a", "b"]


def test_another_version_on_a_worker_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "__version__", "0.0.9")
    with pytest.raises(ClusterError, match=r"worker tcp://.* has spectral-detect \d.*; install 0\.0\.9 on all hosts"):
        answers(["a"], cluster)
    monkeypatch.undo()
    pools = WorkerPools("0.0.9", pickle.dumps(Answering()), timeout_s=1.0, largest_chunk=1, folder=None)
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        there = client.submit(pickle.loads, pickle.dumps(pools), pure=False)
        results = client.submit(WorkerPools.work_through, there, pickle.dumps(["a"]), pure=False)
        with pytest.raises(ClusterError, match=r"tcp://.* has spectral-detect .*those of 0\.0\.9"):
            results.result()


def test_a_worker_without_what_is_needed_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_installed", sys.intern)  # it wants an argument, as a missing module would raise too
    with pytest.raises(ClusterError, match=r"worker tcp://.* cannot do this work .*on all hosts"):
        answers(["a"], cluster)


def test_a_worker_without_this_package_that_joins_later_is_refused(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "spectral_detect.py").write_text("raise ImportError('not on this host')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--no-nanny"]
    results = answers(repeat("slow"), cluster, Answering(cost="long"))
    assert next(results)[0] == "slow"
    with (tmp_path / "log").open("wb") as log:
        late = subprocess.Popen([*command, "--no-dashboard"], env=environment, cwd=tmp_path, stderr=log)
    try:
        with pytest.raises(ClusterError, match=r"worker tcp://.* cannot do this work .*not on this host.*on all hosts"):
            list(islice(results, 500))
    finally:
        late.terminate()
        late.wait()
    assert becomes_true(lambda: len(cluster.scheduler.workers) == 2)


def test_relative_names_begin_where_they_did_or_nowhere(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for folder, expected in ((str(tmp_path), True), (str(tmp_path / "no such folder"), False)):
        pool: Pool[str, Any] = Pool(pickle.dumps(Answering(os.path.isdir)), jobs=1, timeout_s=60.0, folder=folder)
        assert list(pool.map(["here", "here"])) == [expected] * 2
        assert list(pool.map(["/"])) == [True]
        pool.stop()


def test_a_pool_that_lost_a_worker_between_two_maps_has_another() -> None:
    pool: Pool[str, Answer] = Pool(pickle.dumps(Answering()), jobs=1, timeout_s=60.0)
    ((_, pid),) = pool.map(["a"])
    assert [p for _, p in pool.map(["b"] * 2 * LARGEST_CHUNK)] == [pid] * 2 * LARGEST_CHUNK
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    ((name, other),) = pool.map(["c"])
    assert name == "c"
    assert other != pid
    pool.stop()


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


def test_a_scan_that_loses_a_worker_writes_the_records_of_one_machine(evidence: Path, cluster: Any, run: Run) -> None:
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
    assert result.exit_code == 1, result.output
    told, counts = result.stderr.splitlines()
    assert "ev/5/broken.jpg" in told
    assert counts.endswith("1 failed")
    assert run("scan", "ev", "--jobs", 2, "--output", "local.jsonl").exit_code == 1
    assert output.read_bytes().count(b"\n") == 313
    assert output.read_bytes() == Path("local.jsonl").read_bytes()


def test_other_commands_and_resume_work_on_the_cluster(evidence: Path, cluster: Any, run: Run) -> None:
    dask = ("--scheduler", cluster.scheduler_address)
    for command in (
        ("scan", "ev/5"),
        ("extract", "ev/5"),
        ("video", "ev/1/real", "ev/2/real", "ev/3/fake", "--model", MODELS / "photographs.pkl"),
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
    monkeypatch.setattr("spectral_detect.parallel.dask_client.ANSWER_S", 0.3)
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
    by_library = scan(["ev/1/real/Aqua.png"], load_default_model(), work=Work(scheduler="scheduler.json"))
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
    assert "--engine dask needs Dask: pip install '.[dask]' in the checkout" in result.stderr


def test_a_local_scan_loads_nothing_of_dask() -> None:
    code = (
        "import sys; from spectral_detect.cli import main\n"
        f"main(['scan', {str(EXAMPLES)!r}, '--jobs', '0'], standalone_mode=False)\n"
        "print('dask' in sys.modules or 'distributed' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.endswith("False\n"), done.stderr
