"""Write docs/cli.md from the help of every command: python docs/make_cli.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from spectral_detect.cli import main

PROGRAM = "spectral-detect"
WIDTH = 100
PAGE_OF = {
    "scan": "scanning",
    "explain": "explain",
    "video": "videos",
    "merge": "large-scans",
    "train": "training",
    "fuse": "encoders",
    "evaluate": "evaluation",
    "compare": "evaluation",
    "matrix": "evaluation",
    "audit": "audit",
    "extract": "features",
    "provenance": "provenance",
    "group": "grouping",
    "verify": "custody",
    "models": "scanning",
    "plot": "plots",
    "plot profiles": "plots",
    "plot spectra": "plots",
    "plot embedding": "plots",
    "plot scores": "plots",
    "regularize": "regularize",
    "regularize train": "regularize",
    "regularize sample": "regularize",
    "regularize measure": "regularize",
    "regularize surface": "regularize",
    "regularize autoencoder": "regularize",
}
PART_OF = {
    "regularize measure": "#measure-images-of-any-generator",
    "compare": "#features-against-features",
    "models": "#which-model-judges",
}
HEAD = """<!-- Written by `python docs/make_cli.py` from each command's --help. Do not edit: run it again. -->
# Commands and options

The help of every command, as `spectral-detect COMMAND --help` prints it. Each command's page explains it with examples.

Tab completion: put `eval "$(_SPECTRAL_DETECT_COMPLETE=bash_source spectral-detect)"` into `~/.bashrc` (for other
shells `zsh_source` or `fish_source`). No colour is used where `NO_COLOR` is set or the output is not a terminal.
"""


def page() -> str:
    """Return the text of the page."""
    sections = [HEAD, _block(())]
    for names in command_names():
        name = " ".join(names)
        sections.append(f"## {name}\n\nExplained in [{PAGE_OF[name]}]({PAGE_OF[name]}.md{PART_OF.get(name, '')}).\n")
        sections.append(_block(names))
    return "\n".join(sections)


def command_names() -> Iterator[tuple[str, ...]]:
    """Yield the words of each command, groups before their commands."""
    return _names_below(main, click.Context(main), ())


def _names_below(group: click.Group, ctx: click.Context, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(ctx):
        names = (*before, name)
        yield names
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from _names_below(command, click.Context(command), names)


def _block(names: tuple[str, ...]) -> str:
    result = CliRunner().invoke(main, [*names, "--help"], prog_name=PROGRAM, terminal_width=WIDTH)
    return f"```text\n{result.output}```\n"


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(page(), encoding="utf-8")
