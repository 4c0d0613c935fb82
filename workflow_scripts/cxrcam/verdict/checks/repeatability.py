"""Whether networks that differ only in their seed draw the same maps."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.map_tests.similarity import (
    COMPARISON_SIDE,
    compare_maps,
    random_pair_floor,
)
from workflow_scripts.cxrcam.map_tests.summaries import mean_interval
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.seeds import generator, seed_sequence
from workflow_scripts.cxrcam.terms import TEST
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Run
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.map_numbers import inner, judge_alike, pooled_mean

KIND = CheckKind(
    name="repeatability",
    question="Do networks of other seeds draw the same maps?",
    about="explanation",
    order=147,
    file="audit/repeatability.json",
    advice="Do not show the map of one network as the reason of an answer: use several seeds, and "
    "show their mean.",
    to_assess="Set several `seeds`, such as [0, 1, 2].",
)

MOST_IMAGES = 200  # of a fold: more would tell no more of repeatability


def repeatability(
    maps: Mapping[Run, str],
    predictions: Mapping[Run, str],
    task: str,
    scheme: str,
    classes: list[str],
) -> dict[str, Any]:
    """Similarity of the raw maps of the first fold's test images over the first two seeds.

    Returns
    -------
    dict
        ``spearman`` of maps of the same images, ``floor`` of different ones, each with the fields
        of `summaries.MeanInterval`; or ``reason``.
    """
    of_fold = sorted(run for run in maps if run[:3] == (task, scheme, 1))
    if len(of_fold) < 2:
        return {"reason": "there is one seed; set `seeds: [0, 1]`"}
    first_run = pd.read_parquet(predictions[of_fold[0]])
    test = first_run[first_run["role"] == TEST].sort_values("image_id").head(MOST_IMAGES)
    called = test[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)
    first, second = (
        read_evidence_maps(Path(maps[run]), test["image_id"].tolist(), classes).placed(
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


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design.

    The rule is that of `mirror_images`. Arun et al. 2021, Radiol Artif Intell 3:e200267, found the
    maps of retrained networks to differ.
    """
    if not tables.repeatability:
        return [KIND.not_assessable("maps of several seeds were not compared")]
    checks = []
    for (task, scheme), numbers in tables.repeatability.items():
        run = Run(task, scheme, 0, 0)
        floor, _ = pooled_mean({run: inner(numbers, "floor")})
        words = (
            "Spearman correlation of maps of two seeds",
            "networks of other seeds draw other maps",
        )
        entries = {run: inner(numbers, "spearman")}
        checks.append(judge_alike(KIND, f"{task}, {scheme}", entries, floor, *words))
    return checks
