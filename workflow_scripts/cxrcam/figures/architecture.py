"""The network, drawn from the module itself: no block, shape or number is written down here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon
from matplotlib.path import Path as MatplotlibPath
from torch import nn

from workflow_scripts.cxrcam.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PAGE_WIDTH,
    SKY_BLUE,
    VERMILION,
    styled,
    wrapped,
)
from workflow_scripts.cxrcam.networks.architecture_table import (
    ROW,
    SMALL,
    TableLayout,
    inches,
    write_table,
)
from workflow_scripts.cxrcam.networks.blocks import Network, Shape, network_blocks

# All lengths in inches.
_MARGIN: Final = 0.1
_TITLE: Final = 0.36
_DIAGRAM: Final = 2.02
"""Height of the strip from below the title to the lowest number below a block."""
_TABLE_DROP: Final = 0.42
_FOOT: Final = 0.5
_CLASSES: Final = 1.05
"""Width of the class names at the end."""
_ROW: Final = 0.15
"""A row of the table of blocks."""

_NUMBER: Final = 0.32
"""Width of the numbers that begin a row."""
_TABLE_GAP: Final = 0.2

_LEAST_SIDE: Final = 0.1
_LARGEST_SIDE: Final = 1.15
_LEAST_THICKNESS: Final = 0.05
_LARGEST_THICKNESS: Final = 0.24
_SLANT: Final = (0.11, 0.08)
"""Depth of the tallest block, to the right and upwards, over its height."""

_INPUT_COLOUR: Final = LIGHT_GREY
_BLOCK_COLOUR: Final = SKY_BLUE
_FEATURE_COLOUR: Final = ORANGE
_HEAD_COLOUR: Final = GREEN


@dataclass(frozen=True)
class _Slab:
    """Where a block stands: centre of its front face, and size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """Highest point, with the slanted roof."""
        return self.y + self.height * (0.5 + _SLANT[1])


@styled
def architecture_figure(
    model: nn.Module,
    input_size: int,
    *,
    classes: Sequence[str],
    feature_layer: str,
    head: str,
    title: str = "Network",
) -> Figure:
    """Draw a network as a row of blocks above a table of what they are.

    Parameters
    ----------
    model : nn.Module
        Any network for images of shape (3, size, size). It is run once on a zero image, in
        evaluation mode; its modes are restored.
    input_size : int
        Pixels a side.
    classes : sequence of str
        Names of the outputs, in their order.
    feature_layer : str
        Dotted name of the layer where class activation maps are read.
    head : str
        Dotted name of the last layer, whose weights make the maps.
    title : str
        Title.

    Returns
    -------
    Figure
        Heights of blocks grow with the logarithm of the resolution of their output, widths with
        that of its channels. Arcs are skip connections. The block of the maps is orange, the last
        layer green, and both are hatched.

    Raises
    ------
    ValueError
        If there is no class, or a layer does not exist.
    """
    if not classes:
        raise ValueError("no class is given: the network has at least two outputs")
    network = network_blocks(model, input_size, landmarks=(feature_layer, head))
    feature, last = network.block_of(feature_layer), network.block_of(head)
    table = TableLayout.of(network.blocks, PAGE_WIDTH - 2 * _MARGIN)
    height = _TITLE + _DIAGRAM + _TABLE_DROP + table.rows * ROW + _FOOT
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
    middle = height - _TITLE - 0.3 - _LARGEST_SIDE * (0.5 + _SLANT[1])
    floor = height - _TITLE - _DIAGRAM
    slabs = _placed(network, middle)
    for before, after in pairwise(slabs):
        _draw_arrow(axes, before.right, after.left, middle)
    _draw_slab(axes, slabs[0], _INPUT_COLOUR)
    _write_shape(axes, slabs[0], floor, "input", network.input)
    for index, (block, slab) in enumerate(zip(network.blocks, slabs[1:], strict=True)):
        colour = {feature: _FEATURE_COLOUR, last: _HEAD_COLOUR}.get(index, _BLOCK_COLOUR)
        _draw_slab(axes, slab, colour, hatch="" if colour == _BLOCK_COLOUR else "////")
        _write_shape(axes, slab, floor, str(index + 1), block.output)
        if block.skips:
            gap = slabs[1].x - slabs[0].x - slab.width - slab.height * _SLANT[0]
            _draw_skips(axes, slab, block.skips, min(0.09, gap / 2 - 0.025))
    _draw_classes(axes, slabs[-1], middle, classes)
    block = network.blocks[feature]
    _mark_map(axes, slabs[1 + feature], slabs[1 + last], block.output, block.skips > 0, height)
    colours = {feature: _FEATURE_COLOUR, last: _HEAD_COLOUR}
    write_table(axes, network.blocks, table, (_MARGIN, floor - _TABLE_DROP), colours)
    _write_foot(axes, network)
    return figure


