"""The workflow as a picture: rules in layers, and which of them feeds which."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as MatplotlibPath

from workflow_scripts.cxrcam.figures.captions import caption_font
from workflow_scripts.cxrcam.figures.rule_graph import Edge, Layout, layered_layout
from workflow_scripts.cxrcam.figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    styled,
    wrapped,
)

# All lengths in inches.
_MARGIN: Final = 0.12
_TITLE: Final = 0.34
_FOOT: Final = 0.32
_BOX: Final = 0.31
_LARGEST_BOX: Final = 1.1
_PADDING: Final = 0.1
_NEIGHBOURS: Final = 0.13
"""Between two boxes, or a box and a line that passes it."""
_LAYERS: Final = 0.33
"""Between the boxes of two layers, with few lines."""
_LINE_ROOM: Final = 0.015
_FEW_LINES: Final = 8
_HEAD: Final = 0.06
"""Length of an arrow's head."""

_POINTS: Final = 7.0

_COMMON: Final = ("#E3F0F9", BLUE, "-")
_START: Final = ("white", GREY, (0, (3, 1.5)))
_END: Final = ("#FBEBCB", ORANGE, "-")
"""Ground, edge and line of a box."""


@styled
def pipeline_figure(
    edges: Sequence[Edge],
    *,
    title: str = "Pipeline",
    omit: Collection[str] = ("all",),
) -> Figure:
    """Draw the rule graph from top to bottom.

    Parameters
    ----------
    edges : sequence of (str, str)
        (rule, rule that uses its output), from `rule_graph.edges_from_dot`.
    title : str
        Title.
    omit : collection of str
        Rules that are left out: target rules only collect files, and their arrows hide the rest.
        A rule that feeds nothing else is still drawn.

    Returns
    -------
    Figure
        Rules that use no other are dashed, those whose outputs no other uses are orange. Lines
        pass layers between the boxes, never over them; those of one rule run together.

    Raises
    ------
    ValueError
        If there is no rule to draw, or the rules form a circle.
    """
    left_out = set(omit)
    drawn = [(a, b) for a, b in edges if not {a, b} & left_out]
    rules = [name for pair in edges for name in pair if name not in left_out]
    layout = layered_layout(
        drawn, PAGE_WIDTH - 2 * _MARGIN, _box_width, _NEIGHBOURS, rules=dict.fromkeys(rules)
    )
    depths = _layer_depths(layout)
    height = _TITLE + depths[-1] + _BOX + 0.1 + _FOOT
    tops = [height - _TITLE - depth for depth in depths]
    figure = Figure(figsize=(PAGE_WIDTH, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, PAGE_WIDTH), ylim=(0.0, height))
    axes.set_axis_off()
    axes.text(
        _MARGIN,
        height - 0.08,
        wrapped(title, PAGE_WIDTH - 2 * _MARGIN, 9.0, 1, bold=True),
        fontsize=9.0,
        fontweight="bold",
        va="top",
    )
    _draw_lines(axes, layout, tops)
    using = {below for _, below in drawn}
    used = {above for above, _ in drawn}
    for name, place in layout.rules.items():
        look = _START if name not in using else _COMMON if name in used else _END
        _draw_box(axes, _MARGIN + place.x, tops[place.layer], name, look)
    _draw_legend(axes)
    return figure


def pipeline_caption(edges: Sequence[Edge], *, omit: Collection[str] = ("all",)) -> str:
    """Caption of `pipeline_figure` that stands alone.

    Parameters
    ----------
    edges, omit
        As there.

    Returns
    -------
    str
        One paragraph.
    """
    rules = {name for pair in edges for name in pair}
    left_out = sorted(rules & set(omit))
    drawn = [pair for pair in edges if not set(pair) & set(left_out)]
    without = (
        f" Left out because they only collect files: {', '.join(left_out)}." if left_out else ""
    )
    return (
        f"The workflow: {len(rules) - len(left_out)} rules and {len(drawn)} dependencies between"
        " them, as Snakemake reports them (--rulegraph). An arrow leads from a rule to one that"
        " uses its output; lines that leave a rule together run together until they part. Dashed:"
        " rules that use no other rule's output. Orange: rules whose outputs are results, used by"
        f" no other rule.{without}"
    )


