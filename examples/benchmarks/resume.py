"""Measure what each further record costs a run with nothing left to do, and a merge: time, and memory if it grows.

Links to one image stand for many files: they are found and looked at as files are, and none is decoded. Each command is
run with few and with many records; its memory is flat where the ratio at the end of its line is 1.00.

python examples/benchmarks/resume.py IMAGE [--few 1000] [--many 100000] [--known-by size-mtime|sha256]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

LINKS_PER_FILE = 30_000  # file systems have a limit
PER_FOLDER = 1000
# not ru_maxrss, which a process inherits from the one that started it
PROGRAM = """
import atexit, sys
from spectral_detect.cli import main
def tell():
    print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0], file=sys.stderr)
atexit.register(tell)
main()
"""
Measured = dict[str, tuple[float, float]]  # seconds, MB


def write_files(folder: Path, image: str, count: int) -> list[Path]:
    paths = [folder / f"{k // PER_FOLDER:06d}" / f"{k % PER_FOLDER:04d}{Path(image).suffix}" for k in range(count)]
    for k, path in enumerate(paths):
        if k % PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        if k % LINKS_PER_FILE == 0:
            shutil.copy(image, path)
            os.utime(path, (0, 0))
        else:
            os.link(paths[k - k % LINKS_PER_FILE], path)
    return paths


def write_records(output: Path, paths: Sequence[Path]) -> None:
    """Write the records of a scan, which differ in their paths alone."""
    run("scan", paths[0], "--resume", output, "--jobs", 0)
    record = json.loads(output.read_text())
    with open(output, "w") as stream:
        stream.writelines(json.dumps(record | {"path": str(path)}) + "\n" for path in paths)


def run(*arguments: object) -> tuple[float, float]:
    """Run a command, and return its seconds and its peak memory in MB."""
    start = time.perf_counter()
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments}: status {done.returncode}: {done.stderr}")
    return time.perf_counter() - start, int(done.stderr.split()[-1]) / 1024


def measure(folder: Path, image: str, count: int, known_by: str) -> Measured:
    files, output = folder / "files", folder / "out.jsonl"
    write_records(output, write_files(files, image, count))
    resume = ("scan", files, "--resume", output, "--known-by", known_by, "--jobs", 0)
    measured = {"nothing left to do": run(*resume)}
    lines = output.read_text().splitlines(keepends=True)
    halves = [folder / "1.jsonl", folder / "2.jsonl"]
    for k, half in enumerate(halves):
        half.write_text("".join(lines[k::2]))
    output.write_text("".join(lines[: count // 2] + lines[count // 2 + 1 :]))
    measured["one left, put in order"] = run(*resume)
    measured["merge of two"] = run("merge", *halves, "--output", folder / "all.jsonl")
    measured["merge --expect"] = run("merge", *halves, "--output", folder / "all.jsonl", "--expect", files)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--known-by", choices=("size-mtime", "sha256"), default="size-mtime")
    args = parser.parse_args()
    results = []
    for count in (args.few, args.many):
        with tempfile.TemporaryDirectory() as name:
            results.append(measure(Path(name), args.image, count, args.known_by))
    few, many = results
    for what, (seconds, mb) in many.items():
        first_seconds, first_mb = few[what]
        per_record = (seconds - first_seconds) / (args.many - args.few)
        print(
            f"{what:<24}{first_seconds:6.2f} s {first_mb:6.1f} MB at {args.few} records, {seconds:6.2f} s {mb:6.1f} MB "
            f"at {args.many}: {1e6 * per_record:6.1f} us a record, {mb / first_mb:.2f} times the memory"
        )


if __name__ == "__main__":
    main()
