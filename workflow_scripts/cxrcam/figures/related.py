"""Published systems side by side: accuracy beside floors, and thresholds chosen for sensitivity."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import cycle
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import roc_auc_score, roc_curve

from workflow_scripts.cxrcam.drawing.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    fitted,
    styled,
)
from workflow_scripts.cxrcam.metrics.ranking import class_log_odds
from workflow_scripts.cxrcam.terms import TEST

# Height of a network's line in inches, and the share of it that its divisions take together.
_LINE: Final = 0.34
_TAKEN: Final = 0.8
_LOOKS: Final = ((BLUE, "o"), (GREEN, "s"), (ORANGE, "^"), (PURPLE, "v"), (SKY_BLUE, "P"))
_HISTOGRAM_BINS: Final = 20


@styled
def accuracy_figure(table: pd.DataFrame, published: Mapping[tuple[str, str], float]) -> Figure:
    """Draw the accuracy of each network with its interval, beside its floor.

    Parameters
    ----------
    table : DataFrame
        A row a design: ``key``, ``system``, ``label`` (its network), ``task``, ``division``,
        ``accuracy``, ``low``, ``high``, ``floor_accuracy``.
    published : mapping of (str, str) to float
        Accuracy that a publication states, by ``key`` and ``task``.

    Returns
    -------
    Figure
        A panel a task, a block a system, a line a network.
    """
    tasks, divisions = table["task"].unique(), list(table["division"].unique())
    lines = _lines(table, 3.2 if len(tasks) == 1 else 2.4)
    figure = Figure(figsize=(PAGE_WIDTH, _LINE * len(lines) + 1.2), layout="constrained")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    lowest = table[["low", "floor_accuracy"]].min().min()
    for axes, task in zip(panels, tasks, strict=True):
        _draw_task(axes, table[table["task"] == task], lines, divisions, published)
        axes.set_title(fitted(task, 3.0, 8.5, bold=True))
        axes.set_xlim(max(0.0, math.floor(20 * lowest) / 20), 1.02)
        axes.set_xlabel("accuracy on the test images")
    # Names of systems stand in bold letters above their networks.
    panels[0].set_yticks([-k for k in range(len(lines))], [name for _, name in lines])
    for tick, (key, _) in zip(panels[0].get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if key[1] is None else "normal")
    panels[0].set_ylim(0.6 - len(lines), 0.7)
    _add_legend(figure, divisions)
    return figure


def _lines(table: pd.DataFrame, room: float) -> list[tuple[tuple[Hashable, str | None], str]]:
    """Keys and names of the lines, of so many inches at most: a system, then its networks."""
    lines: list[tuple[tuple[Hashable, str | None], str]] = []
    for key, rows in table.groupby("key", sort=False):
        lines.append(((key, None), fitted(rows["system"].iloc[0], room, 7.0, bold=True)))
        lines += [((key, name), fitted(name, room, 7.0)) for name in rows["label"].unique()]
    return lines


def _draw_task(
    axes: Axes,
    rows: pd.DataFrame,
    lines: Sequence[tuple[tuple[Hashable, str | None], str]],
    divisions: Sequence[str],
    published: Mapping[tuple[str, str], float],
) -> None:
    """Draw one panel."""
    heights = {key: -float(k) for k, (key, _) in enumerate(lines)}
    for row in rows.to_dict("records"):
        place = divisions.index(row["division"])
        colour, marker = _LOOKS[place % len(_LOOKS)]
        y = heights[row["key"], row["label"]] + _TAKEN * (0.5 - (place + 0.5) / len(divisions))
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.2, zorder=3)
        axes.plot(row["accuracy"], y, color=colour, marker=marker, markersize=4.0, zorder=4)
        axes.plot(row["floor_accuracy"], y, color=colour, **_FLOOR)
    for key, task in {(row["key"], row["task"]) for row in rows.to_dict("records")}:
        if (key, task) in published:
            axes.plot(published[key, task], heights[key, None], **_PUBLISHED)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)


_FLOOR: Final[dict[str, Any]] = {
    **{"marker": "|", "markersize": 7.0, "markeredgewidth": 1.6, "linestyle": "none"}
}
_PUBLISHED: Final[dict[str, Any]] = {
    **{"color": VERMILION, "marker": "D", "markersize": 4.5, "markerfacecolor": "white"},
    **{"linestyle": "none", "zorder": 5},
}


def _add_legend(figure: Figure, divisions: Sequence[str]) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4.0)
        for _, (colour, marker) in zip(divisions, cycle(_LOOKS), strict=False)
    ]
    handles.append(Line2D([], [], color=GREY, **_FLOOR))
    handles.append(Line2D([], [], **_PUBLISHED))
    labels = [*(fitted(name, 3.0, 7.0) for name in divisions), "best floor on the same images"]
    labels.append("as published, on other images")
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


@styled
def threshold_figure(points: pd.DataFrame, predictions: Sequence[pd.DataFrame]) -> Figure:
    """Draw ROC curve and histogram of the probabilities of each network, with its threshold.

    Parameters
    ----------
    points : DataFrame of k rows
        As from `paper.related.operating_point`, with ``label``, ``division``, ``positive``.
    predictions : sequence of k DataFrames
        Schema `contracts.predictions_schema`.
    """
    figure = Figure(figsize=(PAGE_WIDTH, 1.9 * len(points) + 0.4), layout="constrained")
    grid = figure.subplots(len(points), 2, squeeze=False, width_ratios=(1.0, 1.6))
    for (_, point), table, (roc, histogram) in zip(
        points.iterrows(), predictions, grid, strict=True
    ):
        test = table[table["role"] == TEST]
        _draw_roc(roc, point, test)
        _draw_histogram(histogram, point, test)
    return figure


def _draw_roc(axes: Axes, point: pd.Series, test: pd.DataFrame) -> None:
    """Draw one ROC curve with the chosen threshold on it."""
    positive = test["label"] == point["positive"]
    probabilities = test.filter(regex="^probability_")
    column = list(probabilities).index(f"probability_{point['positive']}")
    scores = class_log_odds(probabilities)[:, column]
    false, true, _ = roc_curve(positive, scores)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.0)
    axes.plot(false, true, color=BLUE, drawstyle="steps-post")
    axes.plot(1 - point["specificity"], point["sensitivity"], "o", color=VERMILION, markersize=5)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.02, 1.02))
    axes.set_ylim(-0.02, 1.04)
    axes.set_title(f"AUROC {roc_auc_score(positive, scores):.3f}")


def _draw_histogram(axes: Axes, point: pd.Series, test: pd.DataFrame) -> None:
    """Draw how probabilities of both classes lie about the threshold."""
    positive = test["label"] == point["positive"]
    scores = test[f"probability_{point['positive']}"]
    for part, colour, name in (
        (~positive, SKY_BLUE, "others"),
        (positive, ORANGE, fitted(point["positive"], 1.0, 7.0)),
    ):
        axes.hist(
            scores[part], bins=_HISTOGRAM_BINS, range=(0, 1), color=colour, alpha=0.75, label=name
        )
    axes.axvline(point["threshold"], color=VERMILION, linewidth=1.2, label="threshold")
    axes.set(xlabel=f"probability of {fitted(point['positive'], 1.0, 8.0)}", ylabel="test images")
    axes.set_title(fitted(f"{point['label']}, {point['division']}", 3.6, 8.5, bold=True))
    axes.legend()
