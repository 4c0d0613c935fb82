"""Does training in bfloat16 end where training in float32 ends? On phantoms, from the same seeds.

Each seed trains twice, with the same weights to begin with, the same order and flips; only the
precision of convolutions and matrix products differs. Prints the accuracy on images that no
network was trained on, the mean difference, and its 95 % interval (Student's t over the seeds).
Written to results/benchmarks/precision.csv.
"""

import argparse
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from benchmarks.map_images import draw_phantoms, phantom_study
from benchmarks.map_measures import IMAGENET
from benchmarks.maps import COMMON
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Pixels
from workflow_scripts.cxrcam.networks.devices import set_up_torch
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner

SIDE = 97
RECIPE = {"epochs": 5, "batch_size": 16, "learning_rate": 0.002, "schedule": "one_cycle"}
PRECISIONS = ("float32", "bfloat16")


def trained(parts: tuple[Pixels, Pixels], precision: str, seed: int) -> dict[str, object]:
    """Accuracy on the test part after training in one precision."""
    set_up_torch(1, deterministic=True)
    training, test = parts
    settings = TrainSettings.from_mapping({**COMMON, **RECIPE})
    model = build_classifier(Backbone("resnet18"), 2, seed)
    learner = Learner(model, training, settings, IMAGENET, precision)
    history = train(learner, {"test": test}, np.random.default_rng(seed))
    last = [row for row in history if row["role"] == "test"][-1]
    row = {"precision": precision, "seed": seed, "n": len(test)}
    row |= {"accuracy": last["accuracy"], "loss": last["loss"], "seconds": last["seconds"]}
    print(row, flush=True)
    return row


def main() -> None:
    """Train all seeds in both precisions and print the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images-per-class", type=int, default=400, help="to train on")
    # One image is 0.1 points of accuracy; of 200, single ones would decide.
    parser.add_argument("--test-images-per-class", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--difficulty", type=float, default=0.2)
    chosen = parser.parse_args()
    counts = chosen.images_per_class, chosen.test_images_per_class
    with tempfile.TemporaryDirectory() as temporary:
        draw_phantoms(Path(temporary), chosen.difficulty, sum(counts), os.cpu_count() or 1)
        folder = Path(temporary) / f"difficulty-{chosen.difficulty:g}"
        study = phantom_study(folder, "two_class", SIDE, *counts)
    cpu = torch.device("cpu")
    training, test = (
        Pixels.on(cpu, part.pixels, part.labels) for part in (study.training, study.test)
    )
    parts = training, test
    torch.set_num_threads(1)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        jobs = [
            pool.submit(trained, parts, precision, seed)
            for seed in range(chosen.seeds)
            for precision in PRECISIONS
        ]
        table = pd.DataFrame([job.result() for job in jobs])
    target = Path("results/benchmarks/precision.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    by_seed = table.pivot(index="seed", columns="precision", values="accuracy")
    gap = 100 * (by_seed["bfloat16"] - by_seed["float32"])
    error = stats.sem(gap) * stats.t.ppf(0.975, len(gap) - 1)
    print(by_seed.round(4).to_string())
    low, high = gap.mean() - error, gap.mean() + error
    print(
        f"bfloat16 minus float32: {gap.mean():+.2f} points ({low:+.2f} to {high:+.2f}), mean of "
        f"{len(gap)} seeds (single seeds {gap.min():+.1f} to {gap.max():+.1f}); "
        f"{table['n'].iloc[0]} test images. Written to {target}"
    )


if __name__ == "__main__":
    main()
