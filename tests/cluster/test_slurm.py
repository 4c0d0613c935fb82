"""The Slurm profile on a real scheduler: what a cluster's user relies on."""

import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.workflow import fault_injection as faults
from tests.workflow.small_project import Project, make_class_folders

PROFILE = ("--workflow-profile", "profiles/slurm")
# Of these small jobs: a file shows at once on a local disk.
QUICK = ("--latency-wait", "5")


@dataclass(frozen=True)
class SlurmJob:
    """What Slurm says of a job."""

    number: int
    comment: str
    state: str
    gpu: bool
    memory: str
    begin: str
    end: str


def slurm_jobs() -> list[SlurmJob]:
    """Every job that Slurm still knows, with the rule's name in `comment`."""
    text = subprocess.run(
        ["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True, check=True
    ).stdout
    jobs = []
    for line in text.splitlines():
        if line.startswith("JobId="):
            fields = dict(re.findall(r"(\w+)=(\S*)", line))
            jobs.append(
                SlurmJob(
                    int(fields["JobId"]),
                    fields.get("Comment", ""),
                    fields["JobState"],
                    "gpu" in line.split("TRES=", 1)[1].split()[0],
                    fields.get("MinMemoryNode", ""),
                    fields["StartTime"],
                    fields["EndTime"],
                )
            )
    return jobs


def megabytes(size: str) -> float:
    """Number of a size like 500M or 2G."""
    return float(size[:-1]) * {"M": 1, "G": 1024}[size[-1]]


def newer(jobs: list[SlurmJob], before: list[SlurmJob]) -> list[SlurmJob]:
    """Jobs that were not there before, oldest first."""
    known = {job.number for job in before}
    return sorted((j for j in jobs if j.number not in known), key=lambda job: job.number)


@pytest.fixture
def before(slurm) -> list[SlurmJob]:
    """Jobs of earlier tests."""
    return slurm_jobs()


def begin(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Snakemake with the Slurm profile; its output goes to ``snakemake.out``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
    command = [sys.executable, "-m", "snakemake", "--configfile", "overlay.yaml", *PROFILE]
    with (project.folder / "snakemake.out").open("ab") as output:
        return subprocess.Popen(
            [*command, *QUICK, "--", *arguments],
            cwd=project.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, dict]]:
    """A project trained once in peace on this machine, and what it made."""
    project = faults.prepared(tmp_path_factory.mktemp("cluster") / "cxrcam")
    faults.finish(project)
    yield project, faults.outcome(project)


def interrupt(project: Project, before: list[SlurmJob], *command: str) -> list[SlurmJob]:
    """Run a command of Slurm on the training's job as soon as a state is on disk; all trainings."""
    faults.forget(project)
    running = begin(project, *faults.TARGETS)
    checkpoint = project.folder / faults.RUN / faults.CHECKPOINT
    while running.poll() is None and not checkpoint.exists():
        time.sleep(0.05)
    first = next(j for j in newer(slurm_jobs(), before) if "train" in j.comment)
    subprocess.run([*command, str(first.number)], check=True)
    code = running.wait(600)
    assert code == 0, (project.folder / "snakemake.out").read_text(encoding="utf-8")
    assert not checkpoint.exists()
    log = project.folder / faults.RUN.replace("results", "results/logs", 1) / "train.log"
    assert "Going on after iteration" in log.read_text(encoding="utf-8")
    return [j for j in newer(slurm_jobs(), before) if "train" in j.comment]


def test_a_cancelled_training_is_retried_with_more_and_ends_with_the_same_bytes(
    prepared, before
) -> None:
    project, expected = prepared
    trainings = interrupt(project, before, "scancel")
    assert [job.state for job in trainings] == ["CANCELLED", "COMPLETED"]
    asked = [megabytes(job.memory) for job in trainings]
    assert asked[1] == pytest.approx(2 * asked[0], rel=0.05)
    assert faults.outcome(project) == expected


def test_a_training_that_slurm_requeues_goes_on_as_the_same_job(prepared, before) -> None:
    project, expected = prepared
    trainings = interrupt(project, before, "scontrol", "requeue")
    assert [job.state for job in trainings] == ["COMPLETED"]
    assert faults.outcome(project) == expected


def test_the_whole_workflow_runs_in_slurm_and_gpu_jobs_take_turns(tmp_path, before) -> None:
    project = Project.create(tmp_path / "cxrcam")
    make_class_folders(project.folder / "data" / "small")
    began = time.monotonic()
    done = project.snakemake(*PROFILE, *QUICK, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = newer(slurm_jobs(), before)
    print(f"{len(jobs)} jobs in {time.monotonic() - began:.0f} s")
    assert {job.state for job in jobs} == {"COMPLETED"}
    # Six trainings, six predictions and four tests of maps; nothing else asks for the GPU.
    on_gpu = sorted((job for job in jobs if job.gpu), key=lambda job: job.begin)
    assert len(on_gpu) == 16
    for earlier, later in itertools.pairwise(on_gpu):
        assert earlier.end <= later.begin, (earlier, later)
    # Nothing is left to do, by the profile that a machine without a cluster takes.
    assert project.plan() == set()


def test_the_profile_can_also_be_given_as_the_users_own(prepared, before) -> None:
    project, _ = prepared
    target = "results/small/splits/three_class/holdout/fold-1.parquet"
    done = project.snakemake("--profile", "profiles/slurm", "--", target, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [job.state for job in newer(slurm_jobs(), before)] == ["COMPLETED"]
