"""How good the network is in each group of images: a dot with its interval, a row a group."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.drawing.style import BLUE, GREY, PAGE_WIDTH, fitted, styled

METRICS: Final = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "macro_auroc": "macro AUROC",
    "mean_auroc": "mean AUROC of the findings",
}
"""Metrics that are drawn, and what they are called."""

# Inches: a line of 7 pt letters, room for names, what stands above and below the plot.
_LINE: Final = 0.19
_NAMES: Final = 1.9
_AROUND: Final = 0.9


@styled
def subgroup_figure(table: pd.DataFrame) -> Figure:
    """Draw each metric of each group with its 95 % interval.

    Parameters
    ----------
    table : DataFrame
        As from `metrics.subgroups.subgroup_table`.

    Returns
    -------
    Figure
        A panel a metric, a row a group below the name of its trait. Groups without a number have a
        row that says why.
    """
    rows = table[table["against"].isna()].fillna({"group": ""})
    names = [name for name in METRICS if (rows["metric"] == name).any()] or ["accuracy"]
    lines: list[tuple[float, str, bool]] = []
    places: dict[tuple[str, str], float] = {}
    y = 0.0
    for column, of_column in rows.groupby("column", sort=False):
        lines.append((y, fitted(column, _NAMES, 7.0, bold=True), True))
        for group, of_group in of_column.groupby("group", sort=False):
            y -= 1.0
            lines.append((y, _line_of(str(group), of_group), False))
            places[str(column), str(group)] = y
        y -= 1.4
    height = _LINE * max(3.0, 1.0 - y) + _AROUND
    figure = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _draw_metric(axes, rows[rows["metric"] == name], places)
        axes.set_xlabel(METRICS[name])
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    panels[0].set_ylim(y + 0.6, 0.8)
    panels[0].set_yticks([at for at, _, _ in lines], [text for _, text, _ in lines])
    for label, (_, _, is_heading) in zip(panels[0].get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if is_heading else "normal")
    if not lines:
        panels[0].text(0.02, 0.5, "no column tells groups apart", transform=panels[0].transAxes)
    figure.suptitle("The network in each group of test images")
    return figure


def _line_of(group: str, rows: pd.DataFrame) -> str:
    """Name of a group with its number of images, or why it has no numbers."""
    first = rows.iloc[0]
    told = f"n = {int(first['n']):,}" if pd.notna(first["n"]) else ""
    if rows["value"].isna().all():
        told = "too few" if group else str(first["reason"])
    return fitted(f"{group} ({told})" if group else told, _NAMES, 7.0)


def _draw_metric(axes: Axes, rows: pd.DataFrame, places: dict[tuple[str, str], float]) -> None:
    """Draw the dots of one metric; `places` are the heights of the rows."""
    known = rows.dropna(subset=["value", "low", "high"])
    for row in known.to_dict("records"):
        y = places[str(row["column"]), str(row["group"])]
        axes.plot([row["low"], row["high"]], [y, y], color=BLUE, linewidth=1.4, zorder=3)
        axes.plot(row["value"], y, color=BLUE, marker="o", markersize=4.5, zorder=4)
    if known.empty:
        words = "no group has enough test images"
        axes.text(0.5, 0.5, words, color=GREY, ha="center", transform=axes.transAxes)
        axes.set_xlim(0.0, 1.0)
        return
    lowest = max(0.0, float(known["low"].min()) - 0.03)
    axes.set_xlim(lowest, 1.01)
    # Not at the left edge, where the last tick of the panel before stands.
    first = lowest + 0.15 * (1.0 - lowest)
    axes.set_xticks([at for at in axes.get_xticks() if first <= at <= 1.0])
