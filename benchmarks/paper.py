"""How long the paper's eight trainings take: `python -m benchmarks.paper`, wherever a GPU is found.

presets/paper.yaml through the workflow, on phantoms in the numbers of the COVID-19 Radiography
Database: both tasks, each on the complete data set and on three random sub-samples, 20 epochs in
batches of 6 at 224 pixels, from random weights. Its other designs and seeds are left out. Prints
what each stage took, Snakemake included, and each training; writes both to
results/benchmarks/paper.csv.
"""

import argparse
import os
import tempfile
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.workflow import PAPER, PROJECT, copy_project, snakemake

SCHEMES = {"holdout": 1, "random_subsample": 3}  # and the folds of each
SIDE = 224  # drawn at the side that they are trained with, in half the time
RUNS = [
    f"results/bench/runs/{task}/{scheme}/fold-{fold}/seed-0"
    for task in ("two_class", "three_class")
    for scheme, folds in SCHEMES.items()
    for fold in range(1, folds + 1)
]


def overlay(fraction: float) -> dict[str, object]:
    """What of the paper's preset is changed."""
    preset = yaml.safe_load((PROJECT / "presets/paper.yaml").read_text(encoding="utf-8"))
    counts = {name: max(1, round(n * fraction)) for name, n in PAPER.items()}
    # A tenth of each class is the shared test part.
    images = min(
        preset["schemes"]["random_subsample"]["images_per_class"],
        *(8 * n // 10 for n in counts.values()),
    )
    preset["schemes"] = {name: preset["schemes"][name] for name in SCHEMES}
    preset["schemes"]["random_subsample"]["images_per_class"] = images
    return {
        **preset,
        "dataset": "bench",
        "datasets": {"bench": {"kind": "phantom", "images_per_class": counts, "size": SIDE}},
        "seeds": [0],
        "model": {"architecture": "resnet18", "weights": "random"},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", default=str(os.cpu_count()))
    parser.add_argument("--gpus", default="1", help="how many jobs Snakemake lets use it at a time")
    parser.add_argument("--fraction", type=float, default=1.0, help="of the paper's 15,153 images")
    parser.add_argument("--all", action="store_true", help="predictions, maps, audit, report too")
    chosen = parser.parse_args()
    stages = {
        "draw the phantoms": ["results/bench/phantoms/phantoms.csv"],
        "list, decode, cache, index, duplicates": ["results/bench/index/images.parquet"],
        "8 trainings": [f"{run}/model.safetensors" for run in RUNS],
    }
    if chosen.all:
        stages["predictions, maps, audit, report"] = ["all"]
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="cxrcam-paper-") as temporary:
        folder = Path(temporary)
        copy_project(folder, overlay(chosen.fraction))
        for stage, targets in stages.items():
            common = ("--cores", chosen.cores, "--resources", f"gpu={chosen.gpus}")
            common += ("--set-threads", f"phantoms={chosen.cores}")
            seconds, _ = snakemake(folder, *common, "--", *targets, memory=False)
            rows.append({"what": stage, "seconds": round(seconds, 1)})
            print(rows[-1], flush=True)
        for run in RUNS:
            benchmark = folder / run.replace("results", "results/benchmarks", 1) / "train.tsv"
            clock = pd.read_parquet(folder / run / "timings.parquet").iloc[-1]
            history = pd.read_parquet(folder / run / "history.parquet").iloc[-1]
            rows.append(
                {
                    "what": run.removeprefix("results/bench/runs/").removesuffix("/seed-0"),
                    "seconds": round(float(pd.read_table(benchmark)["s"].iloc[0]), 1),
                    "steps": int(history["iteration"]),
                    "steps/s": round(history["iteration"] / clock["seconds"], 1),
                    "evaluating, s": round(clock["wall_seconds"] - clock["seconds"], 1),
                }
            )
    table = pd.DataFrame(rows)
    target = PROJECT / "results/benchmarks/paper.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(table.to_string(index=False, na_rep=""))
    print(f"\nWritten to {target.relative_to(PROJECT)}.")


if __name__ == "__main__":
    main()
