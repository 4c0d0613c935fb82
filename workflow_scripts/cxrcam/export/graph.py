"""A trained network as one graph: grey levels in, logits and evidence maps out."""

import io
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from workflow_scripts.cxrcam.images.blanking import blanked
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.cam import captured_features, classifier_head
from workflow_scripts.cxrcam.networks.decomposition import composed_maps
from workflow_scripts.cxrcam.networks.input_size import network_input_size, resize_pixels
from workflow_scripts.cxrcam.networks.models import ModelCard

INPUT: Final = "pixels"
LOGITS: Final = "logits"
MAPS: Final = "maps"

# Any number but 0 and 1, which the tracer may take for constants.
_TRACED_BATCH: Final = 2


def has_exact_maps(backbone: Backbone) -> bool:
    """Whether the maps of a network are part of its forward pass, and so can be of its graph."""
    return backbone.map_kind == "exact"


def output_names(backbone: Backbone) -> tuple[str, ...]:
    """Names of the graph's outputs, in their order."""
    return (LOGITS, MAPS) if has_exact_maps(backbone) else (LOGITS,)


class PixelsToMaps(nn.Module):
    """A network with all that stands before and behind it in `predict`.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, on the CPU.
    card : ModelCard
        What it was trained with.
    blank : {"none", "corners"}
        What the graph itself blanks, so that no program has to, see `blanking.blanked`.
    """

    scale: torch.Tensor
    shift: torch.Tensor
    resizing: torch.Tensor | None
    seen: torch.Tensor | None
    head_kernel: torch.Tensor | None

    def __init__(self, model: nn.Module, card: ModelCard, blank: str = "none") -> None:
        super().__init__()
        self.model = model
        self.backbone = card.backbone
        # The normalisation is affine: what it makes of black and of white is all of it.
        black, white = (card.normalisation.apply(torch.full((1, 1, 1), k)) for k in (0.0, 255.0))
        self.register_buffer("shift", black)
        self.register_buffer("scale", (white - black) / 255.0)
        side = network_input_size(card.architecture, card.image_size, card.input_size)
        self.register_buffer("resizing", resizing_matrix(card.image_size, side))
        seen = None
        if blank != "none":
            ones = np.ones((1, card.image_size, card.image_size), np.uint8)
            seen = torch.from_numpy(blanked(ones, blank)).float()
        self.register_buffer("seen", seen)
        head = model.get_submodule(self.backbone.head)
        kernel = None
        if isinstance(head, nn.Linear) and has_exact_maps(self.backbone):
            # Evidence is a weighted sum over channels: the convolution that every runtime has.
            weight = classifier_head(model, self.backbone).weight.detach()
            kernel = (weight - weight.mean(0, keepdim=True))[:, :, None, None].clone()
        self.register_buffer("head_kernel", kernel)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits (n, c) and, where they are exact, evidence maps (n, c, h, w).

        Parameters
        ----------
        pixels : float32 tensor, shape (n, 1, image_size, image_size)
            Grey levels in [0, 255].
        """
        if self.seen is not None:
            pixels = pixels * self.seen
        if self.resizing is not None:
            pixels = self.resizing @ pixels @ self.resizing.T
        images = pixels * self.scale + self.shift
        if not has_exact_maps(self.backbone):
            return (self.model(images),)
        with captured_features(self.model, self.backbone) as features:
            logits = self.model(images)
        maps, sub_classes = features[0], self.backbone.sub_classes
        if self.head_kernel is not None:  # else the output of the last convolution is the class map
            maps = nn.functional.conv2d(maps, self.head_kernel)
        if sub_classes > 1:
            maps = composed_maps(maps, self.model.get_submodule(self.backbone.head), sub_classes)
        if self.head_kernel is None or sub_classes > 1:  # else the kernel is centred
            maps = maps - maps.mean(1, keepdim=True)
        return logits, maps


def resizing_matrix(source: int, target: int) -> torch.Tensor | None:
    """What `input_size.resize_pixels` does along one axis, which is linear.

    As two matrix products it needs no operator for antialiased resizing, which few runtimes have.

    Parameters
    ----------
    source, target : int
        Pixels a side before and after.

    Returns
    -------
    float32 tensor, shape (target, source), or None
        None where nothing has to change.
    """
    if source == target:
        return None
    # Of images that are lit in one row each, the first column: all columns are the same.
    rows = torch.eye(source)[:, :, None].expand(-1, -1, source).contiguous()
    return resize_pixels(rows, target)[:, :, 0].T.contiguous()


def traced(model: nn.Module, card: ModelCard, blank: str = "none") -> torch.export.ExportedProgram:
    """The graph of a network, for a batch of any size.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, on the CPU, float32.
    card : ModelCard
    blank : {"none", "corners"}
        As in `PixelsToMaps`.

    Returns
    -------
    torch.export.ExportedProgram
        Without what tells of this machine (where the code lies that each node comes from) and
        without example inputs, which would be stored as a pickle.
    """
    network = PixelsToMaps(model, card, blank).eval()
    example = torch.zeros(_TRACED_BATCH, 1, card.image_size, card.image_size)
    with torch.no_grad():
        program = torch.export.export(
            network, (example,), dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}}
        )
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for trace in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node"):
                    node.meta.pop(trace, None)
    program.example_inputs = None
    return program


def pt2_bytes(program: torch.export.ExportedProgram, facts: Mapping[str, Any]) -> bytes:
    """Content of a PT2 file, the same bytes each time.

    Parameters
    ----------
    program : torch.export.ExportedProgram
    facts : mapping
        Kept in it as ``extra/model.json``.
    """
    # In memory, as the archive's folders are named after the file otherwise.
    buffer = io.BytesIO()
    facts_json = json.dumps(facts, ensure_ascii=False, indent=2)
    torch.export.save(program, buffer, extra_files={"model.json": facts_json})
    return buffer.getvalue()
