"""Count how often `spectral-detect audit` accuses two classes that are one folder, split at random.

    python examples/fair_splits.py --folder DIR [--splits 50] [--images N] [--seed 0]

Whatever tells the halves apart is chance, so every accusation is false; one or two in 1000 are expected.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from spectral_detect import FAKE, REAL
from spectral_detect.audit.dataset_audit import audit_dataset
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.sources.stores import locate
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import unlabelled_files


def split_at_random(dataset: Dataset, n_images: int, rng: np.random.Generator) -> Dataset:
    """Call random halves of `n_images` of the images real and fake."""
    chosen = dataset.select(rng.permutation(len(dataset.y))[:n_images])
    return replace(chosen, y=np.where(np.arange(n_images) < n_images // 2, REAL, FAKE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", action="append", required=True, help="may be given several times")
    parser.add_argument("--splits", type=int, default=50)
    parser.add_argument("--images", type=int, help="drawn for each split, default: all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for folder in args.folder:
        dataset = read_dataset(unlabelled_files([locate(folder)]), Extractor(None))
        n_images = min(args.images or len(dataset.y), len(dataset.y))
        aurocs, n_accused = [], 0
        for number in range(args.splits):
            result = audit_dataset(split_at_random(dataset, n_images, np.random.default_rng([args.seed, number])))
            aurocs.append(result.metadata_auroc)
            n_accused += bool(result.is_biased)
        print(
            f"{folder}: {n_accused} of {args.splits} fair splits of {n_images} images accused; "
            f"metadata AUROC {min(aurocs):.3f} to {max(aurocs):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
