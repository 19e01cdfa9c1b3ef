"""The speeds that are aimed at, a row each: small and large images, the scanning process, starting, videos, Dask.

    python examples/benchmarks/targets.py FOLDER [--rows small,thumbnails,large,start,video,dask] [--repeats 7]
                                          [--model MODEL]

FOLDER holds photographs, of which the files are made (cut, or continued by their mirror image). Processor seconds, for
other programs do not count in them: those of all worker processes, less those of a scan of as many images as there are
workers, against `cv2.imdecode` to gray of the same files in this process, turn by turn; medians of the repeats. Images
a second, the scan of one image and the comparison of engines are by the clock. The model, unless named, is trained on
the example images with `azimuthal` features.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cluster import seconds as cluster_seconds
from features import settle_memory
from growth import write_images
from scan import decode_all, images_in, trained

MEASURE = """
import os, resource, sys, time
from spectral_detect.cli import main
main(sys.argv[1:], standalone_mode=False)
own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime, file=sys.stderr)
"""
N_CLIP, N_CLUSTER = 400, 20_000


@dataclass(frozen=True)
class Cost:
    """What a scan took: by the clock, and of the processor in the scanning process and in its workers."""

    clock_s: float
    process_s: float
    workers_s: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.clock_s - other.clock_s, self.process_s - other.process_s, self.workers_s - other.workers_s)


def scanned(paths: list[str], jobs: int, model: str) -> Cost:
    command = [sys.executable, "-c", MEASURE, "scan", "--files-from", "-", "--jobs", str(jobs), "--format", "jsonl"]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command += ["--model", model, "--output", f"{folder}/rows.jsonl"]
        done = subprocess.run(command, input="\n".join(paths), capture_output=True, text=True, check=True)
    return Cost(time.perf_counter() - started, *map(float, done.stderr.split()[-2:]))


def seconds(clock: Callable[[], float], function: Callable[[], object]) -> float:
    started = clock()
    function()
    return clock() - started


def rows_of_images(title: str, paths: list[str], model: str, repeats: int) -> Iterator[str]:
    """The rows of a scan of these files by one worker and by two."""
    for jobs in (1, 2):
        costs, decoding = [], []
        for _ in range(repeats):
            costs.append(scanned(paths, jobs, model) - scanned(paths[:jobs], jobs, model))
            decoding.append(seconds(time.process_time, lambda: decode_all(paths)))
        n = len(paths)
        per_record, per_image, ratio, rate = (
            float(np.median(values))
            for values in (
                [1e6 * cost.process_s / n for cost in costs],
                [1e3 * cost.workers_s / n for cost in costs],
                [cost.workers_s / decode_s for cost, decode_s in zip(costs, decoding, strict=True)],
                [n / cost.clock_s for cost in costs],
            )
        )
        yield (
            f"{title}, workers {jobs}: {ratio:.2f} x decode, {per_image:.3f} ms an image in a worker, "
            f"{per_record:.0f} us a record in the scanning process, {rate:.0f} images a second"
        )


def small(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    paths = write_images(images_in(args.folder, args.parser), 128, 5000, folder)
    yield from rows_of_images("128 px JPEG", paths, args.model, args.repeats)


def large(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    paths = write_images(images_in(args.folder, args.parser), 1024, 200, folder)
    yield from rows_of_images("1024 px JPEG", paths, args.model, args.repeats)


def write_thumbnails(sources: list[str], side: int, count: int, folder: Path) -> list[str]:
    """`count` PNGs of side x side, fifty of them different."""
    whole = [cv2.imread(source) for source in sources[:10]]
    for number in range(50):
        at = 7 * number % 100
        cv2.imwrite(str(folder / f"{number:06d}.png"), whole[number % len(whole)][at : at + side, at : at + side])
    for number in range(50, count):
        os.link(folder / f"{number % 50:06d}.png", folder / f"{number:06d}.png")
    return [str(folder / f"{number:06d}.png") for number in range(count)]


def thumbnails(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    paths = write_thumbnails(images_in(args.folder, args.parser), 32, 5000, folder)
    yield from rows_of_images("32 px PNG", paths, args.model, args.repeats)


def start(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    program = str(Path(sys.executable).with_name("spectral-detect"))
    (path,) = write_images(images_in(args.folder, args.parser), 1024, 1, folder)
    commands = {
        "import click": [sys.executable, "-c", "import click"],
        "spectral-detect --help": [program, "--help"],
        "scan of one image": [program, "scan", path],
    }
    # what an installed program has: its modules are compiled already
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(args.repeats + 1):
        for name, command in commands.items():
            started, before = time.perf_counter(), children_s()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
            times[name].append((children_s() - before, time.perf_counter() - started))
    click, shown, one = (np.median(values[1:], axis=0) for values in times.values())
    yield (
        f"--help {1000 * shown[0]:.0f} ms of the processor, {shown[0] / click[0]:.2f} x import click; scan of one "
        f"image {one[1]:.2f} s, {one[0]:.2f} s of the processor"
    )


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def video(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    from video import judge_all, make_clip, plain

    from spectral_detect import load_model

    path, model = folder / "clip.mp4", load_model(args.model)
    make_clip(path, N_CLIP, 250)
    judge_all(path, model)  # builds what is built once per size
    for how, clock in (("", time.process_time), (", by the clock", time.perf_counter)):
        shares = [
            seconds(clock, lambda: plain(path)) / seconds(clock, lambda: judge_all(path, model))
            for _ in range(args.repeats)
        ]
        yield f"video --all, 1280x720: {float(np.median(shares)):.2f} of the speed of decoding alone{how}"


def dask(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    write_thumbnails(images_in(args.folder, args.parser), 64, N_CLUSTER, folder)
    ratios = []
    for _ in range(args.repeats):
        local, cluster = (cluster_seconds(str(folder), engine, 2) for engine in ("local", "dask"))
        ratios.append(cluster / local)
    yield f"--engine dask, {N_CLUSTER} images of 64 px, two workers: {float(np.median(ratios)):.2f} x local"


ROWS: dict[str, Callable[[argparse.Namespace, Path], Iterator[str]]] = {
    row.__name__: row for row in (small, thumbnails, large, start, video, dask)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--model")
    args = parser.parse_args()
    if unknown := set(args.rows.split(",")) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}: there are {', '.join(ROWS)}")
    args.parser = parser
    settle_memory()
    cv2.setNumThreads(1)
    args.model = args.model or trained("azimuthal")
    for name in args.rows.split(","):
        with tempfile.TemporaryDirectory() as folder:
            for line in ROWS[name](args, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
