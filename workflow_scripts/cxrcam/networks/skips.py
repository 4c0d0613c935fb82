"""Skip connections of a network, read from its traced graph."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import fx, nn

_ADDITIONS: Final = {operator.add, operator.iadd, torch.add, "add", "add_"}
_CONCATENATIONS: Final = {torch.cat, torch.concat, torch.concatenate}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; each module gets its own mode back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def skip_connections(model: nn.Module) -> list[str]:
    """Dotted name of the module of each addition or concatenation of a path that goes around.

    A sum of two tensors is a skip connection. A concatenation is one where a part of it has been
    computed from another part (DenseNet), and is none where its parts are parallel branches
    (Inception, Fire).

    Parameters
    ----------
    model : nn.Module
        Its modes are restored.

    Returns
    -------
    list of str
        One name for each connection, in the order in which they run. Empty for a network whose
        path depends on its data, which cannot be traced.
    """
    try:
        with evaluating(model):
            graph = fx.Tracer().trace(model)
    except Exception:  # whatever the network does that a trace cannot follow
        return []
    ancestors: dict[fx.Node, set[fx.Node]] = {}
    places = []
    for node in graph.nodes:
        ancestors[node] = set().union(
            *({above} | ancestors[above] for above in node.all_input_nodes)
        )
        parts = node.all_input_nodes
        if node.op not in {"call_function", "call_method"} or len(parts) < 2:
            continue
        around = any(a in ancestors[b] for a in parts for b in parts)
        if node.target in _ADDITIONS or (node.target in _CONCATENATIONS and around):
            stack = node.meta.get("nn_module_stack") or {"": None}
            places.append(str(list(stack)[-1]))
    return places
