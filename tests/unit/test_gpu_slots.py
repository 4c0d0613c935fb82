"""Jobs spread over the GPUs of a machine; a killed job gives its own back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
JOB = (
    "import sys\n"
    "from workflow_scripts.cxrcam.networks.gpu_slots import claim_gpus\n"
    "print(*claim_gpus(list(sys.argv[1]), int(sys.argv[2])), flush=True)\n"
    "sys.stdin.read()\n"
)


class Jobs:
    """Processes that claim GPUs and hold them; each letter of `devices` is one."""

    devices = "ab"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def start(self) -> int:
        return self.start_with(1)[0]

    def start_with(self, count: int) -> list[int]:
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, self.devices, str(count)],
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": str(self.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(job)
        assert job.stdout is not None
        return [int(position) for position in job.stdout.readline().split()]

    def kill(self, number: int) -> None:
        self.running[number].kill()
        self.running[number].communicate()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    several = Jobs(tmp_path)
    yield several
    for number in range(len(several.running)):
        several.kill(number)


def test_each_job_gets_a_gpu_of_its_own_and_then_they_share_evenly(jobs: Jobs) -> None:
    assert [jobs.start() for _ in range(5)] == [0, 1, 0, 1, 0]


def test_the_gpu_of_a_killed_job_is_the_next_one_given(jobs: Jobs) -> None:
    assert [jobs.start(), jobs.start(), jobs.start()] == [0, 1, 0]
    jobs.kill(1)
    assert jobs.start() == 1


def test_a_job_of_several_gpus_gets_others_than_the_jobs_beside_it(jobs: Jobs) -> None:
    jobs.devices = "abcd"
    assert jobs.start_with(2) == [0, 1]
    assert jobs.start() == 2
    # One is free; the other is shared with as few as can be.
    assert jobs.start_with(2) == [0, 3]


def test_jobs_that_want_all_gpus_do_not_wait_for_each_other(jobs: Jobs) -> None:
    assert [jobs.start_with(2), jobs.start_with(2)] == [[0, 1], [0, 1]]
