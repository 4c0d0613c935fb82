"""What a DICOM file says of its image, beside the pixels: what the audit can use, and its kind.

Nothing else is taken from a file. Names, dates, numbers of examinations and UIDs are not read, but
for the date of birth where an age is not stated, of which the age alone is kept. Patient and
institution leave this module as they stand, for `data.pseudonyms` to hash; nothing may write them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Accept = Literal["frontal_chest", "any"]
"""Which images are let in, by what DICOM files say of themselves: see `image.accept`."""

#: Modalities that are no projection radiograph of a chest, by DICOM's defined terms.
OTHER_MODALITIES: Final = {
    "CT": "computed tomography",
    "MR": "magnetic resonance",
    "US": "ultrasound",
    "IVUS": "intravascular ultrasound",
    "NM": "nuclear medicine",
    "PT": "positron emission tomography",
    "SEG": "a segmentation",
    "MG": "mammography",
    "XA": "angiography",
    "PX": "a panoramic X-ray of the teeth",
    "IO": "an intra-oral X-ray",
    "BMD": "bone densitometry",
    "ES": "endoscopy",
    "GM": "microscopy",
    "SM": "slide microscopy",
    "XC": "photography",
    "OP": "photography of the eye",
    "OPT": "tomography of the eye",
    "OCT": "optical coherence tomography",
    "ECG": "an electrocardiogram",
    "RTDOSE": "a dose distribution",
    "RTIMAGE": "a radiotherapy image",
    "PR": "a presentation state",
    "SR": "a report",
    "DOC": "a document",
}

#: DICOM's terms for views that are not frontal, and what hospitals write for them.
LATERAL: Final = frozenset({"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "L LAT", "R LAT"})
OBLIQUE: Final = frozenset({"RAO", "LAO", "RPO", "LPO", "RLO", "LLO", "OBL", "OBLIQUE"})
DECUBITUS: Final = frozenset({"LLD", "RLD"})

#: Body parts that show no lungs. What is not listed is let in: the element is often wrong.
OTHER_BODY_PARTS: Final = frozenset(
    {"SKULL", "HEAD", "PELVIS", "HIP", "BREAST", "ABDOMEN", "KNEE", "LEG", "FOOT", "ANKLE", "HAND"}
    | {"WRIST", "ELBOW", "ARM", "FOREARM", "FINGER", "TOE", "EXTREMITY", "JAW", "TEETH", "FEMUR"}
)

#: What of these is set apart where `image.accept` is "frontal_chest".
NO_FRONTAL_CHEST: Final = {
    "modality": frozenset(OTHER_MODALITIES),
    "view": LATERAL | OBLIQUE | DECUBITUS,
    "body part": OTHER_BODY_PARTS,
}

RAW: Final = "raw image (for processing)"

CODE: Final = re.compile(r"[A-Z0-9_ ]{1,16}")  # what DICOM calls a code string
FREE_TEXT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,&/()_+-]{0,63}")
#: Years; of more, an age alone could tell who it is.
OLDEST: Final = 90.0

DAYS_A_YEAR: Final = 365.25
DAYS: Final = {"D": 1.0, "W": 7.0, "M": DAYS_A_YEAR / 12, "Y": DAYS_A_YEAR}


@dataclass(frozen=True)
class DicomTags:
    """What a DICOM file says; None where it does not, or not in a form that is understood.

    `age` in years, at most 90. `patient` and `institution` are as they stand in the file.
    """

    modality: str | None = None
    view: str | None = None
    age: float | None = None
    sex: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    burned_in: str | None = None
    institution: str | None = None
    patient: str | None = None


def read_tags(dataset: Dataset) -> DicomTags:
    """Take from a data set what may be known of it."""
    sex = _code(dataset, "PatientSex")
    return DicomTags(
        modality=_code(dataset, "Modality"),
        view=_code(dataset, "ViewPosition") or _coded_view(dataset),
        age=_age(dataset),
        sex=sex if sex in {"M", "F", "O"} else None,
        manufacturer=_free_text(dataset, "Manufacturer"),
        model=_free_text(dataset, "ManufacturerModelName"),
        burned_in=_code(dataset, "BurnedInAnnotation"),
        institution=_text(dataset, "InstitutionName") or None,
        patient=_text(dataset, "PatientID") or None,
    )


def why_no_frontal_chest(dataset: Dataset, tags: DicomTags) -> str | None:
    """Say what an image is, if its file says that it is no frontal chest radiograph; else None."""
    if tags.modality in OTHER_MODALITIES:
        return f"The image is {OTHER_MODALITIES[tags.modality]} (modality {tags.modality})"
    for names, words in ((LATERAL, "lateral"), (OBLIQUE, "oblique"), (DECUBITUS, "decubitus")):
        if tags.view in names:
            return f"The image is a {words} view (view position {tags.view})"
    directions = orientation(dataset)
    if directions and directions <= {"A", "P", "H", "F"} and directions & {"A", "P"}:
        return "The image is a lateral view (patient orientation)"
    part = _code(dataset, "BodyPartExamined")
    if part in OTHER_BODY_PARTS:
        return f"The image shows another part of the body (body part {part})"
    return None


def kind_notes(dataset: Dataset) -> list[str]:
    """What should be known of an accepted image's kind."""
    return [RAW] if _code(dataset, "PresentationIntentType") == "FOR PROCESSING" else []


