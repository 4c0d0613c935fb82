"""What a network consists of, found by running it: blocks, their output, parameters and skips.

Nothing is known here about any architecture. Layers are found by hooks during one forward pass,
long sequences are cut where the resolution changes, and skip connections are read from the traced
graph of the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import torch
from torch import nn

from workflow_scripts.cxrcam.networks.skips import evaluating, skip_connections

Shape = tuple[int, ...]

MOST_BLOCKS: Final = 15
"""Blocks that a page has room for; beyond it, neighbours of one resolution are joined."""

# A sequence with fewer resolutions is one stage of a network, such as ResNet's layer2.
_RESOLUTIONS_OF_A_TRUNK: Final = 3

_CONTAINERS: Final = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Block:
    """One block of the drawing.

    Attributes
    ----------
    layers : tuple of str
        Dotted names of the modules in it; empty for pooling that is no module.
    content : str
        What it is made of, such as "2 × BasicBlock".
    output : tuple of int
        Output shape of one image: (channels, height, width), or (values,).
    parameters : int
        Number of parameters, trainable or not.
    skips : int
        Connections in it that pass layers by and are added or concatenated behind them.
    """

    layers: tuple[str, ...]
    content: str
    output: Shape
    parameters: int
    skips: int = 0

    @property
    def name(self) -> str:
        """Dotted name, or first and last such as "features.2–3"."""
        if not self.layers:
            return ""
        first, last = self.layers[0], self.layers[-1]
        if first == last:
            return first
        parent = first.rpartition(".")[0]
        shared = bool(parent) and last.rpartition(".")[0] == parent
        return f"{first}–{last.rpartition('.')[2] if shared else last}"

    def holds(self, layer: str) -> bool:
        """Whether a layer is one of the block's, or part of one."""
        return any(layer == own or layer.startswith(own + ".") for own in self.layers)


@dataclass(frozen=True)
class Network:
    """A network as it is drawn.

    Attributes
    ----------
    input : tuple of int
        Shape of one image: (3, size, size).
    blocks : tuple of Block
        In the order in which they run.
    parameters : int
        Of the whole network, with those of layers that prediction does not use.
    """

    input: Shape
    blocks: tuple[Block, ...]
    parameters: int

    def block_of(self, layer: str) -> int:
        """Number of the last block that belongs to a layer.

        Raises
        ------
        ValueError
            If no block does: the layer does not exist, or prediction does not use it.
        """
        for index in reversed(range(len(self.blocks))):
            block = self.blocks[index]
            if block.holds(layer) or any(own.startswith(layer + ".") for own in block.layers):
                return index
        raise ValueError(
            f"no block holds the layer {layer!r}; the blocks are"
            f" {[block.name for block in self.blocks if block.layers]}"
        )


@dataclass
class _Call:
    """First call of a module during the forward pass."""

    order: int
    input: Shape
    output: Shape


@dataclass
class _Group:
    """Layers that become one block."""

    kind: str
    names: list[str] = field(default_factory=list)
    output: Shape = ()


def network_blocks(
    model: nn.Module,
    input_size: int,
    *,
    landmarks: Sequence[str] = (),
    most: int = MOST_BLOCKS,
) -> Network:
    """Find the blocks of a network by one forward pass on a zero image.

    Parameters
    ----------
    model : nn.Module
        Takes float images of shape (n, 3, size, size). It is run in evaluation mode; its modes
        are restored.
    input_size : int
        Pixels a side.
    landmarks : sequence of str
        Dotted names of layers that must not disappear inside a larger sequence, and of which the
        last is a block of its own: where maps are read, and the last layer.
    most : int
        Most blocks; neighbours of one resolution are joined beyond it, as far as that goes.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If a landmark is no layer of the network.
    """
    modules = dict(model.named_modules())
    for name in landmarks:
        if name not in modules:
            raise ValueError(f"the network has no layer {name!r}")
    calls = _run(model, input_size)
    names = sorted(_visible(model, "", calls, landmarks), key=lambda name: calls[name].order)
    if not names:
        raise ValueError("the network has no layers that could be drawn")
    alone = landmarks[-1] if landmarks else ""
    groups = _grouped(names, modules, calls, landmarks)
    groups = _joined(groups, modules, alone, most)
    skips = skip_connections(model)
    blocks: list[Block] = []
    before = calls[names[0]].input
    for group in groups:
        taken = calls[group.names[0]].input
        if blocks and math.prod(taken) < math.prod(before) and taken[0] == before[0]:
            # A function, no module, has made one value of each channel.
            blocks.append(Block((), "global pooling", taken, 0))
        own = {id(p): p.numel() for name in group.names for p in modules[name].parameters()}
        blocks.append(
            Block(
                tuple(group.names),
                _content([modules[name] for name in group.names]),
                group.output,
                sum(own.values()),
                sum(_inside(place, group.names) for place in skips),
            )
        )
        before = group.output
    total = sum(p.numel() for p in model.parameters())
    return Network((3, input_size, input_size), tuple(blocks), total)


