"""Several processes share a training: the same numbers as one, and none is left behind."""

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from tests.unit import distributed_example as example
from workflow_scripts.cxrcam.data.cache import write_shard
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.checkpoints import TrainingStopped
from workflow_scripts.cxrcam.networks.several_processes import (
    FAULT,
    STOPPED,
    ProcessDied,
    report_failure,
)
from workflow_scripts.cxrcam.networks.training_job import TrainingJob, experiment_fingerprint

pytestmark = pytest.mark.usefixtures("one_torch_thread")

PROJECT = Path(__file__).resolve().parents[2]


class Shared:
    """What some processes found that ran `distributed_example` together."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size, self.folder = size, folder
        # They start from one that has imported PyTorch, which takes longer than all the rest.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.unit.distributed_example"])
        self.running = [
            context.Process(target=example.main, args=(rank, size, folder)) for rank in range(size)
        ]
        for process in self.running:
            process.start()

    def wait(self) -> "Shared":
        for process in self.running:
            process.join()
        assert [process.exitcode for process in self.running] == [0] * self.size
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


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-5, msg=name)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


# --- the same numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "name"), [(2, "adam"), (3, "adam"), (2, "recipe"), (2, "resnet18")]
)
def test_a_shared_training_ends_with_the_weights_of_one_in_a_single_process(shared, size, name):
    model, history = example.trained(name)
    assert_close(shared[size].tensors(name)[0], dict(model.state_dict()))
    for found, expected in zip(shared[size].facts(name)[0], history, strict=True):
        assert found.pop("role") == expected.pop("role")
        assert found == pytest.approx(expected, rel=1e-5)


def test_all_processes_have_the_same_weights_and_history_in_the_end(shared):
    for name in ("adam", "recipe", "dropout"):
        first, *others = shared[2].tensors(name)
        assert all(same(first, other) for other in others)
        assert shared[2].facts(name)[0] == shared[2].facts(name)[1]


@pytest.mark.parametrize("size", [2, 3])
def test_together_processes_see_each_image_once_in_the_order_and_with_the_flips_of_one(
    shared, size
):
    batches = list(zip(*shared[size].facts("passed"), strict=True))
    assert [list(chain(*parts)) for parts in batches] == example.passed()
    assert all(max(map(len, parts)) - min(map(len, parts)) <= 1 for parts in batches)


def test_without_synchronised_statistics_the_mathematics_is_another(shared):
    single = example.trained("separate statistics")[0].state_dict()
    found = shared[2].tensors("separate statistics")[0]
    assert not all(torch.allclose(found[name], single[name], atol=1e-4) for name in single)


@pytest.mark.parametrize("name", example.LAYER_INPUTS)
@pytest.mark.parametrize("size", [2, 3])
def test_a_synchronised_layer_is_pytorchs_batch_normalisation_of_the_whole_batch(
    shared, size, name
):
    kind = nn.BatchNorm2d if len(example.LAYER_INPUTS[name]) == 4 else nn.BatchNorm1d
    shares = shared[size].tensors(name)
    for what, expected in example.layer_results(kind, name).items():
        parts = [share[what] for share in shares]
        if what in ("output", "gradient"):
            found = torch.cat(parts)
        elif what.endswith("gradient"):  # of the parameters: each process has its part of it
            found = torch.stack(parts).sum(0)
        else:
            found = parts[0]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4, msg=what)


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
from workflow_scripts.cxrcam.networks.checkpoints import TrainingStopped
from workflow_scripts.cxrcam.networks.several_processes import train_in_processes
from workflow_scripts.cxrcam.networks.training_job import TrainingJob

log_file = sys.argv[2]
log = start_log(log_file)
try:
    job = TrainingJob(**json.loads(sys.argv[1]))
    train_in_processes(job, [torch.device("cpu")] * 2, log_file, log)
except TrainingStopped:
    sys.exit(128 + signal.SIGTERM)
"""


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    """A training that does not end by itself while a test looks on."""
    n_images = 12
    names = [f"image-{k}" for k in range(n_images)]
    labels = ["dark" if k % 2 else "bright" for k in range(n_images)]
    split = {"image_id": names, "label": labels, "role": ["train"] * 8 + ["test"] * 4}
    pq.write_table(pa.table(split), tmp_path / "split.parquet")
    pixels = np.random.default_rng(0).integers(0, 256, (n_images, 32, 32), dtype=np.uint8)
    write_shard(tmp_path / "shard.parquet", names, pixels, {"content_fingerprint": "0f"})
    settings = example.PLAIN | {"epochs": 20_000, "batch_size": 8, "watch": ["test"]}
    return TrainingJob(
        **{"task": "two_class", "scheme": "holdout", "fold": 1, "seed": 0},
        classes=["bright", "dark"],
        image={"mean": [0.5] * 3, "size": 32, "std": [0.25] * 3},
        input_part="whole",
        model={
            **{"architecture": "squeezenet1_1", "weights": "random", "input_size": None},
            **{"last_stage": None, "map_stride": None},
        },
        settings=settings,
        recipes={"random": {}},
        **{"precision": "float32", "deterministic": True, "cuda_graphs": True},
        **{"threads": 1, "code": "this"},
        **{"pixel_memory_mb": 100, "checkpoint_seconds": 0.1},
        split=str(tmp_path / "split.parquet"),
        shards=[str(tmp_path / "shard.parquet")],
        **{"features": [], "masks": None, "weights": None},
        checkpoint=str(tmp_path / "checkpoint.safetensors"),
        model_file=str(tmp_path / "model.safetensors"),
        history_file=str(tmp_path / "history.parquet"),
        timings_file=str(tmp_path / "timings.parquet"),
    )


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
        ranks = {child.environ()["RANK"]: child for child in children}
        self.ranks = [ranks[rank] for rank in sorted(ranks)]
        assert len(self.ranks) == 2, self.said()
        return self

    def end(self) -> int:
        """Exit code of the job, when none of its processes is left."""
        code = self.running.wait()
        _, alive = psutil.wait_procs(self.ranks, timeout=60)
        assert not alive
        return code


