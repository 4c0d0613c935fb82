"""Does the audit say which network took a mark for the class? `python -m benchmarks.planted_probe`.

Phantoms with a mark in a corner, and a table that tells which have it (`marker`) and how they were
taken (`view`). In planted sets the mark is four times as common in one class, and findings are
faint, so that a network does best to follow it; in clean ones it is as common in both, and findings
are plain. Networks are trained; the check "trait as a shortcut" must fail for the mark of planted
sets, and for no trait of clean ones. Prints a table and writes it to
results/benchmarks/planted_probe.csv.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.planted_truth import RECIPE, finish, report, run
from benchmarks.workflow import copy_project
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.imaging import stamp
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings
from workflow_scripts.cxrcam.seeds import generator
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import FAILED
from workflow_scripts.cxrcam.verdict.checks import shortcuts
from workflow_scripts.cxrcam.verdict.read_tables import read_probes

CLEAN, PLANTED = "clean", "marker"
# Share of images of each class with the mark, and how faint findings are.
SHARES = {CLEAN: (0.5, 0.5), PLANTED: (0.2, 0.8)}
DIFFICULTY = {CLEAN: 0.2, PLANTED: 0.95}
CLASSES = ("Normal", "COVID")
SIZE = 129


def write_images(folder: Path, planted: str, seed: int, images_per_class: int) -> Path:
    """Draw phantoms with and without a mark; returns the manifest that tells of both."""
    folder.mkdir(parents=True)
    settings = PhantomSettings(size=SIZE, difficulty=DIFFICULTY[planted])
    rows = []
    for label, share in zip(CLASSES, SHARES[planted], strict=True):
        for number in range(images_per_class):
            phantom = draw_phantom(label, phantom_rng(seed, label, number), settings)
            random = generator(seed, "mark", label, number)
            image, marked = phantom.image, random.random() < share
            if marked:
                grey = stamp(image.astype(np.float32) / 255, "AP", "top-left", random)
                image = (grey * 255 + 0.5).astype(np.uint8)
            name = f"{label}-{number}.png"
            Image.fromarray(image).save(folder / name)
            marker = "AP" if marked else "none seen"
            rows.append((name, label, marker, phantom.traits["view"]))
    table = pd.DataFrame(rows, columns=["path", "label", "marker", "view"])
    table.to_csv(folder / "list.csv", index=False)
    return folder / "list.csv"


def overlay(seed: int, epochs: int) -> dict[str, object]:
    """Configuration of one set: two classes, one division, one training."""
    return {
        "dataset": "planted",
        "datasets": {"planted": {"kind": "manifest", "path": "data/planted/list.csv"}},
        "tasks": {"two_class": {"classes": list(CLASSES)}, "three_class": None},
        "schemes": {"holdout": {"test_fraction": 0.4}, "random_subsample": None},
        "seeds": [seed],
        "image": {"size": SIZE},
        "model": {"weights": "random"},
        "train": {**RECIPE, "epochs": epochs},
    }


def judge(folder: Path, planted: str, seed: int, images_per_class: int, epochs: int) -> dict:
    """Train and probe the network of one set."""
    copy_project(folder, overlay(seed, epochs))
    write_images(folder / "data" / "planted", planted, seed, images_per_class)
    name = f"two_class/holdout/fold-1/seed-{seed}"
    file = run(folder, f"results/planted/audit/{name}/probes.csv")
    predictions = pd.read_parquet(folder / f"results/planted/runs/{name}/predictions.parquet")
    test = predictions[predictions["role"] == "test"]
    called = test["logit_COVID"] > test["logit_Normal"]
    accuracy = float((called == (test["label"] == "COVID")).mean())
    checks = shortcuts.judge(AuditTables(probes=read_probes([str(file)])))
    shutil.rmtree(folder)
    failed = [check.name for check in checks if check.status == FAILED]
    expected = set() if planted == CLEAN else {f"{shortcuts.KIND.name}: marker"}
    found = "; ".join(f"{check.name}: {check.status}, {check.finding}" for check in checks)
    return {
        **{"planted": planted, "seed": seed, "accuracy": accuracy, "checks": found},
        "found by": "; ".join(name for name in failed if name in expected),
        "alarms": "; ".join(name for name in failed if name not in expected),
    }


def main() -> None:
    """Judge all sets, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images-per-class", type=int, default=250)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--planted", nargs="+", default=list(SHARES), choices=list(SHARES))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        table = report(
            judge(
                *(Path(temporary) / f"{planted}-{seed}", planted, seed),
                *(chosen.images_per_class, chosen.epochs),
            )
            for planted in chosen.planted
            for seed in range(chosen.seeds)
        )
    finish(table, "planted_probe")


if __name__ == "__main__":
    main()
