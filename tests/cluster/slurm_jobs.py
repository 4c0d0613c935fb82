"""What a Slurm says of its jobs, and Snakemake started on it."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.workflow.small_project import Project

# Small jobs on a local disk: no need to wait for files, or long before a look at a job.
QUICK = ("--latency-wait", "5", "--seconds-between-status-checks", "1")
SLURM = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "3")
GENERIC = ("--workflow-profile", "profiles/cluster-generic")


@dataclass(frozen=True)
class SlurmJob:
    """What Slurm says of a job; `rules` is the text in which the names of its rules stand."""

    number: int
    rules: str
    state: str
    gpu: bool
    megabytes: float
    begin: str
    end: str

    @property
    def trains(self) -> bool:
        return "train" in self.rules


def slurm_jobs() -> list[SlurmJob]:
    """Every job that Slurm still knows, oldest first."""
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
                    # The Slurm plugin says it in the comment, profiles/cluster-generic in the name.
                    fields.get("Comment", "") or fields["JobName"],
                    fields["JobState"],
                    # As --gpus or --gres asked for it; without accounting, TRES does not say.
                    re.search(r"gres:gpu:[1-9]", line) is not None,
                    megabytes(fields["MinMemoryNode"]),
                    fields["StartTime"],
                    fields["EndTime"],
                )
            )
    return sorted(jobs, key=lambda job: job.number)


def megabytes(size: str) -> float:
    """Number of a size like 500M or 2G."""
    return float(size[:-1]) * {"M": 1, "G": 1024}[size[-1]]


def newer(before: Sequence[SlurmJob]) -> list[SlurmJob]:
    """Jobs that were not there before, oldest first."""
    known = {job.number for job in before}
    return [job for job in slurm_jobs() if job.number not in known]


def begin(project: Project, profile: Sequence[str], *targets: str) -> subprocess.Popen[bytes]:
    """Start Snakemake with a profile; its output goes to ``snakemake.out``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
    command = [sys.executable, "-m", "snakemake", "--configfile", "overlay.yaml", *profile]
    with (project.folder / "snakemake.out").open("ab") as output:
        return subprocess.Popen(
            [*command, *QUICK, "--", *targets],
            cwd=project.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def printed(project: Project) -> str:
    """All that `begin` has printed so far."""
    return (project.folder / "snakemake.out").read_text(encoding="utf-8")
