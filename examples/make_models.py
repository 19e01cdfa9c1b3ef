"""Make the models that ship in models/, with their cards.

    python examples/make_models.py MATCHED --source ffhq-stylegan2:prefix --source upsampled-waifu2x:stem ... \\
        --leave-out examples/images --output models

MATCHED/<source>/real and MATCHED/<source>/fake hold images of which both classes have one size and one JPEG history
(examples/matched_protocol.py says how). A source's groups, after the colon, stay on one side of every split: `prefix`,
the name up to the first "_"; `stem`, the whole name, across both classes; `none`. Copies of one file count as one group
whatever their source, and a group of which an image stands in --leave-out is not used at all.

Three of ten groups of each source are held out, and the numbers on the card are theirs. The last table trains without
a source altogether and measures on it, which is what to expect of a generator that nobody has trained for.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spectral_detect import FAKE, REAL, FeatureSpec, Model, save_model, train_model
from spectral_detect.dataset import Dataset, LabelledFile, read_dataset
from spectral_detect.evaluation import evaluate_model
from spectral_detect.finding import find_images
from spectral_detect.images import read_file

HELD_OUT = 0.3
PER_CLASS = 150  # of each source, so that no source outweighs the others and the file stays small
SEED = 0

INTRODUCTION = """\
general: a detector of generated images of up to 1024 pixels, {classifier} on {spec} features.

Trained on   {counts};
             a photograph that is the real side of two sources is counted with the first.
             Both classes of a source have the same size and the same JPEG history; groups are kept apart.

Good for     images of the kinds below at their own size, and as an example of a model file.
Not good for a generator it was not trained on (see the last table: no better than guessing, and for some the
             wrong way round), images that were resized, recompressed or edited since, screenshots, scans, drawings;
             and never as the only evidence.
             Resampled camera images carry traces like those of a network.

Held-out 30 % of each source, groups apart, at the stored threshold (95 % intervals):
"""


def labelled(matched: Path, source: str, groups: str) -> list[LabelledFile]:
    """The files of one source with the names of their groups."""
    files = []
    for label, name in ((REAL, "real"), (FAKE, "fake")):
        for found in find_images([str(matched / source / name)]):
            stem = Path(found.path).stem
            group = {"none": None, "prefix": f"{label}:{stem.split('_')[0]}", "stem": stem}[groups]
            files.append(LabelledFile(found, label, None if group is None else f"{source}/{group}"))
    return files


def select(dataset: Dataset, at: np.ndarray) -> Dataset:
    return replace(
        dataset,
        X=dataset.X[at],
        y=dataset.y[at],
        groups=dataset.groups[at],
        samples=tuple(s for s, chosen in zip(dataset.samples, at, strict=True) if chosen),
    )


def usable(dataset: Dataset, left_out: set[str]) -> np.ndarray:
    """Without the groups of the files that are left out."""
    tainted = dataset.groups[[s.sha256 in left_out for s in dataset.samples]]
    return ~np.isin(dataset.groups, tainted)


def first_copies(dataset: Dataset) -> np.ndarray:
    """Each file once: a photograph may be the real side of two sources."""
    first = np.zeros(len(dataset.y), dtype=bool)
    first[np.unique([str(s.sha256) for s in dataset.samples], return_index=True)[1]] = True
    return first


def balanced(dataset: Dataset, sources: np.ndarray, at: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most PER_CLASS of each class of each source."""
    chosen = np.zeros_like(at)
    for source in np.unique(sources):
        for label in (REAL, FAKE):
            members = np.flatnonzero(at & (sources == source) & (dataset.y == label))
            chosen[rng.permutation(members)[:PER_CLASS]] = True
    return chosen


def row(name: str, result: dict[str, Any]) -> str:
    def share(metric: str) -> str:
        low, high = result[f"{metric}_ci"]
        return f"{100 * result[metric]:5.1f} [{100 * low:3.0f}, {100 * high:3.0f}]"

    counts = f"{result['n_real']:>4} +{result['n_fake']:>4}"
    return f"  {name:<22} {counts}   balanced accuracy {share('balanced_accuracy')}   AUROC {share('auroc')}"


def card(model: Model, dataset: Dataset, sources: np.ndarray, train: np.ndarray, test: np.ndarray) -> str:
    names = np.unique(sources)
    counts = ", ".join(
        f"{source} ({np.sum(train & (sources == source) & (dataset.y == REAL))} real + "
        f"{np.sum(train & (sources == source) & (dataset.y == FAKE))} fake)"
        for source in names
    )
    text = INTRODUCTION.format(classifier=model.classifier.kind, spec=model.spec.name, counts=counts)
    held_out = [evaluate_model(model, select(dataset, test & (sources == source))) for source in names]
    text += "\n".join(row(source, result) for source, result in zip(names, held_out, strict=True))
    text += f"\n  {'mean':<34}   balanced accuracy {100 * np.mean([r['balanced_accuracy'] for r in held_out]):5.1f}"
    text += f"              AUROC {100 * np.mean([r['auroc'] for r in held_out]):5.1f}\n"
    text += "\nTrained without the source, measured on its held-out part:\n"
    for source in names:
        other = train_model(select(dataset, train & (sources != source)), model.spec, "svm", seed=SEED)
        text += row(source, evaluate_model(other, select(dataset, test & (sources == source)))) + "\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matched", type=Path)
    parser.add_argument("--source", action="append", required=True, metavar="NAME:GROUPS")
    parser.add_argument("--leave-out", action="append", default=[])
    parser.add_argument("--output", type=Path, default=Path("models"))
    args = parser.parse_args()
    spec = FeatureSpec.preset("azimuthal")
    files = [f for source in args.source for f in labelled(args.matched, *source.split(":"))]
    dataset = read_dataset(files, spec)
    sources = np.array([Path(s.path).parent.parent.name for s in dataset.samples])
    at = usable(dataset, {read_file(f.path).sha256 for f in find_images(args.leave_out)})
    rng = np.random.default_rng(SEED)
    is_test = rng.random(dataset.groups.max() + 1)[dataset.groups] < HELD_OUT
    train = balanced(dataset, sources, at & ~is_test & first_copies(dataset), rng)
    model = train_model(select(dataset, train), spec, "svm", seed=SEED)
    model = replace(model, name="general")
    model = replace(model, card=card(model, dataset, sources, train, at & is_test))
    save_model(model, args.output / "general.pkl")
    (args.output / "general.md").write_text(f"# {model.card.splitlines()[0]}\n\n```\n{model.card}```\n")
    print(model.card)


if __name__ == "__main__":
    main()
