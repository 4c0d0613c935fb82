"""How soon the default recipe reaches an accuracy, beside the paper's.

`python -m benchmarks.time_to_accuracy --root FOLDER --weights FILE` lets the workflow index, cache
and divide a folder of class folders (three classes, grouped, three seeds of the division), then
trains with each recipe on all cores and notes after how many seconds of training the test images
are first recognised at each target. Evaluations are not counted, nor is the start of Python.
Without `--root` phantoms are used, without `--weights` random weights. Nothing else should run.
Written to results/benchmarks/time_to_accuracy.csv.
"""

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from benchmarks.speed import IMAGENET
from benchmarks.workflow import PROJECT, copy_project, snakemake
from workflow_scripts.cxrcam.configuration.recipes import PRETRAINED, RANDOM, with_recipe
from workflow_scripts.cxrcam.data.cache import read_pixels
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Pixels
from workflow_scripts.cxrcam.networks.devices import choose_device, choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.models import build_classifier, load_pretrained
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner
from workflow_scripts.cxrcam.networks.weights.initial_weights import RANDOM_START, Start, read_start

CLASSES = ("Normal", "COVID", "Viral Pneumonia")
SIDE = 224
EVALUATED_IMAGES = 160  # between two looks at the test images
COMMON = {
    **{"optimizer": "adam", "momentum": 0.9, "weight_decay": 0.0, "horizontal_flip": 0.5},
    **{"watch": ["test"], "keep": "last", "patience": 0},
}
PAPER = {"epochs": 20, "batch_size": 6, "learning_rate": 1e-5, "schedule": "constant"}
AUTO = {
    **dict.fromkeys(("epochs", "batch_size", "learning_rate", "progressive"), "auto"),
    "schedule": "one_cycle",
}
AUTO_MODEL = {
    "architecture": "resnet18",
    **dict.fromkeys(("last_stage", "map_stride", "input_size"), "auto"),
}


class Enough(Exception):
    """The highest target is reached, or the limit of time."""


@dataclass(frozen=True)
class Study:
    """Training and test images of one division."""

    training: Pixels
    test: Pixels


def studies(root: str | None, seeds: Sequence[int], folder: Path) -> dict[int, Study]:
    """Divisions of a data set, one a seed, made by the workflow."""
    data: dict[str, Any] = {"kind": "phantom", "images_per_class": dict.fromkeys(CLASSES, 200)}
    if root:
        data = {"kind": "class_folders", "root": str(Path(root).resolve())}
    schemes = {
        f"seed_{seed}": {"kind": "holdout", "test_fraction": 0.2, "grouped": True, "seed": seed}
        for seed in seeds
    }
    overlay = {
        **{"dataset": "bench", "datasets": {"bench": data}, "image": {"size": SIDE}},
        "tasks": {"two_class": None, "three_class": {"classes": list(CLASSES)}},
        "schemes": {"holdout": None, "random_subsample": None, **schemes},
    }
    copy_project(folder, overlay)
    base = folder / "results/bench"
    files = {seed: base / f"splits/three_class/seed_{seed}/fold-1.parquet" for seed in seeds}
    targets = [str(file.relative_to(folder)) for file in files.values()]
    snakemake(folder, "--cores", str(os.cpu_count() or 1), "--", *targets, memory=False)
    shards = sorted((base / "cache").glob("shard-*.parquet"))
    return {seed: read_study(file, shards) for seed, file in files.items()}


def read_study(file: Path, shards: Sequence[Path]) -> Study:
    """Images of one division."""
    split = pd.read_parquet(file)
    parts = {}
    for role in ("train", "test"):
        rows = split[split["role"] == role]
        labels = np.array([CLASSES.index(name) for name in rows["label"]])
        pixels = read_pixels(list(shards), rows["image_id"].tolist(), SIDE)
        parts[role] = Pixels.on(torch.device("cpu"), pixels, labels)
    return Study(parts["train"], parts["test"])


def settings_of(
    recipe: str, start: Start, n_images: int
) -> tuple[Backbone, int | None, dict[str, Any]]:
    """Network, input size and training settings of a recipe; `default:1` has one epoch."""
    if recipe == "paper":
        return Backbone("resnet18"), None, PAPER
    epochs = int(recipe.partition(":")[2] or 0) or "auto"
    recipes = yaml.safe_load((PROJECT / "config.yaml").read_text(encoding="utf-8"))["recipes"]
    of_start = recipes[RANDOM if start.tensors is None else PRETRAINED]
    model, settings = with_recipe(AUTO_MODEL, AUTO | {"epochs": epochs}, of_start, n_images)
    backbone = Backbone(model["architecture"], model["last_stage"], model["map_stride"])
    return backbone, model["input_size"], settings


def seconds_to_targets(
    study: Study, recipe: str, start: Start, seed: int, targets: Sequence[float], limit: float
) -> list[dict[str, Any]]:
    """One row a target: seconds of training until it is reached; NaN if it is not."""
    backbone, input_size, chosen = settings_of(recipe, start, len(study.training))
    every = max(1, EVALUATED_IMAGES // chosen["batch_size"])
    settings = TrainSettings.from_mapping({**COMMON, **chosen, "evaluate_every": every})
    reached: dict[float, float] = {}
    last: dict[str, Any] = {}

    def judge(records: Sequence[Mapping[str, Any]]) -> None:
        last.update(next(r for r in records if r["role"] == "test"))
        for target in targets:
            if last["accuracy"] >= target:
                reached.setdefault(target, last["seconds"])
        if len(reached) == len(targets) or last["seconds"] > limit:
            raise Enough

    model = build_classifier(backbone, len(CLASSES), seed)
    if start.tensors is not None:
        load_pretrained(model, backbone, start.tensors)
    try:
        precision = choose_precision("auto", choose_device("cpu", None))
        learner = Learner(model, study.training, settings, IMAGENET, precision, input_size)
        train(learner, {"test": study.test}, np.random.default_rng(seed), on_record=judge)
    except Enough:
        pass
    return [
        {
            **{"recipe": recipe, "seed": seed, "target": target},
            "seconds": reached.get(target, float("nan")),
            **{"last_accuracy": last["accuracy"], "last_seconds": last["seconds"]},
            **{"n_test": len(study.test), "network": str(backbone)},
        }
        for target in targets
    ]


def main() -> None:
    """Measure both recipes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="folder of class folders; default: phantoms")
    parser.add_argument("--weights", type=Path, help="a state dict of ResNet18; default: random")
    parser.add_argument("--targets", type=float, nargs="+", default=[0.95, 0.97])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--limit", type=float, default=300.0, help="seconds of one training")
    parser.add_argument("--recipes", nargs="+", default=["default:1", "default", "paper"])
    chosen = parser.parse_args()
    start = read_start(chosen.weights, "resnet18") if chosen.weights else RANDOM_START
    set_up_torch(os.cpu_count() or 1, deterministic=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for seed, study in studies(chosen.root, chosen.seeds, Path(temporary) / "copy").items():
            for recipe in chosen.recipes:
                rows += seconds_to_targets(study, recipe, start, seed, chosen.targets, chosen.limit)
                print(
                    pd.DataFrame(rows[-len(chosen.targets) :]).to_string(header=False), flush=True
                )
    table = pd.DataFrame(rows)
    # A target that was not reached counts as later than any that was.
    late = table.assign(seconds=table["seconds"].fillna(float("inf")))
    print(f"\nMedian seconds of {len(chosen.seeds)} seeds, from {start.origin}")
    print(late.pivot_table(index="recipe", columns="target", values="seconds", aggfunc="median"))
    target = Path("results/benchmarks/time_to_accuracy.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
