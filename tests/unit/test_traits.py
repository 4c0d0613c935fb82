"""Columns of the index that tell of whom and how an image was taken: readings of their values."""

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.data.listing.traits import (
    NOT_KNOWN,
    age_bin,
    matching_columns,
    trait_of,
    why_no_groups,
)
from workflow_scripts.cxrcam.data.trait_columns import columns_of, unread_ages, values_of
from workflow_scripts.cxrcam.terms import INDEX_COLUMNS


def read(column, *texts):
    return values_of(pd.DataFrame({column: texts}), column).tolist()


@pytest.mark.parametrize(
    ("text", "bin_"),
    [
        *(("0", "0-17"), ("17", "0-17"), ("17.9", "0-17"), ("18", "18-39"), ("45.0", "40-59")),
        *(("79", "60-79"), ("80", "80+"), ("90+", "80+"), (">89", "80+"), ("120", "80+")),
        *(("045Y", "40-59"), ("018M", "0-17"), ("240M", "18-39"), ("006W", "0-17")),
        *((" 45 years", "40-59"), ("45,5", "40-59"), ("４５", "40-59")),
        *((text, NOT_KNOWN) for text in ("411", "-3", "old", "", "nan", "4500", "45Z")),
    ],
)
def test_ages_are_years_or_as_dicom_writes_them(text, bin_):
    assert age_bin(text) == bin_


def test_ages_of_files_are_numbers():
    assert read("dicom_age", 45.0, np.nan, 0.5) == ["40-59", NOT_KNOWN, "0-17"]


def test_ages_that_are_none_are_said():
    images = pd.DataFrame({"Patient Age": ["411", "45", "", None], "size": ["411"] * 4})
    (sentence,) = unread_ages(images, ["Patient Age", "size"])
    assert "1 of 4 images" in sentence and "'411'" in sentence


def test_sex_is_read_in_five_languages_and_others_stay():
    women = ("F", "female", "Femme", "weiblich", "MUJER", "donna")
    men = ("M", "Male", "homme", "männlich", "hombre", "uomo")
    assert read("sex", *women) == ["F"] * 6
    assert read("Patient Gender", *men) == ["M"] * 6
    assert read("dicom_sex", "O", None, "unknown") == ["O", NOT_KNOWN, NOT_KNOWN]
    assert read("team", "f", "female") == ["f", "female"]


def test_spellings_of_one_value_are_one_and_the_commonest_is_shown():
    assert read("view", "pa", "PA", " PA ", "AP", "01", "1.0", "n/a") == [
        *("PA", "PA", "PA", "AP", "01", "01", NOT_KNOWN)
    ]


@pytest.mark.parametrize(
    ("column", "trait"),
    [
        *(("View Position", "view"), ("dicom_view", "view"), ("manifest_view", "view")),
        *(("Patient Age", "age"), ("age_years", "age"), ("Hospital", "site"), ("stage", None)),
    ],
)
def test_traits_are_known_by_the_names_of_columns(column, trait):
    assert trait_of(column) == trait


def test_columns_of_files_count_where_a_file_has_an_entry():
    images = pd.DataFrame({name: ["x", "y"] for name in (*INDEX_COLUMNS, "view")})
    images["dicom_view"] = None
    images["dicom_age"] = [np.nan, 40.0]
    found = columns_of(images)
    assert found[-1] == "view" and "dicom_age" in found
    assert not {"dicom_view", "dicom_patient", "width", "source", "group"} & set(found)


def test_columns_with_one_value_or_many_tell_no_groups():
    assert "all images have the same value, 'AP'" in why_no_groups(["AP", "AP"])
    assert why_no_groups(["AP", "PA"]) == ""
    assert why_no_groups(range(20)) == ""
    assert "10,000 different values" in why_no_groups(range(10_000))


def test_a_name_is_a_column_or_a_trait():
    columns = ["Patient Gender", "dicom_sex", "view", "dicom_view", "manifest_width"]
    assert matching_columns("sex", columns) == ["Patient Gender", "dicom_sex"]
    assert matching_columns("view", columns) == ["view"]
    assert matching_columns("width", columns) == ["manifest_width"]
    assert matching_columns("stage", columns) == []
