"""Where the maps of one run point: lungs, border, known lesions, each against chance."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.map_scores import (
    MapScore,
    border_share,
    energy_share,
    intersection_over_union,
    pointing_game,
)
from workflow_scripts.cxrcam.audit.map_summaries import ScoreSummary, summarise
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE, masks_of
from workflow_scripts.cxrcam.data.splits import TEST
from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps
from workflow_scripts.cxrcam.seeds import seed_sequence

# The pointing game's authors allow 15 pixels in images of about 500 (Zhang et al. 2018).
TOLERANCE = 15 / 500 * MASK_SIDE


def plain(summary: ScoreSummary) -> dict[str, Any]:
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


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    wildcards, classes = snakemake.wildcards, list(snakemake.params.classes)
    predictions = pd.read_parquet(snakemake.input.predictions)
    test = predictions[predictions["role"] == TEST].reset_index(drop=True)
    groups = pd.read_parquet(snakemake.input.split).set_index("image_id")["group"]
    image_ids = test["image_id"].tolist()
    predicted = test[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)
    right = np.array([classes[k] for k in predicted]) == test["label"].to_numpy()
    heat = read_raw_maps(Path(snakemake.input.maps), image_ids, classes).placed(
        predicted, MASK_SIDE
    )
    has_lung, lungs = masks_of(Path(snakemake.input.masks), image_ids, "lung")
    has_lesion, lesions = masks_of(Path(snakemake.input.masks), image_ids, "lesion")
    # A map of the wrong class has no reason to point at the lesion of the right one.
    lesion_of_class = has_lesion & right & lesions.any(axis=(1, 2))
    everything = np.ones(len(test), dtype=bool)

    def scored(
        measure: Any,  # noqa: ANN401
        chosen: np.ndarray,
        reason: str,
        *masks: np.ndarray,
        **options: float,
    ) -> dict[str, Any]:
        """Summary over the chosen images, all and by predicted class; a reason where none are."""
        if not chosen.any():
            return {"reason": reason}
        parts = {"all": chosen} | {
            name: chosen & (predicted == k) for k, name in enumerate(classes)
        }
        result = {}
        for name, part in parts.items():
            if part.any():
                score: MapScore = measure(heat[part], *(m[part] for m in masks), **options)
                seed = seed_sequence(0, "maps", *wildcards, name)
                result[name] = plain(
                    summarise(score, groups=groups.loc[test["image_id"][part]], seed=seed)
                )
        return {**result.pop("all"), "per_class": result}

    no_lesion = "no rightly predicted test image has a lesion mask"
    scores = {
        "lung_share": scored(energy_share, has_lung, "no test image has a lung mask", lungs),
        "border_share": scored(border_share, everything, "no test image"),
        "pointing_game": scored(
            pointing_game, lesion_of_class, no_lesion, lesions, tolerance_pixels=TOLERANCE
        ),
        "intersection_over_union": scored(
            intersection_over_union, lesion_of_class, no_lesion, lesions
        ),
    }
    write_json(Path(snakemake.output[0]), scores)
    log.info("Scored the maps of %d test images, %d with lung masks.", len(test), has_lung.sum())
