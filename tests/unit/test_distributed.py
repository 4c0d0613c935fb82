"""Several processes share a training: the same numbers as one, and none is left behind."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch import multiprocessing

from tests.unit import distributed_example as example
from tests.unit.training_job_example import small_job
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.training.job import TrainingJob, experiment_fingerprint
from workflow_scripts.cxrcam.networks.training.several_processes import train_in_processes

pytestmark = pytest.mark.usefixtures("one_torch_thread")

PROJECT = Path(__file__).resolve().parents[2]


class Shared:
    """What some processes found that ran `distributed_example` together."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size, self.folder = size, folder
        # They start from one that has imported PyTorch, which takes longer than all the rest.
        preload = ["tests.unit.distributed_example", "torch._dynamo"]
        multiprocessing.get_context("forkserver").set_forkserver_preload(preload)
        self.running = multiprocessing.start_processes(
            *(example.main, (size, folder)), nprocs=size, join=False, start_method="forkserver"
        )

    def wait(self) -> "Shared":
        while not self.running.join():
            pass
        return self

    def tensors(self, name: str) -> list[dict[str, torch.Tensor]]:
        """Tensors of that name, of each process."""
        return [load_file(self.folder / f"{name}-{rank}.safetensors") for rank in range(self.size)]

    def facts(self, name: str) -> list:
        files = [self.folder / f"facts-{rank}.json" for rank in range(self.size)]
        return [json.loads(file.read_text())[name] for file in files]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Shared]:
    """Two and three processes, all at the same time."""
    started = [Shared(size, tmp_path_factory.mktemp(f"{size}-processes")) for size in (2, 3)]
    return {each.size: each.wait() for each in started}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


# --- the same numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "name"),
    [
        *((2, "adam"), (3, "adam"), (2, "recipe"), (2, "batch norm")),
        *((2, "sub-classes"), (3, "sub-classes"), (2, "changed"), (3, "changed")),
    ],
)
def test_a_shared_training_ends_with_the_weights_of_one_in_a_single_process(shared, size, name):
    model, history = example.trained(name)
    found = shared[size].tensors(name)[0]
    torch.testing.assert_close(found, dict(model.state_dict()), rtol=1e-5, atol=1e-5)
    for row, expected in zip(shared[size].facts(name)[0], history, strict=True):
        assert row.pop("role") == expected.pop("role")
        assert row == pytest.approx(expected, rel=1e-5)


def test_all_processes_have_the_same_weights_and_history_in_the_end(shared):
    for name in ("adam", "batch norm", "dropout"):
        first, second = shared[2].tensors(name)
        assert same(first, second), name
        assert shared[2].facts(name)[0] == shared[2].facts(name)[1]


@pytest.mark.parametrize("size", [2, 3])
def test_what_processes_find_for_themselves_is_settled_by_the_first(shared, size):
    assert shared[size].facts("from first") == [[0, 1]] * size


@pytest.mark.parametrize("size", [2, 3])
def test_together_processes_see_each_image_once_in_the_order_and_with_the_flips_of_one(
    shared, size
):
    batches = list(zip(*shared[size].facts("passed"), strict=True))
    assert [list(chain(*parts)) for parts in batches] == example.passed()
    assert all(max(map(len, parts)) - min(map(len, parts)) <= 1 for parts in batches)


@pytest.mark.parametrize("size", [2, 3])
def test_a_training_that_one_process_stopped_goes_on_with_the_same_bits(shared, size):
    if size == 2:
        assert same(shared[2].tensors("resumed")[0], shared[2].tensors("dropout")[0])
    first, *others = shared[size].tensors("resumed")
    assert all(same(first, other) for other in others)


# --- one job --------------------------------------------------------------------------------------

PROGRAM = """
import json, signal, sys
import torch
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.training.checkpoints import TrainingStopped
from workflow_scripts.cxrcam.networks.training.several_processes import train_in_processes
from workflow_scripts.cxrcam.networks.training.job import TrainingJob

log_file = sys.argv[2]
log = start_log(log_file)
try:
    job = TrainingJob(**json.loads(sys.argv[1]))
    train_in_processes(job, [torch.device("cpu")] * 2, log_file)
except TrainingStopped:
    sys.exit(128 + signal.SIGTERM)
"""


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    """A training that does not end by itself while a test looks on."""
    settings = {"epochs": 20_000, "gpus": 2, "sync_batch_norm": False}
    return small_job(tmp_path, settings=settings)


