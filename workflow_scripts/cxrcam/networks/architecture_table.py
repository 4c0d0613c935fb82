"""The table below the drawing of a network: what each of its blocks is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes

from workflow_scripts.cxrcam.figures.captions import caption_font
from workflow_scripts.cxrcam.figures.style import BLACK, GREY, fitted
from workflow_scripts.cxrcam.networks.blocks import Block

SMALL: Final = 7.0
"""Points of all letters but the title's."""

ROW: Final = 0.15
"""Height of a row in inches."""

_NUMBER: Final = 0.32
"""Width of the numbers that begin a row."""
_TABLE_GAP: Final = 0.2


def inches(text: str) -> float:
    """Width of a text in `SMALL` letters, in inches.

    Parameters
    ----------
    text : str
        One line.

    Returns
    -------
    float
    """
    return caption_font(round(10 * SMALL)).getlength(text) / 720.0


@dataclass(frozen=True)
class TableLayout:
    """Columns of the table: two tables side by side if everything fits, else one.

    Attributes
    ----------
    tables : int
        1 or 2.
    rows : int
        Of the longer table.
    width : float
        Of a table, in inches.
    content : float
        Where the second column begins, from the left end of a table.
    room : float
        Width of the second column.
    """

    tables: int
    rows: int
    width: float
    content: float
    room: float

    @staticmethod
    def of(blocks: Sequence[Block], page: float) -> TableLayout:
        """Fit the table of some blocks to a page of a width in inches."""
        names = max(inches(block.name) for block in blocks)
        numbers = max(inches(f"{block.parameters:,}") for block in blocks)
        contents = 1.03 * max(inches(block.content) for block in blocks)
        content = _NUMBER + min(max(names, 0.8), 1.8) + 0.14
        beside = max(numbers, inches("parameters")) + 0.1
        width = (page - _TABLE_GAP) / 2
        if content + contents + beside <= width:
            return TableLayout(
                2, math.ceil(len(blocks) / 2), width, content, width - content - beside
            )
        # Not wider than it needs to be: eyes must find from a name to its number.
        width = min(page, content + contents + beside + 0.5)
        return TableLayout(1, len(blocks), width, content, width - content - beside)


def write_table(
    axes: Axes,
    blocks: Sequence[Block],
    layout: TableLayout,
    corner: tuple[float, float],
    colours: Mapping[int, str],
) -> None:
    """Write the table into axes that are scaled in inches.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Covers the figure; both of its scales are inches.
    blocks : sequence of Block
        One row each.
    layout : TableLayout
        Of these blocks.
    corner : tuple of float
        Left end and height of the rule below the headings.
    colours : mapping of int to str
        Colours of the blocks that stand out, by their place in `blocks`.
    """
    for table in range(layout.tables):
        left = corner[0] + table * (layout.width + _TABLE_GAP)
        right = left + layout.width
        for x, text, align in (
            (left + _NUMBER, "layers", "left"),
            (left + layout.content, "content", "left"),
            (right, "parameters", "right"),
        ):
            axes.text(x, corner[1] + 0.02, text, fontsize=SMALL, color=GREY, ha=align, va="bottom")
        axes.plot([left, right], [corner[1]] * 2, color=BLACK, linewidth=0.6)
        first = table * layout.rows
        for row, block in enumerate(blocks[first : first + layout.rows]):
            y = corner[1] - (row + 0.6) * ROW
            _write_row(axes, layout, left, y, first + row, block, colours.get(first + row))


def _write_row(
    axes: Axes,
    layout: TableLayout,
    left: float,
    y: float,
    index: int,
    block: Block,
    colour: str | None,
) -> None:
    look: dict[str, Any] = {"fontsize": SMALL, "va": "center"}
    if colour:
        axes.plot(left + 0.04, y, marker="s", markersize=5.0, color=colour, markeredgecolor=BLACK)
    name = fitted(block.name or "(function)", layout.content - _NUMBER - 0.06, SMALL)
    numbers = f"{block.parameters:,}" if block.parameters else "–"
    axes.text(left + _NUMBER - 0.06, y, str(index + 1), ha="right", fontweight="bold", **look)
    axes.text(left + _NUMBER, y, name, **look)
    axes.text(left + layout.content, y, fitted(block.content, layout.room, SMALL), **look)
    axes.text(left + layout.width, y, numbers, ha="right", **look)
