"""Kills at random moments, twenty times over: `make test-faults`. The short version of it is
tests/workflow/test_faults.py."""

from pathlib import Path

import pytest

from tests.workflow import fault_injection as faults
from tests.workflow.small_project import Project

KILLS = 21
VICTIMS = ("training", "snakemake", "both")
SHARES = faults.random_shares(KILLS)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Project, dict[str, bytes], float]:
    """A project trained once in peace, what it made, and how long it trained (s)."""
    project = faults.prepared(tmp_path_factory.mktemp("faults") / "cxrcam")
    faults.finish(project)
    return project, faults.outcome(project), faults.training_seconds(project)


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_killed_at_a_random_moment_ends_with_the_same_bytes(
    undisturbed, number: int, record_property
) -> None:
    project, expected, seconds = undisturbed
    victim = VICTIMS[number % len(VICTIMS)]

    def is_struck(delay: float) -> bool:
        faults.forget(project)
        return faults.strike(project, victim, delay)

    # Sooner each time it is too late: it may train faster than the undisturbed one did.
    delays = (0.8**k * SHARES[number] * seconds for k in range(10))
    delay = next(filter(is_struck, delays), None)
    assert delay is not None, "there was no training to strike"
    assert not faults.half_written(project)
    faults.finish(project)
    assert faults.outcome(project) == expected
    log = Path(project.folder / faults.RUN.replace("results", "results/logs", 1) / "train.log")
    resumed = "Going on after iteration" in log.read_text(encoding="utf-8")
    record_property(
        "shown",
        f"kill {number:2d}: {victim} after {delay:.1f} of {seconds:.1f} s"
        + (", went on from a checkpoint" if resumed else ", began anew"),
    )