class Job:
    """A training job in two processes, and those processes."""

    def __init__(self, job: TrainingJob, log_file: Path) -> None:
        self.log_file = log_file
        command = [sys.executable, "-c", PROGRAM, json.dumps(asdict(job)), str(log_file)]
        self.running = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL)
        self.ranks: list[psutil.Process] = []

    def said(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def wait_until(self, happened: Callable[[], bool]) -> "Job":
        """Wait for a moment of the training, and note its processes."""
        while self.running.poll() is None and not happened():
            time.sleep(0.02)
        assert self.running.poll() is None, f"the job ended by itself: {self.said()}"
        children = psutil.Process(self.running.pid).children()
        self.ranks = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        assert len(self.ranks) == 2, self.said()
        return self

    def end(self) -> int:
        """Exit code of the job, when none of its processes is left."""
        code = self.running.wait(timeout=180)
        _, alive = psutil.wait_procs(self.ranks, timeout=180)
        assert not alive
        return code


@pytest.fixture
def started(job: TrainingJob, tmp_path: Path) -> Iterator[Callable[..., Job]]:
    jobs: list[Job] = []

    def start(asked: TrainingJob = job) -> Job:
        jobs.append(Job(asked, tmp_path / f"train-{len(jobs)}.log"))
        return jobs[-1]

    yield start
    for each in jobs:
        for process in [each.running, *each.ranks]:
            if isinstance(process, subprocess.Popen) or process.is_running():
                process.kill()


def test_a_job_whose_processes_die_leaves_none_behind_says_which_and_goes_on(job, started) -> None:
    checkpoint = Path(job.checkpoint)

    first = started().wait_until(checkpoint.exists)
    first.ranks[1].kill()
    assert first.end() == 1
    assert "Of the 2 processes of this training, process" in first.said()
    assert "terminated with signal SIGKILL" in first.said()
    assert f"go on from the newest state, {checkpoint}" in first.said()
    assert "Traceback" not in first.said(), "the other process said more than what happened"
    assert first.said().count("squeezenet1_1 from random weights") == 1

    patient = replace(job, checkpoint_seconds=3600)  # writes its state only when it is stopped
    second = started(patient)
    second.wait_until(lambda: "Going on after iteration" in second.said())
    checkpoint.unlink()
    second.running.send_signal(signal.SIGTERM)
    assert second.end() == 128 + signal.SIGTERM
    assert checkpoint.exists(), "stopped without writing its state"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of it")
def test_processes_whose_job_was_killed_outright_write_their_state_and_stop(job, started) -> None:
    patient = replace(job, checkpoint_seconds=3600)  # writes its state only when it is stopped
    running = started(patient)
    running.wait_until(lambda: "iteration 1," in running.said())
    running.running.kill()  # which nobody can tell the others
    assert running.end() == -signal.SIGKILL
    assert Path(job.checkpoint).exists(), "ended without being asked"


def test_an_error_in_the_processes_is_one_sentence_of_their_job(job, started) -> None:
    wrong = replace(job, settings=job.settings | {"optimizer": "sgd", "learning_rate": 1e30})
    running = started(wrong)
    assert running.end() == 1
    assert running.said().count("The training loss became") == 1, running.said()
    assert "lower train.learning_rate (now 1e+30)" in running.said()
    assert "Traceback" not in running.said()


def test_batch_statistics_that_a_cpu_cannot_join_are_refused_before_anything_starts(job) -> None:
    default = {k: v for k, v in job.settings.items() if k != "sync_batch_norm"}
    for settings in (default, default | {"sync_batch_norm": True}):
        with pytest.raises(InputError, match=r"train\.gpus is 2.*sync_batch_norm to false"):
            train_in_processes(replace(job, settings=settings), [example.CPU] * 2, "unused.log")


def test_a_state_of_another_number_of_processes_is_of_another_experiment(job) -> None:
    def of(processes: int) -> str:
        return experiment_fingerprint(job, "data", "random", "float32", example.CPU, processes)

    assert of(2) == of(2)
    assert len({of(1), of(2), of(3)}) == 3
