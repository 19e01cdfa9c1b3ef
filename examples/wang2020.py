"""Train a network as Wang et al. do (CNN-generated images are surprisingly easy to spot, CVPR 2020), for `--encoder`.

    pip install '.[wang]' in the checkout
    python examples/wang2020.py TRAIN --work wang/ --augment 0.5 --test generators/ --real camera/
    spectral-detect train --manifest images.csv --features encoder --encoder wang/wang.onnx --output my.pkl

TRAIN holds real/ and fake/, with images in them or in folders of theirs. A network with one output learns the class by
binary cross-entropy (Adam, batches of 64) from random crops, flipped at even odds; each is blurred (sigma 0 to 3) and
then saved as JPEG (qualities 30 to 100, by OpenCV or Pillow), each with the probability of `--augment`: 0.1 or 0.5 in
the paper. One image of ten is held out: if the accuracy on these has not risen by 0.1 % for five epochs, the rate of
learning falls to a tenth, and below 1e-6 training ends. WORK/state.pt is written after each epoch, and the same command
goes on from there; a state of other images, weights or options is refused. At the end WORK/wang.onnx gives the
embedding before the last layer, with its settings beside it.

`--network small` (the default) has four convolutions and learns on a CPU. `--network resnet50` is that of the paper;
`--weights FILE` begins with those of a file of tensors in torchvision's names (its `resnet50` of ImageNet, or one of
the paper's own files), whose last layer is left out if it has not one output. Such a file is read without running code.

`--test FOLDER` has a sub-folder for each generator, as `evaluate --by`: average precision of each, and their mean, mAP.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from sklearn.metrics import average_precision_score

try:
    import onnx  # noqa: F401 - the export needs it, after all training
    import torch
    from torch.nn import functional as F
except ModuleNotFoundError:
    sys.exit("this example needs PyTorch and onnx: pip install '.[wang]' in the checkout")
from wang_networks import NETWORKS, Embedding, ResNet50, Small, begin_with, held_in

from spectral_detect import FAKE, read_image
from spectral_detect.atomic_write import write_aside
from spectral_detect.errors import CheckpointError, DatasetError, DeviceError, SpectralDetectError
from spectral_detect.features.encoder.pixels import squares
from spectral_detect.features.encoder.settings import Encoder
from spectral_detect.features.reduced import reduced
from spectral_detect.media.edits import as_rgb, wang
from spectral_detect.media.images import DecodedImage
from spectral_detect.sources.discovery import expand_local, find_images
from spectral_detect.training.labelled_files import LabelledFile, files_by_generator

WINDOW = 256 / 224  # of the crop: what is kept of an image to crop from, as the paper's 256 pixels for crops of 224
HELD_OUT, PATIENCE, LEAST_GAIN, LEAST_RATE = 10, 5, 0.001, 1e-6
STATE, ONNX = "state.pt", "wang.onnx"


# -------------------------------------------------------------------------------------------------------------- images


def preparation(crop: int, side: int | None) -> Encoder:
    """Say how images are prepared, as the settings beside the ONNX file will."""
    return Encoder(ONNX, "0" * 64, 1, side=side, crop=crop)


def training_files(train: Path) -> list[LabelledFile]:
    """Find the images below real/ and fake/.

    Raises
    ------
    DatasetError
        One of the two is missing.
    """
    found = []
    for label, name in enumerate(("real", "fake")):
        if not (train / name).is_dir():
            raise DatasetError(f"{train / name} is no folder", remedy="TRAIN is a folder with real/ and fake/ in it")
        found += [LabelledFile(file, label) for file in find_images(expand_local(str(train / name)))]
    return found


def list_of(files: Sequence[LabelledFile], train: Path) -> str:
    """Tell a list of images from others, by their number and a hash of their names below a folder and their sizes."""
    known = sha256()
    for path in (file.file.path for file in files):
        size = os.path.getsize(path) if os.path.exists(path) else 0
        known.update(os.fsencode(os.path.relpath(path, train)) + b"\0%d\0" % size)
    return f"{len(files)} (hash {known.hexdigest()[:12]})"


def generators_to_test(folder: str, real: Sequence[str]) -> dict[str, list[LabelledFile]]:
    """Return what `files_by_generator` does, and refuse folders of camera images that are not there."""
    for path in real:
        if not os.path.exists(path):
            raise DatasetError(f"{path!r} is not there", remedy="give a folder of camera images with --real")
    return files_by_generator(folder, real)


def windows(files: Sequence[LabelledFile], encoder: Encoder) -> tuple[list[np.ndarray], list[int]]:
    """Return the middle of each image that can be read, RGB, large enough to crop from, and its label."""
    longest, kept, labels = round(encoder.crop * WINDOW), [], []
    for file in files:
        image = read(file)
        if image is None:
            continue
        rgb = as_rgb(image.pixels, image.is_ycc)
        rgb = np.repeat(rgb[..., None], 3, axis=2) if rgb.ndim == 2 else rgb
        rgb = reduced(rgb, min(rgb.shape[:2]) if encoder.side is None else encoder.side)
        top, left = (max(0, length - longest) // 2 for length in rgb.shape[:2])
        kept.append(np.ascontiguousarray(rgb[top : top + longest, left : left + longest]))
        labels.append(int(file.label == FAKE))
    return kept, labels


def read(file: LabelledFile) -> DecodedImage | None:
    """Return an image, or None with a line that says why it cannot be read."""
    try:
        return read_image(file.file.path, colour=True)
    except SpectralDetectError as error:
        print(f"left out: {error}", flush=True)
        return None


def augmented(window: np.ndarray, crop: int, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Return a crop of a window after blur and JPEG, flipped or not; a small one is enlarged, as an encoder does."""
    pixels, _ = wang(window, False, probability, rng)
    square = min(crop, *pixels.shape[:2])
    top, left = ((length - square) // 2 for length in pixels.shape[:2])
    pixels = pixels[top : top + square, left : left + square]
    if square < crop:
        pixels = np.asarray(cv2.resize(pixels, (crop, crop), interpolation=cv2.INTER_LINEAR))
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def as_batch(images: Iterable[np.ndarray], encoder: Encoder) -> torch.Tensor:
    """Return the squares that an encoder with these settings sees."""
    return torch.from_numpy(np.concatenate([squares(np.ascontiguousarray(image), encoder) for image in images]))


# ------------------------------------------------------------------------------------------------------------ training


@dataclass
class Run:
    """A training run: its network and how far it is.

    Attributes
    ----------
    network : Small or ResNet50
        What learns.
    work : Path
        Where its state is kept.
    settings : dict of str
        What it was begun with, by name; a state of other settings is refused.
    device : str
        Where it learns, such as "cuda".
    rate, best, waited, epoch
        Rate of learning, best accuracy on the images held out, epochs since, epochs done.
    """

    network: Small | ResNet50
    work: Path
    settings: dict[str, str]
    rate: float
    device: str = "cpu"
    best: float = 0.0
    waited: int = 0
    epoch: int = 0
    optimiser: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        self.network.to(self.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=self.rate)

    def save(self) -> None:
        """Write the state, so that no half of one is ever there."""
        stream = io.BytesIO()
        numbers = {name: getattr(self, name) for name in ("settings", "rate", "best", "waited", "epoch")}
        tensors = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        torch.save({**numbers, **tensors}, stream)
        write_aside(self.work / STATE, stream.getvalue())

    def resume(self) -> None:
        """Go on from the state, if there is one.

        Raises
        ------
        CheckpointError
            It cannot be read, or is that of another run; the message names what differs.
        """
        path = self.work / STATE
        if not path.exists():
            return
        held = held_in(path)
        began = held.get("settings")
        if not isinstance(began, dict):
            raise CheckpointError(f"{path} does not say what it was begun with", remedy="give another --work")
        others = [
            f"{name} {began.get(name)}, not {now}" for name, now in self.settings.items() if began.get(name) != now
        ]
        if others:
            problem = f"{path} is of another run: {'; '.join(others)}"
            raise CheckpointError(problem, remedy="give the same, or another --work")
        self.network.load_state_dict(held["network"])
        self.optimiser.load_state_dict(held["optimiser"])
        self.rate, self.best, self.waited, self.epoch = (held[name] for name in ("rate", "best", "waited", "epoch"))

    def judge(self, accuracy: float) -> None:
        """Lower the rate if the accuracy has not risen for long."""
        if accuracy > self.best + LEAST_GAIN:
            self.best, self.waited = accuracy, 0
            return
        self.waited += 1
        if self.waited >= PATIENCE:
            self.rate, self.waited = self.rate / 10, 0
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate


def train(
    run: Run, kept: list[np.ndarray], labels: list[int], encoder: Encoder, probability: float, epochs: int, batch: int
) -> None:
    """Train up to a number of epochs, each with its own seed, so that a run that was interrupted ends the same."""
    held_out = np.random.default_rng(0).permutation(len(kept))[: max(1, len(kept) // HELD_OUT)]
    others, y = np.setdiff1d(np.arange(len(kept)), held_out), torch.tensor(labels, dtype=torch.float32)
    while run.epoch < epochs and run.rate > LEAST_RATE:
        rng, losses, start = np.random.default_rng([1, run.epoch]), [], time.monotonic()
        run.network.train()
        for some in torch.from_numpy(rng.permutation(others)).split(batch):
            if len(some) < 2:
                continue
            images = as_batch((augmented(kept[k], encoder.crop, probability, rng) for k in some.tolist()), encoder)
            loss = F.binary_cross_entropy_with_logits(run.network(images.to(run.device)), y[some].to(run.device))
            run.optimiser.zero_grad()
            loss.backward()
            run.optimiser.step()
            losses.append(loss.item())
        logits = [logit_of(run.network, kept[k], encoder) for k in held_out]
        accuracy = float(np.mean((np.array(logits) > 0) == y[held_out].numpy().astype(bool)))
        run.epoch += 1
        run.judge(accuracy)
        run.save()
        took = f"{time.monotonic() - start:.0f} s"
        print(f"epoch {run.epoch:3}  loss {np.mean(losses):.3f}  held out {100 * accuracy:5.1f} %  {took}", flush=True)


def logit_of(network: torch.nn.Module, image: np.ndarray | DecodedImage, encoder: Encoder) -> float:
    """Return the mean logit over what an encoder with these settings sees of an image."""
    pixels, how = (image, {}) if isinstance(image, np.ndarray) else (
        image.pixels, {"is_ycc": image.is_ycc, "orientation": image.orientation}
    )  # fmt: skip
    network.eval()
    with torch.no_grad():
        seen = torch.from_numpy(squares(pixels, encoder, **how)).to(next(network.parameters()).device)
        return float(network(seen).mean())


def write_encoder(network: Small | ResNet50, work: Path, crop: int, side: int | None) -> Path:
    """Write the network without its last layer as ONNX, with the settings that `--encoder` reads."""
    path = work / ONNX
    names = {"input_names": ["image"], "output_names": ["features"]}
    embedding, example = Embedding(network).cpu().eval(), torch.zeros(1, 3, crop, crop)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the newer exporter needs a package more
        torch.onnx.export(embedding, (example,), str(path), opset_version=17, dynamo=False, **names)
    Path(f"{path}.json").write_text(json.dumps({"side": side, "crop": crop, "tiles": 1}) + "\n")
    return path


def average_precisions(network: torch.nn.Module, generators: dict[str, list[LabelledFile]], encoder: Encoder) -> None:
    """Print average precision of each generator and their mean, as the paper's tables do."""
    known: dict[str, float | None] = {}  # the reals may be those of each generator
    print(f"{'generator':<28}{'real':>7}{'fake':>7}{'AP':>8}")
    found = []
    for name, files in generators.items():
        for file in files:
            if file.file.path not in known:
                image = read(file)
                known[file.file.path] = None if image is None else logit_of(network, image, encoder)
        scored = [(file.label, known[file.file.path]) for file in files if known[file.file.path] is not None]
        y, scores = (np.array([pair[k] for pair in scored]) for k in (0, 1))
        n_real, n_fake = int(np.sum(y != FAKE)), int(np.sum(y == FAKE))
        precision = float(average_precision_score(y, scores)) if n_real and n_fake else math.nan
        found.append(precision)
        print(f"{name:<28}{n_real:>7}{n_fake:>7}{100 * precision:>8.1f}", flush=True)
    print(f"{'mean (mAP)':<28}{'':>7}{'':>7}{100 * np.mean(found):>8.1f}")


# ------------------------------------------------------------------------------------------------------------- command


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="a folder with real/ and fake/")
    parser.add_argument("--work", type=Path, required=True, help="a folder for the state and the encoder")
    parser.add_argument("--network", choices=NETWORKS, default="small", help="what is trained: %(default)s")
    parser.add_argument("--weights", type=Path, help="a file of tensors to begin with")
    parser.add_argument(
        "--augment", type=float, default=0.5, help="probability of blur, and of JPEG, 0 to 1: %(default)s"
    )
    parser.add_argument(
        "--crop", type=int, default=224, help="side of the squares that it sees, in pixels: %(default)s"
    )
    parser.add_argument("--side", type=int, help="reduce images to this shorter side first; as they are if left out")
    parser.add_argument(
        "--epochs", type=int, default=50, help="at most; 0 exports the weights as they are: %(default)s"
    )
    parser.add_argument("--batch", type=int, default=64, help="images at a step: %(default)s")
    parser.add_argument("--rate", type=float, default=1e-4, help="rate of learning: %(default)s")
    parser.add_argument("--device", default="cpu", help="where the network learns, such as cuda")
    parser.add_argument("--test", help="a folder with a sub-folder for each generator")
    parser.add_argument("--real", action="append", default=[], help="camera images for generators that bring none")
    return parser.parse_args()


def check(options: argparse.Namespace) -> None:
    """Refuse values that cannot be trained with.

    Raises
    ------
    SpectralDetectError
        The message says which, and what is taken.
    """
    least = round(options.crop * WINDOW)
    for is_right, name, taken in (
        (0 <= options.augment <= 1, "augment", "a probability from 0 to 1"),
        (options.side is None or options.side >= least, "side", f"crops of {options.crop} need {least} or more"),
        (options.epochs >= 0, "epochs", "a whole number from 0"),
        (options.batch >= 2, "batch", "a whole number from 2"),
        (LEAST_RATE < options.rate < math.inf, "rate", f"a number above {LEAST_RATE}"),
    ):
        if not is_right:
            raise SpectralDetectError(f"--{name} {getattr(options, name)}: {taken}")
    try:
        torch.zeros(1, device=options.device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"--device {options.device}: {str(error).partition(chr(10))[0][:200]}") from None


def begun_with(options: argparse.Namespace, files: Sequence[LabelledFile]) -> dict[str, str]:
    """Return what tells a run from others, by the name that people know it by."""
    fixed = ("network", "augment", "crop", "side", "batch", "rate")
    weights = sha256(options.weights.read_bytes()).hexdigest()[:12] if options.weights else ""
    return {
        "training images": list_of(files, options.train),
        "--weights": f"of hash {weights}" if weights else "none",
        **{f"--{name}": str(getattr(options, name)) for name in fixed},
    }


def trained(options: argparse.Namespace) -> None:
    """Train, export, and print the table; what is missing is said before training."""
    check(options)
    encoder = preparation(options.crop, options.side)
    files = training_files(options.train)
    generators = generators_to_test(options.test, options.real) if options.test else {}
    torch.manual_seed(0)
    network = NETWORKS[options.network]()
    if options.weights:
        begin_with(network, options.weights)
    options.work.mkdir(parents=True, exist_ok=True)
    run = Run(network, options.work, begun_with(options, files), options.rate, options.device)
    run.resume()
    kept, labels = windows(files, encoder)
    if min(labels.count(0), labels.count(1)) < HELD_OUT:
        raise DatasetError(
            f"{options.train}: fewer than {HELD_OUT} images of a class", remedy="put more into real/ and fake/"
        )
    print(f"{labels.count(0)} real, {labels.count(1)} fake images; {run.epoch} epochs done before", flush=True)
    train(run, kept, labels, encoder, options.augment, options.epochs, options.batch)
    print(f"wrote {write_encoder(network, options.work, options.crop, options.side)}")
    if generators:
        average_precisions(network, generators, encoder)


def main() -> None:
    """Do what the options say; what is refused is one line, and exit status 2."""
    try:
        trained(parsed())
    except (SpectralDetectError, OSError) as error:
        print(f"wang2020.py: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
