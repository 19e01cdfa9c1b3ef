"""Make models/world.pkl, the model for images of unknown history, then its part for small images.

    python examples/make_world_model.py CORPUS --sources sources.csv --work WORK --output models
    python examples/make_world_model.py CORPUS --sources sources.csv --work OTHER --output models --kind small

CORPUS/<label>/<name>/ holds the images of each row of sources.csv (columns: name, label, family, group, and if there is
such, weight: a source of a weight below 1 helps to train, measured apart). The label is real, fake, or outsider: of
pictures that are no photographs, which the model learns to leave alone. Up to --per-source of each are written to WORK
in seven conditions, all labels alike, two files of an image in `resaved` and `web`, each drawn anew:

    native     the file as it is
    resaved    its central pixels, at most 1024 a side, not resampled, in a coding drawn at random
    web        reduced to a shorter side of 320 to 1080, if it is larger, by one of four kernels, and coded anew
    video      reduced likewise, and the middle frame of a slow pan over it, in H.264 at CRF 18 to 35
    gray       as resaved or as web, without its colours; five images of a source
    small      as web, but to 208 to 319; five images of a source, since many generated images are so small, and few
               photographs
    enlarged   a part of 240 to 559 pixels, or the image reduced to so many, enlarged 1.3 to 4 times by one of three
               kernels and coded anew; five images of a source, since any image is easily enlarged

`small` is put into models/world.pkl, beside the model that is there, and has other conditions; three files of an image
in each, drawn anew, since so few pixels hold less:

    native     the file as it is, if its shorter side is below 264
    still      as web, but to 96 to 263
    part       a part of so many pixels cut out, of the image as it is or reduced at random, and coded anew
    video      as video, but to 96 to 263, or of a part as above, as a face is cut out of a frame
    gray       as still, without its colours; five images of a source

The model is trained on all of them; families of generators count as much as the root of their size. The numbers on the
card are of five models, each trained without a fifth of the groups and asked about that fifth: neither the generators'
sets nor the cameras of a tested image were trained on. With --onto OLD.pkl it goes on from an earlier model, which must
not know any of these images, and judges by the mean of both (of all, where that went on itself); what it does not look
at counts for nothing in it. `limit_world_model.py` asks the model about sources found later.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import repeat
from pathlib import Path
from textwrap import wrap

import av
import numpy as np
import PIL.Image
import pillow_heif
from sklearn.metrics import roc_auc_score

from spectral_detect import FAKE, REAL, FeatureSpec, Model, Work, load_model, save_model, train_model
from spectral_detect.atomic_write import folder_aside
from spectral_detect.detector.classifiers import Perceptron
from spectral_detect.detector.experience import OutsiderCheck
from spectral_detect.detector.memory.files import marks_of
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import GROUPS_OF_MIDDLE
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import FrameOptions
from spectral_detect.sources.discovery import FoundVideo, find_images
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import LabelledFile
from spectral_detect.training.outsiders import Outsiders

SPEC = FeatureSpec.preset("world")
MOST_RARE = 5  # files of a source in each rare condition
KERNELS = (
    PIL.Image.Resampling.BOX,
    PIL.Image.Resampling.BILINEAR,
    PIL.Image.Resampling.BICUBIC,
    PIL.Image.Resampling.LANCZOS,
)
CODINGS = {"JPEG": (0.6, 50, 97), "WEBP": (0.16, 50, 95), "AVIF": (0.08, 45, 90), "HEIF": (0.04, 45, 90)}  # else PNG
FAST = {"AVIF": {"speed": 9}, "WEBP": {"method": 2}}
SUFFIXES = {"JPEG": ".jpg", "WEBP": ".webp", "AVIF": ".avif", "HEIF": ".heic", "PNG": ".png"}
KEPT = {"JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF"}
MOST_PX = 1024
WEB_PX, SMALL_PX, SMALLER_PX = (320, 1080), (208, 320), (96, 264)
ENLARGED_PX, ENLARGED_BY = (240, 560), (1.3, 4.0)  # the shorter side before, and the factor
CRF = (18, 35)
N_FRAMES, PAN_PX = 9, 2  # a frame
N_FOLDS = 5
# of `world`: seen often enough; a quarter smaller still counts, and below 240 verdicts were right in 54 to 71 %
ENOUGH_PX = 300
ENOUGH_SMALL_PX = 160  # of its part for small ones: so it judges from 128 on; below, 80 to 82 % of verdicts were right
MOST_REFUSED = 0.02  # of small camera images, as pictures that are no photographs
WIDEST = 1.5  # of a part that is cut out, width to height or height to width
PLAN = "made.txt"  # in the work folder: what it was made of
HELPERS = "Beside them {} files of less weight: the same photographs after up-sampling networks (+ below)."
GOES_ON = """\
It goes on from a model that knew {} camera images and {} generated ones of other sources (SHA-256
             {}), which are not in the table."""
OF_OUTSIDERS = "Of pictures that are no photographs, of sources left out, it finds {:.0f} %."
SAME_CHECK = "Pictures that are no photographs it tells as the model for larger ones does."
FINDS = "of which it finds a part (and then says inconclusive)"
FINDS_NONE = "which it does not tell from photographs"
OUTSIDERS = "a drawing, a screenshot, a document, a chart or a rendering"

INTRODUCTION = """\
{name}: {about}, camera against generators, a perceptron on world features.

