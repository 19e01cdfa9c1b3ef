"""Make the models of one kind of images, which stand in examples/models, with their cards.

    python examples/make_models.py MATCHED --leave-out examples/images --output examples/models \\
        --model faces=celeba-dcgan:none,ffhq-stylegan2:prefix,faces300-stylegan2:none \\
        --model photographs=upsampled-realesrgan:stem,upsampled-waifu2x:stem --model small=cifake-sd14:none \\
        --control photographs=CONTROL:stem

MATCHED/<source>/real and MATCHED/<source>/fake hold images of which both classes have one size and one JPEG history
(examples/matched_protocol.py says how). A source's groups, after the colon, stay on one side of every split: `prefix`,
the name up to the first "_"; `stem`, the whole name, across both classes; `none`. Copies of one file count as one group
whatever their source, and a group of which an image stands in --leave-out is not used at all. CONTROL holds camera
images that went through a resampling without any network: some join the reals of a model, the others test it.

Three of ten groups of each source are held out, and the numbers on the card are theirs. The last table trains without
a source altogether and measures on it, which is what to expect of a generator that nobody has trained for.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spectral_detect import FAKE, REAL, FeatureSpec, Model, Work, save_model, train_model
from spectral_detect.evaluation.evaluate import evaluate_model, judge_dataset
from spectral_detect.evaluation.results import Evaluation
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.edits import ROBUSTNESS, Edit, augmentation
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.discovery import find_images
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file
from spectral_detect.sources.stores import locate
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import LabelledFile

HELD_OUT = 0.3
PER_CLASS = 150  # of each source, so that no source outweighs the others
TILE_VECTORS = {"faces": 3400}  # of a model; together the files stay under 5 MB
DEFAULT_TILE_VECTORS = 1300
SEED = 0
SPEC = FeatureSpec.preset("residual")
PROCESSED = (  # what happens to camera images without a neural network
    Edit("jpeg", 75),
    Edit("resize", 0.75),
    Edit("sharpen", 1),
    Edit("denoise", 5),
    Edit("phone", 85),
)
TRAINING_EDITS: tuple[Edit | None, ...] = (None, *augmentation("wang0.1", 1, SEED))

INTRODUCTION = """\
{name}: {about}, {classifier} on {spec} features.

Trained on   {counts}.
             Each image as it is, and once more cropped, with random blur and JPEG (Wang et al. 2020, probability 0.1).
             Both classes of a source have the same size and the same JPEG history; groups are kept apart.

Good for     images like these, {files}, a shorter side of {sides} pixels, from the generators named.
Not good for a generator it was not trained on (see the last table), images resized or edited since beyond what the
             tables show, screenshots, scans, drawings; and never as the only evidence.

