"""Public collections as they unpack: labels, findings, patients, views, divisions, boxes."""

import json
from pathlib import Path

import pytest

from tests.unit import collection_trees as trees
from workflow_scripts.cxrcam.data.listing.collections.collection import years
from workflow_scripts.cxrcam.data.listing.collections.listing import COLLECTIONS
from workflow_scripts.cxrcam.data.listing.datasets import list_data, list_images, place
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.left_out import left_out_in_words
from workflow_scripts.cxrcam.data.listing.listed import list_data_set

NOWHERE = Path("phantoms")
TREES = {
    "nih_chestxray14": trees.nih,
    "chexpert": trees.chexpert,
    "mimic_cxr_jpg": trees.mimic,
    "vindr_cxr": trees.vindr,
    "rsna_pneumonia": trees.rsna,
    "padchest": trees.padchest,
    "siim_acr": trees.siim,
    "covidx": trees.covidx,
    "chest_xray_pneumonia": trees.children,
}


def settings(name: str, root: Path, views: str = "frontal") -> dict:
    return {"kind": "collection", "name": name, "root": str(root), "views": views}


def listed(name: str, root: Path, views: str = "frontal") -> dict[str, ImageFile]:
    return {image.image_id: image for image in list_images(settings(name, root, views), NOWHERE)}


def left_out(name: str, root: Path) -> dict[str, list[str]]:
    return list_data(settings(name, root), NOWHERE)[1]


