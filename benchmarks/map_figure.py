"""The figure of `benchmarks.maps`."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from benchmarks.map_measures import NETWORK, OWN
from workflow_scripts.cxrcam.drawing.style import (
    BLUE,
    GREY,
    MARKERS,
    PAGE_WIDTH,
    VERMILION,
    save_figure,
    styled,
)

SHOWN = {
    "accuracy, test": "Accuracy",
    "pointing": "Hottest point\nin lesion",
    "heat in lesion": "Heat in lesion",
    "overlap": "Overlap with\nlesion (IoU)",
    "heat in lungs": "Heat in lungs",
}
COLOURS = {"two_class": BLUE, "three_class": VERMILION}
LINE = 0.24  # inches a row


def _panel(axes: Axes, rows: pd.DataFrame, names: list[str], column: str) -> None:
    """One measure: a dot and its interval a task, one row a name; ticks where chance is."""
    for number, (task, colour) in enumerate(COLOURS.items()):
        of_task = rows[rows["task"] == task].drop_duplicates(column).set_index(column)
        for place, name in enumerate(names):
            if name not in of_task.index:
                continue
            row, y = of_task.loc[name], place + 0.16 * (2 * number - 1)
            if pd.notna(row["low"]):
                low, high = max(0.0, row["low"]), min(1.0, row["high"])
                axes.plot([low, high], [y, y], color=colour, linewidth=1.0)
            axes.plot(row["value"], y, MARKERS[number], color=colour, markersize=3.5, clip_on=False)
            if pd.notna(row["chance"]):
                axes.plot(row["chance"], y, "|", color=GREY, markersize=6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False, axis="y")


def _row(
    figure: SubFigure, means: pd.DataFrame, names: list[str], column: str, title: str
) -> list[Axes]:
    """One row of panels, a measure each, as far as there are values of it."""
    shown = {k: v for k, v in SHOWN.items() if k in set(means["measure"])}
    panels = list(figure.subplots(1, len(shown), squeeze=False)[0])
    for axes, (measure, heading) in zip(panels, shown.items(), strict=True):
        _panel(axes, means[means["measure"] == measure], names, column)
        axes.set_title(heading)
        if axes is not panels[0]:
            axes.set_yticklabels([])
    figure.suptitle(title)
    return panels


@styled
def tournament_figure(means: pd.DataFrame) -> Figure:
    """Draw the arms with our own maps above, and all kinds of maps of the finest arm below.

    Parameters
    ----------
    means : DataFrame
        As from `map_tables.over_seeds`, of phantoms of one difficulty.
    """
    own = means[means["map"].isin([NETWORK, OWN[0]])]
    arms = own["arm"].drop_duplicates().tolist()
    overlap = own[own["measure"] == "overlap"].groupby("arm", sort=False)["value"].mean()
    best = str(overlap.idxmax())
    kinds = means[(means["arm"] == best) & (means["map"] != NETWORK)]
    names = kinds["map"].drop_duplicates().tolist()
    heights = [LINE * len(arms) + 0.8, LINE * len(names) + 0.8]
    figure = Figure(figsize=(PAGE_WIDTH, sum(heights) + 0.3), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    panels = _row(above, own, arms, "arm", "Networks, with our own maps")
    _row(below, kinds, names, "map", f"Kinds of map ({best})")
    labels = {"two_class": "two classes", "three_class": "three classes"}
    handles = [
        panels[0].plot([], [], MARKERS[k], color=colour, label=labels[task], markersize=3.5)[0]
        for k, (task, colour) in enumerate(COLOURS.items())
    ]
    handles += panels[0].plot([], [], "|", color=GREY, label="chance", markersize=6)
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def draw_figure(means: pd.DataFrame, target: Path) -> list[Path]:
    """Draw the phantoms of the least difficulty that was measured."""
    phantoms = means[means["data"] == "phantoms"]
    if phantoms.empty or "overlap" not in set(phantoms["measure"]):
        return []
    easiest = phantoms[phantoms["difficulty"] == phantoms["difficulty"].min()]
    return save_figure(tournament_figure(easiest), target, kinds=("png",))