Trained on   {n_real} files of {real_sources} sources of camera images and {n_fake} files of {fake_sources} sources
             of generated ones, the newest of {newest}; families:
             {families}.
             {besides}{delivered}, both classes alike.

Good for     photographs and pictures that look like photographs, {sizes}.
Not good for drawings, screenshots, documents, charts and renderings, {outsiders},
             and images of a generator in the table below that it rarely tells; and never as the only evidence.

Five models, each trained without a fifth of the sources and asked about that fifth ({n_groups} groups in all). Sources
count alike. `fake` and `real` are the verdicts of a scan, which leaves all scores between undecided.
"""


@dataclass(frozen=True)
class Source:
    """A row of sources.csv."""

    name: str
    label: str
    family: str
    group: str
    weight: float = 1.0


def sources_of(path: Path) -> list[Source]:
    with path.open(newline="") as stream:
        return [
            Source(*(row[k] for k in ("name", "label", "family", "group")), float(row.get("weight") or 1))
            for row in csv.DictReader(stream)
        ]


# ----------------------------------------------------------------------------------------------------------- material


def opened(path: Path, least_px: int) -> tuple[PIL.Image.Image, str] | None:
    """Return an image in colour and its format; None for what is no such image, or too small."""
    try:
        with PIL.Image.open(path) as image:
            kind = image.format or ""
            if kind not in KEPT or image.mode not in ("RGB", "RGBA", "YCbCr") or min(image.size) < least_px:
                return None
            rgb = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, RuntimeError):
        return None
    small = np.asarray(rgb.resize((32, 32)), dtype=int)
    return None if np.abs(np.diff(small, axis=2)).max() <= 8 else (rgb, kind)  # gray


def coded(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    """Return the image in a coding drawn at random, and the suffix of its name."""
    at, kind, options = float(rng.random()), "PNG", {"compress_level": 1}
    for name, (share, low, high) in CODINGS.items():
        if at < share:
            kind, options = name, {"quality": int(rng.integers(low, high + 1)), **FAST.get(name, {})}
            break
        at -= share
    if kind == "JPEG":
        options["subsampling"] = int(rng.choice([0, 2, 2]))
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue(), SUFFIXES[kind]


def part_of_side(image: PIL.Image.Image, rng: np.random.Generator, side: int) -> PIL.Image.Image:
    sides = [min(length, round(side * rng.uniform(1, WIDEST))) for length in image.size]
    sides[int(rng.integers(2))] = side
    width, height = (min(length, whole) for length, whole in zip(sides, image.size, strict=True))
    left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def central(image: PIL.Image.Image) -> PIL.Image.Image:
    width, height = (min(MOST_PX, side) // 16 * 16 for side in image.size)
    left, top = (image.width - width) // 32 * 16, (image.height - height) // 32 * 16
    return image.crop((left, top, left + width, top + height))


def resaved(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    return coded(central(image), rng)


def made_smaller(image: PIL.Image.Image, rng: np.random.Generator, to_px: tuple[int, int] = WEB_PX) -> PIL.Image.Image:
    factor = int(rng.integers(*to_px)) / min(image.size)
    if factor >= 1:
        return image
    size = round(image.width * factor), round(image.height * factor)
    return image.resize(size, KERNELS[rng.integers(len(KERNELS))])


def after_web(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    return coded(made_smaller(image, rng), rng)


def without_colours(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    same = made_smaller(image, rng) if rng.random() < 0.5 else central(image)
    return coded(same.convert("L"), rng)


def enlarged(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    few = (
        made_smaller(image, rng, ENLARGED_PX)
        if rng.random() < 0.5
        else part_of_side(image, rng, int(rng.integers(*ENLARGED_PX)))
    )
    factor = float(np.exp(rng.uniform(*np.log(ENLARGED_BY))))
    size = round(few.width * factor), round(few.height * factor)
    return coded(few.resize(size, KERNELS[rng.integers(1, len(KERNELS))]), rng)


def small(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    return coded(made_smaller(image, rng, SMALL_PX), rng)


def as_video(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    pixels, pan = np.asarray(made_smaller(image, rng)), (N_FRAMES - 1) * PAN_PX
    height, width = pixels.shape[0] // 2 * 2, (pixels.shape[1] - pan) // 2 * 2
    stream = BytesIO()
    with av.open(stream, "w", format="mp4") as video:
        options = {"crf": str(rng.integers(CRF[0], CRF[1] + 1)), "preset": "veryfast", "threads": "1"}
        track = video.add_stream("libx264", 25, options=options)
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        for k in range(N_FRAMES):
            window = np.ascontiguousarray(pixels[:height, k * PAN_PX : k * PAN_PX + width])
            video.mux(track.encode(av.VideoFrame.from_ndarray(window, format="rgb24")))
        video.mux(track.encode())
    return stream.getvalue(), ".mp4"


def smaller(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    return coded(made_smaller(image, rng, SMALLER_PX), rng)


def cut(image: PIL.Image.Image, rng: np.random.Generator) -> PIL.Image.Image:
    side = int(rng.integers(*SMALLER_PX))
    if (most := min(image.size)) > side:  # reduced by any factor that leaves enough, each as likely on a scale of logs
        image = made_smaller(image, rng, (reduced := round(side * (most / side) ** rng.random()), reduced + 1))
    return part_of_side(image, rng, side)


def part_of(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    return coded(cut(image, rng), rng)


def smaller_video(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    return as_video(cut(image, rng) if rng.random() < 0.5 else made_smaller(image, rng, SMALLER_PX), rng)


def smaller_without_colours(image: PIL.Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    return coded(made_smaller(image, rng, SMALLER_PX).convert("L"), rng)


Maker = Callable[[PIL.Image.Image, np.random.Generator], tuple[bytes, str]]


@dataclass(frozen=True)
class Kind:
    """A model to make: how its images are delivered, `native` as they are, and what its card says of that."""

    about: str
    delivered: str
    sizes: str
    conditions: dict[str, Maker | None]
    rare: dict[str, Maker]
    enough_px: int  # the least shorter side of the images that it has seen often enough
    least_px: int  # of the images taken
    most_native_px: int = 10**9  # of those taken as they are
    copies: dict[str, int] = field(default_factory=dict)  # of an image in such conditions, each drawn anew; else one
    errors: tuple[float, float] = (0.02, 0.10)  # of camera images called fake, and of generated ones called real


KINDS = {
    "world": Kind(
        "images of unknown history",
        "Each image as it is, saved again, as a platform delivers it, and as a frame of H.264, some\n"
        "             without colours, reduced to 208 to 319 pixels, or enlarged",
        "from {least} pixels on the shorter side",
        {"native": None, "resaved": resaved, "web": after_web, "video": as_video},
        {"gray": without_colours, "small": small, "enlarged": enlarged},
        ENOUGH_PX,
        200,
        copies={"resaved": 2, "web": 2},
    ),
    "small": Kind(
        "small images of unknown history",
        "Each image as it is, if it is so small, reduced to a shorter side of 96 to 263 pixels, a part of\n"
        "             so many pixels cut out, and as a frame of H.264 or a part of one, some without colours",
        "from {least} pixels on the shorter side to where the model for larger ones begins",
        {"native": None, "still": smaller, "part": part_of, "video": smaller_video},
        {"gray": smaller_without_colours},
        ENOUGH_SMALL_PX,
        96,
        263,
        dict.fromkeys(("still", "part", "video", "gray"), 3),
        (0.02, 0.05),
    ),
}


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def prepare(corpus: Path, source: Source, work: Path, most: int, kind: Kind) -> None:
    """Write up to so many images of a source, in each condition."""
    pillow_heif.register_heif_opener()
    taken, whole = 0, corpus / source.label / source.name
    for path in sorted(whole.rglob("*"), key=lambda p: hashed(str(p.relative_to(whole)))):
        found = opened(path, kind.least_px) if taken < most and path.is_file() else None
        if found is None:
            continue
        taken += 1
        name = str(path.relative_to(whole))
        rng = np.random.default_rng(int(hashed(f"{source.label}/{source.name}/{name}")[:12], 16))
        for condition, make in {**kind.conditions, **(kind.rare if taken <= MOST_RARE else {})}.items():
            if make is None and min(found[0].size) > kind.most_native_px:
                continue
            folder = work / condition / source.label / source.name
            folder.mkdir(parents=True, exist_ok=True)
            for copy in range(kind.copies.get(condition, 1)):
                content, suffix = make(found[0], rng) if make else (path.read_bytes(), path.suffix)
                (folder / f"{hashed(name)[:16]}-{copy}{suffix}").write_bytes(content)


def files_of(work: Path, sources: list[Source], kind: Kind) -> Iterator[tuple[LabelledFile, str, Source]]:
    for condition in (*kind.conditions, *kind.rare):
        for source in sources:
            folder = work / condition / source.label / source.name
            videos = [FoundVideo(Location(str(path))) for path in sorted(folder.glob("*.mp4"))]
            for found in videos or find_images([Location(str(folder))]):
                label = {"real": REAL, "fake": FAKE}.get(source.label)
                yield LabelledFile(found, label, source.group, source.weight, source.name), condition, source


class Material:
    """The features of all files, with the condition and the source of each."""

    def __init__(self, work: Path, sources: list[Source], jobs: int | None, kind: Kind) -> None:
        self.kind = kind
        files = list(files_of(work, sources, kind))
        whence = {labelled.file.path: (condition, source) for labelled, condition, source in files}
        frames = FrameOptions(n_frames=1)
        extractor = Extractor(SPEC, limits=Limits(max_pixels=10**9), frames=frames, with_profile=True)
        self.dataset = read_dataset([file for file, _, _ in files], extractor, Work(jobs))
        pairs = [whence[sample.path] for sample in self.dataset.samples]
        self.condition = np.array([condition for condition, _ in pairs])
        self.source = np.array([f"{source.label}/{source.name}" for _, source in pairs])
        self.family = np.array([source.family for _, source in pairs])
        self.counts = np.array([source.weight >= 1 for _, source in pairs])
        self.dataset = replace(self.dataset, weights=self.dataset.weights * self._of_family())

    @property
    def cameras(self) -> np.ndarray:
        """Tell of each file whether it counts as a camera image."""
        return np.asarray((self.dataset.y == REAL) & self.counts)

    def _of_family(self) -> np.ndarray:
        """Return (n,) factors from 1 up, by which families of generators count as the root of their size."""
        factors = np.ones(len(self.family))
        _, of_file, counts = np.unique(self.dataset.groups, return_inverse=True, return_counts=True)
        weights = 1 / np.sqrt(counts[of_file])  # as training weighs them
        fakes = (self.dataset.y == FAKE) & self.counts
        totals = {f: float(weights[fakes & (self.family == f)].sum()) for f in set(self.family[fakes])}
        for family, total in totals.items():
            factors[fakes & (self.family == family)] = np.sqrt(max(totals.values()) / total)
        return factors


# -------------------------------------------------------------------------------------------------------------- model


def known_files(material: Material, onto: Model | None) -> np.ndarray:
    """Return the marks of the files that others can have: those as they are, and all of the model gone on from."""
    pairs = zip(material.dataset.samples, material.condition, strict=True)
    own = marks_of(sample.sha256 for sample, condition in pairs if condition == "native")
    return np.unique(np.concatenate([own, onto.file_marks])) if onto else own


def widened(onto: Model, dataset: Dataset) -> Model:
    """Return a model of fewer features as one on those of the data set, in which the further ones count for nothing.

    It no longer holds what its training images were like: that was in its own features.
    """
    if onto.spec == SPEC:
        return onto
    without = replace(SPEC, groups=tuple(name for name in SPEC.groups if name not in GROUPS_OF_MIDDLE))
    assert onto.spec == without and isinstance(onto.classifier, Perceptron)
    pairs = zip(dataset.features, dataset.samples, strict=True)
    more = np.stack([f[onto.n_features :] for f, s in pairs if not (s.metadata and s.metadata.is_gray)])

    def with_zeros(weights: np.ndarray) -> np.ndarray:
        return np.concatenate([weights, np.zeros((more.shape[1], *weights.shape[1:]))])

    mean = np.concatenate([onto.mean, more.mean(axis=0)])
    scale = np.concatenate([onto.scale, np.maximum(more.std(axis=0), 1e-12)])
    check = onto.outsiders
    outsiders = check and replace(check, weights=with_zeros(check.weights), mean=mean, scale=scale)
    return replace(
        onto,
        spec=SPEC,
        classifier=replace(onto.classifier, hidden_weights=with_zeros(onto.classifier.hidden_weights)),
        mean=mean,
        scale=scale,
        outsiders=outsiders,
        cloud=None,
        summary=None,
    )


def fit(dataset: Dataset, kind: Kind, onto: Model | None = None, outsiders: Dataset | None = None) -> Model:
    others = Outsiders(outsiders, OUTSIDERS) if outsiders else None
    model = train_model(dataset, SPEC, "perceptron", verdict_errors=kind.errors, outsiders=others, onto=onto)
    seen = model.experience
    assert seen is not None
    return replace(model, experience=replace(seen, min_side_px=max(seen.min_side_px, kind.enough_px)))


def left_out(material: Material, onto: Model | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of each file, and its verdict, -1 for none, by a model that was not trained on its group."""
    dataset = material.dataset
    scores, verdicts = np.zeros(len(dataset.y)), np.full(len(dataset.y), -1)
    fold = np.random.default_rng(0).permutation(dataset.n_groups)[np.unique(dataset.groups, return_inverse=True)[1]]
    for k in range(N_FOLDS):
        at = np.flatnonzero(fold % N_FOLDS == k)
        model = fit(dataset.select(np.flatnonzero(fold % N_FOLDS != k)), material.kind, onto)
        scores[at] = model.scores([dataset.features[i] for i in at])
        assert model.undecided is not None
        low, high = model.undecided
        verdicts[at] = np.select([scores[at] >= high, scores[at] <= low], [FAKE, REAL], -1)
    return scores, verdicts


