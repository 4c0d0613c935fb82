"""Benchmarks run seldom, and by hand: a name that moved away from under them is found here."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


def is_there(module: str, name: str) -> bool:
    return find_spec(module) is not None and (
        hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None
    )


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.stem)
def test_what_a_benchmark_imports_of_the_library_is_there(file):
    imports = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workflow_scripts.")
        for alias in node.names
    ]
    assert [f"{module}.{name}" for module, name in imports if not is_there(module, name)] == []
