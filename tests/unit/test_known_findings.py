"""What a table says of each finding: present, absent, or not known."""

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.data.findings import (
    FindingsError,
    asked_images,
    known_findings,
    labels_in_task,
)
from workflow_scripts.cxrcam.data.listing.datasets import list_images
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError
from workflow_scripts.cxrcam.errors import InputError

NAN = float("nan")


def table(label="No Finding", **columns):
    n = len(next(iter(columns.values()))) if columns else len(label)
    names = [f"image-{k}" for k in range(n)]
    return pd.DataFrame({"image_id": names, "label": label, **columns})


def known(images, *labels, uncertain="ignore", blank="absent", **also):
    return known_findings(images, labels, uncertain, blank, **also)


@pytest.mark.parametrize(
    ("uncertain", "of_uncertain"), [("ignore", NAN), ("present", 1), ("absent", 0)]
)
@pytest.mark.parametrize(("blank", "of_blank"), [("absent", 0), ("ignore", NAN)])
def test_each_entry_means_what_the_configuration_says(uncertain, of_uncertain, blank, of_blank):
    images = table(Mass=["1", "0", "-1", ""], Edema=["", "-1", "0", "1"])
    found = known(images, "Edema", "Mass", uncertain=uncertain, blank=blank)
    assert found.dtype == np.float32
    expected = [[of_blank, 1], [of_uncertain, 0], [0, of_uncertain], [1, of_blank]]
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float32))


def test_numbers_are_read_however_pandas_or_a_spreadsheet_saved_them():
    texts = ["1.0", "01", " 1 ", "0.0", "00", "-1.0", "nan", "NaN", None]
    found = known(table(Mass=texts), "Mass", uncertain="absent", blank="ignore")[:, 0]
    np.testing.assert_array_equal(found, [1, 1, 1, 0, 0, 0, NAN, NAN, NAN])


@pytest.mark.parametrize("strange", ["2", "yes", "0.5", "-2", "True"])
def test_any_other_entry_is_refused_by_image_and_column(strange):
    images = table(Mass=["1", "0", "0"], Edema=["1", strange, "0"])
    words = (
        f"The finding 'Edema' of the image 'image-1' is '{strange}': write 1 \\(present\\), "
        "0 \\(absent\\), -1 \\(uncertain\\) or nothing"
    )
    with pytest.raises(FindingsError, match=words) as caught:
        known(images, "Mass", "Edema")
    assert isinstance(caught.value, InputError)
    np.testing.assert_array_equal(known(images, "Mass")[:, 0], [1, 0, 0])


def test_a_finding_that_no_image_has_is_refused_where_it_is_trained_on():
    images = table(Mass=["1", "0"], Hernia=["0", "-1"])
    with pytest.raises(FindingsError, match="No readable image has the finding 'Hernia'"):
        known(images, "Mass", "Hernia")
    np.testing.assert_array_equal(
        known(images, "Mass", "Hernia", must_occur=False), [[1, 0], [0, NAN]]
    )
    known(images, "Mass", "Hernia", uncertain="present")


def test_a_missing_column_beside_others_is_refused_with_the_nearest_name():
    images = table(Effusion=["1", "0"], Cardiomegaly=["1", "0"])
    words = "no column for the finding 'Cardiomegally', though it has one for 'Effusion'"
    with pytest.raises(FindingsError, match=rf"{words}\. Did you mean 'Cardiomegaly'\? Correct"):
        known(images, "Effusion", "Cardiomegally")
    with pytest.raises(FindingsError, match=r"one for 'Effusion'\. Correct the name"):
        known(images, "Effusion", "Zzz")


def test_labels_list_what_is_present_where_there_are_no_columns():
    images = table(label=["Mass|Effusion", "No Finding", "Effusion", "Massive", " Mass | Edema "])
    np.testing.assert_array_equal(
        known(images, "Mass", "Effusion"), [[1, 1], [0, 0], [0, 1], [0, 0], [1, 0]]
    )


def test_a_column_that_the_index_has_itself_is_read_from_the_table():
    images = table(width=["64", "64"], manifest_width=["1", "0"])
    np.testing.assert_array_equal(known(images, "width")[:, 0], [1, 0])


def test_a_question_is_about_the_images_of_which_its_finding_is_known():
    images = table(label="x", Mass=["1", "0", "-1", ""])
    asked = {"network": "chest", "label": "Mass", "uncertain": "ignore", "blank": "absent"}
    labels = labels_in_task(images, asked)
    assert labels.isna().tolist() == [False, False, True, False]
    assert labels.dropna().tolist() == ["Mass", "no Mass", "no Mass"]
    chosen = asked_images(images, asked)
    assert chosen["image_id"].tolist() == ["image-0", "image-1", "image-3"]
    assert chosen["label"].tolist() == ["Mass", "no Mass", "no Mass"]
    # An external data set may lack a finding altogether; tasks with classes change nothing.
    assert set(labels_in_task(table(Mass=["0", "0"]), asked)) == {"no Mass"}
    for none in (None, {}):
        pd.testing.assert_frame_equal(asked_images(images, none), images)


# --- manifests ------------------------------------------------------------------------------------


def listed(folder, tiny_image, text):
    for name in ("a.png", "b.png", "c.png"):
        tiny_image(name)
    (folder / "table.csv").write_text(text, encoding="utf-8")
    return list_images({"kind": "manifest", "path": str(folder / "table.csv")}, folder)


def test_a_table_of_findings_needs_no_column_label(tmp_path, tiny_image):
    text = "path,Mass,age,Edema,Never\na.png,1,60,1.0,0\nb.png,-1,1,,0\nc.png,0,0,nan,-1\n"
    images = listed(tmp_path, tiny_image, text)
    assert [image.label for image in images] == ["Mass|Edema", "No Finding", "No Finding"]


def test_a_label_that_is_there_is_kept(tmp_path, tiny_image):
    text = "path,label,Mass\na.png,x,1\nb.png,y,0\nc.png,Mass,0\n"
    assert [i.label for i in listed(tmp_path, tiny_image, text)] == ["x", "y", "Mass"]


def test_a_table_with_neither_label_nor_findings_is_refused_with_both_ways_out(
    tmp_path, tiny_image
):
    for text in (
        "path,age\na.png,60\nb.png,1\nc.png,0\n",
        "path,Mass\na.png,1\nb.png,?\nc.png,0\n",
        "path,Mass\na.png,0\nb.png,-1\nc.png,0\n",
    ):
        with pytest.raises(DatasetError, match="has no column label") as caught:
            listed(tmp_path, tiny_image, text)
        assert "or a column a finding that holds only 1, 0, -1 or nothing" in str(caught.value)
