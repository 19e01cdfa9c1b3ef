"""`scan` end to end against decoding alone, with the same number of worker processes.

    python examples/benchmarks/scan.py FOLDER [--count 300] [--jobs 2] [--features azimuthal] [--repeats 3]
                                       [--threads 1]

The model is trained on the example images with these features (--model names another). The cost of starting
(interpreter, imports, workers, model) is measured on as many files as there are workers, and subtracted. The baselines
run in workers with the same settings, started beforehand: `cv2.imdecode` to gray of the same files, and the same
followed by nothing but a float32 FFT. Medians of the repeats. --threads gives the libraries in each worker of the scan
so many threads: what it would cost not to hold them to one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import scipy.fft
from joblib.externals.loky import ProcessPoolExecutor

from spectral_detect.parallel.pool import WORKER_ENVIRONMENT
from spectral_detect.sources.discovery import expand_arguments, find_images


def decode(path: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(Path(path).read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)


def decode_all(paths: list[str]) -> int:
    return sum(decode(path).size for path in paths)


def decode_and_transform_all(paths: list[str]) -> int:
    return sum(scipy.fft.rfft2(decode(path).astype(np.float32)).size for path in paths)


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def baseline(work: Callable[[list[str]], int], paths: list[str], jobs: int) -> Callable[[], float]:
    pool = ProcessPoolExecutor(jobs, env=WORKER_ENVIRONMENT)
    chunks = [paths[k : k + 16] for k in range(0, len(paths), 16)]
    list(pool.map(work, chunks[: 2 * jobs]))  # started and warm
    return lambda: seconds(lambda: list(pool.map(work, chunks)))


def trained(features: str) -> str:
    """The file of a model of these features."""
    model = str(Path(tempfile.mkdtemp()) / f"{features}.pkl")
    manifest = Path(__file__).parent.parent / "images" / "manifest.csv"
    command = [sys.executable, "-m", "spectral_detect", "train", "--manifest", str(manifest), "--output", model]
    subprocess.run([*command, "--features", features], check=True, stdout=subprocess.DEVNULL)
    return model


WITH_THREADS = (
    "import sys; from spectral_detect.parallel import pool; from spectral_detect.parallel.threads import ONE_THREAD; "
    "pool.WORKER_ENVIRONMENT.update(dict.fromkeys(ONE_THREAD, sys.argv.pop(1))); "
    "from spectral_detect.cli import main; main()"
)


def scan(paths: list[str], jobs: int, model: str, threads: int) -> float:
    with tempfile.NamedTemporaryFile("w") as names:
        names.write("\n".join(paths))
        names.flush()
        command = [sys.executable, "-c", WITH_THREADS, str(threads)]
        command += ["scan", "--files-from", names.name, "--model", model, "--jobs", str(jobs), "--format", "jsonl"]
        return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def images_in(folders: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """The images of folders; a usage error where there are none."""
    try:
        paths = [found.path for found in find_images(expand_arguments(folders)) if found.problem is None]
    except FileNotFoundError as error:
        parser.error(f"there is no {error}")
    return paths or parser.error(f"no image in {folders}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--features", default="azimuthal")
    parser.add_argument("--model")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    paths = images_in(args.folder, parser)[: args.count]
    if args.model is None:
        args.model = trained(args.features)
    decoding, transforming = (baseline(w, paths, args.jobs) for w in (decode_all, decode_and_transform_all))
    rows: dict[str, list[float]] = {"decode": [], "fft": [], "start": [], "scan": []}
    for _ in range(args.repeats):  # turn by turn, so that a noisy machine disturbs all alike
        rows["decode"].append(decoding())
        rows["fft"].append(transforming())
        rows["start"].append(scan(paths[: args.jobs], args.jobs, args.model, args.threads))
        rows["scan"].append(scan(paths, args.jobs, args.model, args.threads))
    decode_s, fft_s, start_s, scan_s = (float(np.median(values)) for values in rows.values())
    print(f"{len(paths)} files, {args.jobs} workers; start-up {start_s:.2f} s, subtracted")
    if scan_s < 1.5 * start_s:
        print("too few files: what is left after subtracting the start is mostly its noise; see --count")
    for name, cost in (("decode alone", decode_s), ("decode and bare FFT", fft_s), ("scan", scan_s - start_s)):
        each = 1000 * cost / len(paths)
        print(
            f"{name:<22}{each:7.2f} ms a file   {cost / decode_s:5.2f} x decode   {cost / fft_s:5.2f} x decode and FFT"
        )


if __name__ == "__main__":
    main()
