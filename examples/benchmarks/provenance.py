"""How long it takes to read what files say of themselves: milliseconds a file, beside hashing it.

    python examples/benchmarks/provenance.py FOLDER [--count 2000]

Of each file the best of three runs, after the caches are filled; with --full also what the decoded picture adds, and
how long decoding takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
from scan import images_in

from spectral_detect.media.images import decode
from spectral_detect.provenance.findings import Provenance
from spectral_detect.provenance.look import look
from spectral_detect.provenance.picture.pixels import with_pixels


def best_ms(content: bytes, *, full: bool) -> list[float]:
    """Milliseconds of each step."""
    steps: list[Callable[[], object]] = [lambda: look(content), lambda: sha256(content).hexdigest()]
    if full:
        image = decode(content, colour=True)
        steps += [lambda: with_pixels(Provenance(), content, image), lambda: decode(content, colour=True)]
    return [min(milliseconds(step) for _ in range(3)) for step in steps]


def milliseconds(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    paths = images_in(args.folder, parser)[: args.count]
    look(Path(paths[0]).read_bytes())
    spent = np.array([best_ms(Path(path).read_bytes(), full=args.full) for path in paths])
    for name, column in zip(("look", "hash", "picture", "decode"), spent.T, strict=False):
        mean, median, most = column.mean(), np.median(column), np.percentile(column, 99)
        print(f"{name:<8} mean {mean:.3f} ms, median {median:.3f} ms, 99 % below {most:.3f} ms ({len(paths)} files)")


if __name__ == "__main__":
    main()
