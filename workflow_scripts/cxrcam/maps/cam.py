"""Class activation maps: exact where the network allows it, Grad-CAM where it does not.

Where global average pooling feeds one linear layer, the logit of class c is

    logit_c = b_c + mean over (x, y) of M_c(x, y),    M_c(x, y) = sum_k w_ck f_k(x, y)

with f the last feature maps and w, b the linear layer. M_c is the map: an exact decomposition of
the logit over places, no approximation and no gradient, for every class from one forward pass.
Where the last layer is a convolution whose output is pooled (SqueezeNet), that output is the map,
and logit_c is its mean. Where several layers lie between feature maps and logit (VGG), no such
decomposition exists, and the maps are those of Grad-CAM.

Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES


@contextmanager
def captured_features(model: nn.Module, architecture: str) -> Iterator[list[torch.Tensor]]:
    """Collect the network's last feature map at each forward pass.

    Yields a list that holds the newest one only, shape (n, k, h, w), as it is pooled: rectified
    where the network rectifies it. The hook is taken off at the end, whatever happens.
    """
    known = ARCHITECTURES[architecture]
    newest: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        newest[:] = [output.relu() if known.rectified_later else output]

    handle = model.get_submodule(known.feature_layer).register_forward_hook(keep)
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
    """Last layer of a network, where it is linear.

    Raises
    ------
    TypeError
        If it is something else.
    """
    head = model.get_submodule(ARCHITECTURES[architecture].head)
    if not isinstance(head, nn.Linear):
        raise TypeError(f"The last layer of {architecture} is no linear layer: no exact map.")
    return head


def logits_and_maps(
    model: nn.Module, architecture: str, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and raw maps of all classes, of any known network.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    architecture : str
        Key of `ARCHITECTURES`; its `map_kind` says which maps there are.
    images : float tensor, shape (n, 3, height, width)
        Normalised; made outside `torch.inference_mode`, like the model.

    Returns
    -------
    logits : float tensor, shape (n, c)
    maps : float32 tensor, shape (n, c, h, w)
        Exact maps are in units of the logit: their mean over (h, w), plus the bias of a linear
        head, is the logit. Grad-CAM's add up to no logit, see `grad_cam.grad_cam`.
    """
    known = ARCHITECTURES[architecture]
    if known.map_kind == "grad_cam":
        # Only here: the library brings OpenCV, which the other networks have no use for.
        from workflow_scripts.cxrcam.maps.grad_cam import grad_cam

        return grad_cam(model, known.feature_layer, images)
    with torch.inference_mode(), captured_features(model, architecture) as features:
        logits = model(images)
        if isinstance(model.get_submodule(known.head), nn.Conv2d):
            return logits, features[0].float()
        return logits, class_activation_maps(features[0], classifier_head(model, architecture))
