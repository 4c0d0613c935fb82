"""Class decomposition: each class is learnt as k sub-classes, and answered as one class.

Abbas, Abdelsamea & Gaber, "Classification of COVID-19 in chest X-ray images using DeTraC deep
convolutional neural network", Applied Intelligence 51, 854-864 (2021): decompose, transfer,
compose. A class that looks in several ways is easier to tell apart when each way has an output of
its own. `model.decompose` is k.

**Decompose.** DeTraC took features of a pretrained AlexNet, reduced them by principal component
analysis, and clustered the images of each class by k-means, with k = 2. Here the features are those
of the network that will be trained, with the weights that it starts from: what its last layer gets,
pooled over places. They are reduced class by class to `COMPONENTS` components. Cluster s of class c
(both from 0) is label c k + s, and training minimises the cross entropy of these labels.

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

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.devices import autocast
from workflow_scripts.cxrcam.networks.distributed import from_first

if TYPE_CHECKING:  # these need the architectures, which need this module
    from workflow_scripts.cxrcam.networks.parts import Normalisation, Part

COMPONENTS: Final = 32  # principal components that k-means sees, at most
RESTARTS: Final = 10  # of k-means; the tightest clusters are kept
# Distance of two clusters, as a share of the largest feature, up to which it is rounding.
ROUNDING: Final = 1e-5
BATCH_SIZE: Final = 128

# --- compose --------------------------------------------------------------------------------------


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


# --- decompose ------------------------------------------------------------------------------------


def pooled_features(
    model: nn.Module,
    head: str,
    part: Part,
    side: int,
    normalisation: Normalisation,
    precision: str,
) -> Float32Array:
    """What the last layer of a network gets of each image, pooled over places: shape (n, d).

    Parameters
    ----------
    model : nn.Module
        Moved to the device of `part`, and left in the mode that it is in.
    head : str
        Dotted name of its last layer.
    part : Part
        Images as they are, or what frozen layers gave of them.
    side : int
        Pixels a side at the network's input.
    normalisation : Normalisation
    precision : {"float32", "bfloat16"}
    """
    device, found = part.labels.device, []

    def keep(_module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        given = inputs[0].float()
        found.append((given.mean((2, 3)) if given.ndim == 4 else given).cpu())

    training = model.training
    model.to(device).to(memory_format=torch.channels_last).eval()
    handle = model.get_submodule(head).register_forward_pre_hook(keep)
    try:
        with torch.inference_mode(), autocast(device, precision):
            for start in range(0, len(part), BATCH_SIZE):
                rows = torch.arange(start, min(start + BATCH_SIZE, len(part)), device=part.home)
                model(part.batch(rows, None, side, normalisation))
    finally:
        handle.remove()
        model.train(training)
    features: Float32Array = torch.cat(found).numpy()
    return features


def sub_class_labels(
    features: Float32Array, labels: Int64Array, classes: list[str], sub_classes: int, seed: int
) -> Int64Array:
    """Cluster the images of each class.

    Parameters
    ----------
    features : float32 array, shape (n, d)
    labels : int64 array, shape (n,)
        Positions in `classes`.
    classes : list of str
    sub_classes : int
        Clusters of each class.
    seed : int
        Below 2**32.

    Returns
    -------
    int64 array, shape (n,)
        ``label * sub_classes + cluster``; no cluster is empty.

    Raises
    ------
    InputError
        If a class has fewer images that differ than it is to have clusters.
    """
    found = labels * sub_classes
    for number, name in enumerate(classes):
        members = labels == number
        clusters = _clusters(features[members], sub_classes, seed)
        if clusters is None:
            raise InputError(
                f"model.decompose is {sub_classes}, but the {members.sum()} training images of "
                f"{name} hold fewer than {sub_classes} that differ for the network: lower "
                "model.decompose, or set it to null, which learns classes as they are."
            )
        found[members] += clusters
    return found


def _clusters(features: Float32Array, k: int, seed: int) -> Int64Array | None:
    """Cluster of each row, from 0; None where there are no k clusters."""
    # Here, as the import takes a second that trainings without sub-classes can do without.
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    if len(np.unique(features, axis=0)) < k:
        return None
    few = min(COMPONENTS, *features.shape)
    with threadpool_limits(1):  # sums of several threads come in any order
        reduced = PCA(few, random_state=seed).fit_transform(features.astype(np.float64))
        found = KMeans(k, n_init=RESTARTS, random_state=seed).fit(reduced)
    # Equal images may differ in the last bits: their batches may have been of different size.
    apart = torch.pdist(torch.from_numpy(found.cluster_centers_)).min().item()
    if apart <= ROUNDING * np.abs(features).max():
        return None
    clusters: Int64Array = found.labels_.astype(np.int64)
    return clusters


def with_sub_classes(
    part: Part, features: Float32Array, classes: list[str], k: int, seed: int
) -> Part:
    """A part of a split whose labels are those of `sub_class_labels`, the same in all processes."""
    found = sub_class_labels(features, part.labels.cpu().numpy(), classes, k, seed)
    return replace(part, labels=from_first(torch.from_numpy(found).to(part.labels.device)))


def sub_class_images(labels: torch.Tensor, classes: list[str], k: int) -> dict[str, list[int]]:
    """Number of images of each sub-class, by class."""
    counts = np.bincount(labels.cpu().numpy(), minlength=k * len(classes)).reshape(-1, k)
    return dict(zip(classes, counts.tolist(), strict=True))
