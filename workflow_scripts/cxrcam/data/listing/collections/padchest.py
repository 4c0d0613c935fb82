"""PadChest: 160,868 images of 67,625 patients of a Spanish hospital, labelled from reports.

From: https://bimcv.cipf.es/bimcv-projects/padchest (registration). Licence: CC BY-SA 4.0 with the
hospital's research use agreement. Size: 1 TB, PNG of 16 bits, in folders 0 to 54 or all in one.
Paper: Bustos et al., Medical Image Analysis 2020.

174 findings are named, most of them in few images. Those below have a column each, the others
stand in the column `other_labels`. Physicians read 27 % of the reports (column `read_by`). A
third of the images are lateral. Images labelled `exclude`, and those without any label, are left
out.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.collections.collection import (
    ABSENT,
    LATERAL_VIEW,
    PRESENT,
    Collection,
    Picture,
    sex_of,
    years,
)
from workflow_scripts.cxrcam.data.listing.collections.tables import need_table, rows_of
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, suffix_of
from workflow_scripts.cxrcam.data.listing.left_out import UNLABELLED

TABLES: Final = (
    "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
    "PADCHEST_chest_x_ray_images_labels_160K.csv",
)
FINDINGS: Final = (
    *("air trapping", "alveolar pattern", "aortic atheromatosis", "aortic elongation"),
    *("apical pleural thickening", "atelectasis", "bronchiectasis", "calcified granuloma"),
    *("callus rib fracture", "cardiomegaly", "chronic changes", "consolidation", "COPD signs"),
    *("costophrenic angle blunting", "emphysema", "fibrotic band", "goiter"),
    *("heart insufficiency", "hemidiaphragm elevation", "hiatal hernia", "hilar enlargement"),
    *("increased density", "infiltrates", "interstitial pattern", "kyphosis"),
    *("laminar atelectasis", "mass", "nodule", "pleural effusion", "pleural thickening"),
    *("pneumonia", "pneumothorax", "pseudonodule", "pulmonary fibrosis", "pulmonary mass"),
    *("rib fracture", "scoliosis", "tuberculosis sequelae"),
    *("vascular hilar enlargement", "vertebral degenerative changes", "volume loss"),
)
NO_FINDINGS: Final = frozenset({"", "normal", "unchanged", "suboptimal study"})
EXCLUDED: Final = "exclude"
OTHER_FINDING: Final = "Other finding"

VIEWS: Final = {"AP_horizontal": "AP horizontal", "L": LATERAL_VIEW, "UNK": "", "nan": ""}
SUFFIX: Final = ".0"  # what pandas makes of whole numbers in a column with gaps


def read(home: Path) -> Iterator[Picture]:
    """Images of the table."""
    table = need_table(home, *TABLES)
    known: dict[str, tuple[str, tuple[str, ...], str]] = {"": ("", (), ""), "nan": ("", (), "")}
    for number, (image, patient, birth, sex, date, view, method, labels, maker) in rows_of(
        *(table, "ImageID", "PatientID", "PatientBirth", "PatientSex_DICOM", "StudyDate_DICOM"),
        *("Projection", "MethodLabel", "Labels"),
        optional=("Manufacturer_DICOM",),
    ):
        if labels not in known:
            known[labels] = _told(f"Row {number} of {table}", labels)
        label, states, others = known[labels]
        name = image.removesuffix(suffix_of(image))
        yield Picture(
            image_id=name,
            file=name,
            label=label,
            findings=states or (ABSENT,) * len(FINDINGS),
            patient=patient,
            view=VIEWS.get(view, view),
            age=_age(birth, date),
            sex=sex_of(sex),
            more=(("manufacturer", maker), ("read_by", method), ("other_labels", others)),
            left_out="" if states else UNLABELLED,
        )


def _told(place: str, cell: str) -> tuple[str, tuple[str, ...], str]:
    """Label where no finding of ours is present, states, and other labels, of a cell.

    The states are empty where the image cannot be used.
    """
    try:
        names = {str(name).strip() for name in ast.literal_eval(cell)}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise DatasetError(
            f"{place} has {cell!r} in the column 'Labels', which must be a list in brackets: take "
            "the table as it was published."
        ) from None
    if EXCLUDED in names or names <= {""}:
        return "", (), ""
    states = tuple([PRESENT if name in names else ABSENT for name in FINDINGS])
    others = sorted(names.difference(FINDINGS, NO_FINDINGS))
    return OTHER_FINDING if others and PRESENT not in states else "", states, "|".join(others)


def _age(birth: str, date: str) -> str:
    """Years from the year of birth to that of the study; empty where either is unknown."""
    born, studied = birth.removesuffix(SUFFIX), date[:4]
    known = born.isdecimal() and studied.isdecimal()
    return years(str(int(studied) - int(born))) if known else ""


COLLECTION = Collection(
    title="PadChest",
    tables=TABLES,
    read=read,
    source="San Juan Hospital, Alicante",
    findings=FINDINGS,
)
