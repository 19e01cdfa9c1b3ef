"""How often an earlier JPEG compression is found, and how often one that was not: on images that are compressed here.

    python examples/jpeg_history.py FOLDER... [--count 200] [--seed 0]

FOLDER holds images without loss (PNG, TIFF). Each is saved once with a random quality of 60 to 95, and twice with a
first quality of 40 to 95 that differs by 5 or more. Images that were compressed before spoil the count of false alarms.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from spectral_detect.provenance.picture.jpeg_history import FirstCompression, first_compression

SUFFIXES = {".png", ".tif", ".tiff"}


def saved(image: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def history_of(content: bytes) -> FirstCompression | None:
    with Image.open(io.BytesIO(content)) as image:
        table = image.quantization[0]
        image.draft("L", image.size)
        return first_compression(np.asarray(image), table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    paths = sorted(p for folder in args.folder for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    rng = np.random.default_rng(args.seed)
    chosen = rng.permutation(len(paths))[: args.count]
    alarms: list[float] = []
    found: dict[bool, list[tuple[bool, float, int]]] = {True: [], False: []}
    for k in chosen:
        with Image.open(paths[k]) as picture:
            image = picture.convert("RGB").crop((0, 0, min(picture.width, 1024), min(picture.height, 1024)))
        last = int(rng.integers(60, 96))
        first = int(rng.choice([q for q in range(40, 96) if abs(q - last) >= 5]))
        once = history_of(saved(image, last))
        with Image.open(io.BytesIO(saved(image, first))) as again:
            twice = history_of(saved(again.convert("RGB"), last))
        if once and twice:
            alarms.append(once.gain)
            found[first < last].append((twice.is_found, twice.gain, abs(twice.quality - first)))
    rate = np.mean([FirstCompression(0, gain).is_found for gain in alarms])
    print(f"compressed once:    {len(alarms)} images, {100 * rate:.1f} % called twice; gains up to {max(alarms):.4f}")
    for is_lower, results in found.items():
        hits = [r for r in results if r[0]]
        near = np.mean([r[2] <= 3 for r in hits]) if hits else float("nan")
        words = "lower:" if is_lower else "higher:"
        share, median = len(hits) / max(len(results), 1), np.median([gain for _, gain, _ in results])
        print(
            f"first one {words:<9} {len(results)} images, {100 * share:.1f} % found, of these {100 * near:.0f} % with "
            f"a first quality within 3; median gain {median:.4f}"
        )


if __name__ == "__main__":
    main()
