"""MIMIC-CXR-JPG: 377,110 images of 65,379 patients, 13 findings mined from reports.

From: https://physionet.org/content/mimic-cxr-jpg (credentialed: a course and a signed agreement).
Licence: PhysioNet Credentialed Health Data License. Size: 570 GB, JPEG. Paper: Johnson et al.,
Scientific Data 2019.

Labels are those of the CheXpert labeller, by study; ages and sexes are in MIMIC-IV, not here. Some
15,000 images tell no view. Studies without labels are left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.collections.chexpert import FINDINGS
from workflow_scripts.cxrcam.data.listing.collections.collection import (
    LATERAL_VIEW,
    Collection,
    Picture,
    states_of,
)
from workflow_scripts.cxrcam.data.listing.collections.tables import find_table, need_table, rows_of
from workflow_scripts.cxrcam.data.listing.findings_text import NO_FINDING
from workflow_scripts.cxrcam.data.listing.left_out import UNLABELLED
from workflow_scripts.cxrcam.data.listing.split_names import part_of

METADATA: Final = ("mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.1.0-metadata.csv")
LABELS: Final = ("mimic-cxr-2.0.0-chexpert.csv", "mimic-cxr-2.1.0-chexpert.csv")
SPLIT: Final = ("mimic-cxr-2.0.0-split.csv", "mimic-cxr-2.1.0-split.csv")

# What the two columns of the view say, in lower case.
VIEWS: Final = {
    **dict.fromkeys(("pa", "postero-anterior"), "PA"),
    **dict.fromkeys(("ap", "antero-posterior"), "AP"),
    **dict.fromkeys(("lateral", "ll", "left lateral", "xtable lateral"), LATERAL_VIEW),
}


def read(home: Path) -> Iterator[Picture]:
    """Images of the metadata, with the labels of their studies."""
    metadata = need_table(home, *METADATA)
    labels, parts = _labels(home), _parts(home)
    for _, (image, patient, study, view, meaning) in rows_of(
        *(metadata, "dicom_id", "subject_id", "study_id", "ViewPosition"),
        optional=("ViewCodeSequence_CodeMeaning",),
    ):
        none, states = labels.get(study, ("", ("",) * len(FINDINGS)))
        name = f"p{patient[:2]}/p{patient}/s{study}/{image}"
        told = view or meaning
        yield Picture(
            image_id=name,
            file=f"files/{name}.jpg",
            findings=states,
            patient=patient,
            split=parts.get(image, ""),
            view=VIEWS.get(told.lower(), told),
            more=((NO_FINDING, none),),
            left_out="" if study in labels else UNLABELLED,
        )


def _labels(home: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Of each study, what it says of `No Finding` and of each finding."""
    table = need_table(home, *LABELS)
    seen: dict[tuple[str, ...], tuple[str, ...]] = {}  # one copy of what many studies have alike
    labels = {}
    for number, (study, none, *cells) in rows_of(table, "study_id", NO_FINDING, *FINDINGS):
        place = f"Row {number} of {table}"
        states = states_of(place, FINDINGS, cells)
        labels[study] = states_of(place, (NO_FINDING,), (none,))[0], seen.setdefault(states, states)
    return labels


def _parts(home: Path) -> dict[str, str]:
    """Part of each image in the official division; empty where its table is not there."""
    table = find_table(home, *SPLIT)
    rows = rows_of(table, "dicom_id", "split") if table else ()
    return {image: part_of(part) for _, (image, part) in rows}


COLLECTION = Collection(
    title="MIMIC-CXR-JPG",
    tables=METADATA,
    read=read,
    source="Beth Israel Deaconess Medical Center",
    findings=FINDINGS,
    by_name=False,
)
