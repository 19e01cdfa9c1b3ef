"""Train a network as Wang et al. do (CNN-generated images are surprisingly easy to spot, CVPR 2020), for `--encoder`.

    pip install '.[wang]' in the checkout
    python examples/wang2020.py TRAIN --work wang/ --augment 0.5 --test generators/ --real camera/
    spectral-detect train --manifest images.csv --features encoder --encoder wang/wang.onnx --output my.pkl

TRAIN holds real/ and fake/, with images in them or in folders of theirs. A network with one output learns the class by
binary cross-entropy (Adam, batches of 64) from random crops, flipped at even odds; each is blurred (sigma 0 to 3) and
then saved as JPEG (qualities 30 to 100, by OpenCV or Pillow), each with the probability of `--augment`: 0.1 or 0.5 in
the paper. One image of ten is held out: if the accuracy on these has not risen by 0.1 % for five epochs, the rate of
learning falls to a tenth, and below 1e-6 training ends. WORK/state.pt is written after each epoch, and the same command
goes on from there. At the end WORK/wang.onnx gives the embedding before the last layer, with its settings beside it.

`--network small` (the default) has four convolutions and learns on a CPU. `--network resnet50` is that of the paper;
`--weights FILE` begins with those of a file of tensors in torchvision's names (its `resnet50` of ImageNet, or one of
the paper's own files), whose last layer is left out if it has not one output. Such a file is read without running code.

`--test FOLDER` has a sub-folder for each generator, as `evaluate --by`: average precision of each, and their mean, mAP.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import average_precision_score

try:
    import torch
    from torch.nn import functional as F
except ModuleNotFoundError:
    sys.exit("this example needs PyTorch: pip install '.[wang]' in the checkout")

from spectral_detect import FAKE, read_image
from spectral_detect.atomic_write import write_aside
from spectral_detect.errors import SpectralDetectError
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


# ------------------------------------------------------------------------------------------------------------ networks


class Small(torch.nn.Module):
    """Four convolutions of stride 2, and the mean of their 128 maps."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for n_in, n_out in ((3, 16), (16, 32), (32, 64), (64, 128)):
            layers += [torch.nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), torch.nn.BatchNorm2d(n_out)]
            layers.append(torch.nn.ReLU())
        self.body, self.fc = torch.nn.Sequential(*layers), torch.nn.Linear(128, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, 128) embeddings."""
        return self.body(images).mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n,) logits."""
        return self.fc(self.features(images))[:, 0]


