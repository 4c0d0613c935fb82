"""Exact class activation maps.

Where global average pooling feeds one linear layer, the logit of class c is

    logit_c = b_c + mean over (x, y) of M_c(x, y),    M_c(x, y) = sum_k w_ck f_k(x, y)

with f the last feature maps and w, b the linear layer. M_c is the map: an exact decomposition of
the logit over places, no approximation and no gradient, for every class from one forward pass.

Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from workflow_scripts.cxrcam.models import ARCHITECTURES


@contextmanager
def captured_features(model: nn.Module, architecture: str) -> Iterator[list[torch.Tensor]]:
    """Collect the output of the network's feature layer at each forward pass.

    Yields a list that holds the newest output only, shape (n, k, h, w). The hook is taken off at
    the end, whatever happens.
    """
    newest: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        newest[:] = [output]

    layer = model.get_submodule(ARCHITECTURES[architecture].feature_layer)
    handle = layer.register_forward_hook(keep)
    try:
        yield newest
    finally:
        handle.remove()


def class_activation_maps(features: torch.Tensor, head: nn.Linear) -> torch.Tensor:
    """Raw maps of all classes, before any normalisation.

    Parameters
    ----------
    features : float tensor, shape (n, k, h, w)
        Output of the layer that is pooled.
    head : nn.Linear
        The last layer, from k to c.

    Returns
    -------
    float32 tensor, shape (n, c, h, w)
        Evidence for each class at each place, in units of the logit; its mean over (h, w) plus the
        bias is the logit.
    """
    return torch.einsum("ck,nkhw->nchw", head.weight.float(), features.float())


def classifier_head(model: nn.Module, architecture: str) -> nn.Linear:
    """Last layer of a network."""
    head = model.get_submodule(ARCHITECTURES[architecture].head)
    if not isinstance(head, nn.Linear):
        raise TypeError(f"The last layer of {architecture} is no linear layer: no exact map.")
    return head
