"""Where the maps of one network point: lungs, border, known lesions, each against chance."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE
from workflow_scripts.cxrcam.map_tests.scores import (
    border_share,
    energy_share,
    intersection_over_union,
    pointing_game,
)
from workflow_scripts.cxrcam.map_tests.summaries import summarise

# The pointing game's authors allow 15 pixels in images of about 500 (Zhang et al. 2018).
TOLERANCE: Final = 15 / 500 * MASK_SIDE


def place_scores(
    heat: Float32Array,
    lungs: tuple[BoolArray, BoolArray],
    lesions: tuple[BoolArray, BoolArray],
    right: BoolArray,
    groups: npt.NDArray[Any],
    parts: Mapping[str, BoolArray],
    seed_of: Callable[[str], np.random.SeedSequence],
) -> dict[str, Any]:
    """Share in lungs and border, pointing game and intersection over union, ready for JSON.

    Parameters
    ----------
    heat : float32 array, shape (n, MASK_SIDE, MASK_SIDE)
        Raw maps on the image grid.
    lungs, lesions : pair of bool arrays, shapes (n,) and (n, MASK_SIDE, MASK_SIDE)
        Which images have a mask, and the masks (`mask_cache.masks_of`).
    right : bool array, shape (n,)
        Rightly predicted images: a map of the wrong class has no reason to point at the lesion of
        the right one.
    groups : array, shape (n,)
        Images that stay together in the bootstrap.
    parts : mapping of str to bool array, shape (n,)
        Parts of the images, such as the predicted classes, that are summarised as well.
    seed_of : callable
        Seed of the bootstrap of a part; ``"all"`` for all images.

    Returns
    -------
    dict
        ``lung_share``, ``border_share``, ``pointing_game``, ``intersection_over_union``: each the
        summary over all images, with those of the parts under ``per_class``; or ``reason``, where
        there is nothing to score.
    """
    lesion_of_class = lesions[0] & right & lesions[1].any(axis=(1, 2))
    no_lesion = "no rightly predicted test image has a lesion mask"
    everything = np.ones(len(heat), dtype=bool)
    near = partial(pointing_game, tolerance_pixels=TOLERANCE)
    overlap = intersection_over_union
    result: dict[str, Any] = {}
    for name, measure, masks, chosen, reason in (
        ("lung_share", energy_share, [lungs[1]], lungs[0], "no test image has a lung mask"),
        ("border_share", border_share, [], everything, "no test image"),
        ("pointing_game", near, [lesions[1]], lesion_of_class, no_lesion),
        ("intersection_over_union", overlap, [lesions[1]], lesion_of_class, no_lesion),
    ):
        if not chosen.any():
            result[name] = {"reason": reason}
            continue
        of_parts = {part: chosen & of for part, of in parts.items() if (chosen & of).any()}
        of_all, *per_class = (
            summarise(
                measure(heat[of], *(mask[of] for mask in masks)),
                groups=groups[of],
                seed=seed_of(part),
            )
            for part, of in (("all", chosen), *of_parts.items())
        )
        result[name] = {**of_all, "per_class": dict(zip(of_parts, per_class, strict=True))}
    return result
