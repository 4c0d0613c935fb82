"""NIH ChestX-ray14: 112,120 frontal images of 30,805 patients, 14 findings mined from reports.

From: NIH Clinical Center, https://nihcc.app.box.com/v/ChestXray-NIHCC (also on Kaggle as "NIH Chest
X-rays"). Licence: free to use; cite the paper and credit the NIH Clinical Center. Size: 42 GB, PNG
of 1024 x 1024 pixels. Paper: Wang et al., CVPR 2017.

Images lie in `images`, or in `images_001/images` to `images_012/images`. 984 boxes are told for 880
images. A finding that the report does not mention counts as absent.
"""

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
    sex_of,
    states_of_names,
    years,
)
from workflow_scripts.cxrcam.data.listing.collections.tables import (
    find_table,
    lines_of,
    need_table,
    rows_of,
)
from workflow_scripts.cxrcam.data.listing.findings_text import NO_FINDING
from workflow_scripts.cxrcam.data.listing.image_files import suffix_of
from workflow_scripts.cxrcam.terms import LESION_REGIONS, TEST, TRAIN

TABLES: Final = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
FINDINGS: Final = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia"),
    *("Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening"),
    "Hernia",
)
BOX_COLUMNS: Final = ("Bbox [x", "y", "w", "h]")
FRAME: Final = (1024, 1024)  # pixels that boxes are told in


def read(home: Path) -> Iterator[Picture]:
    """Images of the table, with the official division where its lists are there."""
    table = need_table(home, *TABLES)
    roles, boxes = _roles(home), _boxes(home)
    known: dict[str, tuple[str, ...]] = {}  # 836 combinations in 112,120 rows
    for number, (image, names, patient, age, sex, view) in rows_of(
        *(table, "Image Index", "Finding Labels", "Patient ID", "Patient Age"),
        *(("Patient Gender", "Patient Sex"), "View Position"),
    ):
        if names not in known:
            place = f"Row {number} of {table}"
            known[names] = states_of_names(place, FINDINGS, names.split("|"), (NO_FINDING,))
        name = image.removesuffix(suffix_of(image))
        yield Picture(
            image_id=name,
            file=name,
            findings=known[names],
            patient=patient,
            split=roles.get(image, ""),
            view=view,
            age=years(age),
            sex=sex_of(sex),
            more=((LESION_REGIONS, boxes_as_json(boxes.get(image, ()), FRAME)),),
        )


def _roles(home: Path) -> dict[str, str]:
    """Part of each image in the official division."""
    lists = {"train_val_list.txt": TRAIN, "test_list.txt": TEST}
    there = {find_table(home, name): role for name, role in lists.items()}
    return {image: role for file, role in there.items() if file for image in lines_of(file)}


def _boxes(home: Path) -> dict[str, list[Box]]:
    """Boxes of each image that has some."""
    boxes = defaultdict(list)
    table = find_table(home, "BBox_List_2017.csv")
    rows = rows_of(table, "Image Index", "Finding Label", *BOX_COLUMNS) if table else ()
    for number, (image, finding, *sides) in rows:
        place = f"Row {number} of {table}"
        numbers = map(number_in, [place] * 4, BOX_COLUMNS, sides)
        # The list of boxes calls one finding otherwise.
        name = "Infiltration" if finding == "Infiltrate" else finding
        boxes[image].append(box_of(name, *numbers))
    return boxes


COLLECTION = Collection(
    title="NIH ChestX-ray14",
    tables=TABLES,
    read=read,
    source="NIH Clinical Center",
    findings=FINDINGS,
)
