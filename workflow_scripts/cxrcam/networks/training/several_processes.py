"""A training job that starts one process a GPU by `torch.multiprocessing` and waits for them."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import machine_fault, start_log
from workflow_scripts.cxrcam.networks.training.checkpoints import TrainingStopped
from workflow_scripts.cxrcam.networks.training.job import TrainingJob, train_classifier

STOPPED = 128 + signal.SIGTERM  # exit code of a process that wrote its state as it was asked to
GRACE_SECONDS = 15  # that the others have to end by themselves, after the first one that did not


def train_in_processes(job: TrainingJob, devices: list[torch.device], log_file: str) -> None:
    """Train as `job` asks, in as many processes as there are devices; all add to `log_file`.

    When one fails, the others are stopped. A signal to this process reaches them all; under Linux
    its death does, too.

    Raises
    ------
    InputError
        For a fault that the user can mend, or if a process was killed.
    TrainingStopped
        After a signal: the state is on disk.
    torch.multiprocessing.ProcessRaisedException
        For a fault of ours, with its traceback.
    """
    if devices[0].type == "cpu" and job.settings.get("sync_batch_norm", True):
        raise InputError(
            f"train.gpus is {len(devices)}, but this job has no GPU, and on a CPU PyTorch does not "
            "join the batch statistics of several processes: set train.gpus to 1, or "
            "train.sync_batch_norm to false, so that each process normalises by its own part."
        )
    # Nothing that they tell each other leaves this machine.
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    with tempfile.TemporaryDirectory(prefix="cxrcam-train-") as folder:
        fault = Path(folder) / "fault.txt"
        context = mp.spawn(  # type: ignore[attr-defined, no-untyped-call]
            _train, (job, devices, log_file, fault), nprocs=len(devices), join=False
        )

        def stop(*_: object) -> None:
            for process in context.processes:
                process.terminate()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        try:
            while not context.join(grace_period=GRACE_SECONDS):
                pass
        except mp.ProcessExitedException as failure:  # type: ignore[attr-defined]
            if failure.exit_code in (STOPPED, -signal.SIGTERM):
                raise TrainingStopped from None
            raise InputError(
                f"Of the {len(devices)} processes of this training, {failure}, and the others were "
                f"stopped. Run again to go on from the newest state, {job.checkpoint}; if memory "
                "ran out, lower train.batch_size or train.gpus."
            ) from None
        except mp.ProcessRaisedException:  # type: ignore[attr-defined]
            if fault.exists():
                raise InputError(fault.read_text(encoding="utf-8")) from None
            raise
    if not Path(job.model_file).exists():  # Ctrl-C, before they could listen for it
        raise TrainingStopped


def _train(
    rank: int, job: TrainingJob, devices: list[torch.device], log_file: str, fault: Path
) -> None:
    """Train as one of the processes; what a user can mend is written to `fault`."""
    log, device = start_log(log_file, rank=rank), devices[rank]
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            init_method=f"file://{fault.parent}/meeting",  # a port would listen on the network
            rank=rank,
            world_size=len(devices),
        )
        train_classifier(job, device, log)
    except TrainingStopped:
        sys.exit(STOPPED)
    except Exception as error:
        sentence = str(error) if isinstance(error, InputError) else machine_fault(error)
        if sentence:
            write_text(fault, sentence)
        raise
    dist.destroy_process_group()  # not after an error: it might wait for processes that are gone
