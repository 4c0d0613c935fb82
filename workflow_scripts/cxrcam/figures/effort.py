"""What accuracy costs: accuracy and loss over iterations, and accuracy over training time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from workflow_scripts.cxrcam.drawing.style import (
    BLACK,
    BLUE,
    COLUMN_WIDTH,
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
from workflow_scripts.cxrcam.figures.history import (
    draw_runs,
    iteration_label,
    mean_over_runs,
    scale_loss,
)

_LOOKS: Final[tuple[tuple[str, Any], ...]] = (
    (BLUE, "-"),
    (VERMILION, "--"),
    (GREEN, "-."),
    (PURPLE, ":"),
    (ORANGE, "-"),
    (BLACK, "--"),
)
"""Colour and line of each design; markers go along."""

_WIDE_TIME: Final = 8.0
"""Longest over shortest run from which the time axis is logarithmic."""

_MOST_COLUMNS: Final = 2

_WATCHED: Final = "Watched: the test images. The paper calls this validation; it is its test set."


@styled
def accuracy_and_loss_figure(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw accuracy above loss over the iterations, a column for each task.

    Parameters
    ----------
    histories : mapping of str to DataFrame
        For each task `run`, `iteration`, `epoch`, `loss` and `accuracy` on the test images.

    Returns
    -------
    Figure
        Runs are thin, their mean is thick as far as all runs reach. Columns share their scales.
    """
    width = PAGE_WIDTH if len(histories) > 1 else COLUMN_WIDTH
    figure = Figure(figsize=(width, 4.4), layout="constrained")
    grid = figure.subplots(2, len(histories), sharex="col", sharey="row", squeeze=False)
    room = (width - 0.6) / len(histories) - 0.12
    for column, (task, history) in enumerate(histories.items()):
        runs = [part for _, part in history.groupby("run")]
        for row, metric in enumerate(("accuracy", "loss")):
            colour, pale = ((BLUE, SKY_BLUE), (VERMILION, "#F0B48A"))[row]
            draw_runs(grid[row, column], runs, metric, colour, pale, linewidth=1.8)
        number = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
        name = wrapped(task, room, 8.5, 2, bold=True)
        grid[0, column].set_title(f"{name}\nn = {number}")
        grid[1, column].set_xlabel(wrapped(iteration_label(history), room, 8.0, 2))
        grid[1, column].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[0, 0].set_ylabel("accuracy (share correct)")
    grid[0, 0].set_ylim(top=1.02)
    losses = pd.concat(list(histories.values()))["loss"].to_numpy(dtype=np.float64)
    scale_loss(grid[1, 0], losses)
    several = any(history["run"].nunique() > 1 for history in histories.values())
    _explain_lines(figure, several, wrapped(_WATCHED, width - 0.3, 7.0, 2))
    figure.suptitle("Accuracy and loss over iterations")
    return figure


def _explain_lines(figure: Figure, several: bool, title: str) -> None:
    """Say what thick and thin lines are, below all panels: a curve can pass through any corner."""
    widths = {"mean of all runs": 1.8, "each run": 0.7} if several else {"the run": 1.8}
    figure.legend(
        [Line2D([], [], color=GREY, linewidth=linewidth) for linewidth in widths.values()],
        list(widths),
        loc="outside lower center",
        ncols=2,
        title=title,
        title_fontsize=7.0,
    )


def accuracy_and_loss_caption(histories: Mapping[str, pd.DataFrame], *, source: str) -> str:
    """Caption of `accuracy_and_loss_figure` that stands alone; `source`: network and data set."""
    numbers = ", ".join(
        f"{task}: n = {history['run'].nunique()}" for task, history in histories.items()
    )
    return (
        f"Accuracy (share of correctly classified images, above) and loss (mean cross-entropy in"
        f" nats, of capsule networks margin loss; below) on the test images over training"
        f" iterations (one batch each), a column a task. Thin lines:"
        f" runs ({numbers}); thick: their mean, as far as all runs reach."
        f" {_WATCHED} Source: {source}."
    )


@styled
def accuracy_over_time_figure(table: pd.DataFrame, *, target: float) -> Figure:
    """Draw accuracy over training time, the complete data set against sub-samples.

    Parameters
    ----------
    table : DataFrame
        `task`, `design` (what was trained on), `run`, `seconds` (of training, without evaluation)
        and `accuracy` on the test images.
    target : float
        Accuracy that is to be reached, in (0, 1].

    Returns
    -------
    Figure
        A panel a task, which share their scales. Large marks: first evaluation of a run at or
        above the target. The legend of each panel tells how many runs reached it, and the median
        time of those.
    """
    tasks, designs = (list(dict.fromkeys(table[name])) for name in ("task", "design"))
    columns = min(len(tasks), _MOST_COLUMNS)
    rows = math.ceil(len(tasks) / columns)
    width = PAGE_WIDTH if columns > 1 else COLUMN_WIDTH
    room = (width - 0.6) / columns - 0.1
    height = 0.75 + rows * (2.3 + 0.32 * len(designs))
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    ends = table.groupby(["task", "design", "run"])["seconds"].max()
    logarithmic = bool(ends.max() > _WIDE_TIME * ends.min() > 0)
    unit = _time_unit(float(ends.max()), logarithmic)
    for axes in grid.flat[len(tasks) :]:
        axes.set_visible(False)
    for axes, task in zip(grid.flat, tasks, strict=False):
        _draw_task(axes, table[table["task"] == task], designs, target, unit, room - 0.5)
        axes.set_title(wrapped(task, room, 8.5, 2, bold=True))
        axes.set_xlabel(f"training time ({unit[0]}{', log scale' if logarithmic else ''})")
        axes.xaxis.set_tick_params(labelbottom=True)
    _scale_time(grid[0, 0], logarithmic)
    grid[0, 0].set_ylim(top=1.02)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy on the test images\n(share correct)")
    figure.suptitle("Accuracy over training time")
    return figure


