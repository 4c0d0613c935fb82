"""CheXpert: 224,316 images of 65,240 patients, 13 findings mined from reports, uncertain ones told.

From: Stanford University, https://stanfordmlgroup.github.io/competitions/chexpert and
https://aimi.stanford.edu (registration). Licence: Stanford University Dataset Research Use
Agreement, no commercial use. Size: 439 GB, or 11 GB as CheXpert-v1.0-small, JPEG. Paper: Irvin et
al., AAAI 2019.

Paths of the tables start with the name of the release, whatever the folder is called; in the
large release, patients lie in `CheXpert-v1.0 batch 2 (train 1)` and the like. Blank: the report
does not mention it. 223,414 images for training, 234 for validation; those of the test part come
without table. About 32,000 views are lateral.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.collections.collection import (
    LATERAL_VIEW,
    Collection,
    Picture,
    sex_of,
    states_of,
    years,
)
from workflow_scripts.cxrcam.data.listing.collections.tables import find_table, rows_of
from workflow_scripts.cxrcam.data.listing.findings_text import NO_FINDING
from workflow_scripts.cxrcam.data.listing.folders import folders_in
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError
from workflow_scripts.cxrcam.data.listing.split_names import part_of

TABLES: Final = ("train.csv", "valid.csv")
FINDINGS: Final = (
    *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion"),
    *("Pleural Other", "Fracture", "Support Devices"),
)


def read(home: Path) -> Iterator[Picture]:
    """Images of both tables."""
    batches = _batches(home)
    columns = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", NO_FINDING, *FINDINGS)
    for table in filter(None, (find_table(home, name) for name in TABLES)):
        for number, (path, sex, age, side, view, none, *cells) in rows_of(table, *columns):
            place = f"Row {number} of {table}"
            # CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg
            _, *inner = path.split("/")
            if len(inner) < 3:
                raise DatasetError(
                    f"{place} has the path {path!r}, which does not read like "
                    "CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg: take the table as "
                    "it was published."
                )
            name = "/".join(inner)
            yield Picture(
                image_id=os.path.splitext(name)[0],  # noqa: PTH122 (speed)
                file="/".join([batches.get(inner[1], inner[0]), *inner[1:]]),
                findings=states_of(place, FINDINGS, cells),
                patient=inner[1],
                split=part_of(inner[0]),
                view=view if side == "Frontal" else LATERAL_VIEW,
                age=years(age),
                sex=sex_of(sex),
                more=((NO_FINDING, states_of(place, (NO_FINDING,), (none,))[0]),),
            )


def _batches(home: Path) -> dict[str, str]:
    """Folder of each patient in the large release, which comes in batches."""
    batches = [name for name in folders_in(str(home)) if " batch " in name]
    return {patient: batch for batch in batches for patient in folders_in(str(home / batch))}


COLLECTION = Collection(
    title="CheXpert",
    tables=TABLES,
    read=read,
    source="Stanford Hospital",
    findings=FINDINGS,
    by_name=False,
)
