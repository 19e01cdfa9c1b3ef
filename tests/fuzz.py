"""Mutate what strangers send, and see that nothing breaks.

    python tests/fuzz.py [--images 10000] [--models 1000] [--seed 0]

Images: real images of each format, damaged in many ways, scanned in folders of a thousand by the command line. Every
file must give its record, within the time limit, and no worker may die or grow beyond the memory limit. Models: an
example model and hostile pickles, damaged likewise; each must be refused or score as before, and while they load
nothing may be imported, looked up or run.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "images"
MODEL = ROOT / "examples" / "models" / "small.pkl"
TIMEOUT_S = 20.0
BATCH = 1000
MAX_CHILD_MB = 3000  # the seeds are small; a header that lies may cost its pixels, but not this much

STRANGE_VALUES = (10**400, -(10**400), 10**308, 2**64, -1, 0.5, math.inf, True, None, "\x1b]0;fuzz\x07", [])

Mutation = Callable[[bytearray, np.random.Generator], bytes]


def seeds() -> dict[str, list[bytes]]:
    """A few small sound files of each format and kind."""
    with Image.open(EXAMPLES / "real" / "Aqua.png") as image:
        photo = image.convert("RGB").resize((96, 80))
    kinds: dict[str, list[tuple[str, Image.Image, dict[str, object]]]] = {
        "jpg": [
            ("JPEG", photo, {"quality": 90}),
            ("JPEG", photo, {"progressive": True}),
            ("JPEG", photo.convert("CMYK"), {}),
            ("JPEG", photo.convert("L"), {"optimize": True}),
        ],
        "png": [("PNG", photo, {}), ("PNG", photo.quantize(16), {}), ("PNG", photo.convert("1"), {})],
        "webp": [("WEBP", photo, {}), ("WEBP", photo, {"lossless": True})],
        "tif": [
            ("TIFF", photo, {}),
            ("TIFF", photo, {"compression": "tiff_lzw"}),
            ("TIFF", photo, {"compression": "jpeg"}),
            ("TIFF", photo.convert("F"), {}),
        ],
        "bmp": [("BMP", photo, {}), ("BMP", photo.quantize(16), {})],
        "avif": [("AVIF", photo, {})],
        "gif": [("GIF", photo, {}), ("GIF", photo, {"save_all": True, "append_images": [photo.rotate(90)]})],
    }
    files: dict[str, list[bytes]] = {}
    for suffix, variants in kinds.items():
        for image_format, image, options in variants:
            stream = io.BytesIO()
            image.save(stream, image_format, **options)
            files.setdefault(suffix, []).append(stream.getvalue())
    files["tif"] += deep_tiffs(np.asarray(photo).astype(np.uint16) * 257)
    return files


def deep_tiffs(pixels: np.ndarray) -> list[bytes]:
    """TIFF files of 16 and 12 bits, in tiles, and with planes apart."""
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    files = []
    for samples, options in (
        (pixels, {"compression": "lzw", "predictor": True}),
        (planes, {"planarconfig": "separate", "compression": "deflate", "tile": (32, 32)}),
        (pixels >> 4, {"bitspersample": 12, "rowsperstrip": 8}),
    ):
        stream = io.BytesIO()
        tifffile.imwrite(stream, samples, photometric="rgb", metadata=None, **options)
        files.append(stream.getvalue())
    return files


def flip_bits(content: bytearray, rng: np.random.Generator) -> bytes:
    for at in rng.integers(0, len(content), rng.integers(1, 12)):
        content[at] ^= 1 << int(rng.integers(8))
    return bytes(content)


def damage_header(content: bytearray, rng: np.random.Generator) -> bytes:
    for at in rng.integers(0, min(len(content), 200), rng.integers(1, 5)):
        content[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
    return bytes(content)


def truncate(content: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(content[: rng.integers(0, len(content))])


def remove_piece(content: bytearray, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(content)))
    del content[start : start + int(rng.integers(1, 200))]
    return bytes(content)


def repeat_piece(content: bytearray, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(content)))
    content[start:start] = content[start : start + int(rng.integers(1, 500))] * int(rng.integers(1, 20))
    return bytes(content)


def random_piece(content: bytearray, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(content)))
    piece = rng.bytes(int(rng.integers(1, 300)))
    content[start : start + len(piece)] = piece
    return bytes(content)


MUTATIONS: tuple[Mutation, ...] = (flip_bits, damage_header, truncate, remove_piece, repeat_piece, random_piece)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    for _ in range(rng.integers(1, 4)):
        content = MUTATIONS[rng.integers(len(MUTATIONS))](bytearray(content or b"x"), rng)
    return content


def write_images(folder: Path, count: int, rng: np.random.Generator) -> None:
    files = seeds()
    suffixes = sorted(files)
    for number in range(count):
        suffix = suffixes[number % len(suffixes)]
        variants = files[suffix]
        content = mutated(variants[rng.integers(len(variants))], rng)
        (folder / f"{number:06d}.{suffix}").write_bytes(content)


def fuzz_images(count: int, seed: int, folder: Path) -> None:
    """Scan `count` damaged images; `SystemExit` with the reason when anything went wrong."""
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for batch in range(0, count, BATCH):
        here = folder / f"batch{batch}"
        here.mkdir()
        size = min(BATCH, count - batch)
        write_images(here, size, np.random.default_rng([seed, batch]))
        started = time.monotonic()
        command = [sys.executable, "-m", "spectral_detect", "scan", str(here), "--format", "jsonl"]
        done = subprocess.run([*command, "--timeout", str(TIMEOUT_S)], capture_output=True, text=True)
        slowest = max(slowest, time.monotonic() - started)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        check(done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr[-2000:])
        check(len(records) == size, f"{len(records)} records of {size} files")
        errors = [str(r["error"]) for r in records if r["error"]]
        check(all(r["error"] or r["verdict"] for r in records), "a record without verdict and error")
        for bad in ("worker process died", "given up after", "not enough memory"):
            check(not any(bad in e for e in errors), f"{bad}: {[r['path'] for r in records if bad in str(r['error'])]}")
        outcomes += Counter("error" if r["error"] else str(r["verdict"]) for r in records)
        shutil.rmtree(here)
    # of the largest descendant that has ended
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    check(peak_mb < MAX_CHILD_MB, f"{peak_mb:.0f} MB")
    print(f"{count} images: {dict(outcomes)}; slowest batch {slowest:.0f} s, largest process {peak_mb:.0f} MB")


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/spectral-detect-fuzz-was-here",)


def places(values: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the dictionary or list that holds each value of a header, and its key or index there."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield values, key
        if isinstance(value, dict | list):
            yield from places(value)


def crafted(sound: bytes, rng: np.random.Generator) -> bytes:
    """A model with damaged content and the right hash of it, as only somebody with a purpose would make."""
    from spectral_detect.detector.content.model_content import content_sha256

    values = pickle.loads(sound)
    kind = rng.integers(3)
    if kind == 0:
        values["header"] = mutated(values["header"].encode(), rng).decode("utf-8", "replace")
    elif kind == 1:
        header = json.loads(values["header"])
        holders = list(places(header))
        holder, key = holders[rng.integers(len(holders))]
        holder[key] = STRANGE_VALUES[rng.integers(len(STRANGE_VALUES))]
        values["header"] = json.dumps(header)
    else:
        name = sorted(values["arrays"])[rng.integers(len(values["arrays"]))]
        values["arrays"][name] = mutated(values["arrays"][name], rng)
    values["sha256"] = content_sha256(values["header"], values["arrays"])
    return pickle.dumps(values, protocol=4)


FORBIDDEN_EVENTS = ("pickle.find_class", "os.system", "subprocess.Popen", "exec", "compile", "import", "os.fork")


def fuzz_models(count: int, seed: int, folder: Path) -> None:
    """Load `count` damaged or hostile model files."""
    from spectral_detect.detector.model_file import load_model
    from spectral_detect.errors import ModelFileError
    from spectral_detect.report.models import card_text

    rng = np.random.default_rng(seed)
    sound = MODEL.read_bytes()
    expected = load_model(MODEL)
    expected_scores = expected.scores(expected.reference)
    # most of the file is numbers: a stump makes damage fall on the structure
    stump = sound[:6000] + sound[-300:]
    hostile = [pickle.dumps({"format": "spectral-detect model", "x": _Hostile()}, p) for p in range(6)]
    for codec in ("raw_unicode_escape", "latin-1", "ascii"):  # pickletools' own, looked up on first use
        "x".encode(codec)
    watching = False
    seen: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in FORBIDDEN_EVENTS:
            seen.append(f"{event} {str(arguments[:1])[:200]}")

    sys.addaudithook(watch)
    outcomes: Counter[str] = Counter()
    for number in range(count):
        kind = number % 4
        content = crafted(sound, rng) if kind == 3 else mutated((sound, stump, hostile[number % 6])[kind], rng)
        path = folder / "model.pkl"
        path.write_bytes(content)
        watching = True
        try:
            model = load_model(path)
            outcome = "loaded"
        except ModelFileError as error:
            outcome = "refused" if "refused" in str(error) else "damaged"
        watching = False
        if outcome == "loaded":  # then the damage was in a text, or in numbers that change nothing
            scores = model.scores(expected.reference)
            check(np.allclose(scores, expected_scores, atol=1e-6), f"model {number} scores differently")
            check(card_text(model).replace("\n", "").isprintable(), f"model {number} writes to the terminal")
        outcomes[outcome] += 1
        check(not seen, f"model {number}: {seen}")
    print(f"{count} model files: {dict(outcomes)}; no forbidden event")


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"FAILED: {otherwise}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fuzz_images(args.images, args.seed, Path(folder))
        fuzz_models(args.models, args.seed, Path(folder))


if __name__ == "__main__":
    main()