# --------------------------------------------------------------------------------------------------------------- card


def source_weights(source: np.ndarray) -> np.ndarray:
    _, of_file, counts = np.unique(source, return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[of_file])


def row(material: Material, scores: np.ndarray, verdicts: np.ndarray, at: np.ndarray, name: str) -> tuple[str, float]:
    """Return a line on the fakes of `at`, against all camera images in the same condition, and their mean AUROC."""
    y, text, found = material.dataset.y, f"  {name:<23}{len(set(material.source[at])):>3}", []
    for condition in material.kind.conditions:
        here = material.condition == condition
        some, reals = here & at, here & material.cameras
        if not some.any():
            text += f"   {'-':>5}  {'-':>3} {'-':>3}"
            continue
        both = some | reals
        weights = source_weights(material.source[both])
        auroc = 100 * float(roc_auc_score(y[both], scores[both], sample_weight=weights))
        weights = source_weights(material.source[some])
        shares = [100 * float(np.average(verdicts[some] == verdict, weights=weights)) for verdict in (FAKE, REAL)]
        text += f"   {auroc:5.1f}  {shares[0]:3.0f} {shares[1]:3.0f}"
        found.append(auroc)
    return text + "\n", float(np.mean(found))


def tables(material: Material, scores: np.ndarray, verdicts: np.ndarray) -> str:
    y, counted = material.dataset.y, (material.dataset.y == FAKE) & material.counts
    conditions = material.kind.conditions
    heads = "   ".join(f"{c:>14}" for c in conditions)
    text = f"\n{'':28}{heads}\n  {'generators':<22}sources" + len(conditions) * "  AUROC fake real" + "  (% of files)\n"
    fakes = [row(material, scores, verdicts, counted & (material.family == f), f) for f in _families(material)]
    text += "".join(line for line, _ in sorted(fakes, key=lambda pair: -pair[1]))
    text += row(material, scores, verdicts, counted, "all, by source")[0]
    for f in _families(material, are_counted=False):
        text += row(material, scores, verdicts, (y == FAKE) & ~material.counts & (material.family == f), f"+ {f}")[0]
    text += f"\n  {'camera images':<22}sources" + len(conditions) * "        fake real" + "  (% of files)\n"
    for name in ("all, by source", "the worst source"):
        text += (
            f"  {name:<23}{len(set(material.source[material.cameras])):>3}"
            + _of_cameras(material, verdicts, name)
            + "\n"
        )
    return text + decided_table(material, verdicts)


