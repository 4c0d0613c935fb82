"""RSNA Pneumonia Detection Challenge: 26,684 images of ChestX-ray14, read anew, with boxes.

From: https://www.kaggle.com/c/rsna-pneumonia-detection-challenge and
https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018. Licence: for
research, by the challenge's rules. Size: 4 GB, DICOM of 1024 x 1024 pixels. Paper: Shih et al.,
Radiology: AI 2019.

Classes exclude each other. The challenge's patientId is one an image: who has several images is
known only where RSNA's list pneumonia-challenge-dataset-mappings_2018.json lies beside the tables.
The 3,000 images in stage_2_test_images have no labels.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.collections.collection import (
    Box,
    Collection,
    Picture,
    box_of,
    boxes_as_json,
    number_in,
)
from workflow_scripts.cxrcam.data.listing.collections.tables import find_table, need_table, rows_of
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError
from workflow_scripts.cxrcam.terms import LESION_REGIONS

BOXES: Final = "stage_2_train_labels.csv"
CLASSES: Final = "stage_2_detailed_class_info.csv"
MAPPING: Final = "pneumonia-challenge-dataset-mappings_2018.json"
SIDES: Final = ("x", "y", "width", "height")
FRAME: Final = (1024, 1024)  # pixels that boxes are told in
OPACITY: Final = "Lung Opacity"


def read(home: Path) -> Iterator[Picture]:
    """Images of both tables, which have a row a box."""
    boxes = _boxes(need_table(home, BOXES))
    patients = _patients(home)
    table = need_table(home, CLASSES)
    classes: dict[str, str] = {}
    for number, (image, name) in rows_of(table, "patientId", "class"):
        # Names of classes become parts of file names: no slash.
        name = name.replace(" / ", ", ")
        if classes.setdefault(image, name) != name:
            raise DatasetError(
                f"Row {number} of {table} says {name!r} of {image}, of which an earlier row says "
                f"{classes[image]!r}: take the table as it was published."
            )
    for image, name in classes.items():
        lesions = boxes_as_json(boxes.get(image, []), FRAME)
        yield Picture(
            image_id=image,
            file=image,
            label=name,
            patient=patients.get(image, image),
            more=((LESION_REGIONS, lesions),),
        )


def _boxes(table: Path) -> dict[str, list[Box]]:
    """Boxes of each image that has some."""
    boxes = defaultdict(list)
    for number, (image, target, *cells) in rows_of(table, "patientId", "Target", *SIDES):
        if target == "1":
            numbers = map(number_in, [f"Row {number} of {table}"] * 4, SIDES, cells)
            boxes[image].append(box_of(OPACITY, *numbers))
    return boxes


def _patients(home: Path) -> dict[str, str]:
    """Patient in ChestX-ray14 of each image, where RSNA's list is there."""
    file = find_table(home, MAPPING)
    if file is None:
        return {}
    try:
        entries = json.loads(file.read_bytes())
        # 00000013_005.png is an image of patient 13.
        return {entry["subset_img_id"]: str(int(entry["img_id"][:8])) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"The list {str(file)!r} is not RSNA's list of images, with subset_img_id and img_id "
            f"({error}): take it as it was published, or move it away."
        ) from error


COLLECTION = Collection(
    title="RSNA Pneumonia Detection Challenge",
    tables=(BOXES,),
    read=read,
    source="NIH Clinical Center",
    has_views=False,
)
