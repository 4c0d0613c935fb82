"""Real signals to real processes: kill a run at any moment, run it again, compare every byte."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq

from tests.workflow.small_project import Project, make_class_folders

RUN = "results/small/runs/two_class/holdout/fold-1/seed-0"
TARGETS = (f"{RUN}/predictions.parquet", f"{RUN}/metrics.json")
CHECKPOINT = "checkpoint.safetensors"
COMPARED = ("model.safetensors", "history.parquet", "predictions.parquet", "metrics.json")

# Some seconds of training, with a state small enough to be written often.
LONG_TRAINING = {
    "model": {"architecture": "mobilenet_v2"},
    "train": {"epochs": 20, "learning_rate": 0.001, "schedule": "one_cycle"},
    "compute": {"checkpoint_seconds": 0.1},
}


def prepared(folder: Path) -> Project:
    """A project whose data are cached and whose network is still to be trained."""
    project = Project.create(folder)
    make_class_folders(project.folder / "data" / "small")
    project.change(**LONG_TRAINING)
    # Often, whatever it costs: a training of seconds would otherwise end before the second one.
    checkpoints = "workflow_scripts/cxrcam/networks/training/checkpoints.py"
    project.edit(checkpoints, "COST_SHARE = 0.02", "COST_SHARE = 1.0")
    project.run("results/small/splits/two_class/holdout/fold-1.parquet", *cache(project))
    return project


def cache(project: Project) -> list[str]:
    """Cache files of the small project."""
    return [f"results/small/cache/shard-{k:05d}.parquet" for k in range(4)]


def start(project: Project, largest_file: int | None = None) -> subprocess.Popen[bytes]:
    """Start Snakemake in a process group of its own; its output goes to ``snakemake.out``.

    Parameters
    ----------
    project : Project
    largest_file : int, optional
        Bytes; writing more into one file fails, as on a disk that is full.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
    command = [sys.executable, "-m", "snakemake", "--configfile", "overlay.yaml", "--cores", "1"]
    with (project.folder / "snakemake.out").open("ab") as output:
        return subprocess.Popen(
            [*command, *TARGETS],
            cwd=project.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=None if largest_file is None else limited(largest_file),
        )


def limited(largest_file: int) -> Callable[[], None]:
    """What a child process calls to allow itself files of no more than so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))


def training_process(project: Project) -> psutil.Process | None:
    """The process that trains in this project, if there is one."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = process.info["cmdline"] or []
        if process.info["cwd"] == str(project.folder) and line and line[-1].endswith("train.py"):
            return process
    return None


def wait_for_training(project: Project, running: subprocess.Popen[bytes]) -> psutil.Process | None:
    """Wait until the training process is there; None if Snakemake ended first."""
    while running.poll() is None:
        process = training_process(project)
        if process is not None:
            return process
        time.sleep(0.02)
    return None


def wait_for_checkpoint(project: Project, process: psutil.Process) -> None:
    """Wait until the training has written its first state, or has ended."""
    while process.is_running() and not (project.folder / RUN / CHECKPOINT).exists():
        time.sleep(0.01)


def strike(project: Project, victim: str, delay: float | None) -> bool:
    """Start a run and kill `victim` while it trains.

    Parameters
    ----------
    project : Project
    victim : {"training", "snakemake", "both"}
    delay : float or None
        Seconds after training began; None: as soon as its first state is on disk.

    Returns
    -------
    bool
        Whether there was still something to strike.
    """
    running = start(project)
    process = wait_for_training(project, running)
    if process is None:
        return False
    if delay is None:
        wait_for_checkpoint(project, process)
    else:
        time.sleep(delay)
    struck = running.poll() is None and process.is_running()
    if struck and victim in ("training", "both"):
        process.kill()
    if struck and victim in ("snakemake", "both"):
        running.kill()
    running.wait(120)
    # A job whose Snakemake was killed goes on; here it would train beside its heir.
    orphan = training_process(project)
    if orphan is not None:
        orphan.kill()
        psutil.wait_procs([orphan])
    return struck


def finish(project: Project) -> str:
    """Run again as the README says, unlocking where Snakemake asks for it; what it printed."""
    done = project.snakemake("--cores", "1", *TARGETS)
    if "--unlock" in done.stdout + done.stderr:
        unlocked = project.snakemake("--unlock", *TARGETS)
        assert unlocked.returncode == 0, unlocked.stdout + unlocked.stderr
        done = project.snakemake("--cores", "1", *TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def outcome(project: Project) -> dict[str, bytes]:
    """What a run leaves, without its durations."""
    folder = project.folder / RUN
    return {name: (folder / name).read_bytes() for name in COMPARED}


def forget(project: Project) -> None:
    """Remove what the run left, so that it has to be made again."""
    for name in (*COMPARED, "timings.parquet", "calibrated.parquet"):
        (project.folder / RUN / name).unlink(missing_ok=True)


def half_written(project: Project) -> list[str]:
    """Outputs under their final names that cannot be read: there must never be one."""
    broken = []
    for file in (project.folder / "results").rglob("*.parquet"):
        if not file.name.startswith("."):
            try:
                pq.read_table(file)
            except Exception as error:  # whatever a damaged file makes pyarrow raise
                broken.append(f"{file}: {error}")
    return broken


def training_seconds(project: Project) -> float:
    """How long the newest training took, from the start of its process to its end."""
    file = project.folder / RUN.replace("results", "results/benchmarks", 1) / "train.tsv"
    header, values = file.read_text(encoding="utf-8").splitlines()[:2]
    return float(dict(zip(header.split("\t"), values.split("\t"), strict=True))["s"])


def random_shares(n: int, seed: int = 0) -> list[float]:
    """Moments to strike at, as a share of an undisturbed training."""
    return np.random.default_rng(seed).uniform(0.0, 1.0, n).tolist()
