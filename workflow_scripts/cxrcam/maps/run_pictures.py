"""The test images of one run with what its network said, and each as a picture with its map.

Each picture shows the evidence for the class that the network named; one scale for the whole run,
so that faint and strong evidence look faint and strong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.images.covering import covered_pixels
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.masks import read_mask
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.maps.overlays import Picture
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, read_evidence_maps
from workflow_scripts.cxrcam.terms import TEST


@dataclass(frozen=True)
class RunPictures:
    """Test images of one run.

    Attributes
    ----------
    records : DataFrame
        One row a test image: `image_id`, `label`, `predicted`, `probability` of the predicted
        class, `correct`.
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
    """

    records: pd.DataFrame
    scale: float
    maps: RawMaps
    index: pd.DataFrame
    input_part: str
    max_pixels: int

    def picture(self, image_id: str, side: int) -> Picture:
        """X-ray as the network saw it, evidence and masks of an image, `side` pixels a side."""
        entry = self.index.loc[image_id]
        row = int(np.flatnonzero(self.records["image_id"] == image_id)[0])
        lung_mask = self._mask(entry["mask_path"], side)
        grey = resize_grey(read_grey(Path(entry["path"]), self.max_pixels).pixels, side)
        lungs = None if lung_mask is None else lung_mask[None]
        return {
            # As the network saw it, which may be the image's border only.
            "grey": covered_pixels(grey[None], self.input_part, lungs)[0],
            "evidence": normalise_map(self.maps.place(self.maps.values[row, 0], side), self.scale),
            "lung_mask": lung_mask,
            "lesion_mask": self._mask(entry["lesion_mask_path"], side),
        }

    def with_maps(self, image_ids: Sequence[str], maps: RawMaps) -> "RunPictures":
        """Some of the images with maps of another kind, in their order, on a scale of their own."""
        records = self.records.set_index("image_id").loc[list(image_ids)].reset_index()
        return replace(self, records=records, scale=heat_scale(maps.values), maps=maps)

    def _mask(self, path: object, side: int) -> BoolArray | None:
        """Mask in picture size, where the index names one."""
        return read_mask(Path(path), side, self.max_pixels) if isinstance(path, str) else None


def read_run_pictures(
    index_file: Path,
    predictions_file: Path,
    maps_file: Path,
    classes: Sequence[str],
    input_part: str,
    max_pixels: int,
) -> RunPictures:
    """Read what a run said of its test images.

    Parameters
    ----------
    index_file, predictions_file, maps_file : Path
        Outputs of `index` and `predict_run`.
    classes : sequence of str
        In the order of the task.
    input_part, max_pixels
        As in `RunPictures`.
    """
    index = pd.read_parquet(index_file).set_index("image_id")
    predictions = pd.read_parquet(predictions_file)
    test = predictions[predictions["role"] == TEST].reset_index(drop=True)
    probabilities = test[[f"probability_{name}" for name in classes]].to_numpy(dtype=float)
    called = probabilities.argmax(axis=1)
    records = test[["image_id", "label"]].assign(
        predicted=[classes[k] for k in called], probability=probabilities.max(axis=1)
    )
    records["correct"] = records["predicted"] == records["label"]
    maps = read_evidence_maps(maps_file, records["image_id"].tolist(), classes).of_class(called)
    return RunPictures(records, heat_scale(maps.values), maps, index, input_part, max_pixels)
