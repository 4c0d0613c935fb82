"""Whether the maps of a network hang on what it learnt, and are faithful to it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from workflow_scripts.cxrcam.audit.faithfulness import assess_faithfulness, summarise_faithfulness
from workflow_scripts.cxrcam.audit.map_similarity import COMPARISON_SIDE, flip_similarity
from workflow_scripts.cxrcam.audit.map_summaries import mean_interval
from workflow_scripts.cxrcam.audit.randomisation import cascading_randomisation, summarise_cascade
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps

FRACTIONS = (0.1, 0.25, 0.5)  # of the pixels that are taken away or put in

Outputs = Callable[[nn.Module, npt.NDArray[np.uint8]], tuple[npt.NDArray[np.float32], RawMaps]]


def explanation_tests(
    model: nn.Module,
    untrained: nn.Module,
    outputs: Outputs,
    pixels: npt.NDArray[np.uint8],
    groups: npt.NDArray[Any],
    rng: np.random.Generator,
    seed: np.random.SeedSequence,
) -> dict[str, Any]:
    """Cascading randomisation, faithfulness and flip-equivariance of the predicted classes' maps.

    Parameters
    ----------
    model, untrained : nn.Module
        The trained network, and the same one freshly initialised.
    outputs : callable
        ``outputs(network, pixels)`` gives probabilities, shape (n, classes), and raw maps.
    pixels : uint8 array, shape (n, size, size)
    groups : array, shape (n,)
        Images that stay together in the bootstrap.
    rng : np.random.Generator
        Of controls, pairs, ties and noise.
    seed : np.random.SeedSequence
        Of the bootstrap.

    Returns
    -------
    dict
        ``n``, ``randomisation`` (rows of `randomisation.CascadeRow`), ``faithfulness`` (rows of
        `faithfulness.FaithfulnessRow`), ``flip`` (``ssim`` and ``spearman``): ready for JSON.
    """
    probabilities, raw = outputs(model, pixels)
    called = probabilities.argmax(axis=1)
    cascade = cascading_randomisation(
        model,
        untrained,
        lambda network: outputs(network, pixels)[1].placed(called, COMPARISON_SIDE),
        rng,
        groups=groups,
    )
    result = assess_faithfulness(
        pixels,
        raw.placed(called, pixels.shape[1]),
        called,
        lambda images: outputs(model, images)[0],
        rng,
        fractions=FRACTIONS,
        max_images=len(pixels),
    )
    mirrored = outputs(model, np.ascontiguousarray(pixels[:, :, ::-1]))[1]
    flip = flip_similarity(
        raw.placed(called, COMPARISON_SIDE), mirrored.placed(called, COMPARISON_SIDE)
    )
    faithful = summarise_faithfulness(result, groups=groups[result.images], seed=seed)
    return {
        "n": len(pixels),
        "randomisation": [
            asdict(row) for row in summarise_cascade(cascade, groups=groups, seed=seed)
        ],
        "faithfulness": [asdict(row) for row in faithful],
        "flip": {
            "ssim": asdict(mean_interval(flip.ssim, groups=groups, seed=seed)),
            "spearman": asdict(mean_interval(flip.spearman, groups=groups, seed=seed)),
        },
    }
