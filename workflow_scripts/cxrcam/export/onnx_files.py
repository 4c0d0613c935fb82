"""The graph of a network as ONNX, in float32 and with its weights in float16."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from workflow_scripts.cxrcam.export.facts import metadata_texts
from workflow_scripts.cxrcam.export.graph import INPUT, output_names, pt2_bytes, traced
from workflow_scripts.cxrcam.files import write_bytes
from workflow_scripts.cxrcam.networks.models import ModelCard

OPSET: Final = 18
"""Of 2022: what browsers' runtimes and five-year-old ones of servers read."""

BATCH: Final = "batch"

_SMALLEST_TENSOR: Final = 1024
"""Numbers in a tensor from which float16 saves more than the node costs that turns it back."""


def onnx_model(
    program: torch.export.ExportedProgram, outputs: tuple[str, ...], facts: Mapping[str, Any]
) -> onnx.ModelProto:
    """A network as ONNX.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        See `graph.traced`.
    outputs : tuple of str
        Names of its outputs.
    facts : mapping
        What is written into the file's metadata, see `facts.network_facts`.

    Returns
    -------
    onnx.ModelProto
        Batch normalisation folded into the convolutions; without what tells where the code lay.
    """
    written = torch.onnx.export(
        program,
        (),
        input_names=[INPUT],
        output_names=list(outputs),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    if written is None:  # only where a file is asked for
        raise TypeError("torch.onnx.export gave no model")
    model = written.model_proto
    _forget_origins(model)
    helper.set_model_props(model, metadata_texts(facts))
    return model


def _forget_origins(model: onnx.ModelProto) -> None:
    """Take away stack traces and other notes of the exporter, and name the free dimension."""
    graph = model.graph
    free = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == free:
                dim.dim_param = BATCH
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.doc_string = ""
    # Shapes between the layers, which runtimes find out by themselves.
    graph.ClearField("value_info")


def with_float16_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its large tensors kept in float16, half the bytes.

    A node turns each back to float32, which runtimes do once when they load the file. Everything is
    computed in float32: float16 arithmetic needs kernels that processors and browsers lack.

    Parameters
    ----------
    model : onnx.ModelProto
        Left as it is.

    Returns
    -------
    onnx.ModelProto
    """
    small = onnx.ModelProto()
    small.CopyFrom(model)
    casts = []
    for tensor in small.graph.initializer:
        values = numpy_helper.to_array(tensor)
        fits = np.abs(values).max(initial=0) <= np.finfo(np.float16).max
        if tensor.data_type != TensorProto.FLOAT or values.size < _SMALLEST_TENSOR or not fits:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = list(small.graph.node)
    small.graph.ClearField("node")
    small.graph.node.extend([*casts, *nodes])
    return small


def onnx_bytes(model: onnx.ModelProto) -> bytes:
    """Content of the file."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def write_exported(
    model: nn.Module,
    card: ModelCard,
    facts: Mapping[str, Any],
    *,
    float32: str,
    float16: str,
    pt2: str,
) -> None:
    """Write a network as ONNX with weights of two types and as PT2, with `facts` as metadata."""
    program = traced(model, card, str(facts["blank"]))
    whole = onnx_model(program, output_names(card.backbone), facts)
    write_bytes(float32, onnx_bytes(whole))
    write_bytes(float16, onnx_bytes(with_float16_weights(whole)))
    del whole  # as large as the network
    write_bytes(pt2, pt2_bytes(program, facts))
