"""How well images agree with the invisible watermarks of generators: what is found, and how near the others come.

    python examples/watermark_alarms.py FOLDER... [--count 5000]

On camera images whatever is found is a false alarm.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from spectral_detect.media.edits import as_rgb
from spectral_detect.media.images import ImageReadError, read_image
from spectral_detect.provenance.picture.watermark import MARKS, Match, matches

SUFFIXES = set(Image.registered_extensions()) - {".pdf", ".eps"}


def matches_of(path: Path) -> list[Match]:
    try:
        image = read_image(str(path), colour=True)
    except ImageReadError:
        return []
    if image.pixels.ndim == 2 or image.pixels.dtype != np.uint8:
        return []
    return matches(as_rgb(image.pixels, image.is_ycc))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    args = parser.parse_args()
    paths = sorted(p for folder in args.folder for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    found: dict[str, list[Match]] = defaultdict(list)
    for path in paths[: args.count]:
        for match in matches_of(path):
            found[match.mark.program].append(match)
    print(f"{len(found[MARKS[0].program])} images of 256 x 256 pixels or more, in colour; {len(paths)} files")
    for mark in MARKS:
        of_mark = found[mark.program]
        n_found = sum(match.is_found for match in of_mark)
        others = [match.accuracy for match in of_mark if not match.is_found]
        nearest = f"the others agree in {100 * max(others):.0f} % of the bits at most" if others else ""
        print(f"  {mark.program:<20} {n_found} found; {nearest}")


if __name__ == "__main__":
    main()
