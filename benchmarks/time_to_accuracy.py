"""How soon a recipe reaches an accuracy: the paper's, and `presets/fast.yaml`, step by step.

Every recipe gets the same training and test images and random weights from the same seeds. Counted
are the processor's seconds of training, on one thread, up to the first evaluation of the test
images at the target; evaluations are not counted. A recipe is given up after `--limit` times what
the fast one needed on the same seed: then "not reached", and the factor is a lower bound. Written
to results/benchmarks/time_to_accuracy.csv.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from workflow_scripts.cxrcam.data.decoding import decode_images
from workflow_scripts.cxrcam.networks.devices import choose_device, choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.parts import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training import train
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLASSES = ("Normal", "COVID")
COMMON = {
    **{"optimizer": "adam", "momentum": 0.9, "weight_decay": 0.0, "horizontal_flip": 0.5},
    **{"watch": ["test"], "keep": "last", "patience": 0},
}
PAPER = {"epochs": 20, "batch_size": 6, "learning_rate": 1e-5, "schedule": "constant"}
RATE = {"epochs": 4, "batch_size": 16, "learning_rate": 0.001, "schedule": "one_cycle"}
EVALUATED_IMAGES = 160  # between two looks at the test images
# From the fast recipe backwards to the paper's: what does each step buy?
RECIPES: dict[str, tuple[int, dict[str, Any]]] = {
    "fast": (97, {**RATE, "progressive": [0.67, 1.0]}),
    "without small images first": (97, RATE),
    "at 224 px": (224, RATE),
    "paper": (224, PAPER),
}


class Enough(Exception):
    """The target is reached, or the limit of time."""


def time_to_target(
    parts: Mapping[int, tuple[Pixels, Pixels]],
    recipe: str,
    seed: int,
    target: float,
    limit: float,
) -> dict[str, Any]:
    """Seconds of training to the target with one recipe and seed; NaN if not reached."""
    set_up_torch(1, deterministic=True)
    side, changes = RECIPES[recipe]
    training, test = parts[side]
    every = max(1, EVALUATED_IMAGES // changes["batch_size"])
    settings = TrainSettings.from_mapping({**COMMON, **changes, "evaluate_every": every})
    last: dict[str, Any] = {}

    def judge(records: Sequence[Mapping[str, Any]]) -> None:
        last.update(records[-1])
        print(f"{recipe}, seed {seed}: {last['seconds']:.0f} s, {last['accuracy']:.3f}", flush=True)
        if last["accuracy"] >= target or last["seconds"] > limit:
            raise Enough

    try:
        device = choose_device("cpu", None)
        # On one thread, seconds of the processor are those of a machine that does nothing else.
        with patch("time.perf_counter", time.process_time):
            train(
                build_classifier("resnet18", 2, seed),
                *(training, {"test": test}, settings, IMAGENET),
                *(choose_precision("auto", device), np.random.default_rng(seed)),
                on_record=judge,
            )
    except Enough:
        pass
    reached = last["accuracy"] >= target
    return {
        **{"recipe": recipe, "seed": seed, "reached": reached, "accuracy": last["accuracy"]},
        **{"seconds": last["seconds"], "iterations": last["iteration"]},
    }


def load(
    root: Path, per_class: int, sides: Sequence[int], test_share: float = 0.2
) -> dict[int, tuple[Pixels, Pixels]]:
    """Training and test part at each size, from a folder of class folders."""
    files, labels, test = [], [], []
    for label, name in enumerate(CLASSES):
        of_class = sorted((root / name / "images").glob("*.png"))
        chosen = np.random.default_rng(label).permutation(len(of_class))[:per_class]
        files += [(of_class[k].stem, of_class[k]) for k in chosen]
        labels += [label] * len(chosen)
        test += [position < round(test_share * len(chosen)) for position in range(len(chosen))]
    truth, held_out = np.array(labels), np.array(test)
    parts = {}
    for side in sides:
        _, _, pixels = decode_images(files, side, "bilinear", 10**8, 2)
        parts[side] = tuple(
            Pixels.on(torch.device("cpu"), pixels[where].copy(), truth[where])
            for where in (~held_out, held_out)
        )
    return parts


def main() -> None:
    """Measure all recipes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder of class folders; default: phantoms")
    parser.add_argument("--images-per-class", type=int, default=500)
    parser.add_argument("--target", type=float, default=0.85)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--limit", type=float, default=15.0, help="times the fast recipe")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = chosen.root
        if root is None:
            root = Path(temporary)
            counts = dict.fromkeys(CLASSES, chosen.images_per_class)
            write_phantom_dataset(root, counts, 0, PhantomSettings(difficulty=0.2), 2)
        sides = sorted({RECIPES[recipe][0] for recipe in chosen.recipes})
        parts = load(root, chosen.images_per_class, sides)
    rows: list[dict[str, Any]] = []
    limits: dict[int, float] = {}
    # One thread each, as the workflow trains: a run on each core.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for recipe in chosen.recipes:
            jobs = [
                pool.submit(
                    *(time_to_target, parts, recipe, seed, chosen.target),
                    chosen.limit * limits.get(seed, 1e9),
                )
                for seed in chosen.seeds
            ]
            for job in jobs:
                row = job.result()
                limits.setdefault(row["seed"], row["seconds"])
                row["times the fast recipe"] = row["seconds"] / limits[row["seed"]]
                rows.append(row)
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    table = pd.DataFrame(rows)
    summary = table.groupby("recipe", sort=False).agg(
        reached=("reached", "sum"),
        seconds=("seconds", "mean"),
        factor=("times the fast recipe", "mean"),
    )
    print(f"\nTarget accuracy {chosen.target}; factors of recipes that did not reach it are bounds")
    print(summary.round(1).to_string())
    target = Path("results/benchmarks/time_to_accuracy.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