def refusal(name: str, root: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        listed(name, root)
    return str(caught.value)


def states(image: ImageFile, collection: str) -> dict[str, str]:
    """Findings that are told as something else than absent or blank."""
    names = COLLECTIONS[collection].findings
    return {name: image.extra[name] for name in names if image.extra[name] not in ("0", "")}


def about(image: ImageFile) -> tuple[str, str, str]:
    return image.extra["view"], image.extra["age"], image.extra["sex"]


# --- one after the other --------------------------------------------------------------------------


def test_nih_images_lie_in_several_folders_and_impossible_ages_are_unknown(tmp_path):
    images = listed("nih_chestxray14", trees.nih(tmp_path))
    assert [*images] == ["00000001_000", "00000001_001", "00000002_000"]
    first, second, third = images.values()
    assert first.path == str(tmp_path / "images_001/images/00000001_000.png")
    assert [image.label for image in images.values()] == [
        "Cardiomegaly",
        "Cardiomegaly|Hernia",
        "No Finding",
    ]
    assert states(second, "nih_chestxray14") == {"Cardiomegaly": "1", "Hernia": "1"}
    assert second.extra["Mass"] == "0"
    assert [i.patient for i in images.values()] == ["1", "1", "2"]
    assert [i.split for i in images.values()] == ["train", "train", "test"]
    assert [about(i) for i in images.values()] == [
        ("PA", "58", "M"),
        ("AP", "", "M"),
        ("PA", "81", "F"),
    ]
    assert json.loads(first.extra["lesion_regions"]) == {
        "frame": [1024, 1024],
        "boxes": [["Cardiomegaly", 225.1, 547.0, 86.7, 79.1]],
    }
    assert json.loads(second.extra["lesion_regions"])["boxes"][0][0] == "Infiltration"
    assert third.extra["lesion_regions"] == ""
    assert first.size_bytes == len("images_001/images/00000001_000.png")


def test_chexpert_keeps_uncertain_and_blank_apart_and_leaves_lateral_views_out(tmp_path):
    images = listed("chexpert", trees.chexpert(tmp_path))
    assert [*images] == [
        "train/patient00001/study1/view1_frontal",
        "valid/patient64541/study1/view1_frontal",
    ]
    train, valid = images.values()
    assert states(train, "chexpert") == {"Cardiomegaly": "1", "Lung Opacity": "-1"}
    assert (train.extra["Lung Lesion"], train.extra["Edema"]) == ("0", "")
    assert train.extra["No Finding"] == "" and valid.extra["No Finding"] == "1"
    assert (train.label, valid.label) == ("Cardiomegaly", "No Finding")
    assert (train.split, valid.split) == ("train", "validation")
    assert (about(train), about(valid)) == (("AP", "68", "F"), ("PA", "0", ""))
    assert (train.patient, valid.patient) == ("patient00001", "patient64541")
    assert left_out("chexpert", tmp_path) == {
        "lateral views": ["train/patient00001/study1/view2_lateral"],
        "named in a table but not there": ["train/patient00001/study2/view1_frontal"],
    }
    every = listed("chexpert", tmp_path, "all")
    assert every["train/patient00001/study1/view2_lateral"].extra["view"] == "lateral"


def test_the_large_chexpert_has_its_patients_in_batches(tmp_path):
    trees.chexpert(tmp_path)
    home = tmp_path / "CheXpert-v1.0-small"
    (home / "train").rename(home / "CheXpert-v1.0 batch 2 (train 1)")
    image = listed("chexpert", home)["train/patient00001/study1/view1_frontal"]
    assert "batch 2 (train 1)/patient00001" in image.path


def test_mimic_labels_are_those_of_the_study_and_views_come_from_two_columns(tmp_path):
    images = listed("mimic_cxr_jpg", trees.mimic(tmp_path))
    one, other = images.values()
    assert one.image_id == "p10/p10000032/s50/aa"
    assert one.path == str(tmp_path / "files/p10/p10000032/s50/aa.jpg")
    assert (one.label, one.extra["No Finding"], one.extra["Edema"]) == ("No Finding", "1", "")
    assert states(other, "mimic_cxr_jpg") == {
        "Atelectasis": "1",
        "Cardiomegaly": "-1",
        "Pleural Effusion": "1",
    }
    assert other.label == "Atelectasis|Pleural Effusion"
    assert (other.extra["view"], other.extra["Consolidation"]) == ("AP", "0")
    assert (one.split, other.split, one.patient) == ("train", "validation", "10000032")
    assert left_out("mimic_cxr_jpg", tmp_path) == {
        "lateral views": ["p10/p10000032/s50/bb"],
        "of unknown view": ["p10/p10000032/s51/dd"],
        "without labels": ["p10/p10000032/s52/ee"],
        "views that are neither PA, AP nor lateral": ["p10/p10000032/s51/ff"],
    }


def test_vindr_findings_are_what_most_radiologists_saw_and_boxes_are_theirs(tmp_path):
    images = listed("vindr_cxr", trees.vindr(tmp_path))
    train, test = images["a1"], images["b2"]
    assert train.label == "Nodule or Mass" and train.extra["Pleural effusion"] == "0"
    assert json.loads(train.extra["lesion_regions"]) == {
        "frame": None,
        "boxes": [["Nodule or Mass", 100.5, 200.0, 10.0, 30.0]],
    }
    assert test.label == "Tuberculosis|Other disease" and test.extra["lesion_regions"] == ""
    assert (train.split, test.split) == ("train", "test")


def test_vindr_of_kaggle_has_a_row_a_box_and_does_not_tell_every_finding(tmp_path):
    images = listed("vindr_cxr", trees.vindr_of_kaggle(tmp_path))
    assert {name: image.label for name, image in images.items()} == {
        "a1": "Nodule or Mass",
        "c3": "No Finding",
    }
    assert images["a1"].extra["Pneumonia"] == "" and images["c3"].extra["Atelectasis"] == "0"
    assert len(json.loads(images["a1"].extra["lesion_regions"])["boxes"]) == 3
    assert left_out("vindr_cxr", tmp_path) == {"that no table names": [f"{tmp_path}/test/zz.dicom"]}


def test_vindr_boxes_are_not_used_where_the_images_were_converted(tmp_path):
    trees.vindr(tmp_path)
    (tmp_path / "train/a1.dicom").rename(tmp_path / "train/a1.png")
    image = listed("vindr_cxr", tmp_path)["a1"]
    assert image.path.endswith("a1.png") and image.extra["lesion_regions"] == ""


def test_rsna_classes_exclude_each_other_and_boxes_are_gathered(tmp_path):
    images = listed("rsna_pneumonia", trees.rsna(tmp_path))
    assert {name: image.label for name, image in images.items()} == {
        "u1": "Lung Opacity",
        "u2": "Normal",
        "u3": "No Lung Opacity, Not Normal",
    }
    boxes = json.loads(images["u1"].extra["lesion_regions"])["boxes"]
    assert boxes == [
        ["Lung Opacity", 264.0, 152.0, 213.0, 379.0],
        ["Lung Opacity", 562.0, 152.0, 256.0, 453.0],
    ]
    assert images["u2"].extra["lesion_regions"] == ""
    assert [image.patient for image in images.values()] == ["u1", "u2", "u3"]
    (unlabelled,) = left_out("rsna_pneumonia", tmp_path)["that no table names"]
    assert unlabelled.endswith("stage_2_test_images/u9.dcm")


def test_rsna_images_of_one_patient_are_known_where_the_list_is_there(tmp_path):
    images = listed("rsna_pneumonia", trees.rsna(tmp_path, with_mapping=True))
    assert [image.patient for image in images.values()] == ["13", "13", "u3"]


def test_siim_has_one_finding_and_its_outlines(tmp_path):
    images = listed("siim_acr", trees.siim(tmp_path))
    assert {name: image.label for name, image in images.items()} == {
        "1.2.276.1": "Pneumothorax",
        "1.2.276.2": "No Finding",
    }
    runs = json.loads(images["1.2.276.1"].extra["lesion_regions"])["runs"]
    assert runs == ["10 3 1020 4", "500000 2"]
    assert [*left_out("siim_acr", tmp_path)] == ["that no table names"]


def test_padchest_lists_become_findings_and_unusable_images_are_counted(tmp_path):
    images = listed("padchest", trees.padchest(tmp_path))
    assert {name: image.label for name, image in images.items()} == {
        "a": "cardiomegaly|pleural effusion",
        "c": "No Finding",
        "d": "Other finding",
    }
    assert states(images["a"], "padchest") == {"cardiomegaly": "1", "pleural effusion": "1"}
    assert images["a"].extra["other_labels"] == "pacemaker"
    assert images["a"].extra["manufacturer"] == "Agfa"
    assert about(images["a"]) == ("PA", "64", "M")
    assert about(images["c"]) == ("AP horizontal", "", "M")
    assert images["d"].extra["age"] == ""
    assert left_out("padchest", tmp_path) == {
        "lateral views": ["b"],
        "without labels": ["e", "f", "h"],
        "views that are neither PA, AP nor lateral": ["g"],
    }


def test_covidx_lists_are_read_from_the_right_and_sources_count_their_own_patients(tmp_path):
    images = listed("covidx", trees.covidx(tmp_path))
    assert [(i.image_id, i.label, i.patient, i.source, i.split) for i in images.values()] == [
        ("test/sub-S1_x", "COVID-19", "S1", "COVIDx", "test"),
        ("train/1.jpg", "positive", "cohen 1", "cohen", "train"),
        ("train/1.png", "negative", "rsna ANON 2", "rsna", "train"),
    ]
    assert left_out("covidx", tmp_path) == {"named in a table but not there": ["train/gone"]}


def test_a_folder_that_is_called_like_an_image_is_none(tmp_path):
    trees.covidx(tmp_path)
    (tmp_path / "train/gone.png").mkdir()
    assert left_out("covidx", tmp_path) == {"named in a table but not there": ["train/gone"]}


def test_children_are_known_by_the_names_of_their_images(tmp_path):
    images = listed("chest_xray_pneumonia", trees.children(tmp_path))
    assert [(i.image_id, i.label, i.patient, i.split) for i in images.values()] == [
        ("test/PNEUMONIA/person1_virus_6", "PNEUMONIA", "person1_virus", "test"),
        ("train/NORMAL/IM-0115-0001", "NORMAL", "IM-0115", "train"),
        ("train/NORMAL/NORMAL2-IM-0927-0001-0001", "NORMAL", "NORMAL2-IM-0927", "train"),
        ("train/PNEUMONIA/person1_bacteria_2", "PNEUMONIA", "person1_bacteria", "train"),
        ("val/NORMAL/other", "NORMAL", "", "validation"),
    ]
    assert [i.extra["cause"] for i in images.values()] == ["virus", "", "", "bacteria", ""]


# --- what all have in common ----------------------------------------------------------------------


@pytest.mark.parametrize("name", TREES)
def test_every_image_has_the_same_columns_and_every_finding_a_state(tmp_path, name):
    images = [*listed(name, TREES[name](tmp_path)).values()]
    collection = COLLECTIONS[name]
    columns = {tuple(image.extra) for image in images}
    assert len(columns) == 1
    assert {*collection.findings, "view", "age", "sex"} <= {*columns.pop()}
    for image in images:
        found = {finding: image.extra[finding] for finding in collection.findings}
        assert {*found.values()} <= {"1", "0", "-1", ""}
        present = [finding for finding, state in found.items() if state == "1"]
        if collection.findings and image.label != "Other finding":
            assert image.label == ("|".join(present) or "No Finding")
        status = Path(image.path).stat()
        assert image.source and image.size_bytes == status.st_size
        assert image.modified_ns == status.st_mtime_ns


@pytest.mark.parametrize("name", TREES)
def test_a_collection_may_lie_one_folder_deeper(tmp_path, name):
    home = tmp_path / "unpacked"
    TREES[name](home)
    if name in ("chexpert", "chest_xray_pneumonia"):  # bring a folder of their own
        (home,) = home.iterdir()
    direct = listed(name, home)
    assert listed(name, home.parent) == direct and direct


@pytest.mark.parametrize("name", TREES)
def test_a_wrong_folder_is_refused_with_the_file_that_was_looked_for(tmp_path, name):
    (tmp_path / "holiday").mkdir()
    message = refusal(name, tmp_path)
    assert repr(COLLECTIONS[name].tables[0]) in message
    assert "holiday" in message and str(tmp_path) in message
    missing = refusal(name, tmp_path / "nowhere")
    assert COLLECTIONS[name].tables[0] in missing and "nowhere" in missing


@pytest.mark.parametrize("name", TREES)
def test_a_job_of_one_shard_lists_just_its_images(tmp_path, name):
    everything = listed(name, TREES[name](tmp_path))
    for image_id, image in everything.items():
        own = list_images(settings(name, tmp_path), NOWHERE, {image_id}.__contains__)
        assert own == [image]
    assert list_images(settings(name, tmp_path), NOWHERE, lambda image_id: False) == []


def test_images_with_the_same_columns_share_them(tmp_path):
    # Of a million images, a dict of 20 entries each would be a gigabyte.
    rows = [(f"0000000{k}_000.png", "Mass", k, "50", "M", "PA") for k in (1, 2)]
    trees.nih(tmp_path, rows=rows)
    (tmp_path / "BBox_List_2017.csv").unlink()
    images = listed("nih_chestxray14", tmp_path)
    one, other = images.values()
    assert one.extra is other.extra


@pytest.mark.parametrize("packed", ["", ".gz", ".zip"])
def test_tables_may_be_packed(tmp_path, packed):
    trees.nih(tmp_path, packed)
    assert len(listed("nih_chestxray14", tmp_path)) == 3


def test_links_to_folders_of_images_are_followed(tmp_path):
    trees.nih(tmp_path / "disk")
    home = tmp_path / "home"
    home.mkdir()
    (home / "Data_Entry_2017_v2020.csv").symlink_to(tmp_path / "disk/Data_Entry_2017.csv")
    (home / "images").symlink_to(tmp_path / "disk/images_001/images")
    (home / "again").symlink_to(home)  # has no end, were it followed for ever
    assert "is there twice" in refusal("nih_chestxray14", home)
    (home / "again").unlink()
    (image,) = listed("nih_chestxray14", home).values()
    assert image.path == str(home / "images/00000001_000.png")
    assert image.split == ""  # the lists of the official division are not there


def test_what_is_left_out_is_said_in_one_sentence(tmp_path):
    data_set = list_data_set(settings("chexpert", trees.chexpert(tmp_path)), NOWHERE, 8)
    assert left_out_in_words("mine", data_set.left_out) == [
        "Data set mine leaves out 2 images of its collection: 1 lateral views (such as "
        "'train/patient00001/study1/view2_lateral'), 1 named in a table but not there (such as "
        "'train/patient00001/study2/view1_frontal'). `views: all` keeps every view."
    ]
    assert data_set.place == place(data_set.settings) == str(tmp_path)
    assert data_set.class_sizes == {"Cardiomegaly": 1, "No Finding": 1}


@pytest.mark.parametrize(
    ("text", "age"),
    [
        *(("58", "58"), ("058Y", "58"), ("58.0", "58"), (" 7 ", "7"), ("0", "0"), ("120", "120")),
        *(("006M", "0"), ("018M", "1"), ("012D", "0"), ("030W", "0")),
        *(("411", ""), ("411Y", ""), ("-3", ""), ("", ""), ("nan", ""), ("old", ""), ("121", "")),
    ],
)
def test_ages_are_whole_years_or_unknown(text, age):
    assert years(text) == age


# --- faults ---------------------------------------------------------------------------------------


def edited(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


NIH_TABLE, SMALL = "Data_Entry_2017.csv", "CheXpert-v1.0-small"
FAULTS = {
    "a box has an unknown finding": (
        *("vindr_cxr", "annotations/annotations_train.csv", "R1,Nodule/Mass", "R1,Mass"),
        ["Row 2", "'Mass'", "Nodule or Mass", "as it was published"],
    ),
    "a column is missing": (
        *("nih_chestxray14", NIH_TABLE, "View Position", "Position"),
        ["no column 'View Position'", "another version", "Patient Age", NIH_TABLE],
    ),
    "a finding is unknown": (
        *("nih_chestxray14", NIH_TABLE, "Hernia|Cardiomegaly", "Hernya"),
        ["Row 3", NIH_TABLE, "'Hernya'", "Hernia", "as it was published"],
    ),
    "a row is cut off": (
        *("nih_chestxray14", NIH_TABLE, ",414,F,PA,2682,2749,0.143,0.143", ",414"),
        ["Row 5", "'View Position'", "incomplete"],
    ),
    "an image is listed twice": (
        *("nih_chestxray14", NIH_TABLE, "00000002_000", "00000001_000"),
        ["'00000001_000'", "more than once"],
    ),
    "a box is no number": (
        *("nih_chestxray14", "BBox_List_2017.csv", "547", "left"),
        ["Row 2", "'left'", "'y'", "number"],
    ),
    "a box is not finite": (
        *("nih_chestxray14", "BBox_List_2017.csv", "547", "nan"),
        ["Row 2", "'nan'", "'y'", "number"],
    ),
    "a state is unknown": (
        *("chexpert", f"{SMALL}/train.csv", "-1.0", "yes"),
        ["Row 2", "train.csv", "'yes'", "'Lung Opacity'", "uncertain"],
    ),
    "a path has another form": (
        *("chexpert", f"{SMALL}/train.csv", "CheXpert-v1.0-small/train/patient00001/", ""),
        ["Row 2", "'study1/view1_frontal.jpg'", "patient00001/study1"],
    ),
    "two classes for one image": (
        *("rsna_pneumonia", "stage_2_detailed_class_info.csv", "u2,Normal", "u1,Normal"),
        ["Row 4", "'Normal'", "u1", "'Lung Opacity'"],
    ),
    "a class is unknown": (
        *("covidx", "train.txt", "positive", "maybe"),
        ["Line 1", "'1 1.jpg maybe cohen'", "positive", "source"],
    ),
    "an image has two classes": (
        *("covidx", "train.txt", "7 gone.png", "7 1.png"),
        ["Line 3", "'1.png' again", "ANON 2, negative, rsna"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_table_is_told_with_row_and_column(tmp_path, fault):
    name, file, old, new, words = FAULTS[fault]
    TREES[name](tmp_path)
    edited(tmp_path / file, old, new)
    message = refusal(name, tmp_path)
    assert all(word in message for word in words), message


def test_padchest_labels_that_are_no_list_are_refused(tmp_path):
    trees.padchest(tmp_path, [("a.png", "1950.0", "PA", "cardiomegaly")])
    assert "Row 2" in refusal("padchest", tmp_path)
    assert "'cardiomegaly' in the column 'Labels'" in refusal("padchest", tmp_path)


def test_a_list_of_patients_that_is_none_is_refused(tmp_path):
    trees.rsna(tmp_path, with_mapping=True)
    edited(tmp_path / "pneumonia-challenge-dataset-mappings_2018.json", "img_id", "image")
    assert "subset_img_id and img_id" in refusal("rsna_pneumonia", tmp_path)


@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [
        (".zip", b"PK damaged", "cannot be read"),
        (".gz", b"\x1f\x8b damaged", "cannot be read"),
        ("", b"", "has no column 'Image Index'"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, suffix, content, words):
    trees.nih(tmp_path)
    (tmp_path / NIH_TABLE).unlink()
    (tmp_path / f"{NIH_TABLE}{suffix}").write_bytes(content)
    assert words in refusal("nih_chestxray14", tmp_path)


def test_an_archive_without_its_table_is_refused(tmp_path):
    trees.nih(tmp_path, ".zip")
    (tmp_path / f"{NIH_TABLE}.zip").rename(tmp_path / "Data_Entry_2017_v2020.csv.zip")
    assert "holds no 'Data_Entry_2017_v2020.csv'" in refusal("nih_chestxray14", tmp_path)


def test_a_collection_without_a_second_table_is_refused(tmp_path):
    trees.mimic(tmp_path)
    (tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz").unlink()
    assert "mimic-cxr-2.0.0-chexpert.csv" in refusal("mimic_cxr_jpg", tmp_path)


def test_tables_without_images_are_refused_with_a_file_that_was_looked_for(tmp_path):
    trees.covidx(tmp_path)
    for file in [*tmp_path.glob("t*/*")]:
        file.unlink()
    message = refusal("covidx", tmp_path)
    assert "None of the 4 images" in message and f"{tmp_path}/train/1.jpg" in message
    assert "4 named in a table but not there" in message


def test_two_folders_of_one_collection_are_refused(tmp_path):
    trees.nih(tmp_path / "a")
    trees.nih(tmp_path / "b")
    message = refusal("nih_chestxray14", tmp_path)
    assert "more than one folder (a, b)" in message
