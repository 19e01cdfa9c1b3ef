"""The frame of every page: template, style and script in one file, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from typing import Any

from spectral_detect._version import __version__
from spectral_detect.explain.advice import sentence
from spectral_detect.report.html.run_facts import RunFacts, commit, libraries_used, platform_text
from spectral_detect.text import visible

HERE = "spectral_detect.report.html"
SUBJECT = "SUBJECT"  # in the style, which names it at the foot of each printed page


def render(template: str, subject: str, run: RunFacts, scripts: Sequence[str] = (), **values: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        Name of its template.
    subject : str
        What it is a report of, such as "an image scan".
    run : RunFacts
        What was done.
    scripts : sequence of str
        Names of the scripts, which run as one.
    values
        Whatever else the template needs; every text is escaped in it.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_package_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = _package_text("page.css").replace(SUBJECT, subject)
    script = _joined(scripts)
    return environment.get_template(template).render(
        subject=subject,
        run=run,
        version=__version__,
        commit=commit(),
        libraries=libraries_used(),
        platform=platform_text(),
        visible=visible,
        sentence=sentence,
        style=style,
        script=script,
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
        **values,
    )


def _joined(scripts: Sequence[str]) -> str:
    if not scripts:
        return ""
    parts = map(partial(str.strip), map(_package_text, scripts))
    return '\n"use strict";\n(() => {\n' + "\n".join(parts) + "\nstart();\n})();\n"


def _package_text(name: str) -> str:
    return files(HERE).joinpath(name).read_text("utf-8")


def _csp_hash(text: str) -> str:
    """Return the hash by which a content security policy knows an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
