"""Whether the audit names the one finding that is told by a shortcut, and leaves the others alone.

Phantoms with three findings, each drawn independently of the others: ground glass (COVID), an
interstitial pattern (Viral Pneumonia), fluid (Effusion). In planted sets a marker follows COVID and
nothing else. Each set goes through the whole workflow. Right: of a planted set COVID is doubted and
no other finding is; of a clean set none is. Prints a table and writes it to
results/benchmarks/planted_findings.csv.
"""

import argparse
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import pandas as pd

from benchmarks.planted_truth import RECIPE, run
from benchmarks.workflow import copy_project
from workflow_scripts.cxrcam.verdict.check import ALARMS

FINDINGS = ("COVID", "Viral Pneumonia", "Effusion")
CLEAN, PLANTED = "clean", "marker on COVID"


def overlay(
    trait: str, seed: int, images: int, epochs: int, size: int, weights: str
) -> dict[str, object]:
    """Configuration of one set: `images` of each combination of findings, one training."""
    several = [*combinations(FINDINGS, 1), *combinations(FINDINGS, 2), FINDINGS]
    combined = ["Normal", *map("|".join, several)]
    random_start = {**RECIPE, "epochs": epochs}
    return {
        "dataset": "planted",
        "datasets": {
            "planted": {
                "kind": "phantom",
                "images_per_class": dict.fromkeys(combined, images),
                "seed": seed,
                "difficulty": 0.2,
                "confounders": [] if trait == CLEAN else ["covid_marker"],
            }
        },
        "tasks": {
            "two_class": None,
            "three_class": None,
            "chest": {"findings": {"labels": list(FINDINGS)}},
        },
        "schemes": {"random_subsample": None, "holdout": {"test_fraction": 0.3}},
        "seeds": [seed],
        "image": {"size": size},
        "model": {"weights": weights},
        "train": random_start if weights == "random" else {},
        "cam": {"overlays": 0, "gallery_images": 0},
        "audit": {"explanation_images": 2},
    }


def judge(folder: Path, trait: str, seed: int, options: argparse.Namespace) -> list[dict]:
    """Audit one set: a row a finding."""
    settings = (options.images, options.epochs, options.size, options.weights)
    copy_project(folder, overlay(trait, seed, *settings))
    verdict = json.loads(run(folder, "results/planted/audit/verdict.json").read_text("utf-8"))
    table = pd.read_csv(folder / "results/planted/tables/findings.csv")
    shutil.rmtree(folder)
    rows = []
    for found in verdict["findings"][:-1]:
        name = found["finding"]
        own = {task for task, label in verdict["headline"]["findings"].items() if label == name}
        doubts = [
            check["name"]
            for check in verdict["checks"]
            if check["status"] == "failed"
            and check["about"] in ALARMS
            and check["subject"].split(",")[0] in own
        ]
        is_planted = trait == PLANTED and name == "COVID"
        floors = table[table["finding"] == name].set_index("classifier")["auroc"]
        rows.append(
            {
                "planted": trait,
                "seed": seed,
                "finding": name,
                "network": found["auroc"],
                **{floor: floors.get(floor) for floor in ("border", "corners", "histogram")},
                "centre_black": floors.get("centre_black"),
                "right": bool(doubts) == is_planted,
                "doubts": "; ".join(doubts),
            }
        )
    return rows


def main() -> None:
    """Run all sets, as many at a time as there are cores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images", type=int, default=40, help="of each combination of findings")
    parser.add_argument("--epochs", type=int, default=12, help="from random weights")
    parser.add_argument("--size", type=int, default=129, help="pixels a side")
    parser.add_argument("--weights", default="random", help="model.weights: a file, or random")
    options = parser.parse_args()
    sets = [(trait, seed) for seed in range(options.seeds) for trait in (CLEAN, PLANTED)]
    table = []
    with (
        tempfile.TemporaryDirectory() as temporary,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        folders = [Path(temporary) / f"{trait.split()[0]}-{seed}" for trait, seed in sets]
        for rows in pool.map(lambda f, one: judge(f, *one, options), folders, sets):
            table += rows
            print(pd.DataFrame(rows).round(3).to_string(header=len(table) == len(rows)), flush=True)
    frame = pd.DataFrame(table)
    print(
        "\nRight:\n"
        + frame.groupby(["planted", "finding"])["right"].agg(["sum", "count"]).to_string()
    )
    target = Path("results/benchmarks/planted_findings.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(target, index=False)
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
