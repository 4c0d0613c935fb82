"""VinDr-CXR: 18,000 PA images of two hospitals in Vietnam, 27 findings and boxes by radiologists.

From: https://physionet.org/content/vindr-cxr (credentialed), and Kaggle's "VinBigData Chest X-ray
Abnormalities Detection" (15,000 training images with 14 of the findings; its test images have no
labels). Licence: PhysioNet Credentialed Health Data License. Size: 200 GB, DICOM. Paper: Nguyen et
al., Scientific Data 2022.

Three radiologists read each training image: a finding is present where more than half of them say
so, and boxes are all that they drew of those findings. Test images have the consensus of five.
Boxes are told in pixels of the DICOM files: of images that were converted, they are not used.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.class_folders import DICOM_SUFFIXES
from workflow_scripts.cxrcam.data.listing.collections.collection import (
    PRESENT,
    Box,
    Collection,
    Picture,
    box_of,
    boxes_as_json,
    check_names,
    number_in,
    states_of,
)
from workflow_scripts.cxrcam.data.listing.collections.tables import find_table, rows_of
from workflow_scripts.cxrcam.data.listing.image_files import suffix_of
from workflow_scripts.cxrcam.terms import LESION_REGIONS, TEST, TRAIN

LABELS: Final = "annotations/image_labels_{}.csv"
BOXES: Final = "annotations/annotations_{}.csv"
KAGGLE: Final = "train.csv"
SIDES: Final = ("x_min", "y_min", "x_max", "y_max")

# Names become parts of file names: no slash.
NODULE: Final = "Nodule or Mass"
SPELLINGS: Final = {
    NODULE: ("Nodule/Mass",),
    "Other disease": ("Other disease", "Other diseases"),
}
DRAWN: Final = (  # have boxes
    *("Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture"),
    *("Consolidation", "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity"),
    *("Lung cavity", "Lung cyst", "Mediastinal shift", NODULE, "Pleural effusion"),
    *("Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture", "Other lesion"),
)
DISEASES: Final = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other disease")
FINDINGS: Final = (*DRAWN, *DISEASES)
NOT_ON_KAGGLE: Final = frozenset(
    {*("Clavicle fracture", "Edema", "Emphysema", "Enlarged PA", "Lung cavity", "Lung cyst")}
    | {"Mediastinal shift", "Rib fracture", *DISEASES}
)


def read(home: Path) -> Iterator[Picture]:
    """Images of both parts, or of Kaggle's table where it is the only one."""
    official = [
        (part, table)
        for part in (TRAIN, TEST)
        if (table := find_table(home, LABELS.format(part))) is not None
    ]
    for part, table in official:
        readings = defaultdict(list)
        columns = [SPELLINGS.get(name, (name,)) for name in FINDINGS]
        for number, (image, *cells) in rows_of(table, "image_id", *columns):
            readings[image].append(states_of(f"Row {number} of {table}", FINDINGS, cells))
        boxes_table = find_table(home, BOXES.format(part))
        boxes = _boxes(boxes_table) if boxes_table and _is_dicom(home / part) else {}
        for image, of_readers in readings.items():
            yield _picture(image, _majority(of_readers), boxes.get(image, []), part)
    table = None if official else find_table(home, KAGGLE)
    if table:
        yield from _read_kaggle(table, _is_dicom(home / TRAIN))


def _is_dicom(folder: Path) -> bool:
    """Whether images of a folder are the published DICOM files."""
    if not folder.is_dir():
        return False
    return any(suffix_of(file.name).lower() in DICOM_SUFFIXES for file in folder.iterdir())


def _read_kaggle(table: Path, with_boxes: bool) -> Iterator[Picture]:
    """Images of Kaggle's table, in which a row is a box, or says that there is none."""
    readers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for number, (image, name, reader) in rows_of(table, "image_id", "class_name", "rad_id"):
        readers[image][reader].add(_known(f"Row {number} of {table}", name))
    boxes = _boxes(table) if with_boxes else {}
    for image, named in readers.items():
        votes = Counter(name for names in named.values() for name in names)
        states = tuple(
            "" if name in NOT_ON_KAGGLE else str(int(2 * votes[name] > len(named)))
            for name in FINDINGS
        )
        yield _picture(image, states, boxes.get(image, []), TRAIN)


def _known(place: str, name: str) -> str:
    """Our name of a finding that a row names; errors as for `check_names`."""
    ours = NODULE if name in SPELLINGS[NODULE] else name
    check_names(place, DRAWN, (ours,), ("No finding",))
    return ours


def _majority(readings: list[tuple[str, ...]]) -> tuple[str, ...]:
    """State of each finding: present where more than half of the radiologists say so."""
    votes = (states.count(PRESENT) for states in zip(*readings, strict=True))
    return tuple(str(int(2 * n > len(readings))) for n in votes)


def _boxes(table: Path) -> dict[str, list[Box]]:
    """Boxes that were drawn into each image, by whomever."""
    boxes = defaultdict(list)
    for number, (image, name, *cells) in rows_of(table, "image_id", "class_name", *SIDES):
        if any(cells):  # empty where there is no finding
            place = f"Row {number} of {table}"
            left, top, right, bottom = map(number_in, [place] * 4, SIDES, cells)
            boxes[image].append(box_of(_known(place, name), left, top, right - left, bottom - top))
    return boxes


def _picture(image: str, states: tuple[str, ...], boxes: list[Box], part: str) -> Picture:
    present = {name for name, state in zip(FINDINGS, states, strict=True) if state == PRESENT}
    lesions = [box for box in boxes if box[0] in present]
    return Picture(
        image_id=image,
        file=image,
        findings=states,
        split=part,
        view="PA",
        more=((LESION_REGIONS, boxes_as_json(lesions, None)),),
    )


COLLECTION = Collection(
    title="VinDr-CXR",
    tables=(LABELS.format(TRAIN), KAGGLE),
    read=read,
    source="VinDr-CXR",
    findings=FINDINGS,
    has_views=False,
)
