"""Help without the commands' modules: what it says of a command is what the command says of itself."""

from __future__ import annotations

import click
import pytest

from conftest import Run
from spectral_detect.cli import main
from spectral_detect.cli.shared.lazy_group import LazyGroup


def groups() -> list[tuple[str, LazyGroup]]:
    regularize = main.get_command(click.Context(main), "regularize")
    assert isinstance(main, LazyGroup)
    assert isinstance(regularize, LazyGroup)
    return [("", main), ("regularize", regularize)]


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for _, group in groups() for name in group.places], ids=lambda value: str(value)
)
def test_the_line_in_the_list_is_the_first_of_the_commands_own_help(group: LazyGroup, name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").splitlines()[0] == group.places[name][1]


def test_help_lists_every_command_in_one_line(run: Run) -> None:
    for words, group in groups():
        listed = run(*words.split(), "--help").stdout.partition("Commands:\n")[2].splitlines()
        assert [line.split()[0] for line in listed] == list(group.places)


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    result = run("scna")
    assert result.exit_code == 2
    assert "No such command 'scna'" in result.stderr
