"""Compare `scan --engine dask` on this machine with the local engine, with the same number of processes.

    python examples/benchmarks/cluster.py FOLDER [--jobs 2] [--repeats 3]

Whole runs, in which Dask's scheduler and workers are started and ended. The engines take turns; the medians of the
repeats are compared.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(folder: str, engine: str, jobs: int) -> float:
    """Time a scan; end with status 2 if it could not begin, after its own message."""
    options = ["--engine", engine, "--jobs", str(jobs), "--format", "jsonl"]
    started = time.perf_counter()
    command = [sys.executable, "-m", "spectral_detect", "scan", folder, *options]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 2:
        sys.exit(2)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    times: dict[str, list[float]] = {"local": [], "dask": []}
    for _ in range(options.repeats):
        for engine, measured in times.items():
            measured.append(seconds(options.folder, engine, options.jobs))
    local, dask = (statistics.median(measured) for measured in times.values())
    print(f"local {local:.2f} s, dask {dask:.2f} s: {dask / local:.2f} times")


if __name__ == "__main__":
    main()
