"""What the index tells of an image besides its class: of whom, how and where it was taken.

Columns come from manifests, from collections and from DICOM files, as text. One value in several
spellings is one value (`spellings.normalised`), shown as it is spelt most often; what means
"unknown", and an age that is none, is a value of its own, `NOT_KNOWN`.

- Age: years ("45", "45.0", 45), or as DICOM has it ("045Y", "18M", "006W", "010D"), from 0 to 120;
  "90+" and ">89" are the last bin. All else (411, "old") is not known. Binned as in `AGE_BINS`.
- Sex: the words of `SEXES` become F and M, in whatever case; others stay as they are.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

import pandas as pd

from workflow_scripts.cxrcam.data.spellings import is_missing, normalised
from workflow_scripts.cxrcam.terms import INDEX_COLUMNS

NOT_KNOWN: Final = "not known"

MOST_VALUES: Final = 20
"""Values of a column by which images are told apart; one with more tells patients or files."""

OLDEST: Final = 120.0  # years
AGE_BINS: Final = ((18, "0-17"), (40, "18-39"), (60, "40-59"), (80, "60-79"))
OLDEST_BIN: Final = "80+"
AGE: Final = re.compile(r"[<>]?\s*(\d{1,3}(?:[.,]\d+)?)\s*\+?\s*(d|w|m|y|yr|yrs|year|years)?")
YEARS: Final = {"d": 1 / 365.25, "w": 7 / 365.25, "m": 1 / 12}

SEXES: Final = {
    "F": "f female woman femme féminin feminin weiblich w frau mujer femenino donna femmina"
    " feminino",
    "M": "m male man homme masculin männlich maennlich mann hombre masculino uomo maschio",
}
SEX_OF: Final = {word: sex for sex, words in SEXES.items() for word in words.split()}

TRAITS: Final = {
    "sex": {"sex", "gender"},
    "age": {"age", "ageyears", "ageinyears"},
    "view": {"view", "viewposition", "projection", "position", "appa"},
    "source": {"source", "dataset"},
    "site": {"site", "hospital", "institution", "centre", "center", "clinic", "ward", "country"},
    "manufacturer": {"manufacturer", "vendor"},
    "model": {"model", "manufacturermodelname", "scanner", "device", "machine", "detector"},
    "portable": {"portable", "burnedin"},
    "ethnicity": {"race", "ethnicity"},
}
"""Traits of patients and of how an image was taken, and what their columns are called
(`trait_of`)."""

NO_TRAITS: Final = frozenset(
    # Modality and mending are among the traces of acquisition, source has a check of its own.
    {*INDEX_COLUMNS} - {name for name in INDEX_COLUMNS if name.startswith("dicom_")}
    | {"dicom_modality", "dicom_patient"}
)


def trait_of(column: str) -> str | None:
    """Trait that a column is known to tell ("Patient Gender" is "sex"), None of any other."""
    key = re.sub(r"[\s_.,()/-]+", "", normalised(column).removeprefix("manifest_"))
    key = re.sub(r"^(dicom|patient)s?(?=.)", "", key)
    return next((trait for trait, names in TRAITS.items() if key in names), None)


def columns_of(images: pd.DataFrame) -> list[str]:
    """Columns of the index that may tell images apart by more than their file, in its order.

    Those of DICOM files are left out where no file has an entry.
    """
    return [
        str(name)
        for name in images.columns
        if name not in NO_TRAITS
        and not (str(name).startswith("dicom_") and images[name].isna().all())
    ]


def values_of(images: pd.DataFrame, column: str) -> pd.Series:
    """Value of each image in a column, as the module says.

    Parameters
    ----------
    images : DataFrame
        The index.
    column : str

    Returns
    -------
    Series of str
        With the rows of `images`.
    """
    texts = images[column].astype(object).where(images[column].notna(), "").map(str)
    return texts.map(_readings(Counter(texts), trait_of(column)))


def _readings(counts: Counter[str], trait: str | None) -> dict[str, str]:
    """What each text of a column is read as."""
    if trait == "age":
        return {text: age_bin(text) for text in counts}
    spelt: dict[str, Counter[str]] = {}
    for text, n in counts.items():
        spelt.setdefault(_key(text, trait), Counter())[text.strip()] += n
    # The commonest spelling, of equally common ones the first by name.
    shown = {key: min(texts, key=lambda text: (-texts[text], text)) for key, texts in spelt.items()}
    shown |= {sex: sex for sex in SEXES if sex in shown} | {NOT_KNOWN: NOT_KNOWN}
    return {text: shown[_key(text, trait)] for text in counts}


def _key(text: str, trait: str | None) -> str:
    """What is the same for all spellings of a value."""
    if is_missing(text):
        return NOT_KNOWN
    plain = normalised(text)
    return SEX_OF.get(plain, plain) if trait == "sex" else plain


def age_bin(text: str) -> str:
    """Bin of an age, `NOT_KNOWN` where it is none."""
    found = AGE.fullmatch(normalised(text))
    if found is None:
        return NOT_KNOWN
    years = float(found[1].replace(",", ".")) * YEARS.get(found[2] or "", 1.0)
    if years > OLDEST:
        return NOT_KNOWN
    return next((name for end, name in AGE_BINS if years < end), OLDEST_BIN)


def unread_ages(images: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """Sentences on entries of columns of ages that are none."""
    sentences = []
    for column in columns:
        if trait_of(column) != "age":
            continue
        texts = images[column].dropna().map(str)
        strange = texts[~texts.map(is_missing) & (texts.map(age_bin) == NOT_KNOWN)]
        if len(strange):
            sentences.append(
                f"{len(strange)} of {len(images)} images have no age in the column {column!r} but, "
                f"for example, {strange.iloc[0]!r}: it is taken for not known. Ages are years from "
                '0 to 120, such as 45, or as DICOM writes them, such as "045Y".'
            )
    return sentences


def why_no_groups(values: Collection[str]) -> str:
    """Why the values of a column tell no groups of images apart; empty if they do."""
    n = len(set(values))
    if n < 2:
        return f"all images have the same value, {next(iter(values), NOT_KNOWN)!r}"
    return f"it has {n:,} different values, more than {MOST_VALUES}" if n > MOST_VALUES else ""
