"""Count false alarms on processed camera images, with and without such images among the reals of a training.

    python examples/false_alarms.py --real DIR --fake DIR [--fake DIR] --control DIR

CONTROL holds camera images that went through some processing and no network. A photograph and all that was made of it
have one file name and stay on one side of each of five folds. Per fold, one detector is trained on the reals and fakes
of the other folds, a second one also on their controls, and both are measured on what the fold holds.
"""

from __future__ import annotations

import argparse

import numpy as np
from make_models import first_copies, labelled

from spectral_detect import FAKE, REAL, FeatureSpec, train_model
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.training.dataset import folds, read_dataset

SPEC = FeatureSpec.preset("residual")
N_FOLDS, SEED, MAX_TILE_VECTORS = 5, 0, 2500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="append", required=True)
    parser.add_argument("--fake", action="append", required=True)
    parser.add_argument("--control", required=True)
    args = parser.parse_args()
    named = [(folder, label) for label, folders in ((REAL, args.real), (FAKE, args.fake)) for folder in folders]
    files = [file for folder, label in named for file in labelled(folder, "", "stem", label)]
    controls = labelled(args.control, "", "stem", REAL)
    dataset = read_dataset([*files, *controls], Extractor(SPEC))
    control_paths = {file.file.path for file in controls}
    is_control = np.array([sample.path in control_paths for sample in dataset.samples])
    usable = first_copies(dataset)
    print(f"{'controls among the reals':<28}{'controls called fake':>22}{'other reals':>18}{'fakes found':>18}")
    for with_controls in (False, True):
        called_fake = np.full(len(dataset.y), np.nan)
        for train, test in folds(dataset.y, dataset.groups, N_FOLDS, SEED):
            at = train[usable[train] & (with_controls | ~is_control[train])]
            model = train_model(dataset.select(at), SPEC, max_tile_vectors=MAX_TILE_VECTORS, seed=SEED)
            called_fake[test] = model.scores(dataset.select(test).features) >= model.threshold
        parts = (is_control, (dataset.y == REAL) & ~is_control, dataset.y == FAKE)
        shares = [f"{100 * np.nanmean(called_fake[p]):.1f} % of {np.sum(p & usable)}" for p in parts]
        print(f"{'yes' if with_controls else 'no':<28}{shares[0]:>22}{shares[1]:>18}{shares[2]:>18}")


if __name__ == "__main__":
    main()
