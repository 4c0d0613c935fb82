"""The first screen of the report: the number that is judged, beside its floors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.floors.descriptions import DESCRIPTIONS
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.verdict.check import per_cent


@dataclass(frozen=True)
class Bar:
    """One line of the figure: a share of right answers in [0, 1] with its 95 % interval."""

    name: str
    sees: str
    accuracy: float
    low: float
    high: float
    is_network: bool = False

    @property
    def text(self) -> str:
        """The number in words: "92 % (82 to 96 %)"."""
        low, high = per_cent(self.low).removesuffix(" %"), per_cent(self.high)
        return f"{per_cent(self.accuracy)} ({low} to {high})"


def headline_bars(metrics: pd.DataFrame, headline: Mapping[str, Any] | None) -> list[Bar]:
    """The network and its floors, the best floor first.

    Parameters
    ----------
    metrics : DataFrame
        tables/metrics.csv.
    headline : mapping or None
        `headline` of audit/verdict.json.

    Returns
    -------
    list of Bar
        Over all runs of the design together; empty without a headline. The intervals of floors
        are Wilson's, as those of the network.
    """
    if headline is None:
        return []
    runs = metrics[
        (metrics["task"] == headline["task"]) & (metrics["scheme"] == headline["scheme"])
    ]
    network = Bar(
        "the network",
        "sees the whole image",
        headline["accuracy"],
        headline["low"],
        headline["high"],
        is_network=True,
    )
    n = int(runs["n"].sum())
    floors = []
    for name, sees in DESCRIPTIONS.items():
        shares = runs.get(f"floor_{name}")
        if shares is None or shares.isna().any() or not n:
            continue
        right = round(float((shares * runs["n"]).sum()))
        low, high = wilson_interval(right, n)
        floors.append(Bar(name.replace("_", " "), sees, right / n, low, high))
    return [network, *sorted(floors, key=lambda bar: -bar.accuracy)]
