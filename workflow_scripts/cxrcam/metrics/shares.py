"""Accuracy of several runs together.

Seeds of one fold answer the same test images: their shares are averaged, and n counts the images
once. Folds answer different images: they are added up as independent. That is exact for a holdout
and for k folds, also where each is a source that was left out; repeated sub-samples can test an
image twice, and training images are shared, so that for these the intervals are somewhat too
narrow.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.metrics.intervals import wilson_interval


@dataclass(frozen=True)
class Share:
    """A share of n images, each counted once, with its interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%}, n = {self.n:,})"


def pooled(
    runs: pd.DataFrame, column: str = "accuracy", n: str = "n", confidence: float = 0.95
) -> Share | None:
    """Share of right answers over the runs of one design, with its Wilson interval.

    Parameters
    ----------
    runs : DataFrame
        Columns `fold`, `n` and `column`; rows without a number are left out.
    column : str, default "accuracy"
        In [0, 1].
    n : str, default "n"
        Column of the number of test images.
    confidence : float, default 0.95

    Returns
    -------
    Share or None
        None if no row has a number.
    """
    if not {column, n} <= {*runs.columns}:
        return None
    known = runs[runs[column].notna() & (runs[n] > 0)]
    if known.empty:
        return None
    folds = known.groupby("fold")[[column, n]].mean()
    images = round(float(folds[n].sum()))
    value = float(np.average(folds[column], weights=folds[n]))
    low, high = wilson_interval(min(images, round(value * images)), images, confidence)
    # With several seeds the mean need not be a whole number of images.
    return Share(value, min(low, value), max(high, value), images)
