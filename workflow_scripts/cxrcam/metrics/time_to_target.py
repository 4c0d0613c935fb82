"""Effort until a network is good enough: iterations and seconds of training to a target accuracy.

Counted at the evaluations of the history, by a clock that leaves the evaluations themselves out.
Runs are comparable where they are evaluated every so many iterations and on the same images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.terms import SHARED_TEST, TEST


@dataclass(frozen=True)
class Effort:
    """What one run took to reach the target; None where it did not.

    Attributes
    ----------
    first_iteration, first_seconds : int, float or None
        First evaluation at or above the target.
    sustained_iteration, sustained_seconds : int, float or None
        First evaluation of a row of them that all are.
    best_accuracy : float
    iterations, seconds : int, float
        The whole run.
    n_evaluations : int
    """

    first_iteration: int | None
    first_seconds: float | None
    sustained_iteration: int | None
    sustained_seconds: float | None
    best_accuracy: float
    iterations: int
    seconds: float
    n_evaluations: int


def with_clock(history: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """Put the clock of a training beside its history.

    Parameters
    ----------
    history : DataFrame
        Columns of `contracts.HISTORY`.
    timings : DataFrame
        Columns of `contracts.TIMINGS`, one row an evaluation.

    Returns
    -------
    DataFrame
        The rows of `history` in their order, with ``seconds`` and ``wall_seconds``.
    """
    return history.merge(timings, on="iteration", how="left", validate="many_to_one")


def evaluated_part(history: pd.DataFrame) -> str:
    """Part on which runs are compared: shared test images where there are any, else test."""
    return SHARED_TEST if (history["role"] == SHARED_TEST).any() else TEST


def watched_histories(
    runs: Sequence[Mapping[str, Any]],
    histories: Sequence[pd.DataFrame],
    timings: Sequence[pd.DataFrame],
) -> pd.DataFrame:
    """Histories of all runs on the part on which they are compared, with their clocks.

    Rows as from `with_clock`, with what names the run, and ``run``, fold and seed in words. Runs
    that did not watch the part have none.

    Raises
    ------
    InputError
        If no run watched it.
    """
    parts = []
    for run, history, timing in zip(runs, histories, timings, strict=True):
        rows = with_clock(history, timing)
        rows = rows[rows["role"] == evaluated_part(rows)]
        parts.append(rows.assign(**run, run=f"fold {run['fold']}, seed {run['seed']}"))
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        raise InputError(
            "No run recorded its accuracy on test images while it was trained, from which figures "
            "6 and 7 are drawn: put test into train.watch."
        )
    return table


def efforts_of_runs(histories: pd.DataFrame, target: float, sustained: int) -> pd.DataFrame:
    """`Effort` of each run of `watched_histories`, one row a run."""
    by = ["task", "scheme", "fold", "seed"]
    return pd.DataFrame(
        [
            dict(zip(by, key, strict=True)) | vars(effort_to_target(rows, target, sustained))
            for key, rows in histories.groupby(by, sort=False)
        ]
    )


def effort_to_target(history: pd.DataFrame, target: float, sustained: int) -> Effort:
    """Effort of one run to reach a target accuracy on one part.

    Parameters
    ----------
    history : DataFrame
        Rows of one run and one part, as from `with_clock`.
    target : float
        Accuracy in [0, 1].
    sustained : int
        Evaluations in a row that must be at or above it to count as sustained.
    """
    rows = history.sort_values("iteration", ignore_index=True)
    reached = (rows["accuracy"] >= target).to_numpy()

    def place(hits: BoolArray) -> tuple[int | None, float | None]:
        if not hits.any():
            return None, None
        row = rows.iloc[int(np.argmax(hits))]
        return int(row["iteration"]), float(row["seconds"])

    # All of so many evaluations in a row; a row that goes beyond the end is none.
    padded = np.append(reached, np.zeros(sustained - 1, dtype=bool))
    windows = np.lib.stride_tricks.sliding_window_view(padded, sustained)
    in_a_row = np.asarray(windows.all(axis=1))
    first_iteration, first_seconds = place(reached)
    sustained_iteration, sustained_seconds = place(in_a_row)
    return Effort(
        first_iteration=first_iteration,
        first_seconds=first_seconds,
        sustained_iteration=sustained_iteration,
        sustained_seconds=sustained_seconds,
        best_accuracy=float(rows["accuracy"].max()),
        iterations=int(rows["iteration"].iloc[-1]),
        seconds=float(rows["seconds"].iloc[-1]),
        n_evaluations=len(rows),
    )


def mean_with_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean and its 95 % interval by Student's t; no interval of fewer than two values.

    Runs of one design share data, so that the interval speaks of seeds and draws on this data set,
    not of other data.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    half = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    return mean, mean - half, mean + half


def difference_with_interval(
    a: Sequence[float], b: Sequence[float]
) -> tuple[float, float | None, float | None]:
    """Mean of `a` minus mean of `b` with its 95 % interval (Welch 1947).

    No interval where a side has fewer than two values or neither varies.
    """
    difference = float(np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return difference, None, None
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    return difference, float(interval.low), float(interval.high)


def effort_summary(efforts: pd.DataFrame) -> pd.DataFrame:
    """Effort of each design: how many runs reached the target, and what those took.

    Parameters
    ----------
    efforts : DataFrame
        As from `efforts_of_runs`.

    Returns
    -------
    DataFrame
        One row a design: ``runs``, and for first and sustained: ``<kind>_reached`` (runs),
        ``<kind>_<unit>_mean``, ``_low``, ``_high`` over the runs that reached it (empty where
        none did), and ``<kind>_seconds_summed``: the mean over seeds of the sum over folds, empty
        where a run did not reach it.
    """
    rows = []
    for (task, scheme), runs in efforts.groupby(["task", "scheme"], sort=False):
        row = {"task": task, "scheme": scheme, "runs": len(runs)}
        for kind in ("first", "sustained"):
            got = runs[runs[f"{kind}_seconds"].notna()]
            row[f"{kind}_reached"] = len(got)
            for unit in ("iteration", "seconds"):
                values = got[f"{kind}_{unit}"].astype(float).tolist()
                mean, low, high = mean_with_interval(values) if values else (None, None, None)
                row |= {
                    f"{kind}_{unit}_{name}": value
                    for name, value in (("mean", mean), ("low", low), ("high", high))
                }
            sums = runs.groupby("seed")[f"{kind}_seconds"].sum(min_count=1)
            row[f"{kind}_seconds_summed"] = float(sums.mean()) if len(got) == len(runs) else None
        rows.append(row)
    return pd.DataFrame(rows)
