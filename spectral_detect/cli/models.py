"""`spectral-detect models`."""

from __future__ import annotations

import json

import click

from spectral_detect.detector.model_file import read_model, shipped_models
from spectral_detect.report.models import card_text, model_facts, models_text


@click.command()
@click.argument("file", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of text.")
def models(file: str | None, as_json: bool) -> None:
    """Say which model ships, or describe a model.

    FILE is a model file, or `world`, the model that ships.

    \b
    Examples:
      spectral-detect models
      spectral-detect models examples/models/photographs.pkl
    """
    if file is not None:
        model = read_model(file)
        click.echo(json.dumps(model_facts(model), indent=2) if as_json else card_text(model))
        return
    shipped = [read_model(path) for path in shipped_models().values()]
    click.echo(json.dumps([model_facts(m) for m in shipped], indent=2) if as_json else models_text(shipped))
