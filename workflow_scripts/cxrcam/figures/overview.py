"""The overview: accuracy of every run beside what classifiers reach that cannot see the lungs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.cxrcam.drawing.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PAGE_WIDTH,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    fitted,
    styled,
    wrapped,
)
from workflow_scripts.cxrcam.drawing.tables import require_columns
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval

FLOOR_PREFIX: Final = "floor_"
"""Columns of the metrics table that hold what a classifier blind to the lungs reaches."""

# Height of a line of the overview in inches: 7 pt letters, and room for the floors below a dot.
_LINE: Final = 0.2

# Floors lie a little lower than the model's dot, in lines, so that neither hides the other.
_FLOOR_DROP: Final = 0.3

_DASHES: Final = (0, (3, 2))


@styled
def accuracy_overview_figure(table: pd.DataFrame) -> Figure:
    """Draw the accuracy of every run with its interval, beside what blind classifiers reach.

    Parameters
    ----------
    table : DataFrame
        tables/metrics.csv: `task`, `scheme`, `n`, `correct`; optional `dataset`, `fold`,
        `repeat`, `seed` (name the run), `majority_share`, and any number of columns that begin
        with "floor_" (accuracy of a classifier that cannot see the lungs, on the same split; NaN
        where it is not measured).

    Returns
    -------
    Figure
        A forest plot grouped by task and scheme. Dot and bar: accuracy with Wilson 95 % interval;
        dashed: share of the majority class; other shapes: floors. A group without a
        measured floor says so.

    Raises
    ------
    ValueError
        If a column is missing or the table is empty.
    """
    require_columns(table, ["task", "scheme", "n", "correct"], "the metrics table")
    several = "dataset" in table.columns and table["dataset"].nunique() > 1
    keys = ["dataset", "task", "scheme"] if several else ["task", "scheme"]
    floors = [str(name) for name in table.columns if str(name).startswith(FLOOR_PREFIX)]
    floors = [name for name in floors if pd.to_numeric(table[name]).notna().any()]
    groups = list(table.groupby(keys, sort=False, dropna=False))
    height = _LINE * (len(table) + 1.5 * len(groups)) + 1.4
    figure = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    lines: list[tuple[float, str, str]] = []
    y, lowest = 0.0, 1.0
    for key, runs in groups:
        heading_y = y
        for _, record in runs.iterrows():
            y -= 1.0
            lowest = min(lowest, _draw_run(axes, y, record, floors))
            lines.append((y, _run_name(record), _accuracy_in_numbers(record)))
        _write_heading(axes, heading_y, key, measured=bool(runs[floors].notna().any(axis=None)))
        y -= 1.5
    axes.set_ylim(y + 0.8, 0.7)
    axes.set_xlim(max(0.0, math.floor((lowest - 0.02) * 20) / 20), 1.005)
    floor = "\nfloor: the same split, by a simple classifier that cannot see lung detail"
    axes.set_xlabel(f"accuracy on the test images (share correct){floor if floors else ''}")
    positions, names, numbers = zip(*lines, strict=True)
    _write_beside(axes, positions, names)
    # The numbers themselves, as in a forest plot.
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    _write_beside(right, positions, numbers)
    _add_legend(figure, floors, with_majority="majority_share" in table.columns)
    figure.suptitle(wrapped("Accuracy and its floor", PAGE_WIDTH - 0.2, 9.0, 2, bold=True))
    return figure


def _draw_run(axes: Axes, y: float, record: pd.Series, floors: Sequence[str]) -> float:
    """Draw one line of the forest plot; return its smallest value, for the axis."""
    n, correct = int(record["n"]), int(record["correct"])
    low, high = wilson_interval(correct, n)
    axes.plot([low, high], [y, y], color=BLUE, linewidth=1.4, zorder=3)
    axes.plot(correct / n, y, color=BLUE, marker="o", markersize=4.5, zorder=4)
    lowest = low
    share = record.get("majority_share")
    if share is not None and pd.notna(share):
        axes.plot([share, share], [y - 0.5, y + 0.5], color=GREY, linestyle=_DASHES, linewidth=1.0)
        lowest = min(lowest, float(share))
    for index, name in enumerate(floors):
        value = pd.to_numeric(record[name])
        if pd.notna(value):
            axes.plot(value, y - _FLOOR_DROP, zorder=5, **_floor_marker(index))
            lowest = min(lowest, float(value))
    return lowest


def _run_name(record: pd.Series) -> str:
    """Name of a run, such as "fold 1, seed 0, n = 60"."""
    which = [
        f"{name} {record[name]}"
        for name in ("fold", "repeat", "seed")
        if name in record.index and pd.notna(record[name])
    ]
    return fitted(", ".join([*which, f"n = {int(record['n'])}"]), 2.0, 7.0)


def _accuracy_in_numbers(record: pd.Series) -> str:
    """Accuracy of a run with its interval, such as "0.950 (0.863–0.983)"."""
    n, correct = int(record["n"]), int(record["correct"])
    low, high = wilson_interval(correct, n)
    return f"{correct / n:.3f} ({low:.3f}–{high:.3f})"


def _write_heading(axes: Axes, y: float, key: Sequence[object], *, measured: bool) -> None:
    """Write the name of a group into the free line above its runs, and whether it has a floor."""
    common: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "va": "center",
        "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    }
    name = "  ·  ".join(fitted(part, 1.5, 7.5, bold=True) for part in key)
    axes.text(0.0, y, name, fontsize=7.5, fontweight="bold", **common)
    if not measured:
        axes.text(
            1.0,
            y,
            "floor not yet measured",
            fontsize=7.0,
            fontstyle="italic",
            color=VERMILION,
            ha="right",
            **common,
        )


def _floor_marker(index: int) -> dict[str, Any]:
    """Shape and colour of a floor: hollow, so that it never looks like a model's dot."""
    colours = (VERMILION, ORANGE, GREEN, PURPLE, SKY_BLUE, BLACK)
    return {
        "linestyle": "none",
        "color": colours[index % len(colours)],
        "marker": MARKERS[1 + index % (len(MARKERS) - 1)],
        "markerfacecolor": "white",
        "markersize": 4.5,
    }


def _write_beside(axes: Axes, positions: Sequence[float], texts: Sequence[str]) -> None:
    """Write texts beside the lines of the plot, without an axis."""
    axes.set_yticks(positions, texts)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)


def _add_legend(figure: Figure, floors: Sequence[str], *, with_majority: bool) -> None:
    handles = [Line2D([], [], color=BLUE, marker="o", markersize=4.0, linewidth=1.2)]
    labels = ["model, with Wilson 95 % interval"]
    if with_majority:
        handles.append(Line2D([], [], color=GREY, linestyle=_DASHES, linewidth=1.0))
        labels.append("always the majority class")
    for index, name in enumerate(floors):
        handles.append(Line2D([], [], **_floor_marker(index)))
        labels.append(
            "floor: " + fitted(name.removeprefix(FLOOR_PREFIX).replace("_", " "), 1.5, 7.0)
        )
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
