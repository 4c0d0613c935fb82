"""Cascading randomisation: whether a map depends on what the network has learnt.

From the last block to the first, trained weights are replaced by untrained ones, and the maps are
computed anew at each step. A map that hardly changes would have been drawn without any training: it
shows edges of the image, not the reasons of the network.

Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from workflow_scripts.cxrcam.map_tests.similarity import (
    Similarity,
    Values,
    compare_maps,
    random_pair_floor,
)
from workflow_scripts.cxrcam.map_tests.summaries import MeanInterval, mean_interval

# Below this number of blocks a network is "features and classifier": its blocks lie one level down.
_LEAST_BLOCKS = 3

_NORMALISATIONS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
)


@dataclass(frozen=True)
class Block:
    """One step of the cascade.

    Attributes
    ----------
    name : str
        Dotted name of the block in the network.
    modules : tuple of str
        Dotted names of what is randomised with it: the block and the normalisation layers that
        directly follow it.
    """

    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class CascadeStep:
    """Similarity to the original maps with this block and all later ones untrained.

    Attributes
    ----------
    block : str
        The block that was randomised last.
    similarity : Similarity
        Of n images.
    """

    block: str
    similarity: Similarity


@dataclass(frozen=True)
class Cascade:
    """Result of a cascade.

    Attributes
    ----------
    steps : tuple of CascadeStep
        From the last block of the network to the first.
    floor : Similarity
        Of original maps of different images: what unrelated maps give.
    """

    steps: tuple[CascadeStep, ...]
    floor: Similarity


@dataclass(frozen=True)
class CascadeRow:
    """One step in numbers.

    Attributes
    ----------
    block : str
        As in `CascadeStep`; ``"floor"`` for the pairs of different images.
    ssim, spearman : MeanInterval
    constant : int
        Pairs with a constant map, see `Similarity`.
    """

    block: str
    ssim: MeanInterval
    spearman: MeanInterval
    constant: int


def cascade_blocks(model: nn.Module) -> tuple[Block, ...]:
    """Blocks of a network in the order in which they are randomised: the last one first.

    Parameters
    ----------
    model : nn.Module
        Its children are defined in the order in which they run, as in torchvision's networks.

    Returns
    -------
    tuple of Block
        Children that hold parameters. Where there are fewer than three, as in networks that are
        made of ``features`` and ``classifier``, the children of these instead. A normalisation
        layer goes with the block before it. For ResNet18: fc, layer4, layer3, layer2, layer1,
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
    joined: list[Block] = []
    for name, module in blocks:
        if joined and isinstance(module, _NORMALISATIONS):
            joined[-1] = Block(joined[-1].name, (*joined[-1].modules, name))
        else:
            joined.append(Block(name, (name,)))
    return tuple(reversed(joined))


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
    values: Values = "raw",
    groups: npt.ArrayLike | None = None,
    blocks: Sequence[Block] | None = None,
) -> Cascade:
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
    values : {"raw", "absolute", "positive"}
        What is compared, see `similarity.compare_maps`.
    groups : array-like, shape (n,), optional
        Images of one group are no unrelated pair.
    blocks : sequence of Block, optional
        Default: `cascade_blocks` of the model.

    Returns
    -------
    Cascade

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
    steps = []
    for block in cascade_blocks(model) if blocks is None else blocks:
        for name in block.modules:
            _copy_state(untrained.get_submodule(name), altered.get_submodule(name))
        steps.append(CascadeStep(block.name, compare_maps(original, maps_of(altered), values)))
    return Cascade(tuple(steps), random_pair_floor(original, rng, values, groups))


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
    cascade: Cascade,
    *,
    groups: npt.ArrayLike | None = None,
    seed: int | np.random.SeedSequence,
    repeats: int = 2000,
) -> tuple[CascadeRow, ...]:
    """Mean similarity of each step, and of the floor, with bootstrap intervals.

    Parameters
    ----------
    cascade : Cascade
        Of n images.
    groups : array-like, shape (n,), optional
        Images that stay together. The pairs of the floor belong to two images each and are
        resampled one by one: its interval is an approximation.
    seed, repeats
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    tuple of CascadeRow
        The steps in their order, then ``"floor"``. Means are None where there are no images.
    """

    def row(block: str, similarity: Similarity, names: npt.ArrayLike | None) -> CascadeRow:
        ssim, spearman = (
            mean_interval(numbers, groups=names, seed=seed, repeats=repeats)
            for numbers in (similarity.ssim, similarity.spearman)
        )
        return CascadeRow(block, ssim, spearman, int(similarity.constant.sum()))

    rows = [row(step.block, step.similarity, groups) for step in cascade.steps]
    return (*rows, row("floor", cascade.floor, None))
