"""A short version of `make test-faults`: killed and stopped runs go on, with the same bits."""

import signal
import time
from pathlib import Path

import pytest

from tests.workflow import fault_injection as faults
from tests.workflow.small_project import Project


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Project, dict[str, bytes], float]:
    """A project trained once in peace, what it made, and the seconds that took."""
    project = faults.prepared(tmp_path_factory.mktemp("faults") / "cxrcam")
    faults.finish(project)
    return project, faults.outcome(project)


@pytest.mark.parametrize("victim", ["training", "snakemake", "both"])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(undisturbed, victim: str) -> None:
    project, expected = undisturbed
    faults.forget(project)
    assert faults.strike(project, victim, delay=None)
    assert not faults.half_written(project)
    checkpoint = project.folder / faults.RUN / faults.CHECKPOINT
    assert checkpoint.is_file()
    faults.finish(project)
    log = Path(project.folder / faults.RUN.replace("results", "results/logs", 1) / "train.log")
    assert "Going on after iteration" in log.read_text(encoding="utf-8")
    assert faults.outcome(project) == expected
    assert not checkpoint.exists()


def test_sigterm_saves_the_state_and_leaves_within_ten_seconds(undisturbed) -> None:
    project, expected = undisturbed
    faults.forget(project)
    running = faults.start(project)
    process = faults.wait_for_training(project, running)
    faults.wait_for_checkpoint(project, process)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert time.monotonic() - asked < 10
    assert running.wait(60) == 1, "Snakemake must see the job as failed, so that it is retried"
    assert (project.folder / faults.RUN / faults.CHECKPOINT).is_file()
    faults.finish(project)
    assert faults.outcome(project) == expected
