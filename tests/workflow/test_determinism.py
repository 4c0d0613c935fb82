"""The same settings twice from scratch: the same bytes, whatever the cores, order and folder.

With two threads a job, and with external data, frozen layers and the paper:
tests/faults/test_determinism_threads.py.
"""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.workflow import determinism
from tests.workflow.small_project import Project

KINDS = {
    ".parquet",
    ".csv",
    ".json",
    ".md",
    ".yaml",
    ".safetensors",
    ".png",
    ".svg",
    ".txt",
    ".html",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """One study, run with one core and with two."""
    folder = tmp_path_factory.mktemp("determinism")
    return determinism.run_twice(folder, {"compute": {"threads": 1}})


def test_two_runs_from_scratch_leave_the_same_bytes(both: tuple[Project, Project]) -> None:
    first, second = map(determinism.made, both)
    assert {Path(name).suffix for name in first} >= KINDS
    assert determinism.differences(first, second) == []
    print(f"\n1 thread: {determinism.compared(first)}")


def test_their_jobs_came_in_another_order(both: tuple[Project, Project]) -> None:
    first, second = map(determinism.job_order, both)
    assert len(first) > 20
    assert sorted(first) == sorted(second)
    assert first != second, "one order only: nothing is known of others"


def test_the_clock_of_a_training_stands_in_a_file_of_its_own(both: tuple[Project, Project]) -> None:
    run = "results/drawn/runs/two_class/holdout/fold-1/seed-0"
    clocks = [pq.read_table(project.folder / run / "timings.parquet") for project in both]
    assert not clocks[0].equals(clocks[1]), "two clocks agree to the last bit"
    history = pq.read_schema(both[0].folder / run / "history.parquet").names
    assert not [name for name in history if "seconds" in name]
