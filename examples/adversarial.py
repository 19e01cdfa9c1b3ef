"""Detect adversarial images by their Fourier spectrum, as SpectralDefense does (Harder et al. 2021).

    pip install '.[adversarial]' in the checkout
    python examples/adversarial.py --work adversarial/

A small network learns to tell which photograph a crop of 32x32 pixels comes from; crops of places that it did not learn
from, which it calls right, are attacked by foolbox: FGSM, BIM and PGD within 8/255 of each value, DeepFool and Carlini
and Wagner by the least change of the squared norm. For each attack, `train_model` with logistic regression learns clean
from perturbed crops of some photographs, and is asked about the others. WORK/<attack>/ holds the crops as PNG files,
which rounds them to 8 bits as the files of an attacker would be. Four kinds of features stand beside one another:

    magnitude         the features `magnitude` of the image (InputMFS)
    phase             the phase of each channel (InputPFS), by an encoder that hands the image on
    layer magnitude   of the maps of three layers of the network under attack (LayerMFS), by `--features encoder`
    layer phase       the phase of these maps (LayerPFS)

WORK/*.onnx and their settings beside them are these encoders. The first is blind to the network, the last two need it.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

try:
    import onnx  # noqa: F401 - the export needs it, after all training
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # foolbox uses an older name of SciPy's
        import foolbox
except ModuleNotFoundError:
    sys.exit("this example needs foolbox, PyTorch and onnx: pip install '.[adversarial]' in the checkout")

from spectral_detect import FAKE, REAL, FeatureSpec, Work, save_model, train_model
from spectral_detect.features.encoder.find import read_encoder
from spectral_detect.sources.discovery import expand_local, find_images
from spectral_detect.training.dataset import MIN_PER_CLASS, Dataset, read_dataset
from spectral_detect.training.labelled_files import LabelledFile

SIDE_PX, EPSILON = 32, 8 / 255
LAYERS = ("/2/Relu", "/6/Relu", "/10/Relu")  # the maps after each convolution


def photographs(folder: str) -> list[np.ndarray]:
    """Return the images of a folder, RGB, sides of at least 128 pixels."""
    found = []
    for file in find_images(expand_local(folder)):
        with Image.open(file.path) as image:
            found.append(np.asarray(image.convert("RGB")))
    return [pixels for pixels in found if min(pixels.shape[:2]) >= 4 * SIDE_PX]


def crops(images: list[np.ndarray], n_each: int, *, of_top: bool, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return crops (n, 3, 32, 32) from 0 to 1 of the upper two thirds of each image or of the rest, and its number."""
    rng, found = np.random.default_rng(seed), []
    for image in images:
        cut = image.shape[0] * 2 // 3
        part = image[:cut] if of_top else image[cut:]
        for _ in range(n_each):
            y, x = (int(rng.integers(0, length - SIDE_PX + 1)) for length in part.shape[:2])
            found.append(part[y : y + SIDE_PX, x : x + SIDE_PX])
    X = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255
    return X, torch.arange(len(images)).repeat_interleave(n_each)