def orientation(dataset: Dataset) -> set[str]:
    """First letters of the directions in which rows and columns run, if both are stated."""
    return set(directions(dataset))


def directions(dataset: Dataset) -> tuple[str, ...]:
    """Where rows and columns run to: L, R, H, F, A or P each; empty if it is not stated."""
    try:
        found = tuple(str(part).strip().upper()[:1] for part in dataset.PatientOrientation)
    except (AttributeError, TypeError, ValueError):
        return ()
    return found if len(found) == 2 and set(found) <= set("LRHFAP") else ()


def _text(dataset: Dataset, name: str) -> str:
    """Text of an element, blanks collapsed; empty where it is missing or cannot be read."""
    try:
        value = dataset.get(name)
        if value is None or isinstance(value, bytes):
            return ""
        if not isinstance(value, str) and hasattr(value, "__len__"):
            value = value[0] if len(value) else ""
        return " ".join(str(value).replace("\0", " ").split())
    except Exception:  # damaged elements raise of many kinds; the image is none the worse
        return ""


def _code(dataset: Dataset, name: str) -> str | None:
    text = _text(dataset, name).upper()
    return text if CODE.fullmatch(text) else None


def _free_text(dataset: Dataset, name: str) -> str | None:
    text = _text(dataset, name)
    return text if FREE_TEXT.fullmatch(text) else None


def _coded_view(dataset: Dataset) -> str | None:
    """View by the meaning of its code, which newer files have instead of the view position."""
    try:
        meaning = str(dataset.ViewCodeSequence[0].CodeMeaning).lower().replace(" ", "-")
    except Exception:
        return None
    names = {"antero-posterior": "AP", "postero-anterior": "PA", "oblique": "OBL", "lateral": "LAT"}
    return next((name for words, name in names.items() if words in meaning), None)


def _age(dataset: Dataset) -> float | None:
    """Age in years as stated, else from the dates of birth and examination."""
    stated = re.fullmatch(r"(\d{1,3})([DWMY])", _text(dataset, "PatientAge").upper())
    if stated:
        years = int(stated[1]) * DAYS[stated[2]] / DAYS_A_YEAR
        return min(round(years, 1), OLDEST)
    born, taken = (_text(dataset, name) for name in ("PatientBirthDate", "StudyDate"))
    if not (re.fullmatch(r"\d{8}", born) and re.fullmatch(r"\d{8}", taken)):
        return None
    years = int(taken[:4]) - int(born[:4]) - (taken[4:] < born[4:])
    return min(float(years), OLDEST) if 0 <= years <= 130 else None
