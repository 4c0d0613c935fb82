"""Columns of the index that tell of whom, how and where images were taken; see `traits`."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import pandas as pd

from workflow_scripts.cxrcam.data.listing.spellings import is_missing
from workflow_scripts.cxrcam.data.listing.traits import NOT_KNOWN, age_bin, readings, trait_of
from workflow_scripts.cxrcam.terms import INDEX_COLUMNS, LESION_REGIONS

NO_TRAITS: Final = frozenset(
    # Modality and mending are among the traces of acquisition, source has a check of its own.
    {*INDEX_COLUMNS} - {name for name in INDEX_COLUMNS if name.startswith("dicom_")}
    | {"dicom_modality", "dicom_patient", LESION_REGIONS}
)


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
    return texts.map(readings(Counter(texts), trait_of(column)))


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
