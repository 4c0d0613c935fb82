"""Sub-classes found: the training images of each class, clustered by what a network makes of them.

What sub-classes are for, with the equations: `decomposition`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Part
from workflow_scripts.cxrcam.networks.devices import autocast
from workflow_scripts.cxrcam.networks.head_inputs import pooled_inputs
from workflow_scripts.cxrcam.networks.training.distributed import from_first

COMPONENTS: Final = 32  # principal components that k-means sees, at most
RESTARTS: Final = 10  # of k-means; the tightest clusters are kept
# Distance of two clusters, as a share of the largest feature, up to which it is rounding.
ROUNDING: Final = 1e-5
BATCH_SIZE: Final = 128


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
    device = part.labels.device
    training = model.training
    model.to(device).to(memory_format=torch.channels_last).eval()
    try:
        with (
            torch.inference_mode(),
            autocast(device, precision),
            pooled_inputs(model, head) as found,
        ):
            for start in range(0, len(part), BATCH_SIZE):
                rows = torch.arange(start, min(start + BATCH_SIZE, len(part)), device=part.home)
                model(part.batch(rows, None, side, normalisation))
    finally:
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
