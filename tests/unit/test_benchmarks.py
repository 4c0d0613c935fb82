"""Benchmarks run seldom, and by hand: what changed under them is found here."""

import ast
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import maps, paper
from benchmarks.workflow import copy_project, snakemake

PROJECT = Path(__file__).parents[2]
BENCHMARKS = sorted((PROJECT / "benchmarks").glob("*.py"))


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


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("collection --images 2000", "2,000 images, list: "),
        # Found, and called so.
        ("duplicates --images 6 --copied 2 --size 64 --cores 1", "mirrored 2"),
        ("slices --repeats 1 --images 150", "planted      150 images: 1.000"),
    ],
)
def test_a_benchmark_runs_to_its_end_on_little(command, printed, tmp_path):
    name, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=tmp_path,  # where some write their table
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


def test_every_network_of_the_maps_has_a_recipe(monkeypatch):
    arguments = ["maps", "--weights", "file", "--real", "folder", "--external", "table"]
    monkeypatch.setattr(sys, "argv", arguments)
    jobs = list(maps.all_jobs(maps.parsed()))
    # Nine networks, two tasks, three seeds: on phantoms of three kinds, and real with three epochs.
    assert len({tuple(job.key.values()) for job in jobs}) == len(jobs) == 9 * 2 * 3 * (3 + 3)
    assert {job.key["epochs"] for job in jobs if job.data == "real"} == {1, 2, 4}


def test_the_trainings_of_the_paper_can_be_planned(tmp_path):
    copy_project(tmp_path / "project", paper.overlay(0.02))
    models = [f"{run}/model.safetensors" for run in paper.RUNS]
    snakemake(tmp_path / "project", "-n", "--", *models, memory=False)
    assert len(set(models)) == 8
