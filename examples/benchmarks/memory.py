"""Peak memory of a scan of many small images against that of few: results must not pile up.

python examples/benchmarks/memory.py [--few 500] [--many 5000] [--jobs 2] [--side 128] [--model MODEL]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

# processor seconds of the scanning process without its imports, peak MB of itself and of its largest worker; what the
# system counts for a process begins with that of the process which started it, where /proc does not tell more
MEASURE = """
import resource, sys, time
from pathlib import Path
import spectral_detect.detector.model_file, spectral_detect.outputs.writer, spectral_detect.scanning.images
from spectral_detect.cli import main

started = time.process_time()
main(sys.argv[1:], standalone_mode=False)
status = Path("/proc/self/status")
own = status.read_text().split("VmHWM:")[1].split()[0] if status.exists() else resource.getrusage(0).ru_maxrss
peaks = int(own) / 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(time.process_time() - started, *peaks, file=sys.stderr)
"""


def write_images(folder: Path, count: int, side: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06d}.jpg")


def peaks_mb(folder: Path, count: int, jobs: int, model: str | None) -> list[float]:
    listing = "\n".join(map(str, sorted(folder.iterdir())[:count]))
    command = [sys.executable, "-c", MEASURE, "scan", "--files-from", "-", "--jobs", str(jobs), "--format", "jsonl"]
    if model is not None:
        command += ["--model", model]
    done = subprocess.run(command, input=listing, capture_output=True, text=True, check=True)
    return [float(number) for number in done.stderr.split()[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=500)
    parser.add_argument("--many", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--model")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write_images(Path(name), args.many, args.side)
        few, many = (peaks_mb(Path(name), count, args.jobs, args.model) for count in (args.few, args.many))
    for who, small, large in zip(("scanning process", "largest worker"), few, many, strict=True):
        print(
            f"{who:<18}{small:7.1f} MB at {args.few} images, {large:7.1f} MB at {args.many}: {large / small:.3f} times"
        )


if __name__ == "__main__":
    main()