def architecture_caption(
    model: nn.Module,
    input_size: int,
    *,
    classes: Sequence[str],
    feature_layer: str,
    head: str,
    name: str,
) -> str:
    """Caption of `architecture_figure` that stands alone.

    Parameters
    ----------
    model, input_size, classes, feature_layer, head
        As there.
    name : str
        What the network is called.

    Returns
    -------
    str
        One paragraph.
    """
    network = network_blocks(model, input_size, landmarks=(feature_layer, head))
    output = network.blocks[network.block_of(feature_layer)].output
    skips = sum(block.skips for block in network.blocks)
    passed_by = (
        f" Arcs stand for its {skips} skip connections, whose number stands above them."
        if skips
        else ""
    )
    return (
        f"Architecture of {name} with {len(classes)} outputs ({', '.join(classes)}),"
        f" {network.parameters:,} parameters. Numbers below a block: channels, and resolution"
        f" of its output (7² is 7 × 7) for an input of {_shape_text(network.input)}; a block's"
        f" height grows with the logarithm of the resolution and its width with that of the number"
        f" of channels."
        f"{passed_by} Class activation maps are read at {feature_layer}"
        f" ({_shape_text(output)}, orange) and weighted by the last layer, {head} (green)."
        " Drawn from the module: shapes come from one forward pass."
    )


def _shape_text(shape: Shape) -> str:
    return " × ".join(f"{length:,}" for length in shape)


def _placed(network: Network, middle: float) -> list[_Slab]:
    """Place the input and all blocks on one line, with equal room between them."""
    shapes = [network.input, *(block.output for block in network.blocks)]
    most_channels = max(shape[0] for shape in shapes)
    largest = max(network.input[1:])
    # Each block needs room for the numbers below it, and for arrows beside it.
    column = (PAGE_WIDTH - 2 * _MARGIN - _CLASSES) / len(shapes)
    sizes = []
    for shape in shapes:
        side = math.sqrt(math.prod(shape[1:])) if len(shape) == 3 else 1.0
        high = _grown(side, largest, _LEAST_SIDE, _LARGEST_SIDE)
        thickest = min(_LARGEST_THICKNESS, 0.45 * column)
        wide = _grown(shape[0], most_channels, _LEAST_THICKNESS, thickest)
        sizes.append((wide, high))
    return [
        _Slab(_MARGIN + (index + 0.5) * column, middle, wide, high)
        for index, (wide, high) in enumerate(sizes)
    ]


def _grown(value: float, largest: float, low: float, high: float) -> float:
    """Length that grows with the logarithm of a value, from `low` at 1 to `high` at `largest`."""
    if largest <= 1:
        return low
    return low + (high - low) * min(1.0, math.log(max(value, 1.0)) / math.log(largest))


def _draw_slab(axes: Axes, slab: _Slab, colour: str, hatch: str = "") -> None:
    """Draw a block as a box seen from the front, slightly from the right and above."""
    left, right = slab.left, slab.right
    low, high = slab.y - slab.height / 2, slab.y + slab.height / 2
    over, up = slab.height * _SLANT[0], slab.height * _SLANT[1]
    look: dict[str, Any] = {"edgecolor": BLACK, "linewidth": 0.6, "zorder": 3}
    faces = (
        ([(left, low), (right, low), (right, high), (left, high)], 1.0),
        ([(left, high), (right, high), (right + over, high + up), (left + over, high + up)], 0.6),
        ([(right, low), (right + over, low + up), (right + over, high + up), (right, high)], 0.75),
    )
    for corners, strength in faces:
        # Beneath in white: paler colour, not a view of what is behind.
        axes.add_patch(Polygon(corners, facecolor="white", **look))
        axes.add_patch(
            Polygon(corners, facecolor=colour, alpha=strength, edgecolor="none", zorder=3)
        )
        axes.add_patch(Polygon(corners, facecolor="none", **look))
    if hatch:
        axes.add_patch(
            Polygon(faces[0][0], facecolor="none", hatch=hatch, edgecolor=BLACK, linewidth=0.6)
        ).set_zorder(4)


def _draw_arrow(axes: Axes, start: float, stop: float, y: float) -> None:
    axes.add_patch(
        FancyArrowPatch(
            (start, y),
            (stop - 0.01, y),
            arrowstyle="-|>",
            mutation_scale=6,
            shrinkA=0,
            shrinkB=0,
            linewidth=0.8,
            color=GREY,
            zorder=2,
        )
    )


