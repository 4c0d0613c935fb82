"""Small pictures of what a network was trained on: the page compares an X-ray with them.

Without them the page would answer for a cat as well. They are compared as `duplicates.likeness`
compares them, and against thresholds found in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.duplicates.likeness import (
    Thresholds,
    thumbnails_of,
    usual_likeness,
)
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints
from workflow_scripts.cxrcam.images.colour import MOST_COLOUR
from workflow_scripts.cxrcam.new_images.answers import LEAST_CONTRAST
from workflow_scripts.cxrcam.terms import TRAIN

#: Pictures that the page gets: 2 MB, compared in some hundredths of a second.
MOST_PICTURES: Final = 2000


@dataclass(frozen=True)
class TrainingPictures:
    """Training images of one run, or as many of them as the page takes."""

    pictures: UInt8Array  # (n, 32, 32)
    labels: list[int]  # n positions of the class
    n_training: int  # training images of which these were taken, evenly
    thresholds: Thresholds  # from where on a picture is unlike these

    def for_page(self) -> dict[str, Any]:
        """What stands in the page's model.json; the pictures have a file of their own."""
        return {
            "side": self.pictures.shape[1],
            "labels": self.labels,
            "n_training": self.n_training,
            "least_similarity": self.thresholds.similarity,
            "most_gain": self.thresholds.gain,
            "most_colour": MOST_COLOUR,
            "least_contrast": LEAST_CONTRAST,
        }


def training_pictures(
    split: pd.DataFrame, groups: pd.Series, stored: Fingerprints, classes: Sequence[str]
) -> TrainingPictures:
    """Choose pictures of the training part.

    Parameters
    ----------
    split : DataFrame
        `image_id`, `label`, `role` of a run.
    groups : Series of str
        Group of each image (a patient, near-duplicates), by `image_id`.
    stored : Fingerprints
        Of all readable images.

    Returns
    -------
    TrainingPictures
        Sorted by `image_id`; evenly spread where there are more than `MOST_PICTURES`.
    """
    trained = split[split["role"] == TRAIN].sort_values("image_id", ignore_index=True)
    n = len(trained)
    chosen = trained.iloc[np.linspace(0, n - 1, min(n, MOST_PICTURES)).round().astype(np.int64)]
    image_ids = chosen["image_id"].tolist()
    pictures = thumbnails_of(stored, image_ids)
    return TrainingPictures(
        pictures,
        chosen["label"].map(list(classes).index).tolist(),
        n,
        usual_likeness(pictures, groups[image_ids].tolist()),
    )