def trained_network(X: torch.Tensor, y: torch.Tensor, n_epochs: int) -> torch.nn.Module:
    """Return a network of three convolutions that tells the classes."""
    layers: list[torch.nn.Module] = []
    for n_in, n_out in ((3, 16), (16, 32), (32, 32)):
        layers += [torch.nn.Conv2d(n_in, n_out, 3, padding=1), torch.nn.BatchNorm2d(n_out), torch.nn.ReLU()]
        layers.append(torch.nn.MaxPool2d(2))
    network = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(32 * 16, int(y.max()) + 1))
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(n_epochs):
        for some in torch.randperm(len(X)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(X[some]), y[some]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return network.eval()


def attacked(
    network: torch.nn.Module, X: torch.Tensor, y: torch.Tensor, cw_steps: int
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each attack and the crops after it; those that it failed on as they were."""
    attacks = {
        "FGSM": (foolbox.attacks.LinfFastGradientAttack(), EPSILON),
        "BIM": (foolbox.attacks.LinfBasicIterativeAttack(steps=10), EPSILON),
        "PGD": (foolbox.attacks.LinfPGD(steps=40), EPSILON),
        "DeepFool": (foolbox.attacks.L2DeepFoolAttack(), None),
        "C&W": (foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=4, steps=cw_steps), None),
    }
    victim = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    for name, (attack, epsilon) in attacks.items():
        found = attack(victim, X, y, epsilons=epsilon)[1].detach()
        is_black = found.flatten(1).amax(1) == 0  # what foolbox gives where C&W fails
        yield name, torch.where(is_black[:, None, None, None], X, found)


def as_bytes(X: torch.Tensor) -> np.ndarray:
    """Return (n, 32, 32, 3) pixels of 8 bits."""
    return (X * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def written(folder: Path, pixels: np.ndarray, groups: np.ndarray, label: int) -> list[LabelledFile]:
    """Write crops as PNG files; return them, each photograph being a group."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, crop in enumerate(pixels):
        Image.fromarray(crop).save(folder / f"{groups[k]:02d}-{k:04d}.png")
    found = list(find_images(expand_local(str(folder))))
    return [LabelledFile(file, label, Path(file.path).name[:2]) for file in found]


class Same(torch.nn.Module):
    """Hands an image on, whose values are at least 0."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the image."""
        return torch.relu(image)


def encoder_of(network: torch.nn.Module, path: Path, **settings: object) -> FeatureSpec:
    """Write a network as an encoder that sees the pixels from 0 to 1 as they are; return its features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the newer exporter needs a package more
        example = (torch.zeros(1, 3, SIDE_PX, SIDE_PX),)
        torch.onnx.export(network.eval(), example, str(path), input_names=["image"], opset_version=17, dynamo=False)
    Path(f"{path}.json").write_text(json.dumps({"mean": [0, 0, 0], "deviation": [1, 1, 1], **settings}))
    return FeatureSpec.preset("encoder", encoder=read_encoder(path))


def detectors(network: torch.nn.Module, work: Path) -> dict[str, FeatureSpec]:
    """Return the features of each detector."""
    work.mkdir(parents=True, exist_ok=True)
    return {
        "magnitude": FeatureSpec.preset("magnitude"),
        "phase": encoder_of(Same(), work / "phase.onnx", spectrum="phase"),
        **{
            f"layer {kind}": encoder_of(network, work / f"layer_{kind}.onnx", layers=LAYERS, spectrum=kind)
            for kind in ("magnitude", "phase")
        },
    }


def rates(dataset: Dataset, spec: FeatureSpec, is_test: np.ndarray, output: Path) -> tuple[float, float, float]:
    """Return AUROC, and the shares of perturbed and of clean crops called perturbed, by `train_model`."""
    model = train_model(dataset.select(~is_test), spec, "logreg")
    save_model(replace(model, class_names=("clean", "perturbed")), output)
    test = dataset.select(is_test)
    scores = model.scores(test.features)
    called = scores >= model.threshold
    return (
        float(roc_auc_score(test.y, scores)),
        float(called[test.y == FAKE].mean()),
        float(called[test.y == REAL].mean()),
    )


def compare(files: list[LabelledFile], specs: dict[str, FeatureSpec], folder: Path, jobs: int) -> Iterator[str]:
    """Yield AUROC, detection rate and rate of false alarms of each detector, as a cell."""
    for name, spec in specs.items():
        dataset = read_dataset(files, spec, Work(jobs))
        of_image = np.array([int(Path(sample.path).name[:2]) for sample in dataset.samples])
        shares = rates(dataset, spec, of_image % 3 == 0, folder.parent / f"{folder.name}-{name.replace(' ', '-')}.pkl")
        yield "".join(f"{100 * share:6.1f}" for share in shares)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default=str(Path(__file__).parent / "images" / "real"))
    parser.add_argument("--work", type=Path, required=True, help="a new folder for the crops and models")
    parser.add_argument("--crops", type=int, default=40, help="attacked crops of each photograph")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--cw-steps", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)  # on busy cores, threads that wait for one another took several times as long
    torch.manual_seed(0)
    images = photographs(options.images)
    network = trained_network(*crops(images, 300, of_top=True, seed=0), options.epochs)
    X, y = crops(images, options.crops, of_top=False, seed=1)
    with torch.no_grad():
        is_right = network(X).argmax(1) == y
    share = 100 * is_right.float().mean()
    print(f"{len(images)} photographs; the network is right on {share:.0f} % of {len(X)} new crops", flush=True)
    X, y = X[is_right], y[is_right]
    clean = as_bytes(X)
    specs = detectors(network, options.work)
    print("per cent: AUROC, detected, false alarms of each")
    print(f"{'attack':<10} fooled crops" + "".join(f"  {name:>18}" for name in specs))
    for name, perturbed in attacked(network, X, y, options.cw_steps):
        with torch.no_grad():
            pixels = as_bytes(perturbed)
            seen = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
            fooled = (network(seen).argmax(1) != y).numpy()
        left = np.unique(y.numpy()[fooled])
        if np.sum(left % 3 != 0) < MIN_PER_CLASS or not np.any(left % 3 == 0):
            print(f"{name:<10} {100 * fooled.mean():4.0f} % {'too few crops':>20}", flush=True)
            continue
        folder = options.work / name.replace("&", "")
        files = written(folder / "clean", clean[fooled], y.numpy()[fooled], REAL)
        files += written(folder / "perturbed", pixels[fooled], y.numpy()[fooled], FAKE)
        cells = "".join(f"  {cell}" for cell in compare(files, specs, folder, options.jobs))
        print(f"{name:<10} {100 * fooled.mean():4.0f} % {fooled.sum():5}{cells}", flush=True)


if __name__ == "__main__":
    main()
