"""Does the audit find what was planted, and leave clean data alone? `make benchmark-audit`.

Small sets of phantoms with one thing planted (`PLANTED`), and clean ones, each with several seeds.
Clean sets, and those that only a network shows, go through the whole workflow, with a network that
is trained, judged and explained; others go as far as the checks that see images and tables only,
unless `--whole` trains on them, too.

A planted thing is found when a check of `PLANTED` fails. Alarms are all other checks that failed
and put the number in doubt (`verdict.page.alarms`). What is planted in the images may rightly
raise several; on clean sets every alarm is false. Wrong labels have no check of their own: the list
`audit/suspect_labels.csv` counts as right where at least half (`LEAST_PRECISION`) of its first
rows, as many as labels are wrong, are of wrong ones.

Prints a table with intervals (Wilson) and writes results/benchmarks/planted_truth.csv, a row a set.
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

from benchmarks.planted_sets import CLEAN, MANIFEST, write_set
from benchmarks.workflow import copy_project
from workflow_scripts.cxrcam.audit.suspect_labels import suspect_labels
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.verdict.answer import alarms
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import FAILED, Check
from workflow_scripts.cxrcam.verdict.checks import all_checks
from workflow_scripts.cxrcam.verdict.checks.labels_of_copies import labelled_pairs

SUSPECT_LABELS = "suspect labels"
"""What a list of labels that finds the wrong ones is called here."""

LEAST_PRECISION = 0.5

PLANTED = {
    # A text mark of its own for each class leaves its trace where a classifier without lungs looks.
    "marker": ("the data give it away",),
    "exposure": ("the data give it away",),
    # Changes neither greys nor anatomy, only how much fine detail is left.
    "resampling": ("acquisition: spectrum",),
    # COVID is seen from the front (AP), Normal from behind (PA); the column tells it.
    "view": ("class by column: view",),
    # COVID are children, with smaller bodies, Normal are adults; the column tells it.
    "age": ("class by column: age",),
    # The same, but no column tells it. Border and corners see how much of the image the body fills.
    "size": ("the data give it away",),
    # Most COVID come from one source, most Normal from another one; each has its own look.
    "source": ("class by source",),
    # 5 % of the labels are those of the other class.
    "flipped": (SUSPECT_LABELS,),
    # A tenth of the images show an effusion, too; half of these bear the label of the other class.
    "slice": ("slices", SUSPECT_LABELS),
    # Copies as JPEG, listed under the other class.
    "twins": ("labels of copies",),
}
"""Checks of which one must fail, by what is planted (`planted_sets`)."""

WITH_NETWORK = (CLEAN, "slice")
TIMES_THE_IMAGES, TEST_FRACTION = 4, 0.5
"""Of sets with a slice: groups of fewer than 20 test images are not searched for."""

SETS, CLEAN_SETS = 10, 20

# Written out, so that another recipe for the demo leaves the networks here alone: with small images
# first some of them learn nothing, and are rightly doubted.
RECIPE = {
    "batch_size": 16,
    "optimizer": "adam",
    "learning_rate": 0.002,
    "schedule": "one_cycle",
    "progressive": [],
}


def overlay(seed: int, epochs: int, test_fraction: float = 0.2) -> dict[str, object]:
    """Configuration of one set: two classes, one division, one training."""
    return {
        "dataset": "planted",
        "datasets": {"planted": {"kind": "manifest", "path": f"data/{MANIFEST}"}},
        "tasks": {"three_class": None},
        "schemes": {"random_subsample": None, "holdout": {"test_fraction": test_fraction}},
        "seeds": [seed],
        "image": {"size": 129},
        "model": {"weights": "random"},
        "train": {**RECIPE, "epochs": epochs},
        "cam": {"overlays": 0, "gallery_images": 0},
        # Maps put no number in doubt: as few as the audit takes.
        "audit": {"explanation_images": 2},
    }


def run(folder: Path, *targets: str) -> Path:
    """Make some files of the results in a folder that holds the project; the first one's path."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "bench.yaml", "--cores", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *targets], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{folder.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return folder / targets[0]