Held-out 30 % of each source, groups apart, at the stored threshold (95 % intervals). Each image counts, by its score;
inconclusive is the share that a scan would not decide, as unlike the training images. ECE: calibration error.
"""
ABOUT = {
    "faces": "portraits, camera against GAN",
    "photographs": "photographs, camera against super-resolution networks",
    "small": "thumbnails of 32 pixels, camera against Stable Diffusion",
}


def labelled(folder: Path, source: str, groups: str, label: int) -> list[LabelledFile]:
    """Find the files of one class of a source, with the names of their groups."""
    files = []
    for found in find_images([Location(str(folder))]):
        stem = Path(found.path).stem
        group = {"none": None, "prefix": f"{source}/{label}:{stem.split('_')[0]}", "stem": f"stem/{stem}"}[groups]
        files.append(LabelledFile(found, label, group, source=source))
    return files


def usable(dataset: Dataset, left_out: set[str]) -> np.ndarray:
    """Return (n_samples,) whether a sample shares no group with a file that is left out."""
    tainted = dataset.groups[[s.sha256 in left_out for s in dataset.samples]]
    return ~np.isin(dataset.groups, tainted)


def first_copies(dataset: Dataset) -> np.ndarray:
    """Choose each file once: a photograph may be the real side of two sources."""
    first = np.zeros(len(dataset.y), dtype=bool)
    first[np.unique([str(s.sha256) for s in dataset.samples], return_index=True)[1]] = True
    return first


class Material:
    """The files of one model: some train it, some are held out."""

    def __init__(self, sources: dict[str, list[LabelledFile]], left_out: set[str], work: Work) -> None:
        self.files = [file for files in sources.values() for file in files]
        self.source = np.array([name for name, files in sources.items() for _ in files])
        self.work = work
        dataset = read_dataset(self.files, Extractor(SPEC), work)
        if dataset.failures:
            raise SystemExit(f"{dataset.failures[0].path}: {dataset.failures[0].error}")
        self.dataset, rng = dataset, np.random.default_rng(SEED)
        fit_for_use = usable(dataset, left_out)
        is_test = rng.random(dataset.groups.max() + 1)[dataset.groups] < HELD_OUT
        self.test = fit_for_use & is_test
        self.train = np.zeros_like(is_test)
        for name in np.unique(self.source):
            for label in (REAL, FAKE):
                members = fit_for_use & ~is_test & first_copies(dataset) & (self.source == name) & (dataset.y == label)
                self.train[rng.permutation(np.flatnonzero(members))[:PER_CLASS]] = True

    def chosen(self, at: np.ndarray) -> list[LabelledFile]:
        return [file for file, taken in zip(self.files, at, strict=True) if taken]

    def fit(self, at: np.ndarray, name: str) -> Model:
        dataset = read_dataset(self.chosen(at), Extractor(SPEC, TRAINING_EDITS, with_profile=True), self.work)
        size = TILE_VECTORS.get(name, DEFAULT_TILE_VECTORS)
        return replace(train_model(dataset, SPEC, "svm", max_tile_vectors=size, seed=SEED), name=name)

    def read_edited(self, files: Sequence[LabelledFile], edit: Edit | None) -> Dataset:
        return read_dataset(files, Extractor(SPEC, (edit,)), self.work)


def row(name: str, evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    accuracy, auroc = (
        f"{100 * estimate.value:5.1f} [{100 * estimate.low:3.0f}, {100 * estimate.high:3.0f}]"
        for estimate in (metrics.balanced_accuracy, metrics.auroc)
    )
    counts = f"{metrics.n_real:>4} +{metrics.n_fake:>4}"
    shares = f"balanced accuracy {accuracy}   AUROC {auroc}   ECE {100 * metrics.ece.value:4.1f}"
    return f"  {name:<22} {counts}   {shares}   inconclusive {100 * evaluation.inconclusive_rate:5.1f} %\n"


def is_undecided(model: Model, dataset: Dataset) -> np.ndarray:
    """Return (n_samples,) whether a scan would call the image inconclusive."""
    return np.array([j.verdict == "inconclusive" for j in judge_dataset(model, dataset, Rules())[1]])


def false_alarms(model: Model, dataset: Dataset) -> str:
    called_fake, outside = model.scores(dataset.features) >= model.threshold, is_undecided(model, dataset)
    shares = 100 * np.mean([called_fake, called_fake & ~outside, outside], axis=1)
    by_score, called, inconclusive = (f"{share:5.1f} %" for share in shares)
    return f"{by_score} by score; in a scan {called} fake, {inconclusive} inconclusive; of {len(outside)}"


def card(model: Model, material: Material, controls: str) -> str:
    """Return the text of the model's card; all its numbers are measured here."""
    names = [n for n in dict.fromkeys(material.source) if n != controls]
    test = {n: material.test & (material.source == n) for n in names}
    text = introduction(model, material)
    for n in names:
        text += row(n, evaluate_model(model, material.dataset.select(test[n])))
    held_out = material.chosen(np.any(list(test.values()), axis=0))
    text += "\nThe same, all sources together, after an edit of both classes:\n"
    for edit in (None, *ROBUSTNESS):
        title = edit.title if edit else "as it is"
        text += row(title, evaluate_model(model, material.read_edited(held_out, edit)))
    return text + false_alarm_table(model, material, held_out, controls) + unseen_table(model, material, test)


