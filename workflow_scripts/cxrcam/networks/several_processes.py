"""A training job that starts one process a GPU, watches over them, and ends with them.

The processes are started, watched and stopped by torchrun's own `start_processes`. The rest of
torchrun, which lets machines find each other, is left out: it listens on the network, and these
processes are children of one job.

As a module (``python -m``) this is the program of each of the processes.
"""

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import torch
from torch.distributed.elastic.multiprocessing import (
    DefaultLogsSpecs,
    SignalException,
    start_processes,
)
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import write_json, write_text
from workflow_scripts.cxrcam.logs import machine_fault, start_log
from workflow_scripts.cxrcam.networks.checkpoints import TrainingStopped
from workflow_scripts.cxrcam.networks.distributed import joined
from workflow_scripts.cxrcam.networks.training_job import TrainingJob, train_classifier

PROJECT = Path(__file__).resolve().parents[3]
MODULE = "workflow_scripts.cxrcam.networks.several_processes"

# Exit codes of a process: stopped as asked, and a fault that the user can mend.
STOPPED = 128 + signal.SIGTERM
FAULT = 65  # EX_DATAERR of sysexits.h

ARGUMENTS = "arguments.json"

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
"""Network device of this machine alone."""

SECONDS_TO_LEAVE = 20
"""That processes have to write their state when they are stopped; then they are killed."""

SECONDS_ALONE = 3
"""That a process waits with an error, as it may be the death of another one that it ran into."""


class ProcessDied(InputError):
    """A process of a training was killed; the message says which and how."""


def train_in_processes(
    job: TrainingJob, devices: Sequence[torch.device], log_file: str, log: logging.Logger
) -> None:
    """Train as a job asks, in as many processes as there are devices.

    When one of them fails, the others are stopped; when this process is stopped or dies, all are.

    Parameters
    ----------
    job : TrainingJob
    devices : sequence of torch.device
        Of each process.
    log_file : str
        That `log` writes to, and the processes too.
    log : logging.Logger

    Raises
    ------
    InputError
        For a fault that the user can mend, as `training_job.train_classifier`, or if a process was
        killed.
    TrainingStopped
        After a signal: the state is on disk.
    SystemExit
        After a fault of ours, whose traceback is then in the log.
    """
    on_gpus = devices[0].type == "cuda"
    where = "a GPU each" if on_gpus else "the CPU, as no GPU is there or may be used"
    log.info("Training in %d processes (train.gpus) on %s.", len(devices), where)
    # It tells of each signal that it passes on.
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="cxrcam-train-") as name:
        folder = Path(name)
        arguments = {
            "job": asdict(job),
            "devices": [str(device) for device in devices],
            "log_file": log_file,
            "parent": os.getpid(),
        }
        write_json(folder / ARGUMENTS, arguments)
        ranks = range(len(devices))
        context = None
        try:
            context = start_processes(
                "training",
                sys.executable,
                args={rank: ("-m", MODULE, name) for rank in ranks},
                envs={rank: _environment(rank, job.threads) for rank in ranks},
                logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
            )
            result = context.wait(period=0.1)
        except SignalException:
            raise TrainingStopped from None
        finally:
            if context is not None:
                context.close(signal.SIGTERM, SECONDS_TO_LEAVE)
        if result is not None and result.failures:
            first = min(result.failures.values(), key=lambda failure: failure.timestamp)
            report_failure(first, len(devices), folder, Path(job.checkpoint), log)


def _environment(rank: int, threads: int) -> dict[str, str]:
    """What a process finds in its environment, beside what this one has."""
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "RANK": str(rank),
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": str(threads),
        # Nothing that they tell each other leaves this machine.
        "GLOO_SOCKET_IFNAME": LOOPBACK,
        "NCCL_SOCKET_IFNAME": LOOPBACK,
    }


def report_failure(
    failure: ProcessFailure, processes: int, folder: Path, checkpoint: Path, log: logging.Logger
) -> NoReturn:
    """Raise what the first process that failed died of; see `train_in_processes`.

    Parameters
    ----------
    failure : ProcessFailure
        What torchrun knows of it.
    processes : int
        That shared the training.
    folder : Path
        Where it wrote what went wrong, if it still could.
    checkpoint : Path
    log : logging.Logger
    """
    if failure.exitcode == STOPPED:
        raise TrainingStopped
    said = folder / f"fault-{failure.local_rank}.txt"
    text = said.read_text(encoding="utf-8") if said.exists() else ""
    if failure.exitcode == FAULT:
        raise InputError(text)
    which = f"Process {failure.local_rank + 1} of {processes} of this training"
    if failure.exitcode < 0:
        there = checkpoint.exists()
        state = f"its newest state is in {checkpoint}" if there else "it had no state on disk yet"
        raise ProcessDied(
            f"{which} was killed ({failure.signal_name()}), and the others were stopped; "
            f"{state}. Run again to go on; if memory ran out, lower train.batch_size or train.gpus."
        )
    log.error("%s ended with exit code %d.\n%s", which, failure.exitcode, text)
    raise SystemExit(1)


# --- in each of the processes ---------------------------------------------------------------------


def leave_with(parent: int) -> None:
    """Stop this process when the one that started it is gone, however that ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_LEAVE)
    os._exit(1)


def main(folder: Path, rank: int) -> int:
    """Train beside the other processes; returns the exit code.

    Parameters
    ----------
    folder : Path
        With the arguments that `train_in_processes` wrote; what goes wrong is written there.
    rank : int
        Number of this process, from 0.
    """
    arguments = json.loads((folder / ARGUMENTS).read_text(encoding="utf-8"))
    threading.Thread(target=leave_with, args=[arguments["parent"]], daemon=True).start()
    log = start_log(arguments["log_file"], rank)
    devices = [torch.device(name) for name in arguments["devices"]]
    said = folder / f"fault-{rank}.txt"
    try:
        with joined(rank, len(devices), folder / "meeting", devices[rank]) as ranks:
            train_classifier(TrainingJob(**arguments["job"]), devices[rank], ranks, log)
    except TrainingStopped:
        return STOPPED
    except Exception as error:
        sentence = str(error) if isinstance(error, InputError) else machine_fault(error)
        if sentence is not None:
            write_text(said, sentence)
            return FAULT
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(SECONDS_ALONE)
        write_text(said, traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(os.environ["RANK"])))
