"""Accuracy of several runs together."""

from dataclasses import dataclass

import pandas as pd

from workflow_scripts.cxrcam.metrics.intervals import wilson_interval


@dataclass(frozen=True)
class Share:
    """A share of images with its Wilson interval (95 %)."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%}, n = {self.n:,})"


def pooled(runs: pd.DataFrame, part: str = "") -> Share | None:
    """Accuracy over all runs of a design together; None without runs or that part."""
    prefix = f"{part}_" if part else ""
    if runs.empty or f"{prefix}n" not in runs or runs[f"{prefix}n"].isna().any():
        return None
    n = int(runs[f"{prefix}n"].sum())
    correct = round(float((runs[f"{prefix}n"] * runs[f"{prefix}accuracy"]).sum()))
    low, high = wilson_interval(correct, n)
    return Share(correct / n, low, high, n)
