"""How long it takes to read what files say of themselves: milliseconds a file, beside reading and hashing it.

    python examples/benchmarks/provenance.py FOLDER [--count 2000]

Of each file the better of three runs, after the caches are filled.
"""

from __future__ import annotations

import argparse
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
from scan import images_in

from spectral_detect.provenance.look import look


def best_ms(content: bytes) -> tuple[float, float]:
    """Milliseconds to read what a file says, and to hash it."""
    spent: list[tuple[float, float]] = []
    for _ in range(3):
        begun = time.perf_counter()
        look(content)
        between = time.perf_counter()
        sha256(content).hexdigest()
        spent.append((between - begun, time.perf_counter() - between))
    looking, hashing = (1000 * min(times) for times in zip(*spent, strict=True))
    return looking, hashing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+")
    parser.add_argument("--count", type=int, default=2000)
    args = parser.parse_args()
    paths = images_in(args.folder, parser)[: args.count]
    look(Path(paths[0]).read_bytes())
    spent = np.array([best_ms(Path(path).read_bytes()) for path in paths])
    for name, column in zip(("look", "hash"), spent.T, strict=True):
        mean, median, most = column.mean(), np.median(column), np.percentile(column, 99)
        print(f"{name:<6} mean {mean:.3f} ms, median {median:.3f} ms, 99 % below {most:.3f} ms ({len(paths)} files)")


if __name__ == "__main__":
    main()
