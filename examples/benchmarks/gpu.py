"""Features of 1024x1024 images on a GPU: in its memory, with the transfers, and a scan of JPEG files end to end.

    python examples/benchmarks/gpu.py [--side 1024] [--batch 64] [--count 2000] [--jobs N] [--repeats 10]

The floor is what the device's memory allows: the pixels read once and the features written once, at the speed of a
copy within the device. One core makes the features of one image after another. The scan runs on --count files that are
written for it, with --device gpu and with --device cpu; the time that starting takes (interpreter, CUDA, workers) is
measured on as many files as there are workers, and subtracted. Medians of the repeats.
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
from threadpoolctl import threadpool_limits

from spectral_detect import FeatureSpec, extract_features
from spectral_detect.features.backend import Backend
from spectral_detect.features.cupy_backend import cupy_backend, device_problem
from spectral_detect.features.extract import Stack, cut_stack, joined, stack_features
from spectral_detect.features.gpu_batches import Batch, Device
from spectral_detect.parallel.work import available_cores


def seconds(function: Callable[[], object], repeats: int, synchronize: Callable[[], object] = lambda: None) -> float:
    """The median of `repeats` calls, after two that compile kernels and fill caches."""
    times = []
    for k in range(repeats + 2):
        synchronize()
        started = time.perf_counter()
        function()
        synchronize()
        if k >= 2:
            times.append(time.perf_counter() - started)
    return float(np.median(times))


def bandwidth(backend: Backend, repeats: int) -> float:
    """Bytes a second, read or written, of a copy of 512 MiB within the device."""
    source = backend.xp.zeros(2**29, "uint8")
    target = backend.xp.empty_like(source)

    def copy() -> None:
        target[...] = source

    return float(2 * source.nbytes / seconds(copy, repeats, synchronizer(backend)))


def synchronizer(backend: Backend) -> Callable[[], object]:
    stream: Callable[[], object] = backend.xp.cuda.get_current_stream().synchronize
    return stream


def measure_preset(name: str, backend: Backend, args: argparse.Namespace, bytes_per_s: float) -> None:
    spec = FeatureSpec.preset(name)
    channels = (3,) if spec.needs_colour else ()
    image = np.random.default_rng(0).integers(0, 256, (args.side, args.side, *channels), dtype=np.uint8)
    stack = cut_stack(image, spec, is_ycc=True)
    there = joined([stack] * args.batch).map(backend.xp.asarray)
    vectors = stack_features(there, spec, backend)
    floor_s = (there.nbytes + vectors.nbytes) / bytes_per_s
    device = Device(spec, backend)
    kernels_s = seconds(lambda: stack_features(there, spec, backend), args.repeats, synchronizer(backend))
    queue_s = seconds(lambda: device.outcomes(batch_of(stack, args.batch)), args.repeats)
    core_s = args.batch * seconds(lambda: extract_features(image, spec, is_ycc=True), args.repeats)
    print(f"{name}, {args.batch} images of {args.side}x{args.side}; one core {args.batch / core_s:.0f} images/s")
    for title, cost in (("in the device's memory", kernels_s), ("with the transfers", queue_s)):
        cores = core_s / cost / args.cores
        print(
            f"  {title:<24}{args.batch / cost:9.0f} images/s   {cost / floor_s:6.1f} x the floor   "
            f"{core_s / cost:7.1f} x one core   {cores:6.1f} x {args.cores} cores"
        )


def batch_of(stack: Stack, count: int) -> Batch[int]:
    batch = Batch[int](0)
    for number in range(count):
        batch.add(number, stack)
    return batch


def write_jpegs(folder: Path, count: int, side: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = cv2.GaussianBlur(rng.integers(0, 256, (side, side, 3), dtype=np.uint8), (0, 0), 1.0)
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), noise, [cv2.IMWRITE_JPEG_QUALITY, 90])


def scan_s(files: list[Path], device: str, jobs: int, model: str) -> float:
    with tempfile.NamedTemporaryFile("w") as names:
        names.write("\n".join(map(str, files)))
        names.flush()
        command = [sys.executable, "-m", "spectral_detect", "scan", "--files-from", names.name, "--format", "jsonl"]
        command += ["--device", device, "--jobs", str(jobs), "--model", model]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def trained(features: str, folder: Path) -> str:
    model = str(folder / f"{features}.pkl")
    manifest = Path(__file__).parent.parent / "images" / "manifest.csv"
    command = [sys.executable, "-m", "spectral_detect", "train", "--manifest", str(manifest), "--output", model]
    subprocess.run([*command, "--features", features, "--device", "cpu"], check=True, stdout=subprocess.DEVNULL)
    return model


def measure_scan(features: str, args: argparse.Namespace, folder: Path) -> None:
    model = trained(features, folder)
    files = sorted(folder.glob("*.jpg"))
    rates = {}
    for device in ("gpu", "cpu"):
        start = min(scan_s(files[: args.jobs], device, args.jobs, model) for _ in range(2))
        whole = scan_s(files, device, args.jobs, model)
        rate = rates[device] = (len(files) - args.jobs) / (whole - start)
        print(f"scan, {features}, --device {device} --jobs {args.jobs}: {rate:.0f} files/s; start {start:.1f} s")
    print(f"  {rates['gpu'] / rates['cpu']:.2f} times the CPU's rate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=available_cores())
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    problem = device_problem()
    if problem is not None:
        sys.exit(problem)
    args.cores = available_cores()
    cv2.setNumThreads(1)
    threadpool_limits(1)
    backend = cupy_backend()
    bytes_per_s = bandwidth(backend, args.repeats)
    print(f"a copy within the device: {bytes_per_s / 1e9:.0f} GB/s, read and written")
    for name in ("azimuthal", "residual", "durall"):
        measure_preset(name, backend, args, bytes_per_s)
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder), args.count, args.side)
        for features in ("azimuthal", "residual"):
            measure_scan(features, args, Path(folder))


if __name__ == "__main__":
    main()
