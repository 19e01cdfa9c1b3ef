"""Images from memory, and this package inside another program, which has threads, forks and a stderr of its own."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import EXAMPLES, MODELS
from drawn_faces import drawn_face
from spectral_detect import Limits, Model, Rules, Scanner, Work, load_model, scan, scan_bytes
from spectral_detect.errors import ArgumentError, OptionError, PathError, SpectralDetectError
from spectral_detect.parallel.worker_process import WorkerProcess

IMAGE = EXAMPLES / "fake" / "Aqua.png"


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(MODELS / "photographs.pkl")


def test_an_image_in_memory_has_the_record_of_its_file(model: Model) -> None:
    (of_file,) = scan(IMAGE, model, rules=Rules(prevalence=0.1), work=Work(jobs=1))
    record = scan_bytes(IMAGE.read_bytes(), model, name=str(IMAGE), rules=Rules(prevalence=0.1))
    assert record.to_dict() == of_file.to_dict() | {"mtime_ns": None}


def test_threads_that_share_a_model_look_for_faces_each_in_its_own_image() -> None:
    faces = load_model(MODELS / "faces.pkl")
    assert faces.experience is not None
    assert faces.experience.needs_portrait
    drawn = np.pad(drawn_face(150), ((20, 20), (20, 20), (0, 0)), mode="edge")
    contents = [cv2.imencode(".png", image)[1].tobytes() for image in (drawn, np.roll(drawn, 95, axis=(0, 1)))]
    alone = [scan_bytes(content, faces) for content in contents]
    assert ["no large face" in "".join(record.warnings) for record in alone] == [False, True]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda k: scan_bytes(contents[k % 2], faces), range(40))) == 20 * alone


def test_a_scanner_keeps_its_workers_and_gives_the_same_records(model: Model) -> None:
    contents = [path.read_bytes() for path in sorted((EXAMPLES / "fake").glob("*.png"))[:5]] + [b"", b"no image at all"]
    rules = Rules(prevalence=0.1)
    with Scanner(model, rules=rules, work=Work(jobs=2)) as scanner, ThreadPoolExecutor(4) as threads:
        records = list(threads.map(lambda content: scanner.scan_bytes(content, name="upload"), contents))
    assert records == [scan_bytes(content, model, name="upload", rules=rules) for content in contents]
    with pytest.raises(OptionError, match="the scanner is closed"):
        scanner.scan_bytes(contents[0])
    scanner.close()


def test_what_takes_too_long_costs_a_scanner_one_image(model: Model) -> None:
    slow = scan_bytes(IMAGE.read_bytes(), model).to_dict()
    with Scanner(model, work=Work(jobs=1, timeout_s=1e-6)) as scanner:
        scanner.scan_bytes(b"")  # the clock of the first begins when the worker has started
        assert "given up after 1e-06 s" in str(scanner.scan_bytes(IMAGE.read_bytes()).error)
    with Scanner(model, work=Work(jobs=1)) as scanner:
        assert scanner.scan_bytes(IMAGE.read_bytes()).to_dict() == slow
        (worker,) = scanner._idle[0]._workers
        worker.process.kill()
        worker.process.wait()
        assert scanner.scan_bytes(IMAGE.read_bytes()).to_dict() == slow


def test_threads_are_served_in_turn_and_closing_ends_the_waiting(model: Model) -> None:
    content, served, refused = IMAGE.read_bytes(), [0] * 4, []

    def busily(k: int) -> None:
        try:
            while True:
                scanner.scan_bytes(content)
                served[k] += 1
        except OptionError as error:
            refused.append(str(error))

    with Scanner(model, work=Work(jobs=1)) as scanner, ThreadPoolExecutor(4) as threads:
        for k in range(4):
            threads.submit(busily, k)
        while sum(served) < 40:
            time.sleep(0.01)
        scanner.close()
    assert min(served) >= 40 // 4 - 2
    assert refused == ["the scanner is closed; make a new one"] * 4
    with pytest.raises(OptionError, match="the scanner is closed"), scanner:
        pass


def test_an_interrupted_call_leaves_no_answer_for_the_next(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [path.read_bytes() for path in sorted((EXAMPLES / "fake").glob("*.png"))[:2]]
    with Scanner(model, work=Work(jobs=1)) as scanner:
        right = scanner.scan_bytes(contents[1])
        send = WorkerProcess._send

        def sent_and_interrupted(worker: Any, pickled: bytes) -> None:
            send(worker, pickled)
            raise KeyboardInterrupt

        with monkeypatch.context() as interrupted:
            interrupted.setattr(WorkerProcess, "_send", sent_and_interrupted)
            with pytest.raises(KeyboardInterrupt):
                scanner.scan_bytes(contents[0])
        assert scanner.scan_bytes(contents[1]) == right


def test_workers_that_cannot_start_are_an_error_of_this_package(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Scanner(model, work=Work(jobs=1)) as scanner:
        for _ in range(2):
            with pytest.raises(SpectralDetectError, match=r"worker processes cannot start \(No such file"):
                scanner.scan_bytes(IMAGE.read_bytes())


def test_a_scanner_stays_in_its_process(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scanner(model, limits=Limits(max_bytes=9), work=Work(jobs=1)) as scanner:
        assert "files over 9 are refused" in str(scanner.scan_bytes(IMAGE.read_bytes()).error)  # without a worker
        with pytest.raises(OptionError, match="cannot be sent to another process"):
            pickle.dumps(scanner)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(OptionError, match="made by another process; make one in each"):
            scanner.scan_bytes(b"x")


@pytest.mark.parametrize("work", [Work(jobs=0), Work(device="gpu"), Work(engine="dask")])
def test_a_scanner_has_workers_of_its_own(model: Model, work: Work) -> None:
    with pytest.raises(OptionError, match="a Scanner has local worker processes"):
        Scanner(model, work=work)


@pytest.mark.parametrize(("content", "error"), [(b"", "the file is empty"), (b"text" * 9, "not an image")])
def test_what_is_no_image_has_a_record_with_an_error(model: Model, content: bytes, error: str) -> None:
    record = scan_bytes(content, model, name="upload 1")
    assert (record.path, record.verdict) == ("upload 1", None)
    assert record.error is not None and error in record.error


def test_the_limits_hold_in_memory_too(model: Model) -> None:
    content = IMAGE.read_bytes()
    for limits, error in ((Limits(max_bytes=9), "files over 9 are refused"), (Limits(max_pixels=9), "pixels")):
        assert error in str(scan_bytes(content, model, limits=limits).error)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda m: scan(3, m), "paths is int 3"),
        (lambda m: scan([None], m), "a path is NoneType"),
        (lambda m: scan(IMAGE, m, work=4), "work is int 4, not Work"),
        (lambda m: scan(IMAGE, m, rules=0.5), "rules is float 0.5, not Rules"),
        (lambda m: scan(IMAGE, m, limits=9), "limits is int 9, not Limits"),
        (lambda m: scan_bytes("x.jpg", m), "content is str 'x.jpg', not bytes"),
    ],
)
def test_what_is_no_argument_is_named(model: Model, call: Any, problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        call(model)


def test_a_path_is_no_pattern_and_no_url(model: Model, tmp_path: Path) -> None:
    """A stranger who chooses the name of a file does not choose which file is judged."""
    (tmp_path / "x1.png").write_bytes(IMAGE.read_bytes())
    name = tmp_path / "x[1].png"
    assert [r.path for r in scan(str(name), model, work=Work(jobs=0))] == [str(tmp_path / "x1.png")]
    for path in (name, Path("http://127.0.0.1:1/x.png"), Path("s3://bucket/x.png")):
        with pytest.raises(PathError):
            scan(path, model)
    name.write_bytes(IMAGE.read_bytes())
    assert [r.path for r in scan([name], model, work=Work(jobs=0))] == [str(name)]


def test_how_often_it_is_right_is_not_said_of_a_part_of_an_image() -> None:
    world, content = load_model("world"), (EXAMPLES.parent / "everyday" / "web.jpg").read_bytes()
    whole, part = scan_bytes(content, world), scan_bytes(content[:60_000], world)
    assert (whole.verdict, part.verdict) == ("real", "real")
    assert whole.such_files is not None and whole.verdict_right is not None
    assert (part.such_files, part.verdict_right) == (None, None)
    assert "only the upper 432 of 504 rows" in part.warnings[0]


def test_a_part_of_an_image_has_to_be_large_enough_itself() -> None:
    world, content = load_model("world"), (EXAMPLES.parent / "everyday" / "web.jpg").read_bytes()
    record = scan_bytes(content[:9_000], world)
    assert (record.width, record.height, record.verdict) == (378, 504, "inconclusive")
    assert record.reason == "outside experience"
    assert re.search(r"378x\d{2,3} pixels \(it judges a shorter side of 128 to", "".join(record.warnings))
    assert world.small and scan_bytes(content[:30_000], world).undecided_low == world.small.undecided[0]


def printed_by(script: str, **environment: str) -> str:
    environment = os.environ | environment
    return subprocess.run(
        [sys.executable, "-c", script, str(IMAGE), str(MODELS / "photographs.pkl")],
        check=True, capture_output=True, text=True, timeout=100, env=environment,
    ).stdout  # fmt: skip


IN_A_FORK = """
import os, sys, threading, time, warnings
from spectral_detect import load_model, scan_bytes
warnings.simplefilter("ignore")
content, model = open(sys.argv[1], "rb").read(), load_model(sys.argv[2])
scan_bytes(content, model)

