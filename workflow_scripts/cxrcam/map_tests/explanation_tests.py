"""Whether the maps of a network hang on what it learnt, and are faithful to it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
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
from workflow_scripts.cxrcam.networks.models import ModelCard, build_classifier
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.seeds import integer_seed, seed_sequence

MapsOf = Callable[[nn.Module, UInt8Array, Int64Array], RawMaps]


def drawn_images(n_images: int, most: int, rng: np.random.Generator) -> Int64Array:
    """Positions of the test images on which maps are tested, ascending; at most `most`."""
    return np.sort(rng.permutation(n_images)[:most])


def surest_images(records: pd.DataFrame) -> pd.DataFrame:
    """Of each class the test image that was recognised most surely, or else called most surely."""
    by = ["correct", "probability", "image_id"]
    return records.sort_values(by, ascending=[False, False, True]).drop_duplicates("label")


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


def explanation_tests_of_run(
    network: nn.Module,
    card: ModelCard,
    maps_of: MapsOf,
    pixels: UInt8Array,
    groups: npt.NDArray[Any],
    rng: np.random.Generator,
    run: tuple[str, str, str],
    seed: int,
    device: torch.device,
    precision: str = "float32",
) -> dict[str, Any]:
    """`explanation_tests` of the network of a run, beside the same one untrained.

    Task, scheme and fold of the run key, with its seed, what is drawn.
    """
    n_classes = len(card.classes)
    return explanation_tests(
        network,
        build_classifier(card.backbone, n_classes, integer_seed(seed, "randomisation", *run)),
        lambda images: predict_as_trained(network, card, images, device, precision).probabilities,
        *(maps_of, pixels, groups, rng),
        seed_sequence(seed, "explanation intervals", *run),
    )