def _families(material: Material, *, are_counted: bool = True) -> list[str]:
    return sorted(set(material.family[(material.dataset.y == FAKE) & (material.counts == are_counted)]))


def _of_cameras(material: Material, verdicts: np.ndarray, name: str) -> str:
    text = ""
    for condition in material.kind.conditions:
        here = (material.condition == condition) & material.cameras
        by_source = [
            [float(np.mean(verdicts[here & (material.source == s)] == verdict)) for verdict in (FAKE, REAL)]
            for s in sorted(set(material.source[here]))
        ]
        shares = max(by_source) if name.startswith("the worst") else np.mean(by_source, axis=0)
        text += f"          {100 * shares[0]:3.0f} {100 * shares[1]:3.0f}"
    return text


def decided_table(material: Material, verdicts: np.ndarray) -> str:
    """Return how many files get a verdict, and how many verdicts are right, each class alike."""
    y, text = material.dataset.y, "\nFiles decided, and verdicts right, both classes alike:\n"
    for condition in (*material.kind.conditions, *material.kind.rare):
        here = (material.condition == condition) & material.counts
        weights = np.zeros(len(y))
        weights[here] = source_weights(material.source[here])
        for label in (REAL, FAKE):
            weights[y == label] /= weights[y == label].sum()
        decided = verdicts >= 0
        n_decided = float(weights[decided].sum())
        right = float(weights[decided & (verdicts == y)].sum()) / max(n_decided, 1e-9)
        text += f"  {condition:<10} decided {50 * n_decided:5.1f} %   right {100 * right:5.1f} %\n"
    return text


