"""The test images of one run with what its network said, and each as a picture with its map.

Each picture shows the evidence for the class that the network named; one scale for the whole run,
so that faint and strong evidence look faint and strong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.images.blanking import blanked
from workflow_scripts.cxrcam.images.covering import covered_pixels
from workflow_scripts.cxrcam.images.files import named, read_grey
from workflow_scripts.cxrcam.images.lesion_regions import lesion_regions_of
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.masks import read_mask
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.maps.overlays import Picture, Xray
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, read_evidence_maps
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.terms import WHOLE

PICTURE_SIDE: Final = 299  # pixels; the size of the database's own images


def read_xray(
    index: pd.DataFrame,
    image_id: str,
    side: int,
    max_pixels: int,
    input_part: str = WHOLE,
    blank: str = "none",
) -> Xray:
    """Read an image and its masks, `side` pixels a side; arguments as in `RunPictures`."""
    entry = index.loc[image_id]
    masks = {}
    for kind in ("mask_path", "lesion_mask_path"):
        with named(str(entry[kind])):
            known = isinstance(entry[kind], str)
            masks[kind] = read_mask(Path(entry[kind]), side, max_pixels) if known else None
    lungs, lesions = masks.values()
    if lesions is None:
        lesions = _drawn_lesions(entry.to_dict(), side, max_pixels)
    path = Path(str(entry["path"]))
    with named(path):
        grey = resize_grey(read_grey(path, max_pixels).pixels, side)
    lung_masks = None if lungs is None else lungs[None]
    shown = covered_pixels(blanked(grey[None], blank), input_part, lung_masks)[0]
    return {"grey": shown, "lung_mask": lungs, "lesion_mask": lesions}


def _drawn_lesions(entry: Mapping[Any, Any], side: int, max_pixels: int) -> BoolArray | None:
    """Lesions that a table tells, as a mask; None where it tells none, or nothing that fits."""
    regions = lesion_regions_of(entry)
    try:
        return regions.mask(side, max_pixels) if regions else None
    except UnreadableImage:  # rule `masks` names them
        return None


@dataclass(frozen=True)
class RunPictures:
    """Test images of one run.

    Attributes
    ----------
    records : DataFrame
        As from `prediction_table.read_test_predictions`.
    scale : float
        Raw map value at full colour.
    maps : RawMaps
        Of the predicted class, values of shape (n, 1, height, width), in the order of `records`.
    index : DataFrame
        The index of the data set, by `image_id`.
    input_part : str
        What the network sees of each image, see `covering.covered_pixels`.
    max_pixels : int
        Larger images are refused.
    blank : {"none", "corners"}
        What is blanked in every image, see `blanking.blanked`.
    """

    records: pd.DataFrame
    scale: float
    maps: RawMaps
    index: pd.DataFrame
    input_part: str
    max_pixels: int
    blank: str = "none"

    def picture(self, image_id: str, side: int) -> Picture:
        """X-ray as the network saw it, evidence and masks of an image, `side` pixels a side."""
        row = int(np.flatnonzero(self.records["image_id"] == image_id)[0])
        placed = self.maps.place(self.maps.values[row, 0], side)
        # As the network saw it, which may be the image's border only.
        seen = self.max_pixels, self.input_part, self.blank
        xray = read_xray(self.index, image_id, side, *seen)
        return {**xray, "evidence": normalise_map(placed, self.scale)}

    def with_drawn(self, parts: tuple[str, ...]) -> "RunPictures":
        """Records with `is_drawn`: whether the image is a phantom, by what its name starts with."""
        drawn = [image_id.startswith(parts) for image_id in self.records["image_id"]]
        return replace(self, records=self.records.assign(is_drawn=drawn))

    def with_maps(
        self, image_ids: Sequence[str], maps_of: Callable[[pd.DataFrame], RawMaps]
    ) -> "RunPictures":
        """Some of the images with maps of another kind, on a scale of their own.

        `maps_of` gives them for n rows of `records`: of the predicted class, shape (n, 1, h, w).
        """
        records = self.records.set_index("image_id").loc[list(image_ids)].reset_index()
        maps = maps_of(records)
        return replace(self, records=records, scale=heat_scale(maps.values), maps=maps)


def read_run_pictures(
    index: str | Path,
    predictions: str | Path,
    maps: str | Path,
    classes: Sequence[str],
    input_part: str,
    max_pixels: int,
    blank: str = "none",
) -> RunPictures:
    """Read what a run said of its test images; files are outputs of `index` and `predict_run`."""
    records = read_test_predictions(predictions, classes)
    called = records["called"].to_numpy()
    image_ids = records["image_id"].tolist()
    evidence = read_evidence_maps(Path(maps), image_ids, classes).of_class(called)
    entries = pd.read_parquet(index).set_index("image_id")
    scale = heat_scale(evidence.values)
    return RunPictures(records, scale, evidence, entries, input_part, max_pixels, blank)
