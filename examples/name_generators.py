"""Measure how well `train --by FOLDER --attribute` names families of generators, on sources that nobody trained on.

    python examples/name_generators.py CORPUS --sources sources.csv --images 40 --features residual

CORPUS/<label>/<name>/ holds the images of each row of sources.csv (columns: name, label, family, group). Families with
two groups of sources or more, and camera images, are the classes. Printed for each family: how many of its images get
its name, and how many are called camera or none of these, if images are held out, and if whole groups of sources are;
then how a naming that did not learn the family tells its images from those of the others, and the share it refuses.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from spectral_detect import FAKE, REAL, FeatureSpec, Work
from spectral_detect.detector.experience import mean_of_tiles
from spectral_detect.detector.naming import CAMERA
from spectral_detect.sources.discovery import expand_local, find_images
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import LabelledFile
from spectral_detect.training.naming.fit import fit_naming


def labelled(corpus: Path, rows: list[dict[str, str]], n_images: int) -> list[LabelledFile]:
    """Return up to so many images of each source, of families with two groups or more; their source is the family."""
    groups = defaultdict(set)
    for row in rows:
        groups[row["family"]].add(row["group"])
    files = []
    for row in rows:
        folder = corpus / row["label"] / row["name"]
        if folder.is_dir() and len(groups[row["family"]]) > 1:
            found = list(find_images(expand_local(str(folder))))
            chosen = random.Random(0).sample(found, min(n_images, len(found)))
            label = REAL if row["label"] == "real" else FAKE
            files += [LabelledFile(file, label, row["group"], source=row["family"]) for file in chosen]
    return files


def with_few_values(dataset: Dataset) -> Dataset:
    """Return the data set with the mean over each image's tiles, which is all that a naming looks at."""
    return replace(dataset, features=[mean_of_tiles(image) for image in dataset.features])


def shares(
    dataset: Dataset, classifier: str, sizes: tuple[int, ...] | None
) -> tuple[tuple[str, ...], np.ndarray, list]:
    """Return the classes, the shares called right, camera and none of these, and how each is told if it is unseen."""
    naming = fit_naming(dataset, classifier, sizes)  # type: ignore[arg-type]
    report = naming.report
    assert report is not None
    called = report.confusion / report.confusion.sum(axis=1, keepdims=True)
    unseen = [(report.open_set_auroc.get(name), report.open_set_refused.get(name)) for name in naming.names]
    return naming.names, np.stack([np.diag(called), called[:, 0], called[:, -1]], axis=1), unseen


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--sources", required=True)
    parser.add_argument("--images", type=int, default=40, help="images of each source")
    parser.add_argument("--features", default="residual")
    parser.add_argument("--classifier", default="svm", choices=("svm", "logreg"))
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    with open(options.sources, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    spec = FeatureSpec.preset(options.features)
    files = labelled(options.corpus, rows, options.images)
    by_source = with_few_values(read_dataset(files, spec, Work(options.jobs)))
    by_image = replace(by_source, groups=np.arange(len(by_source.y)))
    names, of_images, unseen = shares(by_image, options.classifier, spec.group_sizes)
    _, of_sources, _ = shares(by_source, options.classifier, spec.group_sizes)
    print(
        f"{options.features}, {options.classifier}, {len(by_source.y)} images in {by_source.n_groups} groups; per cent"
    )
    print(f"{'':18} images  sources   image held out         source held out        family unseen")
    print(f"{'':18}                   right camera  none    right camera  none    AUROC  refused")
    families = np.array([CAMERA if y == REAL else f for y, f in zip(by_source.y, by_source.sources, strict=True)])
    for k, name in enumerate(names):
        numbers = "   ".join("".join(f"{100 * share:7.0f}" for share in of[k]) for of in (of_images, of_sources))
        last = "" if unseen[k][0] is None else "".join(f"{100 * share:8.0f}" for share in unseen[k])
        n_groups = len(np.unique(by_source.groups[families == name]))
        print(f"{name:18} {int((families == name).sum()):6} {n_groups:8}  {numbers}  {last}")
    means = "   ".join(f"{100 * of[:, 0].mean():7.0f}{'':14}" for of in (of_images, of_sources))
    print(f"{'mean':18} {'':6} {'':8}  {means}  {100 * np.mean([a for a, _ in unseen if a is not None]):8.0f}")


if __name__ == "__main__":
    main()