def card(model: Model, material: Material, onto: Model | None, newest: str) -> str:
    y, seen = material.dataset.y, model.experience
    assert seen is not None
    fakes, helpers = (y == FAKE) & material.counts, int(np.sum(~material.counts))
    kind = material.kind
    text = INTRODUCTION.format(
        name=model.name,
        about=kind.about,
        delivered=kind.delivered,
        sizes=kind.sizes.format(least=seen.least_side_px),
        outsiders=FINDS if model.outsiders else FINDS_NONE,
        n_real=int(np.sum(material.cameras)),
        n_fake=int(np.sum(fakes)),
        real_sources=len(set(material.source[material.cameras])),
        fake_sources=len(set(material.source[fakes])),
        besides=_besides(model, onto, helpers),
        families="\n             ".join(wrap(", ".join(_families(material)), 80, break_on_hyphens=False)),
        newest=newest,
        n_groups=len(np.unique(material.dataset.groups[material.counts])),
    )
    return text + tables(material, *left_out(material, onto))


def _besides(model: Model, onto: Model | None, helpers: int) -> str:
    """Return what else the model has learned, in lines of the card."""
    lines = [HELPERS.format(helpers)] if helpers else []
    if onto:
        counts = (onto.training[key] + onto.base.get(key, 0) for key in ("n_real", "n_fake"))
        lines.append(GOES_ON.format(*counts, onto.sha256[:16]))
    if model.outsiders:
        is_own = np.array_equal(model.outsiders.mean, model.mean)
        lines.append(OF_OUTSIDERS.format(100 * model.outsiders.found) if is_own else SAME_CHECK)
    return "".join(line + "\n" + 13 * " " for line in lines)