@pytest.fixture
def started(job: TrainingJob, tmp_path: Path) -> Iterator[Callable[[], Job]]:
    jobs: list[Job] = []

    def start() -> Job:
        jobs.append(Job(job, tmp_path / f"train-{len(jobs)}.log"))
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
    assert "Process 2 of 2 of this training was killed (SIGKILL)" in first.said()
    assert f"its newest state is in {checkpoint}" in first.said()
    assert "Traceback" not in first.said(), "the other process said more than what happened"
    assert first.said().count("squeezenet1_1 from random weights") == 1

    second = started()
    second.wait_until(lambda: "Going on after iteration" in second.said())
    checkpoint.unlink()
    second.running.send_signal(signal.SIGTERM)
    assert second.end() == 128 + signal.SIGTERM
    assert checkpoint.exists(), "stopped without writing its state"


ORPHAN = """
import os, pathlib, signal, sys, threading
from workflow_scripts.cxrcam.networks.several_processes import leave_with

asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())
threading.Thread(target=leave_with, args=[os.getppid()], daemon=True).start()
ready, left = map(pathlib.Path, sys.argv[1:])
ready.write_text(str(os.getpid()))
while not asked.wait(0.1):
    pass
left.touch()
"""


def test_a_process_whose_job_was_killed_outright_is_asked_to_stop_all_the_same(tmp_path) -> None:
    ready, left = tmp_path / "ready", tmp_path / "left"
    orphan = [sys.executable, "-c", ORPHAN, str(ready), str(left)]
    parent = "import subprocess, sys; subprocess.run(sys.argv[1:], check=False)"
    job = subprocess.Popen([sys.executable, "-c", parent, *orphan], cwd=PROJECT)
    while job.poll() is None and not (ready.exists() and ready.read_text()):
        time.sleep(0.02)
    process = psutil.Process(int(ready.read_text()))
    job.kill()  # which nobody can tell the other one
    job.wait()
    _, alive = psutil.wait_procs([process], timeout=60)
    assert not alive
    assert left.exists(), "ended without being asked"


@pytest.mark.parametrize(
    ("exit_code", "said", "raised", "words"),
    [
        (FAULT, "The training loss became nan.", InputError, "^The training loss became nan.$"),
        (-9, None, ProcessDied, "Process 2 of 4 .* killed .SIGKILL.* no state on disk yet"),
        (STOPPED, None, TrainingStopped, "^$"),
        (1, "Traceback: ours", SystemExit, "1"),
    ],
)
def test_a_job_says_what_its_first_process_that_failed_died_of(
    tmp_path, caplog, exit_code, said, raised, words
) -> None:
    if said is not None:
        (tmp_path / "fault-1.txt").write_text(said)
    failure = ProcessFailure(local_rank=1, pid=7, exitcode=exit_code, error_file=os.devnull)
    with pytest.raises(raised, match=words):
        report_failure(failure, 4, tmp_path, tmp_path / "none", logging.getLogger("test"))
    assert ("Traceback: ours" in caplog.text) == (exit_code == 1)


def test_a_state_of_another_number_of_processes_is_of_another_experiment(job) -> None:
    def of(processes: int) -> str:
        return experiment_fingerprint(job, "data", "random", "float32", example.CPU, processes)

    assert of(2) == of(2)
    assert len({of(1), of(2), of(3)}) == 3
