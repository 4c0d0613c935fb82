"""The first screen of the report: the number that is judged, elsewhere too, beside its floors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.floors.descriptions import DESCRIPTIONS
from workflow_scripts.cxrcam.verdict.check import per_cent
from workflow_scripts.cxrcam.verdict.pooling import pooled_share


@dataclass(frozen=True)
class Bar:
    """One line of the figure: a share of right answers in [0, 1] with its 95 % interval.

    `guessing` is the share of the commonest class where it is another one than of the other lines.
    """

    name: str
    sees: str
    accuracy: float
    low: float
    high: float
    kind: Literal["network", "elsewhere", "floor"] = "floor"
    guessing: float | None = None

    @property
    def text(self) -> str:
        """The number in words: "92 % (82 to 96 %)"."""
        low, high = per_cent(self.low).removesuffix(" %"), per_cent(self.high)
        return f"{per_cent(self.accuracy)} ({low} to {high})"


def headline_bars(
    metrics: pd.DataFrame,
    headline: Mapping[str, Any] | None,
    external: pd.DataFrame | None = None,
) -> list[Bar]:
    """The network, the same on images from elsewhere, and its floors, the best floor first.

    Parameters
    ----------
    metrics : DataFrame
        tables/metrics.csv.
    headline : mapping or None
        `headline` of audit/verdict.json.
    external : DataFrame or None
        audit/external.csv.

    Returns
    -------
    list of Bar
        Over all runs of the design together; empty without a headline. The intervals of floors
        are Wilson's, as those of the network.
    """
    if headline is None:
        return []
    runs = _of_design(metrics, headline)
    network = Bar(
        "the network",
        "sees the whole image",
        headline["accuracy"],
        headline["low"],
        headline["high"],
        kind="network",
    )
    floors = []
    for name, sees in DESCRIPTIONS.items():
        share = pooled_share(runs, f"floor_{name}")
        if share is not None:
            floors.append(Bar(name.replace("_", " "), sees, share.value, share.low, share.high))
    floors.sort(key=lambda bar: -bar.accuracy)
    return [network, *_elsewhere(external, headline), *floors]


def _of_design(table: pd.DataFrame, headline: Mapping[str, Any]) -> pd.DataFrame:
    of_design = (table["task"] == headline["task"]) & (table["scheme"] == headline["scheme"])
    rows: pd.DataFrame = table[of_design]
    return rows


def _elsewhere(external: pd.DataFrame | None, headline: Mapping[str, Any]) -> list[Bar]:
    """The network on each other data set that could be tested; see `checks.external_data`."""
    if external is None:
        return []
    bars = []
    for data_set, rows in _of_design(external, headline).groupby("data_set", sort=False):
        # All runs are tested on the same images, whatever their fold.
        share = pooled_share(rows.assign(fold=0))
        if share is None:
            continue
        majority = float(np.mean(rows["majority_share"]))
        name = f"the network on {data_set}"
        sees = f"{share.n:,} images from elsewhere; commonest class {per_cent(majority)}"
        bar = Bar(name, sees, share.value, share.low, share.high)
        bars.append(replace(bar, kind="elsewhere", guessing=majority))
    return bars