def introduction(model: Model, material: Material) -> str:
    y, source = material.dataset.y, material.source
    counts = ", ".join(
        f"{n} ({np.sum(material.train & (source == n) & (y == REAL))} real + "
        f"{np.sum(material.train & (source == n) & (y == FAKE))} fake)"
        for n in dict.fromkeys(source)
    )
    seen = model.experience
    assert seen is not None
    return INTRODUCTION.format(
        name=model.name,
        about=ABOUT.get(model.name, "images"),
        classifier=model.classifier.kind,
        spec=SPEC.name,
        counts=counts,
        sides=" to ".join(map(str, sorted({seen.min_side_px, seen.max_side_px}))),
        files=f"coded as {seen.codings_text}",
    )


def false_alarm_table(model: Model, material: Material, held_out: Sequence[LabelledFile], controls: str) -> str:
    reals = [file for file in held_out if file.label == REAL]
    text = "\nFalse alarms: held-out camera images called fake, as they are and processed without any network:\n"
    for edit in (None, *PROCESSED):
        title = edit.title if edit else "as it is"
        text += f"  {title:<22} {false_alarms(model, material.read_edited(reals, edit))}\n"
    kept = material.chosen(material.test & (material.source == controls))
    if kept:
        alarms = false_alarms(model, material.read_edited(kept, None))
        text += f"  {'reduced and enlarged 4x':<22} {alarms} (Lanczos; some were trained on)\n"
    return text


def unseen_table(model: Model, material: Material, test: dict[str, np.ndarray]) -> str:
    text = "\nTrained without the source, measured on its held-out part (a generator that it has not seen):\n"
    if len(test) == 1:
        return text + (
            "  not measured: there is no second generator of such images here. Expect no better than guessing.\n"
        )
    for n, at in test.items():
        without = material.fit(material.train & (material.source != n), model.name)
        text += row(n, evaluate_model(without, material.dataset.select(at)))
    return text


def named(pairs: Sequence[str]) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs)


def labelled_sources(matched: Path, listed: str) -> dict[str, list[LabelledFile]]:
    """Find the files of each source in a list such as "SOURCE:GROUPS,SOURCE:GROUPS"."""
    return {
        source: [
            file
            for label, part in ((REAL, "real"), (FAKE, "fake"))
            for file in labelled(matched / source / part, source, groups, label)
        ]
        for source, groups in (item.split(":") for item in listed.split(","))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matched", type=Path)
    parser.add_argument("--model", action="append", required=True, metavar="NAME=SOURCE:GROUPS,...")
    parser.add_argument("--control", action="append", default=[], metavar="NAME=FOLDER:GROUPS")
    parser.add_argument("--leave-out", action="append", default=[])
    parser.add_argument("--output", type=Path, default=Path("examples/models"))
    parser.add_argument("--jobs", type=int, help="worker processes, default: one per core; 0: none")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)
    left_out = {read_file(f.location).sha256 for f in find_images(map(locate, args.leave_out))}
    controls = named(args.control)
    for name, listed in named(args.model).items():
        sources = labelled_sources(args.matched, listed)
        control = ""
        if name in controls:
            folder, groups = controls[name].rsplit(":", 1)
            control = Path(folder).name
            sources[control] = labelled(Path(folder), control, groups, REAL)
        material = Material(sources, left_out, Work(args.jobs))
        model = material.fit(material.train, name)
        model = replace(model, card=card(model, material, control))
        save_model(model, args.output / f"{name}.pkl")
        (args.output / f"{name}.md").write_text(f"# {model.card.splitlines()[0]}\n\n```\n{model.card}```\n")
        print(model.card)


if __name__ == "__main__":
    main()
