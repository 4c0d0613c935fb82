"""Where the maps of one network point: lungs, border, known lesions, each against chance."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE
from workflow_scripts.cxrcam.map_tests.scores import (
    MapScore,
    border_share,
    energy_share,
    intersection_over_union,
    pointing_game,
)
from workflow_scripts.cxrcam.map_tests.summaries import ScoreSummary, summarise

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

    def scored(
        measure: Callable[..., MapScore],
        chosen: BoolArray,
        reason: str,
        *masks: BoolArray,
        **options: float,
    ) -> dict[str, Any]:
        """Summary over the chosen images, all and by part; a reason where none are."""
        if not chosen.any():
            return {"reason": reason}
        result = {}
        for name, part in {
            "all": chosen, **{name: chosen & part for name, part in parts.items()},
        }.items():  # fmt: skip
            if part.any():
                score = measure(heat[part], *(m[part] for m in masks), **options)
                result[name] = _plain(summarise(score, groups=groups[part], seed=seed_of(name)))
        return {**result.pop("all"), "per_class": result}

    lesion_of_class = lesions[0] & right & lesions[1].any(axis=(1, 2))
    no_lesion = "no rightly predicted test image has a lesion mask"
    everything = np.ones(len(heat), dtype=bool)
    return {
        "lung_share": scored(energy_share, lungs[0], "no test image has a lung mask", lungs[1]),
        "border_share": scored(border_share, everything, "no test image"),
        "pointing_game": scored(
            pointing_game, lesion_of_class, no_lesion, lesions[1], tolerance_pixels=TOLERANCE
        ),
        "intersection_over_union": scored(
            intersection_over_union, lesion_of_class, no_lesion, lesions[1]
        ),
    }


def _plain(summary: ScoreSummary) -> dict[str, Any]:
    """A summary as JSON holds it."""
    interval = summary.score.interval
    return {
        "n": summary.score.n,
        "value": summary.score.mean,
        "interval": list(interval) if interval else None,
        "chance": summary.chance,
        "ratio": summary.ratio,
        "ratio_interval": list(summary.ratio_interval) if summary.ratio_interval else None,
        "without_energy": summary.without_energy,
        "without_region": summary.without_region,
    }