def checks_of_data(folder: Path) -> list[Check]:
    """Audit a set as far as it goes without a network."""
    made = ("acquisition.json", "suspect_images.csv")
    audit = run(folder, *(f"results/planted/audit/{name}" for name in made)).parent
    results = audit.parent
    images = pd.read_parquet(results / "index/images.parquet").set_index("image_id")
    sources, columns, acquisition = (
        json.loads((audit / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("sources", "columns", "acquisition")
    )
    tables = AuditTables(
        duplicates=labelled_pairs(pd.read_parquet(audit / "duplicates.parquet"), images),
        images=images,
        suspects=pd.read_csv(audit / "suspect_images.csv", keep_default_na=False),
        sources=sources,
        columns=columns,
        acquisition=acquisition,
        floors=pd.read_csv(audit / "floors.csv", keep_default_na=False),
    )
    return all_checks(tables)


def precision_of_labels(results: Path, wrong: set[str]) -> float:
    """Share of wrong labels among the first that are suspect, as many as labels are wrong."""
    tables = [
        pd.read_parquet(results / "audit" / f"{name}.parquet")
        for name in ("judged_labels", "duplicates")
    ]
    labels = tables[0].set_index("image_id")["label"].to_dict()
    listed = suspect_labels(*tables, labels)["image_id"].head(len(wrong))
    return len(wrong.intersection(listed)) / len(wrong)


def judge(
    folder: Path, kind: str, seed: int, images_per_class: int, epochs: int, whole: bool
) -> dict[str, object]:
    """Draw and audit one set: what was found, and by which check."""
    settings = overlay(seed, epochs)
    if kind == "slice":
        # Half of four times the images: as many steps as of the others, 0.8 of the images.
        settings = overlay(seed, max(1, round(0.4 * epochs)), TEST_FRACTION)
        images_per_class *= TIMES_THE_IMAGES
    copy_project(folder, settings)
    wrong = write_set(folder / "data", kind, seed, images_per_class)
    told: dict[str, object] = {"planted": kind, "seed": seed}
    if whole or kind in WITH_NETWORK:
        file = run(folder, "results/planted/audit/verdict.json")
        verdict = json.loads(file.read_text(encoding="utf-8"))
        checks = [Check(**check) for check in verdict["checks"]]
        told |= {"accuracy": verdict["headline"]["accuracy"], "sentence": verdict["sentence"]}
    else:
        checks = checks_of_data(folder)
    failed = [check.name for check in checks if check.status == FAILED]
    if wrong:
        precision = precision_of_labels(folder / "results/planted", wrong)
        told["precision"] = precision
        if precision >= LEAST_PRECISION:
            failed.append(SUSPECT_LABELS)
    shutil.rmtree(folder)
    expected = PLANTED.get(kind, ())
    others = [check.name for check in alarms(checks) if check.name not in expected]
    by = [name for name in expected if name in failed]
    return {**told, "found by": "; ".join(by), "alarms": "; ".join(dict.fromkeys(others))}


def report(rows: Iterable[dict]) -> pd.DataFrame:
    """Print the table as it grows, and return it in order."""
    table = []
    for row in rows:
        table.append(row)
        words = [f"{row['planted']:<11} seed {row['seed']:<3}"]
        words += [f"found by: {row['found by'] or 'NONE'}"] * (row["planted"] != CLEAN)
        words += [f"{name} {row[name]:.3f}" for name in ("precision", "accuracy") if name in row]
        print("; ".join([*words, f"alarms: {row['alarms'] or 'none'}"]), flush=True)
    return pd.DataFrame(table)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """How often each thing was found by the right check, by another one only, or not at all."""
    rows = {}
    for kind, sets in table.groupby("planted", sort=False):
        n, is_found, is_alarmed = len(sets), sets["found by"] != "", sets["alarms"] != ""
        counts = {"any alarm" if kind == CLEAN else "other alarms": is_alarmed}
        if kind != CLEAN:
            missed = {"by another only": ~is_found & is_alarmed, "missed": ~is_found & ~is_alarmed}
            counts = {"right check": is_found, **missed, **counts}
        rows[kind] = {"sets": n, **{name: in_words(int(k.sum()), n) for name, k in counts.items()}}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def in_words(k: int, n: int) -> str:
    """A count with the interval of its share: "10 (0.72-1.00)"."""
    low, high = wilson_interval(k, n)
    return f"{k} ({low:.2f}-{high:.2f})"


def finish(table: pd.DataFrame, name: str) -> None:
    """Print the counts of all sets, and write the sets themselves."""
    print("\n" + summary(table).to_string())
    target = Path(f"results/benchmarks/{name}.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(f"Written to {target}")


def main() -> None:
    """Run all sets, as many at a time as there are cores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", type=int, help=f"sets of each kind (default: {SETS}; clean {CLEAN_SETS})"
    )
    parser.add_argument("--images-per-class", type=int, default=150)
    parser.add_argument("--epochs", type=int, default=20, help="300 steps, as of the demo")
    parser.add_argument("--whole", action="store_true", help="train on planted sets, too")
    kinds = [CLEAN, *PLANTED]
    parser.add_argument("--planted", nargs="+", default=kinds, choices=kinds)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="sets at a time")
    chosen = parser.parse_args()
    sets = [
        (kind, seed)
        for kind in chosen.planted
        for seed in range(chosen.seeds or (CLEAN_SETS if kind == CLEAN else SETS))
    ]
    settings = (chosen.images_per_class, chosen.epochs, chosen.whole)
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(chosen.cores) as pool:
        folders = [Path(temporary) / f"{kind}-{seed}" for kind, seed in sets]
        rows = pool.map(lambda folder, one: judge(folder, *one, *settings), folders, sets)
        try:
            table = report(rows)
        finally:  # a fault is told at once, not after all other sets
            pool.shutdown(cancel_futures=True)
    finish(table, "planted_truth")


if __name__ == "__main__":
    main()