def _draw_skips(axes: Axes, slab: _Slab, number: int, room: float) -> None:
    """Draw one arc over a block, with the number of skip connections that it stands for."""
    start = slab.left - room
    stop = slab.right + slab.height * _SLANT[0] + room
    ridge, bend = slab.top + 0.07, 0.05
    corners = [
        (start, slab.y),
        (start, ridge - bend),
        (start, ridge),
        (start + bend, ridge),
        (stop - bend, ridge),
        (stop, ridge),
        (stop, ridge - bend),
        (stop, slab.y + 0.01),
    ]
    line, curve = MatplotlibPath.LINETO, MatplotlibPath.CURVE3
    codes = [MatplotlibPath.MOVETO, line, curve, curve, line, curve, curve, line]
    axes.add_patch(
        FancyArrowPatch(
            path=MatplotlibPath(corners, codes),
            arrowstyle="-|>",
            mutation_scale=6,
            linewidth=0.9,
            color=BLUE,
            fill=False,
            zorder=2,
        )
    )
    axes.text(
        (start + stop) / 2,
        ridge + 0.02,
        f"{number}×",
        fontsize=SMALL,
        color=BLUE,
        ha="center",
        va="bottom",
    )


def _write_shape(axes: Axes, slab: _Slab, floor: float, name: str, shape: Shape) -> None:
    """Write number, channels and resolution below a block."""
    x = slab.x
    axes.text(x, floor + 0.3, name, fontsize=SMALL, fontweight="bold", ha="center", va="center")
    axes.text(x, floor + 0.14, f"{shape[0]}", fontsize=SMALL, ha="center", va="center")
    square = len(shape) == 3 and shape[1] == shape[2]
    beyond = f"{shape[1]}²" if square else "×".join(map(str, shape[1:])) or "–"
    axes.text(x, floor, beyond, fontsize=SMALL, ha="center", va="center")


def _draw_classes(axes: Axes, last: _Slab, middle: float, classes: Sequence[str]) -> None:
    """Write the class names at the end, each behind a line from the last block."""
    left = PAGE_WIDTH - _MARGIN - _CLASSES + 0.16
    step = min(0.3, 1.5 / len(classes))
    start = last.right + last.height * _SLANT[0]
    for index, name in enumerate(classes):
        y = middle + ((len(classes) - 1) / 2 - index) * step
        axes.plot([start, left - 0.04], [middle, y], color=GREY, linewidth=0.8, zorder=2)
        axes.plot(left, y, marker="o", markersize=3.0, color=BLACK, zorder=3)
        axes.text(
            left + 0.06,
            y,
            wrapped(name, PAGE_WIDTH - _MARGIN - left - 0.06, SMALL, 2 if step > 0.25 else 1),
            fontsize=SMALL,
            va="center",
        )


def _mark_map(
    axes: Axes, feature: _Slab, head: _Slab, output: Shape, skips: bool, height: float
) -> None:
    """Join the block of the maps and the last layer by a dashed line, and say what it means."""
    y = height - _TITLE - 0.16
    for slab, has_arc in ((feature, skips), (head, False)):
        axes.plot(
            [slab.x, slab.x],
            [slab.top + (0.24 if has_arc else 0.03), y],
            color=VERMILION,
            linewidth=1.0,
            linestyle=(0, (3, 2)),
            zorder=1,
        )
    axes.plot([feature.x, head.x], [y, y], color=VERMILION, linewidth=1.0, linestyle=(0, (3, 2)))
    cells = f", {'×'.join(map(str, output[1:]))} cells" if len(output) == 3 else ""
    text = f"class activation map{cells}"
    half = inches(text) / 2
    axes.text(
        min((feature.x + head.x) / 2, PAGE_WIDTH - _MARGIN - half),
        y + 0.03,
        text,
        fontsize=SMALL,
        color=VERMILION,
        ha="center",
        va="bottom",
    )


def _write_foot(axes: Axes, network: Network) -> None:
    notes = "Below a block: channels and resolution of its output (7² = 7 × 7)."
    if any(block.skips for block in network.blocks):
        notes += " Arcs: skip connections and their number."
    drawn = sum(block.parameters for block in network.blocks)
    total = f"Total: {network.parameters:,} parameters"
    if drawn != network.parameters:
        total += f", {network.parameters - drawn:,} of them in layers that prediction does not use"
    for y, text in ((0.22, total + "."), (0.07, notes)):
        axes.text(_MARGIN, y, text, fontsize=SMALL, color=GREY, va="bottom")