class Bottleneck(torch.nn.Module):
    """A block of ResNet-50 (He et al. 2016), the stride in its 3x3 convolution as torchvision has it."""

    def __init__(self, n_in: int, n_inner: int, stride: int) -> None:
        super().__init__()
        n_out = 4 * n_inner
        self.conv1 = torch.nn.Conv2d(n_in, n_inner, 1, bias=False)
        self.conv2 = torch.nn.Conv2d(n_inner, n_inner, 3, stride=stride, padding=1, bias=False)
        self.conv3 = torch.nn.Conv2d(n_inner, n_out, 1, bias=False)
        self.bn1, self.bn2, self.bn3 = (torch.nn.BatchNorm2d(n) for n in (n_inner, n_inner, n_out))
        self.downsample: torch.nn.Module = torch.nn.Identity()
        if stride > 1 or n_in != n_out:
            wide = torch.nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False)
            self.downsample = torch.nn.Sequential(wide, torch.nn.BatchNorm2d(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of the block's output and its shortcut."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + self.downsample(x))


class ResNet50(torch.nn.Module):
    """ResNet-50 with one output; its tensors have torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), torch.nn.BatchNorm2d(64)
        n_in = 64
        for k, (n_inner, n_blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
            blocks = [Bottleneck(n_in, n_inner, 1 if k == 1 else 2)]
            n_in = 4 * n_inner
            blocks += [Bottleneck(n_in, n_inner, 1) for _ in range(n_blocks - 1)]
            setattr(self, f"layer{k}", torch.nn.Sequential(*blocks))
        self.fc = torch.nn.Linear(2048, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, 2048) embeddings."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, stride=2, padding=1)
        for k in (1, 2, 3, 4):
            x = getattr(self, f"layer{k}")(x)
        return x.mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n,) logits."""
        return self.fc(self.features(images))[:, 0]


class Embedding(torch.nn.Module):
    """What is exported: a network without its last layer."""

    def __init__(self, network: Small | ResNet50) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the embedding."""
        return self.network.features(image)


NETWORKS = {"small": Small, "resnet50": ResNet50}


def held_in(path: Path) -> dict[str, Any]:
    """Return what torch.save wrote into a file, tensors and numbers; no code of it is run."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise SystemExit(f"{path} cannot be read as tensors: {str(error).partition(chr(10))[0][:200]}") from None
    if not isinstance(held, dict):
        raise SystemExit(f"{path} holds no tensors by name; give a file of a network's state_dict()")
    return held


def begin_with(network: torch.nn.Module, weights: Path) -> None:
    """Load the tensors of a file into a network; a last layer of another size stays as it is."""
    held = held_in(weights)
    tensors = {name.removeprefix("module."): tensor for name, tensor in held.get("model", held).items()}
    own = network.state_dict()
    fitting = {name: t for name, t in tensors.items() if name in own and getattr(t, "shape", None) == own[name].shape}
    lacking = [name for name in own if name not in fitting and not name.startswith("fc.")]
    if lacking:
        raise SystemExit(f"{weights}: no tensors that fit {', '.join(lacking[:3])}; give those of another network")
    network.load_state_dict(fitting, strict=False)


# -------------------------------------------------------------------------------------------------------------- images


def preparation(crop: int, side: int | None) -> Encoder:
    """Say how images are prepared, as the settings beside the ONNX file will."""
    return Encoder(ONNX, "0" * 64, 1, side=side, crop=crop)


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
        print(f"left out: {file.file.path}: {error}", flush=True)
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
    settings : str
        What it was begun with; a state of other settings is refused.
    device : str
        Where it learns, such as "cuda".
    rate, best, waited, epoch
        Rate of learning, best accuracy on the images held out, epochs since, epochs done.
    """

    network: Small | ResNet50
    work: Path
    settings: str
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
        """Go on from the state, if there is one."""
        path = self.work / STATE
        if not path.exists():
            return
        held = held_in(path)
        if held.get("settings") != self.settings:
            raise SystemExit(f"{path} was begun with {held.get('settings')}; give these options, or another --work")
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


def average_precisions(network: torch.nn.Module, folder: str, real: Sequence[str], encoder: Encoder) -> None:
    """Print average precision of each generator and their mean, as the paper's tables do."""
    known: dict[str, float | None] = {}  # the reals may be those of each generator
    print(f"{'generator':<28}{'real':>7}{'fake':>7}{'AP':>8}")
    found = []
    for name, files in files_by_generator(folder, real).items():
        for file in files:
            if file.file.path not in known:
                image = read(file)
                known[file.file.path] = None if image is None else logit_of(network, image, encoder)
        scored = [(file.label, known[file.file.path]) for file in files if known[file.file.path] is not None]
        y, scores = (np.array(column) for column in zip(*scored, strict=True))
        found.append(float(average_precision_score(y, scores)))
        print(f"{name:<28}{np.sum(y != FAKE):>7}{np.sum(y == FAKE):>7}{100 * found[-1]:>8.1f}", flush=True)
    print(f"{'mean (mAP)':<28}{'':>7}{'':>7}{100 * np.mean(found):>8.1f}")


def main() -> None:
    """Train, export, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="a folder with real/ and fake/")
    parser.add_argument("--work", type=Path, required=True, help="a folder for the state and the encoder")
    parser.add_argument("--network", choices=NETWORKS, default="small", help="what is trained: %(default)s")
    parser.add_argument("--weights", type=Path, help="a file of tensors to begin with")
    parser.add_argument("--augment", type=float, default=0.5, help="probability of blur, and of JPEG: %(default)s")
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
    options = parser.parse_args()
    if options.side is not None and options.side < round(options.crop * WINDOW):
        parser.error(f"--side {options.side}: crops of {options.crop} need {round(options.crop * WINDOW)} or more")
    torch.manual_seed(0)
    network = NETWORKS[options.network]()
    if options.weights:
        begin_with(network, options.weights)
    options.work.mkdir(parents=True, exist_ok=True)
    fixed = ("network", "augment", "crop", "side", "batch", "rate")
    settings = " ".join(f"{name}={getattr(options, name)}" for name in fixed)
    run = Run(network, options.work, settings, options.rate, options.device)
    run.resume()
    encoder = preparation(options.crop, options.side)
    files = [
        LabelledFile(file, label)
        for label, name in enumerate(("real", "fake"))
        for file in find_images(expand_local(str(options.train / name)))
    ]
    kept, labels = windows(files, encoder)
    if min(labels.count(0), labels.count(1)) < HELD_OUT:
        raise SystemExit(f"{options.train}: fewer than {HELD_OUT} images of a class; put more into real/ and fake/")
    print(f"{labels.count(0)} real, {labels.count(1)} fake images; {run.epoch} epochs done before", flush=True)
    train(run, kept, labels, encoder, options.augment, options.epochs, options.batch)
    print(f"wrote {write_encoder(network, options.work, options.crop, options.side)}")
    if options.test:
        average_precisions(network, options.test, options.real, encoder)


if __name__ == "__main__":
    main()
