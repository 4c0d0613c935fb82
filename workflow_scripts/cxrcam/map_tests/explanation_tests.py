"""Whether the maps of a network hang on what it learnt, and are faithful to it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.map_tests.faithfulness import (
    assess_faithfulness,
    summarise_faithfulness,
)
from workflow_scripts.cxrcam.map_tests.randomisation import (
    cascading_randomisation,
    summarise_cascade,
)
from workflow_scripts.cxrcam.map_tests.similarity import COMPARISON_SIDE, compare_maps
from workflow_scripts.cxrcam.map_tests.summaries import mean_interval
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps

MapsOf = Callable[[nn.Module, UInt8Array, Int64Array], RawMaps]


def drawn_images(n_images: int, most: int, rng: np.random.Generator) -> Int64Array:
    """Positions of the test images on which maps are tested, ascending; at most `most`."""
    return np.sort(rng.permutation(n_images)[:most])


def explanation_tests(
    model: nn.Module,
    untrained: nn.Module,
    probabilities_of: Callable[[UInt8Array], Float32Array],
    maps_of: MapsOf,
    pixels: UInt8Array,
    groups: npt.NDArray[Any],
    rng: np.random.Generator,
    seed: np.random.SeedSequence,
) -> dict[str, Any]:
    """Cascading randomisation, faithfulness and flip-equivariance of the predicted classes' maps.

    Parameters
    ----------
    model, untrained : nn.Module
        The trained network, and the same one freshly initialised.
    probabilities_of : callable
        ``probabilities_of(pixels)`` of the trained network, shape (n, classes).
    maps_of : callable
        ``maps_of(network, pixels, classes)`` gives `RawMaps` of one class an image, values of shape
        (n, 1, h, w). It may move the network to a device.
    pixels : uint8 array, shape (n, size, size)
    rng : np.random.Generator
        Of controls, pairs, ties and noise.
    groups, seed
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    dict
        Ready for JSON: ``n``, ``randomisation`` (rows of `summarise_cascade`), ``faithfulness`` (of
        `summarise_faithfulness`), ``flip`` (``ssim`` and ``spearman``: fields of `MeanInterval`).
    """
    called = probabilities_of(pixels).argmax(axis=1)

    def placed(raw: RawMaps, side: int) -> Float32Array:
        return raw.placed(np.zeros(len(pixels), dtype=np.int64), side)

    def maps_to_compare(network: nn.Module) -> Float32Array:
        return placed(maps_of(network, pixels, called), COMPARISON_SIDE)

    raw = maps_of(model, pixels, called)
    cascade = cascading_randomisation(model, untrained, maps_to_compare, rng, groups)
    areas = assess_faithfulness(pixels, placed(raw, pixels.shape[1]), called, probabilities_of, rng)
    # Whether the map of the mirror image is the mirror image of the map. On the image grid: that of
    # the network's cells need not lie symmetrically on the image.
    mirrored = maps_of(model, np.ascontiguousarray(pixels[:, :, ::-1]), called)
    back = placed(mirrored, COMPARISON_SIDE)[:, :, ::-1]
    flip = compare_maps(placed(raw, COMPARISON_SIDE), back)
    return {
        "n": len(pixels),
        "randomisation": summarise_cascade(cascade, groups=groups, seed=seed),
        "faithfulness": summarise_faithfulness(areas, groups=groups, seed=seed),
        "flip": {
            name: asdict(mean_interval(values, groups=groups, seed=seed))
            for name, values in (("ssim", flip.ssim), ("spearman", flip.spearman))
        },
    }
