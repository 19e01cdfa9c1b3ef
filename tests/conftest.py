"""Images, models and the command line for all tests. Data that only developers have is optional."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import click
import click.testing
import pytest
from PIL import Image

from spectral_detect.parallel.threads import ONE_THREAD

# as the command line does, which comes too late where numpy is loaded: threads that spin took twice the work itself
os.environ.update({**ONE_THREAD, "OMP_WAIT_POLICY": "PASSIVE", **os.environ})
# where this is set, each of the hundreds of interpreters that tests start compiles the package: a third of its start
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np

from spectral_detect.detector.content.model_content import to_plain
from spectral_detect.detector.model import Model

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "images"
MODELS = ROOT / "examples" / "models"  # of one kind of images each; only `world` is installed
SHARED = ROOT.parent / "shared"

needs_shared = pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the development images are not here")

Run = Callable[..., click.testing.Result]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run the command line in this process; `result.stdout`, `result.stderr`, `result.exit_code`.

    Nor does it start workers, a third of the time of most tests, unless a test names --jobs.
    """
    from spectral_detect.cli import main

    def has_jobs(name: str) -> bool:
        command = main.get_command(click.Context(main), name)
        return command is not None and any(option.name == "jobs" for option in command.params)

    def invoke(*arguments: object, stdin: bytes | None = None) -> click.testing.Result:
        names_workers = not {"--jobs", "--engine", "--scheduler"}.isdisjoint(map(str, arguments))
        if arguments and not names_workers and has_jobs(str(arguments[0])):
            arguments = (arguments[0], "--jobs", 0, *arguments[1:])
        result = click.testing.CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def save_unchecked(model: Model, path: Path) -> None:
    """Write a model file that may be damaged, which `save_model` does not."""
    path.write_bytes(pickle.dumps(to_plain(model), protocol=4))


def texture(rng: np.random.Generator, size: int = 64, *, doubled: bool = False) -> np.ndarray:
    """A random RGB image; `doubled` repeats every pixel, as the crudest up-sampling layer does."""
    side = size // 2 if doubled else size
    small = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    return np.repeat(np.repeat(small, 2, axis=0), 2, axis=1) if doubled else small


@pytest.fixture(scope="session")
def tiles() -> list[Image.Image]:
    """64-pixel pieces of the example photographs, in colour: real images that differ in content alone."""
    pieces = []
    for path in sorted((EXAMPLES / "real").glob("*.png")):
        with Image.open(path) as photograph:
            whole = photograph.convert("RGB")
        pieces += [whole.crop((x, y, x + 64, y + 64)) for y in range(0, 256, 64) for x in range(0, 256, 64)]
    in_colour = [piece for piece in pieces if np.asarray(piece).std(axis=2).max() > 20]
    order = np.random.default_rng(0).permutation(len(in_colour))
    return [in_colour[k] for k in order]


@pytest.fixture
def labelled_folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """`real/` and `fake/`, twelve small PNG images each, that any detector can tell apart."""
    return with_labelled_images(tmp_path, rng)


def with_labelled_images(folder: Path, rng: np.random.Generator) -> Path:
    for label in ("real", "fake"):
        (folder / label).mkdir()
        for number in range(12):
            image = Image.fromarray(texture(rng, doubled=label == "fake"))
            image.save(folder / label / f"{number:02d}.png")
    return folder


@pytest.fixture
def generators(tmp_path: Path) -> Path:
    """Two generators of six fakes each, and the photographs that both are judged against."""
    folder = tmp_path / "generators"
    for name, chosen in (("one", slice(6)), ("two", slice(6, 12))):
        (folder / name).mkdir(parents=True)
        for path in sorted((EXAMPLES / "fake").glob("*.png"))[chosen]:
            shutil.copy(path, folder / name)
    shutil.copytree(EXAMPLES / "real", folder / "0_real")
    return folder


@pytest.fixture(scope="module")
def in_this_process() -> Iterator[None]:
    """Start no worker process unless the number of jobs is said: it takes ten times as long as a few small images.

    For tests of what is done with images, not of how they are read.
    """
    with pytest.MonkeyPatch.context() as patched:
        chosen = "spectral_detect.parallel.work._chosen_jobs"
        patched.setattr(chosen, lambda task, items, work: (work.jobs or 0, items))
        yield


@pytest.fixture
def fake_cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A CuPy that works without a GPU, for what does not need one."""
    from fake_cupy import install_fake_cupy
    from spectral_detect.features.cupy_backend import cupy_backend

    yield install_fake_cupy(monkeypatch)
    cupy_backend.cache_clear()
