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
)
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
        tables/metrics.csv: `task`, `scheme`, `fold`, `seed`, `n`, `correct`, `majority_share`,
        `held_out` where a source is left out, and "floor_<name>", the accuracy of each classifier
        that cannot see the lungs on the same split.

    Returns
    -------
    Figure
        A forest plot grouped by task and scheme. Dot and bar: accuracy with Wilson 95 % interval;
        dashed: share of the majority class; other shapes: floors.
    """
    floors = [str(name) for name in table.columns if str(name).startswith(FLOOR_PREFIX)]
    groups = list(table.groupby(["task", "scheme"], sort=False))
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
        _write_heading(axes, heading_y, key)
        y -= 1.5
    axes.set_ylim(y + 0.8, 0.7)
    axes.set_xlim(max(0.0, math.floor((lowest - 0.02) * 20) / 20), 1.005)
    axes.set_xlabel(
        "accuracy on the test images (share correct)\n"
        "floor: the same split, by a simple classifier that cannot see lung detail"
    )
    positions, names, numbers = zip(*lines, strict=True)
    _write_beside(axes, positions, names)
    # The numbers themselves, as in a forest plot.
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    _write_beside(right, positions, numbers)
    _add_legend(figure, floors)
    figure.suptitle("Accuracy and its floor")
    return figure


def _draw_run(axes: Axes, y: float, record: pd.Series, floors: Sequence[str]) -> float:
    """Draw one line of the forest plot; return its smallest value, for the axis."""
    n, correct = int(record["n"]), int(record["correct"])
    low, high = wilson_interval(correct, n)
    axes.plot([low, high], [y, y], color=BLUE, linewidth=1.4, zorder=3)
    axes.plot(correct / n, y, color=BLUE, marker="o", markersize=4.5, zorder=4)
    share = float(record["majority_share"])
    axes.plot([share, share], [y - 0.5, y + 0.5], color=GREY, linestyle=_DASHES, linewidth=1.0)
    for index, name in enumerate(floors):
        axes.plot(record[name], y - _FLOOR_DROP, zorder=5, **_floor_marker(index))
    return min(low, share, *(float(record[name]) for name in floors))


def _run_name(record: pd.Series) -> str:
    """Name of a run, such as "fold 1, seed 0, n = 60"; of a source left out with its name."""
    source = record.get("held_out")
    fold = f"fold {record['fold']}"
    if isinstance(source, str):
        fold += f", {fitted(source, 1.5, 7.0)}"
    return f"{fold}, seed {record['seed']}, n = {int(record['n'])}"


def _accuracy_in_numbers(record: pd.Series) -> str:
    """Accuracy of a run with its interval, such as "0.950 (0.863–0.983)"."""
    n, correct = int(record["n"]), int(record["correct"])
    low, high = wilson_interval(correct, n)
    return f"{correct / n:.3f} ({low:.3f}–{high:.3f})"


def _write_heading(axes: Axes, y: float, key: Sequence[object]) -> None:
    """Write the name of a group into the free line above its runs."""
    axes.text(
        0.0,
        y,
        "  ·  ".join(fitted(part, 1.5, 7.5, bold=True) for part in key),
        fontsize=7.5,
        fontweight="bold",
        va="center",
        transform=axes.get_yaxis_transform(),
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
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


def _add_legend(figure: Figure, floors: Sequence[str]) -> None:
    handles = [
        Line2D([], [], color=BLUE, marker="o", markersize=4.0, linewidth=1.2),
        Line2D([], [], color=GREY, linestyle=_DASHES, linewidth=1.0),
    ]
    labels = ["model, with Wilson 95 % interval", "always the majority class"]
    for index, name in enumerate(floors):
        handles.append(Line2D([], [], **_floor_marker(index)))
        labels.append(
            "floor: " + fitted(name.removeprefix(FLOOR_PREFIX).replace("_", " "), 1.5, 7.0)
        )
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
