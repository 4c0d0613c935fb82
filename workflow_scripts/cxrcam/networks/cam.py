"""Evidence maps: exact where the network allows it, Grad-CAM where it does not.

Where global average pooling feeds one linear layer, the logit of class c is

    z_c = b_c + mean over (x, y) of M_c(x, y),    M_c(x, y) = sum_k w_ck f_k(x, y)

with f the last feature maps and w, b the linear layer. M_c is the class activation map (Zhou et
al., "Learning Deep Features for Discriminative Localization", CVPR 2016).

It is no property of the classifier: adding one vector to all rows of w changes every map and no
probability, as the softmax knows differences of logits only. What is left when the mean over the
classes is taken away,

    E_c(x, y) = M_c(x, y) - mean over classes of M(x, y),

does not change. It is an exact decomposition over places of the centred logit,

    z_c - mean(z) = b_c - mean(b) + mean over (x, y) of E_c(x, y),

which is the centred log-ratio of the probabilities, log p_c - mean(log p) (Aitchison, "The
Statistical Analysis of Compositional Data", 1982). The log-odds of two classes are the difference
of their centred logits; of two classes in all, twice the centred logit of one. These are the maps
of this project: the evidence for each class at each place (`evidence.evidence_maps`).

Where the last layer is a convolution whose output is pooled (SqueezeNet), that output is M. Where
several layers lie between feature maps and logit (the whole VGG, capsules), no such decomposition
exists, and M is that of Grad-CAM; centred, it is the Grad-CAM of the centred logit.

Where classes are learnt as sub-classes (`decomposition`), z_c = log sum_s exp z_cs, and

    M_c(x, y) = sum_s q_s M_cs(x, y),    q_s = exp(z_cs - z_c),
    z_c = sum_s q_s b_cs + H(q) + mean over (x, y) of M_c(x, y),    H(q) = - sum_s q_s log q_s.

To check it: put z_cs = b_cs + mean M_cs into the right side, which is then the sum over s of
q_s (z_cs - log q_s), and z_cs - log q_s = z_c for each s. So evidence is exact as before, but what
stands beside its mean in the centred logit differs from image to image.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.decomposition import composed_maps


@contextmanager
def captured_features(model: nn.Module, backbone: Backbone) -> Iterator[list[torch.Tensor]]:
    """Collect the network's last feature map at each forward pass.

    Yields a list that holds the newest one only, shape (n, k, h, w), as it is pooled: rectified
    where the network rectifies it. The hook is taken off at the end, whatever happens.
    """
    rectified_later = backbone.known.rectified_later
    newest: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        newest[:] = [output.relu() if rectified_later else output]

    handle = model.get_submodule(backbone.feature_layer).register_forward_hook(keep)
    try:
        yield newest
    finally:
        handle.remove()


def class_activation_maps(features: torch.Tensor, head: nn.Linear) -> torch.Tensor:
    """Zhou's class activation maps of all classes, before any normalisation.

    `features`, shape (n, k, h, w), are the output of the layer that is pooled, `head` leads from k
    to c.

    Returns
    -------
    float32 tensor, shape (n, c, h, w)
        In units of the logit: the mean over (h, w) plus the bias is the logit.
    """
    return torch.einsum("ck,nkhw->nchw", head.weight.float(), features.float())


def classifier_head(model: nn.Module, backbone: Backbone) -> nn.Linear:
    """Last layer of a network; a `TypeError` where it is not linear."""
    head = model.get_submodule(backbone.head)
    if not isinstance(head, nn.Linear):
        raise TypeError(
            f"The last layer of {backbone.architecture} is no linear layer: no exact map."
        )
    return head


def logits_and_class_maps(
    model: nn.Module, backbone: Backbone, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and class activation maps of all classes, of any known network.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    backbone : Backbone
        Its `map_kind` says which maps there are.
    images : float tensor, shape (n, 3, height, width)
        Normalised; made outside `torch.inference_mode`, like the model.

    Returns
    -------
    logits : float tensor, shape (n, c)
    maps : float32 tensor, shape (n, c, h, w)
        Exact maps are in units of the logit: their mean over (h, w), plus the bias of a linear
        head, is the logit; with sub-classes, plus what `decomposition` says. Grad-CAM's add up to
        no logit, see `grad_cam.grad_cam`.
    """
    if backbone.map_kind == "grad_cam":
        # Only here: the library brings OpenCV, which the other networks have no use for.
        from workflow_scripts.cxrcam.networks.grad_cam import grad_cam

        return grad_cam(model, backbone.feature_layer, images)
    with torch.inference_mode(), captured_features(model, backbone) as features:
        logits = model(images)
        head = model.get_submodule(backbone.head)
        if isinstance(head, nn.Conv2d):
            maps = features[0].float()
        else:
            maps = class_activation_maps(features[0], classifier_head(model, backbone))
        if backbone.sub_classes > 1:
            maps = composed_maps(maps, head, backbone.sub_classes)
        return logits, maps
