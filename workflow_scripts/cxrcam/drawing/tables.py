"""The tables that figures are drawn from: columns that must be there, and the runs in them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def require_columns(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a table that cannot be drawn.

    Parameters
    ----------
    table : DataFrame
        Table to draw.
    columns : sequence of str
        Columns that it must have; it may have others.
    what : str
        What the message calls it.

    Raises
    ------
    ValueError
        If a column is missing or the table is empty.
    """
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise ValueError(f"{what} has no column {absent[0]!r}; it has {list(table.columns)}")
    if table.empty:
        raise ValueError(f"{what} is empty: there is nothing to draw")


def by_run(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Split a table into its runs (folds, repeats or seeds).

    Parameters
    ----------
    table : DataFrame
        Rows of all runs; one without a column `run` is one run.

    Returns
    -------
    list of DataFrame
        Sorted by run.
    """
    if "run" not in table.columns:
        return [table]
    return [part for _, part in table.groupby("run", sort=True)]
