"""What a data set ought to hold, against what was found."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

COLUMNS = ["what", "expected", "found", "agrees"]


def compare_with_expected(
    index: pd.DataFrame, left_out: Mapping[str, int], expected: Mapping[str, Any]
) -> pd.DataFrame:
    """Set what a data set ought to hold beside what the index holds.

    Parameters
    ----------
    index : DataFrame
        Columns ``label``, ``width``, ``height``.
    left_out : mapping of str to int
        Images of class folders that are there but not used.
    expected : mapping
        ``expected`` of the data set: ``images_per_class``, ``left_out``, ``side``.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, one row a check.
    """
    counts = index["label"].value_counts()
    per_class = expected["images_per_class"]
    checks = [
        (f"images of {name}", wanted, int(counts.get(name, 0)))
        for name, wanted in per_class.items()
    ]
    if per_class:
        checks.append(("images in all", sum(per_class.values()), len(index)))
    checks += [
        (f"images of {name}, left out", wanted, int(left_out.get(name, 0)))
        for name, wanted in expected["left_out"].items()
    ]
    side = expected["side"]
    if side:
        right = int(((index["width"] == side) & (index["height"] == side)).sum())
        checks.append((f"images of {side} × {side} pixels", len(index), right))
    rows = [(*check, check[1] == check[2]) for check in checks]
    return pd.DataFrame(rows, columns=COLUMNS)


def say_what_differs(comparison: pd.DataFrame) -> str:
    """One sentence: what differs, or that nothing does."""
    differing = comparison[~comparison["agrees"].astype(bool)]
    if differing.empty:
        return f"All {len(comparison)} expectations hold."
    parts = [
        f"{row.what}: {row.found:,} instead of {row.expected:,}" for row in differing.itertuples()
    ]
    return f"Differs from what was expected: {'; '.join(parts)}."
