"""Time and memory of a scan as it grows: with the number of images, their size and the workers; beside decoding alone.

    python examples/benchmarks/growth.py FOLDER [--features azimuthal] [--plot growth.png] [--json FILE]
                                         [--counts 100,1000,10000] [--sides 128,256,512,1024,2048,4096] [--jobs 1,2]

FOLDER holds photographs, of which JPEGs of each size are made (cut, or continued by their mirror image). A scan of more
images than these reads copies of them under other names (hard links), which the system holds in memory: what a disk or
a network costs comes on top. The processor time of the scanning process, which hands out files and writes records, is
the part that more workers do not shorten. Times are of the whole command, starting included; the last columns compare
with `cv2.imdecode` to gray of 200 of the same files by as many worker processes, started beforehand. Cells of more than
--most-pixels in all are left out. Memory is the peak of the scanning process and of its largest worker.

Below, what a million and a billion images of each size would take if nothing but the processors were in the way: by the
time of a further image with as many workers as here; with a hundred such as the one here, and with a GPU
that takes no time at all, fed by sixteen such workers that only decode, unless the scanning process has more to do. Its
time is the least of the rows with most images: a process that waits in between takes longer over each.
--from FILE prints the same of the cells that an earlier run wrote with --json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
from memory import MEASURE
from scan import baseline, decode_all, images_in, seconds, trained

N_DISTINCT, N_DECODED = 20, 200
HEADER = "  side  images workers   seconds    ms/image  us in process  process MB  worker MB   decode ms  x decode"


@dataclass(frozen=True)
class Cell:
    """One scan: its seconds and those of the scanning process, the peaks in MB, and what decoding alone takes."""

    side: int
    count: int
    jobs: int
    seconds: float
    process_s: float
    process_mb: float
    worker_mb: float
    decode_s: float

    @property
    def ms_per_image(self) -> float:
        return 1000 * self.seconds / self.count


def write_images(sources: list[str], side: int, count: int, folder: Path) -> list[str]:
    """`count` JPEGs of side x side, N_DISTINCT of them different."""
    distinct = []
    for number, source in enumerate(sources[:N_DISTINCT]):
        pixels = cv2.imread(source)[:side, :side]
        while pixels.shape[0] < side or pixels.shape[1] < side:
            down, right = (min(side - length, length - 1) for length in pixels.shape[:2])
            pixels = cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_REFLECT_101)
        distinct.append(folder / f"distinct_{number}.jpg")
        cv2.imwrite(str(distinct[-1]), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    paths = [folder / f"{number:06d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        os.link(distinct[number % len(distinct)], path)
    return [str(path) for path in paths]


def scanned(paths: list[str], jobs: int, model: str) -> list[float]:
    """Seconds, processor seconds of the scanning process, and peak MB of it and of its largest worker."""
    command = [sys.executable, "-c", MEASURE, "scan", "--files-from", "-", "--jobs", str(jobs), "--format", "jsonl"]
    listing = "\n".join(paths)

    def run() -> None:
        nonlocal measured
        done = subprocess.run([*command, "--model", model], input=listing, capture_output=True, text=True, check=True)
        measured = [float(number) for number in done.stderr.split()]

    measured: list[float] = []
    return [seconds(run), *measured]


def row(cell: Cell) -> str:
    each, decode = cell.ms_per_image, 1000 * cell.decode_s
    return (
        f"{cell.side:>6}{cell.count:>8}{cell.jobs:>8}{cell.seconds:>10.2f}{each:>12.2f}"
        f"{1e6 * cell.process_s / cell.count:>14.0f}{cell.process_mb:>12.0f}{cell.worker_mb:>11.0f}"
        f"{decode:>12.2f}{each / decode:>10.2f}"
    )


def further_s(cells: list[Cell], side: int, jobs: int) -> float | None:
    """Seconds of one image more; None where that cannot be told."""
    chosen = sorted((c for c in cells if (c.side, c.jobs) == (side, jobs)), key=lambda c: c.count)
    few, many = chosen[0], chosen[-1]
    if many.count == few.count or many.seconds <= few.seconds:
        return None
    return (many.seconds - few.seconds) / (many.count - few.count)


def duration(total_s: float) -> str:
    for unit, unit_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if total_s >= 2 * unit_s:
            return f"{total_s / unit_s:.3g} {unit}"
    return f"{total_s:.3g} s"


def reckoned(cells: list[Cell]) -> Iterator[str]:
    """The second table; "-" where starting took longer than all images, or there was only one number of them."""
    n_workers = sorted({c.jobs for c in cells})
    columns = [f"{jobs} worker{'s' * (jobs > 1)}" for jobs in n_workers] + ["100 workers", "GPU, 16 cores"]
    yield f"{'images':>13}{'side':>6}" + "".join(f"{column:>16}" for column in columns)
    process = min(c.process_s / c.count for c in cells if c.count == max(d.count for d in cells))
    for total in (10**6, 10**9):
        for side in sorted({c.side for c in cells}):
            each = [further_s(cells, side, jobs) for jobs in n_workers]
            one = n_workers[0] * each[0] if each[0] else None
            decode = n_workers[0] * next(c.decode_s for c in cells if (c.side, c.jobs) == (side, n_workers[0]))
            costs = *each, one and max(one / 100, process), max(decode / 16, process)
            yield f"{total:>13,}{side:>6}" + "".join(f"{duration(total * c) if c else '-':>16}" for c in costs)


def plot(cells: list[Cell], output: str) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    figure = Figure((15, 5), layout="constrained")
    by_count, by_side, memory = figure.subplots(1, 3)
    n_workers = sorted({c.jobs for c in cells})
    for k, size in enumerate(sorted({c.side for c in cells})):
        for style, jobs in zip(("o-", "s--"), n_workers, strict=False):
            chosen = [c for c in cells if c.side == size and c.jobs == jobs]
            label = f"{size} px" if jobs == n_workers[0] else None
            by_count.plot([c.count for c in chosen], [c.seconds for c in chosen], style, color=f"C{k}", label=label)
    most = {(c.side, c.jobs): c for c in sorted(cells, key=lambda c: c.count)}
    for k, jobs in enumerate(n_workers):
        chosen = [c for (_, j), c in sorted(most.items()) if j == jobs]
        sides = [c.side for c in chosen]
        by_side.plot(sides, [c.ms_per_image for c in chosen], "o-", color=f"C{k}", label=f"scan, workers: {jobs}")
        decode = [1000 * c.decode_s for c in chosen]
        by_side.plot(sides, decode, "x:", color=f"C{k}", label=f"decoding alone, workers: {jobs}")
        style = ("o-", "s--")[k % 2]
        memory.plot(sides, [c.worker_mb for c in chosen], style, color=f"C{k}", label=f"largest worker of {jobs}")
    memory.plot(sides, [c.process_mb for c in chosen], "s--", color="black", label="scanning process")
    side = "side in pixels"
    dashed = f"; dashed: {n_workers[1]}" if len(n_workers) > 1 else ""
    y_labels = f"seconds (workers: {n_workers[0]}{dashed})", "ms an image", "peak memory in MB"
    for axes, x, y in zip((by_count, by_side, memory), ("images", side, side), y_labels, strict=True):
        axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
        axes.grid(alpha=0.3)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
        if axes is not by_count:
            axes.set_xticks(sides, [str(side) for side in sides])
        axes.legend(fontsize="small")
    memory.set_yticks([50, 100, 200, 400, 800])
    figure.savefig(output, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="*")
    parser.add_argument("--features", default="azimuthal")
    parser.add_argument("--model")
    for name, default in (("counts", "100,1000,10000"), ("sides", "128,256,512,1024,2048,4096"), ("jobs", "1,2")):
        parser.add_argument(f"--{name}", default=default, type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--most-pixels", type=float, default=2e10)
    parser.add_argument("--plot", metavar="PNG")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--from", dest="earlier", metavar="FILE")
    args = parser.parse_args()
    if args.plot and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install '.[plot]'")
    if args.earlier:
        cells = [Cell(**values) for values in json.loads(Path(args.earlier).read_text())]
        print(HEADER, *map(row, cells), sep="\n")
    else:
        cells = measured(args, images_in(args.folder, parser))
    if args.json:
        Path(args.json).write_text(json.dumps([asdict(cell) for cell in cells]))
    print("", *reckoned(cells), sep="\n")
    if args.plot:
        plot(cells, args.plot)


def measured(args: argparse.Namespace, sources: list[str]) -> list[Cell]:
    model = args.model or trained(args.features)
    print(HEADER)
    cells = []
    for side in args.sides:
        counts = [count for count in args.counts if count * side**2 <= args.most_pixels]
        if not counts:
            continue
        with tempfile.TemporaryDirectory() as name:
            paths = write_images(sources, side, max(counts), Path(name))
            few = (paths * N_DECODED)[:N_DECODED]
            for jobs in args.jobs:
                decoding = baseline(decode_all, few, jobs)
                decode_s = min(decoding() for _ in range(3)) / len(few)
                for count in counts:
                    cells.append(Cell(side, count, jobs, *scanned(paths[:count], jobs, model), decode_s))
                    print(row(cells[-1]), flush=True)
    return cells


if __name__ == "__main__":
    main()
