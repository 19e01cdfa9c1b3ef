"""Sizes that keep the code readable, and a README that fits on a few screens."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT

PACKAGE = ROOT / "spectral_detect"
LONGEST_BODY, LONGEST_MODULE, MOST_MODULES = 45, 400, 12  # lines, lines, modules of a package


def functions_of(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_are_short() -> None:
    bodies = {
        f"{module.relative_to(ROOT)}:{function.name}": body_lines(function)
        for module in PACKAGE.rglob("*.py")
        for function in functions_of(module)
    }
    assert len(bodies) > 500
    assert {name: n for name, n in bodies.items() if n > LONGEST_BODY} == {}


def test_modules_are_short() -> None:
    lines = {str(m.relative_to(ROOT)): len(m.read_text().splitlines()) for m in PACKAGE.rglob("*.py")}
    assert {name: n for name, n in lines.items() if n > LONGEST_MODULE} == {}


def test_packages_are_small() -> None:
    packages = {init.parent for init in PACKAGE.rglob("__init__.py")}
    sizes = {str(p.relative_to(ROOT)): len([m for m in p.glob("*.py") if m.name != "__init__.py"]) for p in packages}
    assert {name: n for name, n in sizes.items() if n > MOST_MODULES} == {}