def _box_width(name: str) -> float:
    font = caption_font(round(10 * _POINTS))
    return min(_LARGEST_BOX, max(0.5, font.getlength(name) / 720.0 * 1.03 + _PADDING))


def _layer_depths(layout: Layout) -> list[float]:
    """Distance of each layer from the first: the more lines lie between two, the more room."""
    lines = Counter(upper.layer for _, upper, _, _ in layout.segments())
    depths = [0.0]
    for layer in range(layout.layers - 1):
        room = min(2.0 * _LAYERS, _LAYERS + _LINE_ROOM * max(0, lines[layer] - _FEW_LINES))
        depths.append(depths[-1] + _BOX + room)
    return depths


def _draw_box(axes: Axes, x: float, top: float, name: str, look: tuple[str, str, Any]) -> None:
    ground, edge, line = look
    width = _box_width(name)
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2 + 0.04, top - _BOX + 0.04),
            width - 0.08,
            _BOX - 0.08,
            boxstyle="round,pad=0.04,rounding_size=0.06",
            facecolor=ground,
            edgecolor=edge,
            linestyle=line,
            linewidth=1.0,
            zorder=3,
        )
    )
    axes.text(
        x,
        top - _BOX / 2,
        wrapped(name, width - _PADDING / 2, _POINTS, 2),
        fontsize=_POINTS,
        color=BLACK,
        ha="center",
        va="center",
        linespacing=1.05,
        zorder=4,
    )


def _draw_lines(axes: Axes, layout: Layout, tops: Sequence[float]) -> None:
    """Draw each piece of a line in the room between two layers, where there are no boxes."""
    pieces = layout.segments()
    arriving: dict[str, list[float]] = defaultdict(list)
    for _, upper, _, below in pieces:
        if below is not None:
            arriving[below].append(upper.x)
    taken: dict[str, int] = defaultdict(int)
    for _, upper, lower, below in sorted(pieces, key=lambda piece: piece[1].x):
        start = (_MARGIN + upper.x, tops[upper.layer] - _BOX)
        stop = (_MARGIN + lower.x, tops[lower.layer])
        if below is not None:
            # Arrow heads stand side by side on the box.
            number = len(arriving[below])
            step = min(0.13, 0.7 * _box_width(below) / number)
            offset = (taken[below] - (number - 1) / 2) * step
            taken[below] += 1
            stop = (stop[0] + offset, stop[1])
            _draw_head(axes, stop)
            stop = (stop[0], stop[1] + _HEAD)
        _draw_curve(axes, start, stop)
        if below is None:
            axes.plot([stop[0]] * 2, [stop[1], stop[1] - _BOX], color=GREY, linewidth=0.9, zorder=2)


def _draw_curve(axes: Axes, start: tuple[float, float], stop: tuple[float, float]) -> None:
    middle = (start[1] + stop[1]) / 2
    axes.add_patch(
        PathPatch(
            MatplotlibPath(
                [start, (start[0], middle), (stop[0], middle), stop],
                [MatplotlibPath.MOVETO] + [MatplotlibPath.CURVE4] * 3,
            ),
            fill=False,
            edgecolor=GREY,
            linewidth=0.9,
            zorder=2,
        )
    )


def _draw_head(axes: Axes, tip: tuple[float, float]) -> None:
    x, y = tip
    axes.add_patch(
        Polygon(
            [(x, y), (x - 0.4 * _HEAD, y + _HEAD), (x + 0.4 * _HEAD, y + _HEAD)],
            facecolor=GREY,
            edgecolor="none",
            zorder=3,
        )
    )


def _draw_legend(axes: Axes) -> None:
    x = _MARGIN
    for (ground, edge, line), text in (
        (_START, "uses no other rule"),
        (_COMMON, "uses rules and is used"),
        (_END, "gives results"),
    ):
        axes.add_patch(
            FancyBboxPatch(
                (x + 0.03, 0.11),
                0.18,
                0.05,
                boxstyle="round,pad=0.03,rounding_size=0.03",
                facecolor=ground,
                edgecolor=edge,
                linestyle=line,
                linewidth=1.0,
            )
        )
        axes.text(x + 0.3, 0.135, text, fontsize=_POINTS, color=GREY, va="center")
        x += 0.5 + caption_font(round(10 * _POINTS)).getlength(text) / 720.0