def judge_on():
    while True:
        scan_bytes(content, model)

threading.Thread(target=judge_on, daemon=True).start()
for _ in range(12):
    time.sleep(0.013)
    if (child := os.fork()) == 0:
        os._exit(0 if scan_bytes(content, model).error is None else 9)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, 9)
        time.sleep(0.002)
    print(ended[1], end=" ", flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_waits_for_no_thread_that_it_does_not_have() -> None:
    assert printed_by(IN_A_FORK, OPENBLAS_NUM_THREADS="1") == "0 " * 12  # with more, OpenBLAS itself may wait for ever


THREADS = """
import sys
from threadpoolctl import threadpool_info
from spectral_detect import Work, load_model, scan
from spectral_detect.parallel.threads import one_thread

def threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

before = threads()
with one_thread():
    with one_thread():
        assert threads() == {1}, threads()
    assert threads() == {1}, threads()
assert threads() == before
for record in scan(sys.argv[1], load_model(sys.argv[2]), work=Work(jobs=0)):
    assert threads() == before
    print(record.score)
"""


def test_a_score_does_not_depend_on_the_threads_of_the_program() -> None:
    one, two = (printed_by(THREADS, OPENBLAS_NUM_THREADS=n, OMP_NUM_THREADS=n) for n in ("1", "2"))
    assert float(one) == float(two)
