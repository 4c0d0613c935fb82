"""Tables of the verdict that are made from those of the runs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.map_tests.similarity import (
    COMPARISON_SIDE,
    compare_maps,
    random_pair_floor,
)
from workflow_scripts.cxrcam.map_tests.summaries import mean_interval
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.seeds import generator, seed_sequence
from workflow_scripts.cxrcam.terms import TEST
from workflow_scripts.cxrcam.verdict.check import Headline

MOST_IMAGES = 200  # of a fold: more would tell no more of repeatability

Json = dict[str, Any]
RunKey = tuple[str, str, int, int]


def repeatability(
    files: dict[RunKey, tuple[str, str]], task: str, scheme: str, classes: list[str]
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
    if share is None:
        raise ValueError(f"no run of {design['task']}/{design['scheme']} among the metrics")
    recognised = classes[1] if len(classes) == 2 else f"the {len(classes)} classes"
    return Headline(
        design["task"], design["scheme"], recognised, share.value, share.low, share.high, share.n
    )


def masked_rows(
    files: dict[RunKey, str], metrics: pd.DataFrame, covered: dict[str, dict[str, str]]
) -> pd.DataFrame:
    """What networks say of covered test images, and networks that were trained on covered ones.

    Parameters
    ----------
    files : dict of (task, scheme, fold, seed) to str
        Each run's ``masked.csv``.
    metrics : DataFrame
        One row a run.
    covered : dict of str to dict
        Schemes that train on covered images: what they see (``input``) and whose images (``of``).
    """
    tables = []
    for (task, scheme, fold, seed), file in files.items():
        tables.append(
            pd.read_csv(file).assign(
                task=task, scheme=scheme, fold=fold, seed=seed, retrained=False
            )
        )
    masked = pd.concat(tables, ignore_index=True)
    masked["reason"] = masked["reason"].fillna("")
    return pd.concat([masked, retrained_rows(metrics, covered)], ignore_index=True)


def labelled_pairs(pairs: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Pairs of near-duplicates with the label of each image, from the index by ``image_id``."""
    labels = {
        f"label_{side}": images["label"].reindex(pairs[f"image_id_{side}"]).to_numpy()
        for side in "ab"
    }
    return pairs.assign(**labels)
