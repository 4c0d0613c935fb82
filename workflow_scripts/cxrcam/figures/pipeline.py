"""The workflow as a picture: its stages, the main rules of each, and which feeds which."""

from __future__ import annotations

from textwrap import fill
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from workflow_scripts.cxrcam.drawing.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    VERMILION,
    styled,
)

COLOURS: Final = {"data": BLUE, "networks": GREEN, "audit": VERMILION, "results": ORANGE}

# All lengths in inches.
_MARGIN: Final = 0.1
_TITLE: Final = 0.36
_FOOT: Final = 0.36
_BOX: Final = np.array((1.52, 0.62))
_STEP: Final = np.array(((PAGE_WIDTH - 2 * _MARGIN - _BOX[0]) / 3, 0.9))
"""From a box to the next one, to the right and downwards."""


class Stage(NamedTuple):
    """One box: key of `COLOURS`, column and row, main rules, and the stages that it uses.

    Boxes and what they use are neighbours, so that no arrow crosses a box.
    """

    kind: str
    column: int
    row: int
    rules: str
    uses: tuple[str, ...] = ()


DATA_AUDITS: Final = "audit_data, audit_leaks, audit_duplicates"
MAPS: Final = "cam, audit_run, audit_explanations, map_methods"
REUSE: Final = "predict_page, export_card, viewer_page"
PAGES: Final = "report, paper_samples, paper_effort, paper_scorecard"

STAGES: Final = {
    "Images": Stage("data", 0, 0, "phantoms, listing"),
    "Cache": Stage("data", 1, 0, "cache", ("Images",)),
    "Index": Stage("data", 2, 0, "index, masks", ("Cache",)),
    "Splits": Stage("data", 3, 0, "splits", ("Index",)),
    "Audit of the data": Stage("audit", 1, 1, DATA_AUDITS, ("Cache",)),
    "Starting weights": Stage("networks", 2, 1, "weights"),
    "Training": Stage("networks", 3, 1, "train", ("Splits", "Starting weights")),
    "Predictions": Stage("networks", 3, 2, "predict_run", ("Training",)),
    "Maps": Stage("audit", 2, 2, MAPS, ("Predictions",)),
    "Verdict": Stage("audit", 1, 2, "audit_verdict", ("Audit of the data", "Maps")),
    "Use elsewhere": Stage("results", 0, 2, REUSE, ("Verdict",)),
    "Evaluation": Stage("networks", 3, 3, "audit_floors, evaluate", ("Predictions",)),
    "Tables and figures": Stage("results", 2, 3, "tables, comparisons, figures", ("Evaluation",)),
    "Report and paper": Stage("results", 1, 3, PAGES, ("Tables and figures", "Verdict")),
    "Archive": Stage("results", 0, 3, "run_crate", ("Report and paper",)),
}


@styled
def pipeline_figure() -> Figure:
    """Draw the stages as boxes with the names of their rules, and arrows between them.

    It is the same for every configuration; ``snakemake --rulegraph`` draws all rules of one.
    """
    rows = max(stage.row for stage in STAGES.values())
    height = _TITLE + rows * _STEP[1] + _BOX[1] + _FOOT
    figure = Figure(figsize=(PAGE_WIDTH, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0.0, PAGE_WIDTH), ylim=(height, 0.0))
    axes.set_axis_off()
    axes.text(_MARGIN, 0.08, "Figure 2: the pipeline", fontsize=9.0, fontweight="bold", va="top")
    first = np.array((_MARGIN, _TITLE)) + _BOX / 2
    centres = {name: first + (s.column, s.row) * _STEP for name, s in STAGES.items()}
    arrow = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 1, "shrinkB": 1}
    for name, stage in STAGES.items():
        centre, colour = centres[name], COLOURS[stage.kind]
        corner, size = tuple(centre - _BOX / 2 + 0.05), _BOX - 0.1
        look: dict[str, Any] = {"boxstyle": "round,pad=0.05", "edgecolor": colour}
        axes.add_patch(FancyBboxPatch(corner, *size, facecolor=(colour, 0.15), **look))
        x, y = centre
        axes.text(x, y - 0.25, name, fontsize=8.0, fontweight="bold", ha="center", va="top")
        rules = fill(stage.rules, 27)
        axes.text(x, y + 0.08, rules, fontsize=7.0, ha="center", va="center", linespacing=1.1)
        for used in stage.uses:
            edge = np.sign(centre - centres[used]) * _BOX / 2
            axes.annotate("", xy=centre - edge, xytext=centres[used] + edge, arrowprops=arrow)
    marks = [Patch(facecolor=colour, alpha=0.5, label=kind) for kind, colour in COLOURS.items()]
    axes.legend(handles=marks, loc="lower center", ncols=len(marks))
    return figure


def pipeline_caption() -> str:
    """Caption of `pipeline_figure` that stands alone, one paragraph."""
    return (
        f"The workflow in {len(STAGES)} stages, each with its main rules. An arrow leads from a"
        " stage to one that uses its output; only the main flow is drawn (most later stages read"
        " the cache and the splits as well). Colours: data, networks, audit, results. All rules of"
        " a configuration, and all that they use, are drawn by `snakemake --rulegraph`."
    )
