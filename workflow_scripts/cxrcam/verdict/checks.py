"""All checks of the audit, from its tables: nothing is left out in silence.

The rules stand in the docstrings of the checks: `verdict_data_checks`, `verdict_floor_checks`,
`verdict_number_checks`, `verdict_map_checks`. Common to them:

- "failed" is said only where an interval excludes luck, "passed" only where it excludes the fault;
  between the two lies "not assessable", with the number of images that could not tell;
- where several comparisons are made under one question, intervals are widened for their number;
- a check without its table is "not assessable".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.verdict.check import FAILED, Check, ordered
from workflow_scripts.cxrcam.verdict.data_checks import (
    check_acquisition,
    check_duplicates,
    check_expected,
    check_leaks,
    check_sources,
)
from workflow_scripts.cxrcam.verdict.floor_checks import (
    check_better_than_floor,
    check_given_away,
    check_masked_inputs,
)
from workflow_scripts.cxrcam.verdict.map_checks import (
    OfRuns,
    check_map_scores,
    check_map_tests,
    check_repeatability,
)
from workflow_scripts.cxrcam.verdict.number_checks import (
    check_calibration,
    check_external,
    check_precision,
    check_seeds,
)

__all__ = [
    "AuditTables",
    "all_checks",
    "check_acquisition",
    "check_better_than_floor",
    "check_calibration",
    "check_duplicates",
    "check_expected",
    "check_external",
    "check_given_away",
    "check_leaks",
    "check_map_scores",
    "check_map_tests",
    "check_masked_inputs",
    "check_precision",
    "check_repeatability",
    "check_seeds",
    "check_sources",
]


@dataclass(frozen=True)
class AuditTables:
    """What the audit found; everything may be missing.

    Attributes
    ----------
    duplicates : DataFrame or None
        See `check_duplicates`.
    n_images : int or None
        Images in which duplicates were searched.
    leaks : DataFrame or None
        See `check_leaks`.
    sources : mapping of str to mapping
        By task ("" for the data set): see `check_sources`.
    acquisition : mapping of str to mapping of str to mapping
        By task ("" for the data set), then by trace: see `check_acquisition`.
    floors : DataFrame or None
        One row a floor and fold: see `check_given_away`.
    runs : DataFrame or None
        One row a run, with the gap to the best floor: see `check_better_than_floor`,
        `check_precision`, `check_seeds`.
    masked_inputs : DataFrame or None
        See `check_masked_inputs`.
    maps, map_tests : mapping of Run to mapping, or None
        See `check_map_scores`, `check_map_tests`.
    repeatability : mapping of (task, scheme) to mapping, or None
        See `check_repeatability`.
    calibration : DataFrame or None
        See `check_calibration`.
    external : DataFrame or None
        See `check_external`.
    expected : DataFrame or None
        See `check_expected`.
    """

    duplicates: pd.DataFrame | None = None
    n_images: int | None = None
    leaks: pd.DataFrame | None = None
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    acquisition: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    floors: pd.DataFrame | None = None
    runs: pd.DataFrame | None = None
    masked_inputs: pd.DataFrame | None = None
    maps: OfRuns | None = None
    map_tests: OfRuns | None = None
    repeatability: Mapping[tuple[str, str], Mapping[str, Any]] | None = None
    calibration: pd.DataFrame | None = None
    external: pd.DataFrame | None = None
    expected: pd.DataFrame | None = None


def all_checks(tables: AuditTables) -> list[Check]:
    """Every check of the audit, in the order of the page.

    Parameters
    ----------
    tables : AuditTables

    Returns
    -------
    list of Check
        At least one of every kind: without its table a check is "not assessable".

    Raises
    ------
    ValueError
        If a table lacks a column.
    """
    given_away = check_given_away(tables.floors)
    runs = tables.runs
    compared = runs if runs is not None and "gap_low" in runs.columns else None
    # What the data give away they give away under every design of the task.
    failed = {check.subject for check in given_away if check.status == FAILED}
    tasks = [] if tables.floors is None else tables.floors["task"].unique().tolist()
    leaky = [
        task for task in tasks if {s for s in failed if s == task or s.startswith(f"{task}, ")}
    ]
    sources: list[Check] = []
    for task in tables.sources or [""]:
        sources += check_sources(tables.sources.get(task), task)
    acquisition: list[Check] = []
    for task in tables.acquisition or [""]:
        acquisition += check_acquisition(tables.acquisition.get(task), task)
    return ordered(
        [
            *check_external(tables.external),
            *given_away,
            *check_better_than_floor(compared, leaky),
            *acquisition,
            *sources,
            *check_masked_inputs(tables.masked_inputs),
            *check_leaks(tables.leaks),
            *check_duplicates(tables.duplicates, tables.n_images),
            *check_precision(runs),
            *check_seeds(runs),
            *check_calibration(tables.calibration),
            *check_expected(tables.expected),
            *check_map_scores(tables.maps),
            *check_map_tests(tables.map_tests),
            *check_repeatability(tables.repeatability),
        ]
    )
