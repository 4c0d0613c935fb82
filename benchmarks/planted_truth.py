"""Does the audit find what was planted, and leave clean data alone? `make benchmark-audit`.

Phantoms whose classes differ in a planted trait (a marker in the corner, the exposure, the
resampling), each trait alone, and clean ones, each with several seeds. A clean set goes through the
whole workflow, with a network that is trained, judged and explained, as any check could raise a
false alarm: one that fails and puts the number in doubt (`verdict.page.alarms`). A planted trait is
found when the check of `EXPECTED` fails; those checks see the images only, so that no network is
trained, unless `--whole` asks for it. Prints a table and writes it to
results/benchmarks/planted_truth.csv.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from benchmarks.workflow import copy_project
from workflow_scripts.cxrcam.verdict.answer import alarms
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check
from workflow_scripts.cxrcam.verdict.checks import acquisition, given_away

CLEAN = "clean"
# The trait leaves its trace where a classifier without lungs finds it; resampling changes neither
# greys nor anatomy, only how much fine detail is left.
EXPECTED = {
    "marker": ("the data give it away",),
    "exposure": ("the data give it away",),
    "resampling": ("acquisition: spectrum",),
}


# Written out, so that another recipe for the demo leaves the networks here alone: with small images
# first some of them learn nothing, and are rightly doubted.
RECIPE = {
    "batch_size": 16,
    "optimizer": "adam",
    "learning_rate": 0.002,
    "schedule": "one_cycle",
    "progressive": [],
}


def overlay(trait: str, seed: int, images_per_class: int, epochs: int) -> dict[str, object]:
    """Configuration of one set: two classes, one division, one training."""
    return {
        "dataset": "planted",
        "datasets": {
            "planted": {
                "kind": "phantom",
                "images_per_class": dict.fromkeys(("Normal", "COVID"), images_per_class),
                "seed": seed,
                "difficulty": 0.2,
                "confounders": [] if trait == CLEAN else [trait],
            }
        },
        "tasks": {"three_class": None},
        "schemes": {"random_subsample": None},
        "seeds": [seed],
        "image": {"size": 129},
        "model": {"weights": "random"},
        "train": {**RECIPE, "epochs": epochs},
        "cam": {"overlays": 0, "gallery_images": 0},
        # Maps put no number in doubt: as few as the audit takes.
        "audit": {"explanation_images": 2},
    }


def run(folder: Path, target: str) -> Path:
    """Make one file of the results in a folder that holds the project."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "bench.yaml", "--cores", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, target], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{folder.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return folder / target


def judge(
    folder: Path, trait: str, seed: int, images_per_class: int, epochs: int, whole: bool
) -> dict:
    """Audit one set; the whole workflow runs for clean ones, and where `whole` says so."""
    copy_project(folder, overlay(trait, seed, images_per_class, epochs))
    told: dict[str, object] = {"planted": trait, "seed": seed}
    if whole or trait == CLEAN:
        file = run(folder, "results/planted/audit/verdict.json")
        verdict = json.loads(file.read_text(encoding="utf-8"))
        checks = [Check(**check) for check in verdict["checks"]]
        told |= {"accuracy": verdict["headline"]["accuracy"], "sentence": verdict["sentence"]}
    else:
        audit = run(folder, "results/planted/audit/acquisition.json").parent
        floors = pd.read_csv(audit / "floors.csv", keep_default_na=False)
        traces = json.loads((audit / "acquisition.json").read_text(encoding="utf-8"))
        tables = AuditTables(floors=floors, acquisition={"two_class": traces["two_class"]})
        checks = [*given_away.judge(tables), *acquisition.judge(tables)]
    shutil.rmtree(folder)
    failed = [check.name for check in alarms(checks)]
    right = not failed if trait == CLEAN else bool({*EXPECTED[trait]} & {*failed})
    return {**told, "right": right, "alarms": "; ".join(failed)}


def report(rows: Iterable[dict]) -> pd.DataFrame:
    """Print the table as it grows, and return it in order."""
    table = []
    for row in rows:
        table.append(row)
        told = {True: "right", False: "WRONG"}[row["right"]]
        network = f"network {row['accuracy']:.3f}" if "accuracy" in row else "no network"
        print(
            f"{row['planted']:<11} seed {row['seed']:<3} {told}  "
            f"{network:<13}  alarms: {row['alarms'] or 'none'}",
            flush=True,
        )
    return pd.DataFrame(table)


def main() -> None:
    """Run all sets, as many at a time as there are cores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images-per-class", type=int, default=150)
    parser.add_argument("--epochs", type=int, default=20, help="300 steps, as of the demo")
    parser.add_argument("--whole", action="store_true", help="train on planted sets, too")
    parser.add_argument("--planted", nargs="+", default=[CLEAN, *EXPECTED])
    chosen = parser.parse_args()
    sets = [(trait, seed) for trait in chosen.planted for seed in range(chosen.seeds)]
    with (
        tempfile.TemporaryDirectory() as temporary,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        table = report(
            pool.map(
                lambda one: judge(
                    Path(temporary) / f"{one[0]}-{one[1]}",
                    *one,
                    chosen.images_per_class,
                    chosen.epochs,
                    chosen.whole,
                ),
                sets,
            )
        )
    counted = table.groupby("planted", sort=False)["right"].agg(["sum", "count"])
    print("\nRight verdicts:\n" + counted.to_string())
    target = Path("results/benchmarks/planted_truth.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
