"""Chest X-Ray Images (Pneumonia): 5,856 AP images of children from one to five, in folders.

From: Guangzhou Women and Children's Medical Center,
https://data.mendeley.com/datasets/rscbjbr9sj and https://www.kaggle.com/datasets/paultimothymooney/
chest-xray-pneumonia. Licence: CC BY 4.0. Size: 1.2 GB, JPEG. Paper: Kermany et al., Cell 2018.

Patients are taken from the names: person123_bacteria_456.jpeg, IM-0115-0001.jpeg. Bacteria and
viruses seem to be numbered each on their own. Kaggle's archive holds everything twice, the second
time in chest_xray/chest_xray.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.class_folders import IMAGE_SUFFIXES
from workflow_scripts.cxrcam.data.listing.collections.collection import Collection, Picture
from workflow_scripts.cxrcam.data.listing.folders import files_below, folders_in
from workflow_scripts.cxrcam.data.listing.image_files import suffix_of, unique_ids
from workflow_scripts.cxrcam.data.listing.split_names import part_of

CLASSES: Final = ("NORMAL", "PNEUMONIA")
SICK: Final = re.compile(r"(person\d+_(bacteria|virus))_\d+")
HEALTHY: Final = re.compile(r"((?:NORMAL\d?-)?IM-\d+)-\d+")


def read(home: Path) -> Iterator[Picture]:
    """Images of the folders."""
    parts = [name for name in folders_in(str(home)) if part_of(name)]
    for part in parts:
        for label in CLASSES:
            folder = home / part / label
            if not folder.is_dir():
                continue
            files = [
                entry.path[len(str(home)) + 1 :]
                for entry in files_below(str(folder))
                if suffix_of(entry.name).lower() in IMAGE_SUFFIXES
            ]
            for file, image_id in unique_ids(files).items():
                name = Path(file).name
                sick, healthy = SICK.match(name), HEALTHY.match(name)
                patient = sick or healthy
                yield Picture(
                    image_id=image_id,
                    file=file,
                    label=label,
                    patient=patient[1] if patient else "",
                    split=part_of(part),
                    view="AP",
                    more=(("cause", sick[2] if sick else ""),),
                )


COLLECTION = Collection(
    title="Chest X-Ray Images (Pneumonia)",
    tables=("train/NORMAL", "test/NORMAL"),
    read=read,
    source="Guangzhou Women and Children's Medical Center",
    has_views=False,
    by_name=False,
)
