"""Class decomposition: each class is learnt as k sub-classes, and answered as one class.

Abbas, Abdelsamea & Gaber, "Classification of COVID-19 in chest X-ray images using DeTraC deep
convolutional neural network", Applied Intelligence 51, 854-864 (2021): decompose, transfer,
compose. A class that looks in several ways is easier to tell apart when each way has an output of
its own. `model.decompose` is k.

**Decompose.** DeTraC took features of a pretrained AlexNet, reduced them by principal component
analysis, and clustered the images of each class by k-means, with k = 2. Here the features are those
of the network that will be trained, with the weights that it starts from: what its last layer gets,
pooled over places. They are reduced class by class to a few components (`sub_classes`). Cluster s
of class c (both from 0) is label c k + s, and training minimises the cross entropy of these labels.

**Compose.** DeTraC took the class of the likeliest sub-class. Here probabilities add up. With z_cs
the logit of sub-class s of class c, the logit of the class is

    z_c = log sum_s exp z_cs,

so that the softmax over the classes is the sum over the sub-classes, exactly:

    p_c = exp z_c / sum_d exp z_d = sum_s exp z_cs / sum_d sum_t exp z_dt = sum_s p_cs.

The network itself does this in evaluation mode, so that whoever asks it sees classes only; in
training mode it gives z_cs.

**Maps.** Let q_s = exp(z_cs - z_c), the share of sub-class s in its class; the shares sum to 1. As
z_c = z_cs - log q_s for each s, the mean of that with weights q_s is

    z_c = sum_s q_s z_cs + H(q),    H(q) = - sum_s q_s log q_s    in [0, log k].

Where z_cs = b_cs + mean over places of M_cs (see `cam`), the map of the class is

    M_c = sum_s q_s M_cs,    z_c = mean over places of M_c + sum_s q_s b_cs + H(q).

Nothing is approximated; what stands beside the map depends on the image, but on no place. As the
gradient of z_c is sum_s q_s times that of z_cs, M_c is Grad-CAM of z_c too.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn


def composed_logits(logits: torch.Tensor, sub_classes: int) -> torch.Tensor:
    """Logits of classes, float32 (n, c), from those of sub-classes, (n, c * sub_classes)."""
    return torch.unflatten(logits.float(), 1, (-1, sub_classes)).logsumexp(2)


def compose_in_evaluation(model: nn.Module, sub_classes: int) -> None:
    """Let a network whose last layer has sub-classes answer with classes in evaluation mode."""
    model.register_forward_hook(partial(_compose_in_evaluation, sub_classes))


def _compose_in_evaluation(
    sub_classes: int, model: nn.Module, _inputs: object, logits: torch.Tensor
) -> torch.Tensor:
    return logits if model.training else composed_logits(logits, sub_classes)


def composed_maps(maps: torch.Tensor, head: nn.Module, sub_classes: int) -> torch.Tensor:
    """Maps of classes, M_c = sum_s q_s M_cs, from those of sub-classes.

    Parameters
    ----------
    maps : float32 tensor, shape (n, c * sub_classes, h, w)
        Class activation maps of the sub-classes. One map may be taken away from all of them: it
        is then taken away from the result, and changes no share.
    head : nn.Module
        Last layer of the network; the bias of one that is not linear is within its maps.
    sub_classes : int

    Returns
    -------
    float32 tensor, shape (n, c, h, w)
    """
    logits = maps.mean((2, 3))
    if isinstance(head, nn.Linear):
        logits = logits + head.bias
    shares = torch.unflatten(logits, 1, (-1, sub_classes)).softmax(2)
    return (shares[..., None, None] * torch.unflatten(maps, 1, (-1, sub_classes))).sum(2)
