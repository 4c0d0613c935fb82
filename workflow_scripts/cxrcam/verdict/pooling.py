"""One number a design from the numbers of its runs, for the verdict.

Seeds of one fold are averaged and their images counted once, folds are added up: see
`metrics.shares`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
from scipy.special import ndtri

from workflow_scripts.cxrcam.metrics.intervals import Interval, difference_interval
from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.verdict.check import share_in_words

LEVEL: Final = 0.05
"""Chance of a false alarm that is allowed to one check over all its comparisons together."""


@dataclass(frozen=True)
class Estimate:
    """A number of a design with its interval; n test images, each counted once."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return share_in_words(self.value, self.low, self.high, self.n)


def designs(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of each task and scheme, in order of first appearance.

    Parameters
    ----------
    table : DataFrame
        With `task`, `scheme`.
    columns : sequence of str
        What is needed besides.

    Yields
    ------
    tuple of str, DataFrame
        "<task>, <scheme>" and its rows; "<task>" where the scheme is "", for what was measured on
        all images of a task.

    Raises
    ------
    ValueError
        If a column is missing, or a row names no task or scheme: grouping would drop it unseen.
    """
    absent = [name for name in ("task", "scheme", *columns) if name not in table.columns]
    if absent:
        raise ValueError(f"the table has no column {absent[0]!r}; it has {list(table.columns)}")
    if table[["task", "scheme"]].isna().any(axis=None):
        raise ValueError("a row has no task or scheme (an empty cell of a CSV reads as missing)")
    for (task, scheme), rows in table.groupby(["task", "scheme"], sort=False):
        yield (f"{task}, {scheme}" if scheme else str(task)), rows


def confidence_of(comparisons: int) -> float:
    """Two-sided confidence of each of several intervals: 1 − 0.05 / `comparisons` (Bonferroni)."""
    return 1.0 - LEVEL / max(1, comparisons)


def pooled_share(
    rows: pd.DataFrame, column: str = "accuracy", confidence: float = 0.95
) -> Estimate | None:
    """Share of right answers over the runs of one design, as `metrics.shares.pooled`."""
    share = pooled(rows, column, confidence=confidence)
    return Estimate(share.value, share.low, share.high, share.n) if share else None


def pooled_estimate(
    rows: pd.DataFrame, value: str, low: str, high: str, comparisons: int = 1
) -> Estimate | None:
    """Mean of a number that comes with 95 % intervals.

    Parameters
    ----------
    rows : DataFrame
        Columns `fold`, `n`, `value`, `low`, `high`; rows without all three are left out.
    value, low, high : str
        Names of the columns.
    comparisons : int, default 1
        Number of comparisons of which this is one: the interval is widened by the ratio of the
        normal quantiles, as if the number were normally distributed.

    Returns
    -------
    Estimate or None
        Weighted by n; half-widths of the folds are added as those of independent numbers.
    """
    known = rows.dropna(subset=[value, low, high])
    known = known[known["n"] > 0]
    if known.empty:
        return None
    folds = known.groupby("fold")[[value, low, high, "n"]].mean()
    weights = (folds["n"] / folds["n"].sum()).to_numpy()
    below = (folds[value] - folds[low]).to_numpy()
    above = (folds[high] - folds[value]).to_numpy()
    factor = float(ndtri(0.5 + confidence_of(comparisons) / 2) / ndtri(0.5 + (1 - LEVEL) / 2))
    mean = float(weights @ folds[value].to_numpy())
    return Estimate(
        mean,
        mean - factor * math.sqrt(float(((weights * below) ** 2).sum())),
        mean + factor * math.sqrt(float(((weights * above) ** 2).sum())),
        round(float(folds["n"].sum())),
    )


def difference_of_shares(first: Estimate, second: Estimate) -> Estimate:
    """First share minus second share, of different images, as `intervals.difference_interval`.

    `n` is the smaller number of images.
    """
    interval = difference_interval(
        *(first.value, Interval(first.low, first.high)),
        *(second.value, Interval(second.low, second.high)),
    )
    return Estimate(first.value - second.value, *interval, min(first.n, second.n))


def first_reason(rows: pd.DataFrame, otherwise: str) -> str:
    """First entry of the column `reason`, where there is one."""
    if "reason" not in rows.columns:
        return otherwise
    reasons = [str(text) for text in rows["reason"].dropna() if str(text)]
    return reasons[0] if reasons else otherwise
