"""The network, drawn from the module itself: layers of one resolution are one block."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from workflow_scripts.cxrcam.drawing.style import (
    BLACK,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PAGE_WIDTH,
    SKY_BLUE,
    fitted,
    styled,
)

Shape = tuple[int, ...]

# All lengths in inches, from the top left corner.
_MARGIN: Final = 0.1
_MIDDLE: Final = 1.0  # of the blocks
_BELOW: Final = 1.72  # numbers of the blocks
_TABLE: Final = 2.4
_ROW: Final = 0.16
_FOOT: Final = 0.3
_CLASSES: Final = 1.2  # width of the class names at the end
_OF_CAPSULES: Final = 2  # axes of an output that is no map


class Block(NamedTuple):
    """Neighbouring layers of a network whose outputs have one resolution.

    Attributes
    ----------
    layers : tuple of str
        Dotted names, in the order in which they run; the first block of all is the input.
    content : str
        Their kinds, such as "MaxPool2d, 2 × BasicBlock".
    output : tuple of int
        Of one image behind the last of them: (channels, height, width), or (values,).
    parameters : int
        Number of parameters, trainable or not.
    """

    layers: tuple[str, ...]
    content: str
    output: Shape
    parameters: int


def network_blocks(model: nn.Module, input_size: int) -> list[Block]:
    """Find the blocks of a network by one forward pass on a zero image.

    Parameters
    ----------
    model : nn.Module
        Takes float images of shape (n, 3, size, size). It is put into evaluation mode.
    input_size : int
        Pixels a side.

    Returns
    -------
    list of Block
        The input, and all others in their order. Functions that are no modules are not seen.
    """
    layers: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        # What torchvision calls long sequences: their layers are looked at one by one.
        inner = child.named_children() if name in ("features", "classifier") else ()
        layers |= {f"{name}.{key}": layer for key, layer in inner} or {name: child}
    outputs: dict[str, Shape] = {}

    def note(name: str, _layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        outputs[name] = tuple(output.shape[1:])

    # Where a network ends early, what is left out is an nn.Identity.
    hooks = [
        layer.register_forward_hook(partial(note, name))
        for name, layer in layers.items()
        if not isinstance(layer, nn.Identity)
    ]
    with torch.inference_mode():
        model.eval()(next(model.parameters()).new_zeros(1, 3, input_size, input_size))
    for hook in hooks:
        hook.remove()
    blocks = [Block(("input",), "", (3, input_size, input_size), 0)]
    for _, names in groupby(outputs, key=lambda name: outputs[name][1:]):
        used = {name: layers[name] for name in names}
        parameters = sum(p.numel() for layer in used.values() for p in layer.parameters())
        content = _content(list(used.values()))
        blocks.append(Block(tuple(used), content, outputs[list(used)[-1]], parameters))
    return blocks


def _content(layers: Sequence[nn.Module]) -> str:
    """Kinds of layers, counted where they repeat; a plain sequence is what it holds."""
    single = [
        one for layer in layers for one in (layer if type(layer) is nn.Sequential else [layer])
    ]
    counted = Counter(type(layer).__name__.lstrip("_") for layer in single)
    return ", ".join(name if n == 1 else f"{n} × {name}" for name, n in counted.items())


def block_of(blocks: Sequence[Block], layer: str) -> int:
    """Place of the block where a layer, named with dots, ends; ValueError where none does."""
    for index, block in reversed([*enumerate(blocks)]):
        for own in (f"{name}." for name in block.layers):
            if f"{layer}.".startswith(own) or own.startswith(f"{layer}."):
                return index
    known = [name for block in blocks for name in block.layers]
    raise ValueError(f"the network has no layer {layer!r}; its layers are {known}")


@styled
def architecture_figure(
    blocks: Sequence[Block],
    *,
    classes: Sequence[str],
    feature_layer: str,
    head: str,
    title: str,
) -> Figure:
    """Draw a network as a row of blocks above a table of what they are.

    Parameters
    ----------
    blocks : sequence of Block
        From `network_blocks`.
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
        that of its channels. The block of the maps is orange, that of the last layer green.

    Raises
    ------
    ValueError
        If a layer does not exist.
    """
    last, maps = block_of(blocks, head), block_of(blocks, feature_layer)
    marks = {last: (GREEN, "last layer")}
    marks[maps] = (ORANGE, "maps, last layer" if maps == last else "maps")
    height = _TABLE + (len(blocks) - 1) * _ROW + _FOOT
    figure = Figure(figsize=(PAGE_WIDTH, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0.0, PAGE_WIDTH), ylim=(height, 0.0))
    axes.set_axis_off()
    heading = fitted(title, PAGE_WIDTH - 2 * _MARGIN, 9.0, bold=True)
    axes.text(_MARGIN, 0.08, heading, fontsize=9.0, fontweight="bold", va="top")
    _draw_blocks(axes, [block.output for block in blocks], marks)
    names = [fitted(name, _CLASSES - 0.1, 7.0) for name in classes[:9]]
    names += [f"and {len(classes) - 9} more"] * (len(classes) > 9)
    left = PAGE_WIDTH - _MARGIN - _CLASSES + 0.1
    axes.text(left, _MIDDLE, "\n".join(names), fontsize=7.0, va="center", linespacing=1.4)
    _write_table(axes, blocks, marks)
    total = sum(block.parameters for block in blocks)
    note = f"{total:,} parameters. Below each block: {_below(blocks)} of its output."
    axes.text(_MARGIN, height - 0.08, note, fontsize=7.0, color=GREY)
    return figure


def _draw_blocks(axes: Axes, shapes: Sequence[Shape], marks: Mapping[int, tuple[str, str]]) -> None:
    """Draw each block as a bar, with its number, channels and resolution below."""
    column = (PAGE_WIDTH - 2 * _MARGIN - _CLASSES) / len(shapes)
    most = max(shape[0] for shape in shapes)
    right = 0.0
    for index, shape in enumerate(shapes):
        channels, *sides = shape
        colour, note = marks.get(index, (SKY_BLUE if index else LIGHT_GREY, ""))
        x = _MARGIN + (index + 0.5) * column
        high = 0.1 + 0.9 * math.log(max(sides, default=1)) / math.log(shapes[0][1])
        wide = 0.06 + 0.4 * column * math.log(channels) / math.log(most)
        bar: dict[str, Any] = {"color": colour, "edgecolor": BLACK, "linewidth": 0.6}
        axes.bar(x, high, wide, _MIDDLE - high / 2, **bar)
        if index:
            arrow = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 2, "shrinkB": 1}
            axes.annotate("", (x - wide / 2, _MIDDLE), (right, _MIDDLE), arrowprops=arrow)
        right = x + wide / 2
        look: dict[str, Any] = {"fontsize": 7.0, "ha": "center", "va": "center"}
        axes.text(x, _MIDDLE - high / 2 - 0.09, note, **look)
        axes.text(x, _BELOW, str(index) if index else "input", fontweight="bold", **look)
        axes.text(x, _BELOW + 0.15, str(channels), **look)
        side = f"{sides[0]}²" if sides else "–"
        if len(shape) == _OF_CAPSULES:
            side = f"× {sides[0]}"
        axes.text(x, _BELOW + 0.29, side, **look)


def _write_table(axes: Axes, blocks: Sequence[Block], marks: Mapping[int, tuple[str, str]]) -> None:
    """Write number, layers, content, output and parameters of each block."""
    end = PAGE_WIDTH - _MARGIN
    ends = ((0.5, "left"), (2.85, "left"), (end - 0.9, "right"), (end, "right"))
    rows = [("layers", "content", "output", "parameters")]
    for block in blocks[1:]:
        name = "–".join(dict.fromkeys((block.layers[0], block.layers[-1])))
        cells = (fitted(name, 2.3, 7.0), fitted(block.content, 2.4, 7.0), _in_words(block.output))
        rows.append((*cells, f"{block.parameters:,}" if block.parameters else "–"))
    axes.plot([_MARGIN, end], [_TABLE, _TABLE], color=BLACK, linewidth=0.6)
    for index, row in enumerate(rows):
        y = _TABLE + (index - 0.5) * _ROW + 0.02
        look: dict[str, Any] = {"fontsize": 7.0, "va": "center", "color": BLACK if index else GREY}
        if index in marks:
            axes.plot(_MARGIN + 0.06, y, "s", markersize=5, color=marks[index][0])
        if index:
            axes.text(0.42, y, str(index), fontweight="bold", ha="right", **look)
        for (x, side), text in zip(ends, row, strict=True):
            axes.text(x, y, text, ha=side, **look)


def architecture_caption(
    blocks: Sequence[Block], *, classes: Sequence[str], feature_layer: str, head: str, name: str
) -> str:
    """Caption of `architecture_figure` that stands alone; `name` is what the network is called."""
    maps = blocks[block_of(blocks, feature_layer)].output
    return (
        f"Architecture of {name} with {len(classes)} outputs ({', '.join(classes)}),"
        f" {sum(block.parameters for block in blocks):,} parameters. Neighbouring layers whose"
        f" outputs have one resolution are one block. Below a block: {_below(blocks)} of its"
        f" output (7² is 7 × 7), for an input of {_in_words(blocks[0].output)}; height grows with"
        " the logarithm of the resolution, width with that of the number of channels. Class"
        f" activation maps are read at {feature_layer} ({_in_words(maps)}; marked) and weighted by"
        f" the last layer, {head} (marked). Shapes come from one forward pass of the module."
    )


def _below(blocks: Sequence[Block]) -> str:
    """What stands below a block."""
    capsules = any(len(block.output) == _OF_CAPSULES for block in blocks)
    return "channels and resolution" + (", or capsules and their length," if capsules else "")


def _in_words(shape: Shape) -> str:
    return " × ".join(f"{length:,}" for length in shape)
