"""Whose quantisation tables JPEG files have, beside the camera that they name in their EXIF.

    python examples/jpeg_tables.py FOLDER...

Prints for each camera or program of `known_tables.tsv` how many files have its tables, and which cameras they name; a
folder of generated images shows how often such tables are there without the camera.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from spectral_detect.media.quantizers.jpeg_tables import libjpeg_quality
from spectral_detect.provenance.picture.known_tables import program_of
from spectral_detect.text import visible

MAKE, MODEL = 271, 272


def camera_of(image: Image.Image) -> str:
    exif = image.getexif()
    return " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (MAKE, MODEL)).strip() or "(no camera)"


def tables_of(image: Image.Image) -> tuple[tuple[int, ...], ...]:
    quantization = getattr(image, "quantization", {})
    return tuple(tuple(table) for _, table in sorted(quantization.items()))


def whose(tables: tuple[tuple[int, ...], ...]) -> str:
    if (program := program_of(tables)) is not None:
        return program
    return "libjpeg" if libjpeg_quality(tables)[0] is not None else "nobody that is known here"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+", type=Path)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for folder in parser.parse_args().folder:
        for path in sorted(folder.rglob("*")):
            try:
                with Image.open(path, formats=("JPEG",)) as image:
                    found[whose(tables_of(image))][camera_of(image)] += 1
            except (OSError, UnidentifiedImageError):  # no JPEG
                continue
    for name, cameras in sorted(found.items(), key=lambda item: -item[1].total()):
        named = ", ".join(f"{n} {visible(camera)}" for camera, n in cameras.most_common(4))
        print(f"{cameras.total():6d}  {name}: {named}")


if __name__ == "__main__":
    main()
