"""Cascading randomisation: whether a map depends on what the network has learnt.

From the last block to the first, trained weights are replaced by untrained ones, and the maps are
computed anew at each step. A map that hardly changes would have been drawn without any training: it
shows edges of the image, not the reasons of the network.

Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from workflow_scripts.cxrcam.map_tests.similarity import (
    Similarity,
    compare_maps,
    random_pair_floor,
)
from workflow_scripts.cxrcam.map_tests.summaries import mean_interval

# Below this number of blocks a network is "features and classifier": its blocks lie one level down.
_LEAST_BLOCKS = 3

_NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def cascade_blocks(model: nn.Module) -> dict[str, list[str]]:
    """Blocks of a network in the order in which they are randomised: the last one first.

    Parameters
    ----------
    model : nn.Module
        Its children are defined in the order in which they run, as in torchvision's networks.

    Returns
    -------
    dict of str to list of str
        By the dotted name of each block what is randomised with it, itself and the normalisation
        layers that directly follow it. Blocks are children that hold parameters; where there are
        fewer than three, as in networks that are made of ``features`` and ``classifier``, the
        children of these instead. For ResNet18: fc, layer4, layer3, layer2, layer1,
        conv1. A parameter of the network itself, as the class token of a vision transformer,
        belongs to no block and stays trained.

    Raises
    ------
    ValueError
        If the model has no parameters below it.
    """
    blocks = _with_parameters(model)
    while 0 < len(blocks) < _LEAST_BLOCKS:
        inner = [entry for block in blocks for entry in _opened(*block)]
        if [name for name, _ in inner] == [name for name, _ in blocks]:
            break  # leaves only: a network of one or two layers
        blocks = inner
    if not blocks:
        raise ValueError(f"{type(model).__name__} has no layers with parameters to randomise")
    joined: dict[str, list[str]] = {}
    for name, module in blocks:
        if joined and isinstance(module, _NORMALISATIONS):
            joined[next(reversed(joined))].append(name)
        else:
            joined[name] = [name]
    return dict(reversed(joined.items()))


def _with_parameters(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Children that hold parameters, with their names."""
    return [
        (name, child)
        for name, child in module.named_children()
        if next(child.parameters(), None) is not None
    ]


def _opened(name: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Children of a block that hold parameters, with dotted names; a leaf is itself."""
    inside = [(f"{name}.{child}", inner) for child, inner in _with_parameters(module)]
    return inside or [(name, module)]


def cascading_randomisation(
    model: nn.Module,
    untrained: nn.Module,
    maps_of: Callable[[nn.Module], npt.ArrayLike],
    rng: np.random.Generator,
    groups: npt.ArrayLike,
) -> dict[str, Similarity]:
    """Compare the maps of a trained network with those after randomising it block by block.

    Parameters
    ----------
    model : nn.Module
        Trained; it is copied and not changed.
    untrained : nn.Module
        The same network, freshly initialised from a seed (`models.build_classifier` without
        pretrained weights). Its parameters and buffers replace the trained ones, so that each
        layer gets the initialisation that the network is defined with. It is not changed.
    maps_of : callable
        ``maps_of(model) -> (n, height, width)`` floats: raw maps on the image grid, of the same
        images and classes at each call. The class must be the one that the *trained* network
        predicted. It may move the model it is given to a device.
    rng : np.random.Generator
        Pairs the images for the floor.
    groups : array-like, shape (n,)
        Images of one group are no unrelated pair.

    Returns
    -------
    dict of str to Similarity
        By block, from the last one of the network to the first: similarity to the original maps
        with this block and all later ones untrained. Then ``"floor"``: of original maps of
        different images, what unrelated maps give.

    Raises
    ------
    ValueError
        If the two networks differ, or maps are too small or not finite.
    """
    altered = copy.deepcopy(model).eval()
    if {k: v.shape for k, v in model.state_dict().items()} != {
        k: v.shape for k, v in untrained.state_dict().items()
    }:
        raise ValueError("the untrained network has other layers than the trained one")
    # A copy: `maps_of` may hand out the same memory twice.
    original = np.array(maps_of(altered), dtype=np.float32)
    cascade = {}
    for block, modules in cascade_blocks(model).items():
        for name in modules:
            _copy_state(untrained.get_submodule(name), altered.get_submodule(name))
        cascade[block] = compare_maps(original, maps_of(altered))
    return cascade | {"floor": random_pair_floor(original, rng, groups)}


def _copy_state(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters and buffers, those outside the state dict included."""
    with torch.no_grad():
        for (_, new), (_, old) in zip(
            [*source.named_parameters(), *source.named_buffers()],
            [*target.named_parameters(), *target.named_buffers()],
            strict=True,
        ):
            old.copy_(new)


def summarise_cascade(
    cascade: Mapping[str, Similarity],
    *,
    groups: npt.ArrayLike | None,
    seed: int | np.random.SeedSequence,
) -> list[dict[str, Any]]:
    """Mean similarity of each step, and of the floor, with bootstrap intervals.

    Parameters
    ----------
    cascade : mapping of str to Similarity
        From `cascading_randomisation`.
    groups, seed
        As in `intervals.bootstrap_interval`. The pairs of the floor belong to two images each and
        are resampled one by one: its interval is an approximation.

    Returns
    -------
    list of dict
        For each step ``block``, ``ssim`` and ``spearman`` (fields of `MeanInterval`), and
        ``constant``, pairs with a constant map.
    """
    rows = []
    for block, similarity in cascade.items():
        ssim, spearman = (
            asdict(mean_interval(values, groups=None if block == "floor" else groups, seed=seed))
            for values in (similarity.ssim, similarity.spearman)
        )
        constant = int(similarity.constant.sum())
        rows.append({"block": block, "ssim": ssim, "spearman": spearman, "constant": constant})
    return rows
