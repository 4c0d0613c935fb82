"""Where the cells of a feature map lie: receptive field arithmetic along a traced network.

The arithmetic is that of `configuration.stages`. Convolutions and pools change stride, place and
size of what a cell sees; whatever else keeps the number of cells has the cells of what goes into
it. Where several branches meet, a cell sees what any of them sees. What was pooled to one number
(squeeze and excitation) has no place and is left out.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import fx, nn
from torch.nn import functional

SPATIAL: Final = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
POOLING: Final = (functional.max_pool2d, functional.avg_pool2d)


class Cells(NamedTuple):
    """Cells of a feature map, in input pixels along one side; the network treats both alike."""

    side: int  # number of cells along one side
    stride: int  # between neighbouring cells
    low: int  # first pixel that the first cell sees, below 0 where it sees padding
    high: int  # last one

    @property
    def offset(self) -> float:
        """From the centre of the first pixel to the centre of the first cell."""
        return (self.low + self.high) / 2

    @property
    def receptive_field(self) -> int:
        """Pixels that one cell sees."""
        return self.high - self.low + 1

    def behind(
        self, side: int, kernel: int, stride: int, padding: int, dilation: int = 1
    ) -> "Cells":
        """Cells behind a convolution or pool that gives `side` of them."""
        return Cells(
            side,
            self.stride * stride,
            self.low - self.stride * padding,
            self.high + self.stride * (dilation * (kernel - 1) - padding),
        )


UNKNOWN: Final = Cells(0, 0, 0, 0)
"""Of a map whose cells the arithmetic does not know."""


class _Tracer(fx.Tracer):
    """Goes into all modules that hold convolutions or pools."""

    def is_leaf_module(self, module: nn.Module, _name: str) -> bool:
        """Subclasses of convolutions may pad by the size of their input: they are gone into."""
        inside = any(isinstance(each, SPATIAL) for each in module.modules())
        return type(module) in SPATIAL or not inside


class _Arithmetic(fx.Interpreter):
    """Runs a traced network, and with it the arithmetic."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.cells: dict[fx.Node, Cells | None] = {}

    def run_node(self, node: fx.Node) -> Any:  # noqa: ANN401 (whatever a node gives)
        """Run one node as ever, and note its cells; None where it gives no map."""
        output = super().run_node(node)
        tensors = output if isinstance(output, tuple | list) else [output]
        # Of three axes, too: one channel of an image.
        maps = [each for each in tensors if torch.is_tensor(each) and each.ndim >= 3]
        shape = tuple(maps[0].shape) if maps else ()
        self.cells[node] = None if shape[-2:] in ((), (1, 1)) else self._cells(node, shape)
        return output

    def _cells(self, node: fx.Node, shape: tuple[int, ...]) -> Cells:
        """Cells of a map of this shape."""
        if node.op == "placeholder":
            return Cells(shape[-1], 1, 0, 0)
        before = [cells for each in node.all_input_nodes if (cells := self.cells[each])]
        if not before or UNKNOWN in before or len({(c.side, c.stride) for c in before}) > 1:
            return UNKNOWN
        side, stride = before[0][:2]
        seen = Cells(side, stride, min(c.low for c in before), max(c.high for c in before))
        layer = self.fetch_attr(str(node.target)) if node.op == "call_module" else None
        if type(layer) in SPATIAL:
            return seen.behind(shape[-1], *_shape_of(layer))
        if node.op == "call_function" and node.target in POOLING:
            named = dict(zip(("kernel_size", "stride", "padding"), node.args[1:], strict=False))
            named |= node.kwargs
            kernel = _side(named["kernel_size"])
            stride = _side(named.get("stride") or kernel)
            return seen.behind(shape[-1], kernel, stride, _side(named.get("padding", 0)))
        return seen if shape.count(side) >= 2 else UNKNOWN  # both sides, wherever they stand


def _shape_of(layer: Any) -> tuple[int, int, int, int]:  # noqa: ANN401
    """Kernel, stride, padding and dilation of a layer along one side."""
    dilation = _side(getattr(layer, "dilation", 1))
    return _side(layer.kernel_size), _side(layer.stride), _side(layer.padding), dilation


def _side(size: Any) -> int:  # noqa: ANN401 (int or pair, as PyTorch allows both)
    """A length along the height: 1 × 7 convolutions come with 7 × 1 ones."""
    return int(size[0] if isinstance(size, Sequence) else size)


def cells_of(model: nn.Module, layer: str, images: torch.Tensor) -> Cells | None:
    """Cells of the output of a layer; None where the network cannot be followed up to there.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    layer : str
        Dotted name of a layer that gives a feature map.
    images : float tensor, shape (n, 3, size, size)
    """
    try:
        graph = _Tracer().trace(model)
        arithmetic = _Arithmetic(fx.GraphModule(model, graph))
        arithmetic.run(images)
    except Exception:  # whatever code of other people does not allow while it is traced
        return None
    of_layer = [node for node in graph.nodes if _belongs_to(node, layer)]
    cells = arithmetic.cells.get(of_layer[-1]) if of_layer else None
    return None if cells in (None, UNKNOWN) else cells


def _belongs_to(node: fx.Node, layer: str) -> bool:
    """Whether a node is of a layer or of one inside of it."""
    stack = node.meta.get("nn_module_stack") or {}
    return any(f"{path}.".startswith(f"{layer}.") for path, _ in stack.values())