def arguments_of(description: str | None, per_source: int) -> argparse.ArgumentParser:
    """Return a parser of what this script and `limit_world_model.py` both take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("models"))
    parser.add_argument("--kind", choices=KINDS, default="world")
    parser.add_argument("--per-source", type=int, default=per_source)
    parser.add_argument("--jobs", type=int, help="worker processes, default: one per core; 0: none")
    return parser


def delivered(args: argparse.Namespace, kind: Kind) -> list[Source]:
    """Write the images in each condition to the work folder, unless it holds them; return the sources that have any."""
    sources = sources_of(args.sources)
    plan = f"{args.kind}, up to {args.per_source} images of each source, sources {hashed(args.sources.read_text())}\n"
    plan = plan if kind.copies else f"one file of each image and condition, {plan}"
    made = args.work / PLAN
    if args.work.exists() and not (made.is_file() and made.read_text() == plan):
        sys.exit(f"{args.work} was made otherwise, or not by this script ({made}): name another --work, or remove it")
    if not args.work.exists():
        with folder_aside(args.work) as work, ProcessPoolExecutor(args.jobs or None) as pool:
            (work / PLAN).write_text(plan)
            fixed = repeat(work), repeat(args.per_source), repeat(kind)
            list(pool.map(prepare, repeat(args.corpus), sources, *fixed))
    conditions = [*kind.conditions, *kind.rare]
    there = [s for s in sources if any((args.work / c / s.label / s.name).is_dir() for c in conditions)]
    if missing := [s.name for s in sources if s not in there]:
        print(f"without an image that fits: {', '.join(missing)}", file=sys.stderr)
    return there


def main() -> None:
    parser = arguments_of(__doc__, 60)
    parser.add_argument("--onto", help="go on from this model, of other sources")
    parser.add_argument("--newest", default="2026", help="year of the newest generator, for the card")
    args = parser.parse_args()
    kind = KINDS[args.kind]
    sources = delivered(args, kind)
    material = Material(args.work, [s for s in sources if s.label in ("real", "fake")], args.jobs, kind)
    others = [s for s in sources if s.label == "outsider"]
    onto = widened(load_model(args.onto), material.dataset) if args.onto else None
    model = fit(material.dataset, kind, onto, Material(args.work, others, args.jobs, kind).dataset if others else None)
    model = replace(model, file_marks=known_files(material, onto))
    world = load_model(args.output / "world.pkl") if args.kind == "small" else None
    model = replace(model, name=args.kind, outsiders=check_of(world, model, material) if world else model.outsiders)
    model = replace(model, card=card(model, material, onto, args.newest))
    print(model.card)
    args.output.mkdir(exist_ok=True)
    write(model if world is None else replace(world, small=None).with_small(model), args.output)


def check_of(world: Model, small: Model, material: Material) -> OutsiderCheck | None:
    """Return how the model for larger images tells outsiders, so that it refuses few of these camera images."""
    if (check := world.outsiders) is None or small.experience is None:
        return None
    files = zip(material.dataset.features, material.dataset.y, material.dataset.samples, strict=True)
    values = [check.value(f) for f, y, sample in files if y == REAL and small.experience.covers(*sample.size_px)]
    return replace(check, threshold=max(check.threshold, float(np.quantile(values, 1 - MOST_REFUSED))))


def write(whole: Model, folder: Path) -> None:
    save_model(whole, folder / "world.pkl")
    cards = [whole.card, *([whole.small.card] if whole.small else [])]
    text = "\n".join(f"```\n{text}```\n" for text in cards)
    (folder / "world.md").write_text(f"# {whole.card.splitlines()[0]}\n\n{text}")


if __name__ == "__main__":
    main()
