"""What a large public collection costs before any image is read: `python -m benchmarks.collection`.

Writes 112,120 empty files and tables in the layout of NIH ChestX-ray14, or as many as `--images`
says, plans the workflow on them (`snakemake -n`) and lists them, and prints seconds, CPU time and
peak memory of both.
"""

import argparse
import os
import resource
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.workflow import copy_project, snakemake
from workflow_scripts.cxrcam.data.listing.collections.nih_chestxray14 import FINDINGS

IMAGES = 112_120
FOLDERS = 12
IMAGES_A_PATIENT = 4
HEALTHY = 0.54  # share of images without finding
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
OVERLAY = {
    "dataset": "bench",
    "datasets": {"bench": {"kind": "collection", "name": "nih_chestxray14", "root": "collection"}},
    "tasks": {"two_class": {"classes": ["No Finding", "Infiltration"]}, "three_class": None},
    "schemes": {"holdout": None, "random_subsample": None, "official": {"kind": "predefined"}},
}


def write_collection(root: Path, n: int) -> None:
    """Empty images in twelve folders, their table and the official division."""
    rng = np.random.default_rng(0)
    names = [f"{k // IMAGES_A_PATIENT + 1:08d}_{k % IMAGES_A_PATIENT:03d}.png" for k in range(n)]
    rows = [HEADER]
    for k, name in enumerate(names):
        some = rng.choice(FINDINGS, rng.integers(1, 4), replace=False)
        labels = "No Finding" if rng.random() < HEALTHY else "|".join(some)
        patient, age = k // IMAGES_A_PATIENT + 1, rng.integers(1, 95)
        view, sex = rng.choice(["PA", "AP"]), rng.choice(["F", "M"])
        rows.append(f"{name},{labels},0,{patient},{age},{sex},{view},2682,2749,0.143,0.143,")
        folder = root / f"images_{k * FOLDERS // n + 1:03d}/images"
        if not folder.is_dir():
            folder.mkdir(parents=True)
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))
    for file, lines in (
        ("Data_Entry_2017.csv", rows),
        ("train_val_list.txt", names[: n * 3 // 4]),
        ("test_list.txt", names[n * 3 // 4 :]),
    ):
        (root / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def cpu_seconds() -> float:
    """CPU time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Write the collection, plan, list, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    n = parser.parse_args().images
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary) / "cxrcam"
        copy_project(project, OVERLAY)
        write_collection(project / "collection", n)
        for what, arguments in (
            ("plan (snakemake -n)", ["-n", "--quiet", "all"]),
            ("list", ["--cores", "1", "results/bench/index/listing.parquet"]),
        ):
            before = cpu_seconds()
            seconds, memory = snakemake(project, *arguments)
            cpu = cpu_seconds() - before
            print(f"{n:,} images, {what}: {seconds:.1f} s ({cpu:.1f} s of CPU), {memory:.2f} GiB")


if __name__ == "__main__":
    main()