def _draw_task(
    axes: Axes,
    table: pd.DataFrame,
    designs: Sequence[str],
    target: float,
    unit: tuple[str, float],
    room: float,
) -> None:
    """Draw all designs of a task, and a legend below that says which runs reached the target.

    `unit` is that of time, with its length in seconds; `room` that for names, in inches.
    """
    axes.axhline(target, color=GREY, linestyle=(0, (4, 2)), linewidth=1.0, zorder=1)
    handles, labels = [], []
    for index, design in enumerate(designs):
        part = table[table["design"] == design]
        if part.empty:
            continue
        colour, line = _LOOKS[index % len(_LOOKS)]
        marker = MARKERS[index % len(MARKERS)]
        reached = _draw_design(axes, part, target, unit[1], (colour, line, marker))
        handles.append(Line2D([], [], color=colour, linestyle=line, marker=marker, markersize=4.5))
        words = _reached_in_words(reached, target, unit[1], unit[0])
        labels.append(f"{fitted(design, room, 7.0)}\n{words}")
    axes.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        borderaxespad=0.0,
        handlelength=3.2,
    )


def accuracy_over_time_caption(table: pd.DataFrame, *, source: str, target: float) -> str:
    """Caption of `accuracy_over_time_figure` that stands alone.

    Parameters
    ----------
    table, target
        As there.
    source : str
        Network, data set, settings and machine.
    """
    numbers = "; ".join(
        f"{task}, {design}: n = {part['run'].nunique()} runs"
        for task, of_task in table.groupby("task", sort=False)
        for design, part in of_task.groupby("design", sort=False)
    )
    return (
        f"Accuracy (share of correctly classified images) on the test images over training time,"
        " a panel a task. Thin lines: runs; thick: their mean, as far as all runs reach. Time"
        f" counts training only, without evaluation. Dashed grey: the target of {target:.0%}; large"
        " marks: first evaluation of a run at or above it. Medians are of the runs that reached"
        f" it. {numbers}. {_WATCHED} Source: {source}."
    )


def _draw_design(
    axes: Axes,
    part: pd.DataFrame,
    target: float,
    divisor: float,
    look: tuple[str, Any, str],
) -> list[float]:
    """Draw the runs of a design; return when each first reached the target (NaN if never)."""
    colour, line, marker = look
    series = []
    reached = []
    for _, one_run in part.groupby("run"):
        one = one_run.groupby("seconds")["accuracy"].mean().sort_index()
        series.append(one)
        above = one[one >= target]
        reached.append(float(above.index[0]) if len(above) else math.nan)
        axes.plot(one.index / divisor, one, color=colour, linewidth=0.6, alpha=0.6, zorder=2)
        if len(above):
            axes.plot(
                above.index[0] / divisor,
                above.iloc[0],
                marker=marker,
                color=colour,
                markeredgecolor="white",
                markeredgewidth=0.6,
                markersize=6.0,
                zorder=4,
            )
    if len(series) > 1:
        mean = mean_over_runs(series)
        axes.plot(mean.index / divisor, mean, color=colour, linestyle=line, linewidth=1.8, zorder=3)
    else:
        axes.lines[-1 if math.isnan(reached[0]) else -2].set(
            linewidth=1.8, alpha=1.0, linestyle=line
        )
    return reached


def _reached_in_words(reached: Sequence[float], target: float, divisor: float, unit: str) -> str:
    """Say how many runs reached the target, and when."""
    times = np.array([time for time in reached if not math.isnan(time)])
    runs = f"{len(reached)} run{'s' if len(reached) > 1 else ''}"
    if not len(times):
        return f"{target:g} not reached ({runs})"
    median = float(np.median(times)) / divisor
    time = f"{median:,.0f}" if median >= 100 else f"{median:.3g}"
    return f"{target:g} reached by {len(times)} of {runs}, median {time} {unit}"


def _scale_time(axes: Axes, logarithmic: bool) -> None:
    """From zero, or logarithmic with plain numbers."""
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0.0)


def _time_unit(longest: float, logarithmic: bool) -> tuple[str, float]:
    """Unit of the time axis, and its length in seconds."""
    if logarithmic or longest < 600.0:
        return "s", 1.0
    return ("min", 60.0) if longest < 3 * 3600.0 else ("h", 3600.0)
