"""How long `spectral-detect --help` takes against importing click alone.

python examples/benchmarks/startup.py [--repeats 20]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def median_ms(command: list[str], repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    program = str(Path(sys.executable).with_name("spectral-detect"))
    click = median_ms([sys.executable, "-c", "import click"], args.repeats)
    shown = median_ms([program, "--help"], args.repeats)
    print(f"import click {click:.0f} ms, spectral-detect --help {shown:.0f} ms: {shown / click:.2f} times")


if __name__ == "__main__":
    main()
