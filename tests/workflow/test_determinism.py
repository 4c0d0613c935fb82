"""The same settings twice from scratch: the same bytes, whatever the cores, order and folder."""

from pathlib import Path

import pytest

from tests.workflow import determinism
from tests.workflow.small_project import Project


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """One study, run with one core and with two."""
    return determinism.run_twice(tmp_path_factory.mktemp("determinism"), threads=1)


def test_two_runs_from_scratch_leave_the_same_bytes(both: tuple[Project, Project]) -> None:
    first, second = map(determinism.made, both)
    for kind in (".parquet", ".csv", ".json", ".md", ".yaml", ".safetensors", ".png", ".svg"):
        assert any(Path(name).suffix == kind for name in first), f"no {kind} to compare"
    assert determinism.differences(first, second) == []
    print(f"compared {len(first)} files, {sum(map(len, first.values())):,} bytes, 1 thread")


def test_durations_of_training_stand_apart(both: tuple[Project, Project]) -> None:
    clocks = [
        next((project.folder / "results/drawn/runs").rglob("timings.parquet")).read_bytes()
        for project in both
    ]
    assert clocks[0] != clocks[1], "two clocks agree to the last bit: is the time measured?"