def _shape(value: object) -> Shape | None:
    """Shape of one image of the first tensor in a module's input or output."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape[1:])
    if isinstance(value, (tuple, list)) and value:
        return _shape(value[0])
    return None


def _run(model: nn.Module, input_size: int) -> dict[str, _Call]:
    """Names of the modules that a forward pass calls, with order and shapes."""
    calls: dict[str, _Call] = {}
    order: dict[str, int] = {}
    handles = []
    for name, module in model.named_modules():

        def note_order(_module: nn.Module, _inputs: object, name: str = name) -> None:
            order.setdefault(name, len(order))

        def note_call(_module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:  # noqa: ANN401
            taken, given = _shape(inputs), _shape(output)
            if taken is not None and given is not None:
                calls.setdefault(name, _Call(order[name], taken, given))

        handles.append(module.register_forward_pre_hook(note_order))
        handles.append(module.register_forward_hook(note_call))
    parameter = next(model.parameters(), torch.zeros(()))
    try:
        with evaluating(model), torch.inference_mode():
            model(
                torch.zeros(
                    1, 3, input_size, input_size, dtype=parameter.dtype, device=parameter.device
                )
            )
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _resolution(shape: Shape) -> Shape:
    """Height and width; a vector has none."""
    return shape[1:] if len(shape) == 3 else ()


def _visible(
    module: nn.Module, prefix: str, calls: dict[str, _Call], landmarks: Sequence[str]
) -> Iterator[str]:
    """Names of the layers to draw: top level, but the trunk and the last layers one by one."""
    for child_name, child in module.named_children():
        name = prefix + child_name
        if name not in calls:
            continue
        inner = [f"{name}.{key}" for key, _ in child.named_children()]
        resolutions = {_resolution(calls[key].output) for key in inner if key in calls}
        if isinstance(child, nn.Sequential) and (
            len(resolutions) >= _RESOLUTIONS_OF_A_TRUNK
            or any(mark.startswith(name + ".") for mark in landmarks[-1:])
        ):
            yield from _visible(child, name + ".", calls, landmarks)
        else:
            yield name


def _kind(module: nn.Module, call: _Call) -> str:
    """What may stand in one block: same names join."""
    if any(True for _ in module.parameters()):
        leaf = not any(True for _ in module.children())
        return "layer" if leaf else type(module).__name__
    return "function" if math.prod(call.input) == math.prod(call.output) else "resampling"


def _grouped(
    names: Sequence[str],
    modules: dict[str, nn.Module],
    calls: dict[str, _Call],
    landmarks: Sequence[str],
) -> list[_Group]:
    """Join layers of one resolution and kind; what changes no shape joins what precedes it."""
    groups: list[_Group] = []
    alone = landmarks[-1] if landmarks else ""
    for name in names:
        call = calls[name]
        kind = _kind(modules[name], call)
        last = groups[-1] if groups else None
        if last is not None and kind == "function" and name not in landmarks:
            if _parent(name) != _parent(last.names[-1]):
                # Such as the dropout that begins a classifier: nothing that a drawing needs.
                continue
        joins = last is not None and (
            kind == "function"
            or (
                kind == last.kind
                and kind not in {"resampling", "Sequential"}
                and _resolution(call.output) == _resolution(last.output)
                and alone not in {name, *last.names}
            )
        )
        if last is not None and joins:
            last.names.append(name)
            # A dropout behind functional pooling leaves the block's own output as it is.
            last.output = last.output if kind == "function" else call.output
        else:
            groups.append(_Group(kind, [name], call.output))
    return groups


def _joined(
    groups: list[_Group], modules: dict[str, nn.Module], alone: str, most: int
) -> list[_Group]:
    """Join the neighbours of one resolution with the fewest parameters until they fit a page."""
    groups = list(groups)
    while len(groups) > most:
        pairs = [
            (
                sum(p.numel() for name in (*a.names, *b.names) for p in modules[name].parameters()),
                index,
            )
            for index, (a, b) in enumerate(pairwise(groups))
            if _resolution(a.output) == _resolution(b.output) and alone not in {*a.names, *b.names}
        ]
        if not pairs:
            break
        _, index = min(pairs)
        first, second = groups[index : index + 2]
        both = _Group(second.kind, first.names + second.names, second.output)
        groups[index : index + 2] = [both]
    return groups


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _class_name(module: nn.Module) -> str:
    return type(module).__name__.lstrip("_")


def _content(modules: Sequence[nn.Module]) -> str:
    """Name classes of layers, counted where they repeat, such as "4 × (Conv2d, ReLU)"."""
    if len(modules) == 1 and isinstance(modules[0], _CONTAINERS):
        modules = list(modules[0].children()) or modules
    names = [_class_name(module) for module in modules]
    for period in range(1, len(names) // 2 + 1):
        times, rest = divmod(len(names), period)
        if rest == 0 and names == names[:period] * times:
            repeated = ", ".join(names[:period])
            return f"{times} × ({repeated})" if period > 1 else f"{times} × {repeated}"
    if len(set(names)) == 1:
        return names[0]
    counted = {name: names.count(name) for name in names}
    return ", ".join(name if n == 1 else f"{n} × {name}" for name, n in counted.items())


def _inside(place: str, layers: Sequence[str]) -> bool:
    return any(place == layer or place.startswith(layer + ".") for layer in layers)
