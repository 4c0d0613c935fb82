"""Whether the numbers can be believed: one line a check, one sentence, and the CLAIM checklist."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.claim_checklist import claim_checklist_markdown
from workflow_scripts.cxrcam.files import atomic_path, write_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.similarity import (
    COMPARISON_SIDE,
    compare_maps,
    random_pair_floor,
)
from workflow_scripts.cxrcam.map_tests.summaries import mean_interval
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.seeds import generator, seed_sequence
from workflow_scripts.cxrcam.starting_weights import (
    planned_starts,
    start_of_model,
    starts_in_words,
)
from workflow_scripts.cxrcam.terms import TEST
from workflow_scripts.cxrcam.verdict.check import Headline
from workflow_scripts.cxrcam.verdict.checks import AuditTables, all_checks
from workflow_scripts.cxrcam.verdict.page import one_sentence, verdict_json, verdict_markdown

MOST_IMAGES = 200  # of a fold: more would tell no more of repeatability

Run = tuple[str, str, int, int]
Json = dict[str, Any]


def read_json(file: str) -> Json:
    """Content of a JSON file."""
    content: Json = json.loads(Path(file).read_text(encoding="utf-8"))
    return content


def repeatability(
    files: dict[Run, tuple[str, str]], task: str, scheme: str, classes: list[str]
) -> Json:
    """Similarity of the maps of the first fold's test images over the first two seeds."""
    of_fold = sorted(run for run in files if run[:3] == (task, scheme, 1))
    if len(of_fold) < 2:
        return {"reason": "one seed only: set several `seeds`"}
    predictions = pd.read_parquet(files[of_fold[0]][1])
    test = predictions[predictions["role"] == TEST].sort_values("image_id").head(MOST_IMAGES)
    called = test[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)
    first, second = (
        read_evidence_maps(Path(files[run][0]), test["image_id"].tolist(), classes).placed(
            called, COMPARISON_SIDE
        )
        for run in of_fold[:2]
    )
    seed = seed_sequence(0, "repeatability", task, scheme)
    floor = random_pair_floor(first, generator(0, "random pairs", task, scheme))
    return {
        "spearman": asdict(mean_interval(compare_maps(first, second).spearman, seed=seed)),
        "floor": asdict(mean_interval(floor.spearman, seed=seed)),
    }


def calibration_rows(metrics: pd.DataFrame) -> pd.DataFrame:
    """Expected calibration error of each run before and after the temperature."""
    table = metrics[["task", "scheme", "fold", "seed", "n", "accuracy"]].copy()
    table["ece_before"] = metrics["expected_calibration_error"]
    table["ece_after"] = metrics["expected_calibration_error_calibrated"]
    validation = metrics.get("n_validation_images", pd.Series(np.nan, index=metrics.index))
    table["reason"] = np.where(validation.fillna(0) > 0, "", "no validation part to fit on")
    table.loc[table["reason"] != "", "ece_after"] = np.nan
    return table


def retrained_rows(metrics: pd.DataFrame, covered: dict[str, dict[str, str]]) -> pd.DataFrame:
    """Accuracy of networks trained on covered images, under the design of the same images whole."""
    shared = ["task", "scheme", "fold", "seed"]
    parts = []
    for scheme, settings in covered.items():
        rows = metrics[metrics["scheme"] == scheme].assign(scheme=settings["of"])
        whole = metrics.set_index(shared)["accuracy"].rename("original_accuracy")
        rows = rows[[*shared, "n", "accuracy", "majority_share"]].join(whole, on=shared)
        parts.append(rows.assign(variant=settings["input"], retrained=True, reason=""))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def headline_of(metrics: pd.DataFrame, design: dict[str, str], classes: list[str]) -> Headline:
    """The number that is judged."""
    rows = metrics[(metrics["task"] == design["task"]) & (metrics["scheme"] == design["scheme"])]
    share = pooled(rows)
    recognised = classes[1] if len(classes) == 2 else f"the {len(classes)} classes"
    return Headline(
        design["task"], design["scheme"], recognised, share.value, share.low, share.high, share.n
    )


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    keys, explained = (
        [(run["task"], run["scheme"], int(run["fold"]), int(run["seed"])) for run in listed]
        for listed in (params.runs, params.explained_runs)
    )
    columns = ("task", "scheme", "fold", "seed")
    metrics = pd.read_csv(given.metrics)
    images = pd.read_parquet(given.images, columns=["image_id", "label"]).set_index("image_id")
    pairs = pd.read_parquet(given.duplicates)
    pairs = pairs.assign(
        label_a=images["label"].reindex(pairs["image_id_a"]).to_numpy(),
        label_b=images["label"].reindex(pairs["image_id_b"]).to_numpy(),
    )
    masked = pd.concat(
        [
            pd.read_csv(file).assign(**dict(zip(columns, key, strict=True)))
            for key, file in zip(keys, given.masked, strict=True)
        ],
        ignore_index=True,
    )
    masked["reason"] = masked["reason"].fillna("")
    masked = pd.concat(
        [masked.assign(retrained=False), retrained_rows(metrics, params.covered)], ignore_index=True
    )
    calibration = calibration_rows(metrics)
    files = {
        key: (maps, predictions)
        for key, maps, predictions in zip(keys, given.raw_maps, given.predictions, strict=True)
    }
    repeated = {
        (task, scheme): repeatability(files, task, scheme, params.classes[task])
        for task, scheme in dict.fromkeys(key[:2] for key in keys)
    }
    checks = all_checks(
        AuditTables(
            duplicates=pairs,
            n_images=len(images),
            leaks=pd.read_csv(given.leaks),
            sources=read_json(given.sources),
            acquisition=read_json(given.acquisition),
            # Cross-validated over all images: the scheme is empty, not missing.
            floors=pd.read_csv(given.floors, keep_default_na=False, na_values={"accuracy": [""]}),
            runs=metrics.rename(
                columns={"best_floor": "floor_name", "best_floor_accuracy": "floor_accuracy"}
            ),
            masked_inputs=masked,
            maps={k: read_json(f) for k, f in zip(keys, given.maps, strict=True)},
            map_tests={k: read_json(f) for k, f in zip(explained, given.map_tests, strict=True)},
            repeatability=repeated,
            calibration=calibration,
            expected=pd.read_csv(given.expected) if given.get("expected") else None,
            external=pd.read_csv(given.external) if given.get("external") else None,
        )
    )
    headline = headline_of(metrics, params.headline, params.classes[params.headline["task"]])
    for table, target in ((masked, made.masked), (calibration, made.calibration)):
        with atomic_path(Path(target)) as temporary:
            table.to_csv(temporary, index=False)
    write_json(
        Path(made.repeatability), {"/".join(design): result for design, result in repeated.items()}
    )
    starts = planned_starts(params.weights, given.starts)
    # Of the first fold and seed of each design: all of a scheme start alike.
    starts |= {
        key[1]: start_of_model(Path(file), starts[key[1]])
        for key, file in zip(explained, given.models, strict=True)
    }
    title = f"Can the number be believed? Data set {snakemake.wildcards.dataset}"
    page = verdict_markdown(checks, headline, title, starts_in_words(starts))
    write_text(Path(made.page), page)
    write_json(Path(made.json), {**verdict_json(checks, headline), "starts": starts})
    folder = Path(made.page).parents[1]
    # What the workflow makes, not what is on the disk by now: that depends on the order of jobs.
    promised = {os.path.relpath(file, folder) for file in (*params.made, *given, *made)}
    write_text(Path(made.checklist), claim_checklist_markdown(sorted(promised)))
    log.info(one_sentence(checks, headline))
