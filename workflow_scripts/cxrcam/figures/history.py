"""Loss and accuracy while networks were trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from workflow_scripts.cxrcam.arrays import Float64Array
from workflow_scripts.cxrcam.drawing.style import (
    BLUE,
    COLUMN_WIDTH,
    GREEN,
    GREY,
    PAGE_WIDTH,
    SKY_BLUE,
    VERMILION,
    styled,
    wrapped,
)

_ROLES: Final = (
    ("train", "training", BLUE, SKY_BLUE),
    ("validation", "validation", GREEN, "#8FD3BE"),
    ("test", "test", VERMILION, "#F0B48A"),
)

WIDE_LOSS: Final = 30.0
"""Largest loss over the median loss from which the axis is logarithmic."""


@styled
def history_figure(history: pd.DataFrame, *, title: str) -> Figure:
    """Draw loss and accuracy over the iterations, a panel for each and for each role.

    Parameters
    ----------
    history : DataFrame
        `run` and columns of `contracts.HISTORY`: `iteration`, `epoch`, `role`, `loss`, `accuracy`.
    title : str

    Returns
    -------
    Figure
        Runs are thin, their mean is thick as far as all runs reach. Panels of a row share their
        scale, so that the gap between training and test can be seen.
    """
    roles = [role for role in _ROLES if (history["role"] == role[0]).any()]
    width = PAGE_WIDTH if len(roles) > 1 else COLUMN_WIDTH
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    grid = figure.subplots(2, len(roles), sharex=True, sharey="row", squeeze=False)
    for column, (role, role_name, colour, pale) in enumerate(roles):
        runs = [part for _, part in history[history["role"] == role].groupby("run")]
        for axes, metric in zip(grid[:, column], ("loss", "accuracy"), strict=True):
            draw_runs(axes, runs, metric, colour, pale)
        grid[0, column].set_title(role_name)
    scale_loss(grid[0, 0], history["loss"].to_numpy(dtype=np.float64))
    grid[1, 0].set_ylabel("accuracy (share correct)")
    grid[1, 0].set_ylim(top=1.02)
    for axes in grid[1]:
        axes.set_xlabel(iteration_label(history))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    n_runs = history["run"].nunique()
    if n_runs > 1:
        # Outside, in grey for all panels: a curve can pass through any corner.
        figure.legend(
            [Line2D([], [], color=GREY, linewidth=1.8), Line2D([], [], color=GREY, linewidth=0.7)],
            [f"mean of {n_runs} runs", "each run"],
            loc="outside lower center",
            ncols=2,
        )
    figure.suptitle(wrapped(title, width - 0.2, 9.0, 2, bold=True))
    return figure


def draw_runs(
    axes: Axes,
    runs: Sequence[pd.DataFrame],
    metric: str,
    colour: str,
    pale: str,
    linewidth: float = 1.4,
) -> None:
    """Draw a metric of every run over the iterations, and its mean.

    Parameters
    ----------
    axes : Axes
        Where to.
    runs : sequence of DataFrame
        `iteration` and the metric, of one role.
    metric : {"loss", "accuracy"}
        Column to draw; where no run has a value, the panel says so.
    colour, pale : str
        Of the mean, and of each run.
    linewidth : float, default 1.4
        Of the mean, in points.
    """
    series = [part.groupby("iteration")[metric].mean().dropna().sort_index() for part in runs]
    series = [one for one in series if len(one)]
    if not series:
        axes.text(0.5, 0.5, "not recorded", ha="center", va="center", transform=axes.transAxes)
        return
    if len(series) > 1:
        for one in series:
            axes.plot(one.index, one, color=pale, linewidth=0.7, zorder=2)
    mean = mean_over_runs(series)
    # A short series would be an invisible dot of a line.
    marker = "o" if max(map(len, series)) <= 12 else ""
    look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3.0}
    axes.plot(mean.index, mean, linewidth=linewidth, zorder=3, **look)


def scale_loss(axes: Axes, losses: Float64Array) -> None:
    """From zero; logarithmic where one spike would flatten all other curves onto the axis."""
    positive = losses[np.isfinite(losses) & (losses > 0)]
    wide = positive.size == losses.size and positive.max() > WIDE_LOSS * np.median(positive)
    if wide:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0.0)
    axes.set_ylabel("loss (log scale)" if wide else "loss (cross-entropy or margin)")


def mean_over_runs(series: Sequence[pd.Series]) -> pd.Series:
    """Average runs by iteration, as far as all of them reach."""
    if len(series) == 1:
        return series[0]
    # Runs may log at different iterations: interpolate inside each, then average where all of
    # them have values.
    together = pd.concat(series, axis=1, keys=range(len(series))).sort_index()
    filled = together.interpolate(method="index", limit_area="inside")
    return filled.mean(axis=1)[filled.notna().all(axis=1)]


def iteration_label(history: pd.DataFrame) -> str:
    """Name the iterations, with the length of an epoch where all runs share it."""
    whole = history[history["epoch"] >= 1]
    per_epoch = (whole["iteration"] / whole["epoch"]).to_numpy(dtype=np.float64)
    if per_epoch.size and np.ptp(per_epoch) < 1e-6 * per_epoch.max():
        return f"iteration ({per_epoch[0]:.0f} batches an epoch)"
    return "iteration (batches seen)"
