"""How long the workflow takes on this machine: `make benchmark` (nothing else should be running).

Everything is generated: phantoms in the numbers of the COVID-19 Radiography Database as the paper
used it (3,616 COVID, 10,192 Normal, 1,345 Viral Pneumonia; 15,153 in all, 299 × 299). With
`--images` a folder of real ones, a sub-folder a class, is indexed and cached instead, and nothing
else is done. Prints a table and writes it to results/benchmarks/workflow.csv. These are figures of
one run on one machine; machines that are shared are noisy.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import yaml

from benchmarks.decoding import SIDE, Files, decoding
from workflow_scripts.cxrcam.data.listing.datasets import list_images

PROJECT = Path(__file__).resolve().parents[1]
COPIED = ("Snakefile", "rules", "workflow_scripts", "schemas", "config.yaml", "profiles", "envs")
PAPER = {"COVID": 3616, "Normal": 10192, "Viral Pneumonia": 1345}


def settings(root: str | None, fraction: float, size: int) -> dict[str, object]:
    """Overlay for the paper's eight training runs, on phantoms or on a folder of images."""
    counts = {name: max(1, round(n * fraction)) for name, n in PAPER.items()}
    data = (
        {"kind": "class_folders", "root": root}
        if root
        else {"kind": "phantom", "images_per_class": counts}
    )
    return {
        "dataset": "bench",
        "datasets": {"bench": data},
        "schemes": {
            "holdout": {"test_fraction": 0.1, "train": {}},
            "random_subsample": {
                "images_per_class": min(300, *counts.values()),
                "test_fraction": 0.1,
                "train": {"epochs": 1, "batch_size": 128},
            },
        },
        "image": {"size": size},
        "train": {"epochs": 1, "batch_size": 128},
    }


def copy_project(folder: Path, overlay: dict[str, object]) -> None:
    """Put a copy of the project into a folder, with an overlay beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    (folder / "bench.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")


def snakemake(folder: Path, *arguments: str, memory: bool = True) -> tuple[float, float]:
    """Run Snakemake in a folder: seconds, and peak memory of it and all its jobs in GiB.

    To look at the memory of jobs that use a GPU takes so long that it slows them down: without
    `memory` it is 0.
    """
    command = [sys.executable, "-m", "snakemake", "--configfile", "bench.yaml", *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = [0.0]

    def watch() -> None:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            total = 0
            try:
                for each in (root, *root.children(recursive=True)):
                    try:
                        # Shared pages counted once: forked workers share most of theirs.
                        total += each.memory_full_info().pss
                    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                        continue
            except psutil.NoSuchProcess:
                return
            peak[0] = max(peak[0], total / 2**30)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    if memory:
        watcher.start()
    output, _ = process.communicate()
    if memory:
        watcher.join()
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output[-4000:]}")
    return seconds, peak[0]


def index_and_bare(files: Files, folder: Path, cores: int) -> dict[str, float]:
    """Seconds of what index and cache do, and of decoding by Pillow alone: medians of three turns.

    Without the start of Snakemake and of its jobs.
    """
    with decoding(files, folder, cores) as jobs:
        turns = [(clocked(jobs.bare), clocked(jobs.index)) for _ in range(3)]
    bare, index = (statistics.median(column) for column in zip(*turns, strict=True))
    return {"decode and resize, nothing else": bare, "index + cache, the work of its jobs": index}


def clocked(action: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    """Run all measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", default=str(os.cpu_count()))
    parser.add_argument("--fraction", type=float, default=1.0, help="of the paper's 15,153 images")
    parser.add_argument("--images", type=Path, help="index this folder, and do nothing else")
    options = parser.parse_args()
    cores = ("--cores", options.cores)
    rows: list[dict[str, object]] = []

    def record(what: str, seconds: float, peak: float | None = None, images: int = 0) -> None:
        rows.append(
            {
                "measurement": what,
                "seconds": round(seconds, 2),
                "images": images or None,
                "ms an image": round(1000 * seconds / images, 3) if images else None,
                "peak memory GiB": round(peak, 2) if peak else None,
            }
        )
        print(rows[-1], flush=True)

    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as temporary:
        folder = Path(temporary) / "index"
        root = options.images and str(options.images.resolve())
        overlay = settings(root, options.fraction, SIDE)
        copy_project(folder, overlay)
        if not root:
            images = sum(overlay["datasets"]["bench"]["images_per_class"].values())  # type: ignore[index]
            seconds, peak = snakemake(folder, *cores, "results/bench/phantoms/phantoms.csv")
            record("draw phantoms", seconds, peak, images)
        drawn = folder / "results/bench/phantoms"
        listed = list_images({"kind": "class_folders", "root": root or str(drawn)}, drawn)
        files = [(image.image_id, Path(image.path)) for image in listed]
        images = len(files)
        for what, seconds in index_and_bare(files, Path(temporary), int(options.cores)).items():
            record(what, seconds, None, images)
        seconds, peak = snakemake(folder, *cores, "results/bench/index/images.parquet")
        record("index + cache at 224 px, the whole command", seconds, peak, images)
        if not root:
            paper = Path(temporary) / "paper"
            copy_project(paper, settings(str(drawn), options.fraction, 32))
            seconds, _ = snakemake(paper, *cores, "-n")
            record("dry run, 8 training runs", seconds, None, images)
            seconds, peak = snakemake(paper, *cores)
            record("whole workflow, 8 training runs of 1 epoch at 32 px", seconds, peak, images)
            seconds, _ = snakemake(paper, *cores)
            record("nothing to be done", seconds, None, images)

    table = pd.DataFrame(rows)
    target = PROJECT / "results/benchmarks/workflow.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(table.to_string(index=False, na_rep=""))
    print(f"\nWritten to {target.relative_to(PROJECT)}.")


if __name__ == "__main__":
    main()
