"""What a stranger wrote into a model file does not command the terminal that shows it."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fuzz import places

from conftest import EXAMPLES, Run
from gaussian import SPEC, gaussian_data
from spectral_detect import REAL, Model, save_model, train_model
from spectral_detect.detector.content.model_content import content_sha256
from spectral_detect.detector.model_file import read_model, shipped_models
from spectral_detect.errors import ModelFileError
from spectral_detect.report.html.model_facts import model_facts
from spectral_detect.report.metrics import prevalence_text
from spectral_detect.report.models import card_text, models_text
from spectral_detect.scanning.rules import Rules

pytestmark = pytest.mark.usefixtures("in_this_process")

HOSTILE = "\x1b]0;pwned\x07"


def chosen(header: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return the places of a header, but of hundreds of sources the first one alone."""
    summary = header["summary"] or {"sources": []}
    return [(holder, key) for holder, key in places(header) if holder is not summary["sources"] or key == 0]


def changed(header: dict[str, Any]) -> Iterator[str]:
    """Make one value or key after another hostile, yield its name, and put it back."""
    for holder, key in chosen(header):
        value = holder[key]
        holder[key] = HOSTILE
        yield f"value of {key}"
        if isinstance(holder, dict):
            del holder[key]
            holder[f"{key}{HOSTILE}"] = value
            yield f"key {key}"
            del holder[f"{key}{HOSTILE}"]
        holder[key] = value


def written(path: Path, values: dict[str, Any], header: dict[str, Any]) -> Path:
    text = json.dumps(header)
    content = {**values, "header": text, "sha256": content_sha256(text, values["arrays"])}
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def shown(model: Model) -> str:
    page = model_facts(model, Rules(), of_videos=True)
    return "\n".join([card_text(model), models_text([model]), repr(model), prevalence_text(model, 0.1), str(page)])


@pytest.fixture(scope="module", params=["world", "naming"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = shipped_models()["world"]
    if request.param == "naming":
        path = tmp_path_factory.mktemp("model") / "naming.pkl"
        data = gaussian_data(90, shift=3.0)
        generators = itertools.cycle(["one", "two"])
        named = replace(data, sources=tuple("real" if y == REAL else next(generators) for y in data.y))
        save_model(train_model(named, SPEC, attribute=True), path)
    values: dict[str, Any] = pickle.loads(path.read_bytes())
    return values


def test_no_field_reaches_the_terminal_as_it_is(sound: dict[str, Any], tmp_path: Path) -> None:
    header, n_shown = json.loads(sound["header"]), 0
    for name in changed(header):
        try:
            text = shown(read_model(written(tmp_path / "m.pkl", sound, header)))
        except ModelFileError as error:
            text = str(error)
        assert text.replace("\n", "").isprintable(), f"{name}: {text}"
        n_shown += "pwned" in text
    assert n_shown > 20


def test_no_command_hands_it_on(sound: dict[str, Any], run: Run, tmp_path: Path) -> None:
    """All changes at once that the reader of model files lets pass."""
    worst, n_kept = json.loads(sound["header"]), 0
    for holder, key in chosen(worst):
        before, holder[key] = holder[key], HOSTILE
        try:
            read_model(written(tmp_path / "m.pkl", sound, worst))
            n_kept += 1
        except ModelFileError:
            holder[key] = before
    assert n_kept > 10
    model, image = written(tmp_path / f"m{HOSTILE}.pkl", sound, worst), EXAMPLES / "real" / "Aqua.png"
    for command in ("models", "scan", "explain"):
        result = run(command, model) if command == "models" else run(command, image, "--model", model)
        assert "pwned" in result.stdout or command == "scan"
        for text in (result.stdout, result.stderr):
            assert text.replace("\n", "").isprintable()
