"""Draw the pictures of the pages from the example images: python docs/make_pictures.py [NAME]...

`spectra.png` shows a photograph and its up-scaled version, their spectra, and the mean radial profiles of both folders;
`timeline.png` is what `spectral-detect video --plot` draws of a folder of frames; `explain-fake.png` and
`explain-real.png` are sheets of `spectral-detect explain`;
`evaluation.png` is what `spectral-detect evaluate --plot` draws, and `plot_*.png` what `spectral-detect plot` draws.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from spectral_detect import FeatureSpec, extract_features, read_image

DOCS = Path(__file__).parent
IMAGES = DOCS.parent / "examples" / "images"
MODEL = str(DOCS.parent / "examples" / "models" / "photographs.pkl")
SHOWN = "Dragonfly_by_Bolly.png"
CUT_PX = 128
MADE_UP = "[KPWfl]*.png"  # five of the twelve names, one after the other
EXPLAINED = "picosdeeuropa_by_Aitzol_Berasategi.png"
N_COLOURS = 160


def draw_spectra(target: Path) -> None:
    """Draw a photograph against its up-scaled version, in pixels and in frequencies."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained", dpi=110)
    pictures, profiles = figure.subfigures(1, 2, width_ratios=(1, 1.15))
    axes = pictures.subplots(2, 2)
    curves = profiles.subplots()
    spectra: list[np.ndarray] = []
    spec = FeatureSpec.preset("azimuthal", n_bins=128)
    for column, (folder, title, colour, line) in enumerate(
        (("real", "photograph", "#0072B2", "-"), ("fake", "after an up-scaling network", "#D55E00", "--"))
    ):
        gray = [np.asarray(read_image(path).pixels[..., 1], float) for path in sorted((IMAGES / folder).glob("*.png"))]
        axes[0, column].imshow(Image.open(IMAGES / folder / SHOWN).crop((64, 64, 64 + CUT_PX, 64 + CUT_PX)))
        axes[0, column].set_title(title, fontsize=9)
        power = np.mean([np.abs(np.fft.fftshift(np.fft.fft2(_residual(image)))) ** 2 for image in gray], axis=0)
        spectra.append(np.log(power + 1))
        vectors = np.array([extract_features(image.astype(np.float32), spec) for image in gray])
        frequency = np.linspace(0, np.sqrt(0.5), vectors.shape[1])
        curves.plot(frequency, vectors.mean(axis=0), line, color=colour, label=title)
    low, high = np.percentile(spectra, (2, 99))
    for ax, spectrum in zip(axes[1], spectra, strict=True):
        ax.imshow(spectrum, cmap="magma", vmin=low, vmax=high)
    for ax in axes.flat:
        ax.set_axis_off()
    curves.set_xlabel("frequency in cycles per pixel")
    curves.set_ylabel("mean log power of the rings")
    curves.legend(frameon=False, fontsize=9)
    figure.savefig(target)


def _residual(image: np.ndarray) -> np.ndarray:
    """Return what a Laplacian leaves of an image: without it the bright middle of the spectrum hides the rest."""
    return 4 * image - sum(np.roll(image, step, axis) for axis in (0, 1) for step in (-1, 1))


def draw_timeline(target: Path) -> None:
    """Let the command draw a video of twelve frames, five of which are made up."""
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder, "mixed")
        shutil.copytree(IMAGES / "real", frames)
        for path in (IMAGES / "fake").glob(MADE_UP):
            shutil.copy(path, frames)
        command = ["spectral-detect", "video", str(frames), "--model", MODEL, "--plot", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.copy(next(Path(folder).glob("*.png")), target)


def draw_sheet(target: Path) -> None:
    """Let the command explain an image of the folder that the target's name tells."""
    image = IMAGES / target.stem.removeprefix("explain-") / EXPLAINED
    with tempfile.TemporaryDirectory() as folder:  # no output replaces an image that another program has stored
        sheet = Path(folder, target.name)
        shown = str(image.relative_to(DOCS.parent))  # the sheet tells the path
        command = ["spectral-detect", "explain", shown, "--model", MODEL, "--output", str(sheet)]
        subprocess.run(command, check=True, cwd=DOCS.parent)
        shutil.copy(sheet, target)


def draw_evaluation(target: Path) -> None:
    """Let the command draw all that it measures of a model on the examples."""
    command = ["spectral-detect", "evaluate", MODEL, "--manifest", str(IMAGES / "manifest.csv")]
    target.unlink(missing_ok=True)  # once shrunk, it is no longer known as this program's own
    subprocess.run([*command, "--robustness", "--curve", "--plot", str(target)], check=True, stdout=subprocess.DEVNULL)


def draw_plots(target: Path) -> None:
    """Let `spectral-detect plot` draw one picture of each kind; `target` is their folder."""
    folders = [str(IMAGES / "real"), str(IMAGES / "fake")]
    with tempfile.TemporaryDirectory() as folder:
        scores = str(Path(folder, "world.csv"))
        command = [
            "spectral-detect",
            "evaluate",
            "world",
            "--manifest",
            str(IMAGES / "manifest.csv"),
            "--scores",
            scores,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for kind, inputs in (
            ("profiles", folders),
            ("spectra", [*folders, "--side", str(CUT_PX // 2)]),
            ("embedding", folders),
            ("scores", [scores]),
        ):
            drawn = target / f"plot_{kind}.png"
            drawn.unlink(missing_ok=True)  # once shrunk, it is no longer known as this program's own
            command = ["spectral-detect", "plot", kind, *inputs, "--output", str(drawn)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            shrink(drawn)


def shrink(path: Path) -> None:
    """Store a picture in few colours, rare ones among them: those of a curve, or of the end of a scale."""
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((1000, 1400))
    colours = 250 if path.stem.startswith("explain") else N_COLOURS
    picture.quantize(colours, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


if __name__ == "__main__":
    pictures = {
        "spectra": draw_spectra,
        "timeline": draw_timeline,
        "evaluation": draw_evaluation,
        "explain-fake": draw_sheet,
        "explain-real": draw_sheet,
    }
    for name in sys.argv[1:] or pictures:
        draw = pictures[name]
        draw(DOCS / f"{name}.png")
        shrink(DOCS / f"{name}.png")
    if not sys.argv[1:]:
        draw_plots(DOCS)
