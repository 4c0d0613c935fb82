"""The cluster profiles on a real Slurm: what a cluster's user relies on."""

import itertools
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence

import psutil
import pytest

from tests.cluster.slurm_jobs import (
    GENERIC,
    QUICK,
    SLURM,
    SlurmJob,
    begin,
    newer,
    printed,
    slurm_jobs,
)
from tests.workflow import fault_injection as faults
from tests.workflow.small_project import Project, make_class_folders


@pytest.fixture
def before(slurm) -> list[SlurmJob]:
    """Jobs of earlier tests."""
    return slurm_jobs()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, bytes]]:
    """A project trained once in peace on this machine, and what it made."""
    project = faults.prepared(tmp_path_factory.mktemp("cluster") / "cxrcam")
    faults.finish(project)
    return project, faults.outcome(project)


def cancel(job: SlurmJob, project: Project) -> None:
    subprocess.run(["scancel", str(job.number)], check=True)


def requeue(job: SlurmJob, project: Project) -> None:
    """What preemption by a more important job does."""
    subprocess.run(["scontrol", "requeue", str(job.number)], check=True)


def kill(job: SlurmJob, project: Project) -> None:
    process = faults.training_process(project)
    assert process is not None
    process.kill()
    psutil.wait_procs([process])


def interrupt(
    project: Project,
    before: Sequence[SlurmJob],
    profile: Sequence[str],
    strike: Callable[[SlurmJob, Project], None],
) -> list[SlurmJob]:
    """Strike at a training as soon as its state is on disk; all trainings that Slurm then saw."""
    faults.forget(project)
    (project.folder / "snakemake.out").unlink(missing_ok=True)
    running = begin(project, profile, *faults.TARGETS)
    checkpoint = project.folder / faults.RUN / faults.CHECKPOINT
    while running.poll() is None and not checkpoint.exists():
        time.sleep(0.02)
    assert running.poll() is None, printed(project)
    strike(next(job for job in newer(before) if job.trains), project)
    assert running.wait() == 0, printed(project)
    assert not checkpoint.exists()
    log = project.folder / faults.RUN.replace("results", "results/logs", 1) / "train.log"
    assert "Going on after iteration" in log.read_text(encoding="utf-8")
    return [job for job in newer(before) if job.trains]


@pytest.mark.short
def test_a_cancelled_training_is_retried_with_more_and_ends_with_the_same_bytes(
    prepared, before
) -> None:
    project, expected = prepared
    first, second = interrupt(project, before, SLURM, cancel)
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert second.megabytes == pytest.approx(2 * first.megabytes, rel=0.05)
    assert faults.outcome(project) == expected


def test_a_killed_training_is_retried_and_ends_with_the_same_bytes(prepared, before) -> None:
    project, expected = prepared
    first, second = interrupt(project, before, SLURM, kill)
    assert (first.state, second.state) == ("FAILED", "COMPLETED")
    assert faults.outcome(project) == expected


def test_a_training_that_slurm_requeues_goes_on_as_the_same_job(prepared, before) -> None:
    project, expected = prepared
    (training,) = interrupt(project, before, SLURM, requeue)
    assert training.state == "COMPLETED"
    assert faults.outcome(project) == expected


def test_a_training_cancelled_under_the_generic_profile_goes_on_too(prepared, before) -> None:
    project, expected = prepared
    first, second = interrupt(project, before, GENERIC, cancel)
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert faults.outcome(project) == expected


def test_a_job_over_its_memory_is_ended_by_slurm_and_retried_with_more(prepared, before) -> None:
    project, _ = prepared
    # Needs more than the first attempt is given, and holds it until Slurm has seen that.
    project = project.copy(project.folder.parent / "greedy")
    project.edit(
        "workflow_scripts/splits.py",
        'if __name__ == "__main__":',
        'if __name__ == "__main__":\n'
        "    import time\n\n"
        "    if snakemake.resources.mem_mb < 1000:\n"
        "        held = bytearray(1000 * 2**20)\n"
        "        time.sleep(600)",
    )
    target = "results/small/splits/two_class/random_subsample/fold-1.parquet"
    memory = ("--set-resources", "splits:mem_mb=800 * attempt")
    running = begin(project, (*SLURM, *memory), target)
    assert running.wait() == 0, printed(project)
    first, second = newer(before)
    assert (first.state, second.state) == ("FAILED", "COMPLETED")
    assert (first.megabytes, second.megabytes) == (800, 1600)
    logs = (project.folder / ".snakemake" / "slurm_logs").rglob(f"{first.number}.log")
    assert any("exceeded memory limit" in log.read_text(encoding="utf-8") for log in logs)


def test_the_whole_workflow_runs_in_slurm_and_gpu_jobs_take_turns(tmp_path, before) -> None:
    project = Project.create(tmp_path / "cxrcam")
    make_class_folders(project.folder / "data" / "small")
    project.change(tasks={"three_class": None})
    began = time.monotonic()
    done = project.snakemake(*SLURM, *QUICK, timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = newer(before)
    print(f"{len(jobs)} jobs of Slurm in {time.monotonic() - began:.0f} s")
    assert {job.state for job in jobs} == {"COMPLETED"}
    on_gpu = sorted((job for job in jobs if job.gpu), key=lambda job: job.begin)
    rules = [job.rules.removeprefix("rule_").partition("_wildcards")[0] for job in on_gpu]
    networks = {"train": 3, "predict_run": 3, "audit_explanations": 2, "audit_probes": 1}
    assert Counter(rules) == networks
    for earlier, later in itertools.pairwise(on_gpu):
        assert earlier.end <= later.begin, (earlier, later)
    # Scores, maps and audit of a run are one job, and so is all that follows the last run.
    assert [job.rules.count("scores") > 0 for job in jobs].count(True) == 3
    assert [job.rules.count("end") > 0 for job in jobs].count(True) == 1
    # Nothing is left to do, by the profile that a machine without a cluster takes.
    assert project.plan() == set()


def test_the_profile_can_also_be_given_as_the_users_own(prepared, before) -> None:
    project, _ = prepared
    target = "results/small/splits/three_class/holdout/fold-1.parquet"
    done = project.snakemake("--profile", "profiles/slurm", "--", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [job.state for job in newer(before)] == ["COMPLETED"]
