"""SIIM-ACR Pneumothorax Segmentation: 12,047 images of ChestX-ray14 with pneumothoraces outlined.

From: https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation. Licence: for research, by the
challenge's rules. Size: 2 GB, DICOM of 1024 x 1024 pixels. No paper.

One finding. Outlines are run-length codes: pairs of a gap since the last run and a length, column
by column. Images of `dicom-images-test` have no labels, nor have a few dozen of the training part.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.collections.collection import (
    ABSENT,
    PRESENT,
    Collection,
    Picture,
    runs_as_json,
)
from workflow_scripts.cxrcam.data.listing.collections.tables import need_table, rows_of
from workflow_scripts.cxrcam.terms import LESION_REGIONS

TABLES: Final = ("train-rle.csv", "stage_2_train.csv")
FRAME: Final = (1024, 1024)  # pixels of the outlines


def read(home: Path) -> Iterator[Picture]:
    """Images of the table, which has a row an outline."""
    outlines: dict[str, list[str]] = defaultdict(list)
    for _, (image, code) in rows_of(need_table(home, *TABLES), "ImageId", "EncodedPixels"):
        of_image = outlines[image]
        if code not in ("-1", ""):
            of_image.append(code)
    for image, codes in outlines.items():
        yield Picture(
            image_id=image,
            file=image,
            findings=(PRESENT if codes else ABSENT,),
            more=((LESION_REGIONS, runs_as_json(codes, FRAME)),),
        )


COLLECTION = Collection(
    title="SIIM-ACR Pneumothorax Segmentation",
    tables=TABLES,
    read=read,
    source="NIH Clinical Center",
    findings=("Pneumothorax",),
    has_views=False,
)
