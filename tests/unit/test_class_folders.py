"""Folders as they come: parts, folders below, DICOM without suffix; what is left out is named."""

from pathlib import Path

import pytest

from workflow_scripts.cxrcam.data.listing.datasets import list_data, list_images
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.left_out import left_out_in_words
from workflow_scripts.cxrcam.data.listing.listed import list_data_set

DICOM = bytes(128) + b"DICM"


def touch(root: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def settings(root: Path, *classes: str) -> dict:
    return {"kind": "class_folders", "root": str(root), "classes": list(classes)}


def listed(root: Path, *classes: str) -> list[ImageFile]:
    return list_images(settings(root, *classes), Path("phantoms"))


def ids(root: Path, *classes: str) -> list[str]:
    return [image.image_id for image in listed(root, *classes)]


def refusal(root: Path, *classes: str) -> str:
    with pytest.raises(DatasetError) as caught:
        listed(root, *classes)
    return str(caught.value)


def left_out(root: Path) -> dict[str, list[str]]:
    return list_data(settings(root), Path("phantoms"))[1]


# --- parts ----------------------------------------------------------------------------------------


def test_parts_with_class_folders_give_labels_and_the_division(tmp_path):
    touch(tmp_path, "train/NORMAL/a.jpeg", "train/PNEUMONIA/b.jpeg", "test/NORMAL/a.jpeg")
    touch(tmp_path, "val/PNEUMONIA/c.jpeg", "__MACOSX/train/NORMAL/._a.jpeg", ".cache/x/1.png")
    assert [(i.image_id, i.label, i.split) for i in listed(tmp_path)] == [
        ("test/NORMAL/a", "NORMAL", "test"),
        ("train/NORMAL/a", "NORMAL", "train"),
        ("train/PNEUMONIA/b", "PNEUMONIA", "train"),
        ("val/PNEUMONIA/c", "PNEUMONIA", "validation"),
    ]
    data_set = list_data_set(settings(tmp_path), Path("phantoms"), 8)
    assert data_set.class_sizes == {"NORMAL": 2, "PNEUMONIA": 2}
    assert data_set.left_out == {}


@pytest.mark.parametrize(
    ("folder", "role"),
    [
        *(
            ("Training", "train"),
            ("TRAIN", "train"),
            ("Val", "validation"),
            ("valid", "validation"),
        ),
        *(("Validation", "validation"), ("Test", "test"), ("testing", "test")),
    ],
)
def test_parts_are_known_by_any_of_their_names_in_any_case(tmp_path, folder, role):
    touch(tmp_path, f"{folder}/A/1.png", f"{folder}/B/2.png")
    assert {image.split for image in listed(tmp_path)} == {role}
    assert ids(tmp_path) == [f"{folder}/A/1", f"{folder}/B/2"]


def test_masks_belong_to_the_class_folder_of_their_part(tmp_path):
    touch(tmp_path, "train/A/images/1.png", "train/A/masks/1.png", "test/A/images/1.png")
    test, train = listed(tmp_path)
    assert (test.image_id, test.mask_path) == ("test/A/1", "")
    assert (train.image_id, train.mask_path) == ("train/A/1", str(tmp_path / "train/A/masks/1.png"))


def test_some_classes_of_parts_can_be_chosen(tmp_path):
    touch(tmp_path, "train/A/1.png", "train/B/1.png", "test/B/2.png")
    assert ids(tmp_path, "B") == ["test/B/2", "train/B/1"]
    assert "'C' does not exist" in refusal(tmp_path, "C")
    assert "Found: A, B" in refusal(tmp_path, "C")


@pytest.mark.parametrize(
    "files",
    [
        ("train/1.png", "test/2.png"),
        ("train/images/1.png", "test/images/2.png", "test/masks/2.png"),
        ("train/1.png", "bus/2.png"),
        ("train/by day/1.png", "bus/by day/2.png"),
    ],
)
def test_classes_that_are_called_like_parts_are_classes(tmp_path, files):
    touch(tmp_path, *files)
    assert {image.split for image in listed(tmp_path)} == {""}
    assert {image.label for image in listed(tmp_path)} == {name.split("/")[0] for name in files}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["train/A/1.png", "test/.keep"], ["/test' holds no image", "or remove it"]),
        (["train/A/1.png", "test/A/.keep"], ["/test' holds no image", "or remove it"]),
        (["train/A/1.png", "test/2.png"], ["in no class folder", "'2.png'", "predict_images"]),
        (["train/A/1.png", "train/2.png"], ["/train' has images in no class folder", "'2.png'"]),
        (["train/A/1.png", "train/images/2.png"], ["in no class folder", "'images'"]),
        (["train/A/1.png", "A/2.png"], ["parts (train) beside other folders (A)", "`classes`"]),
        (
            ["train/A/1.png", "test/A/2.png", "chest_xray/train/A/1.png"],
            ["parts (test, train) beside other folders (chest_xray)", "move the others away"],
        ),
    ],
)
def test_parts_that_cannot_be_understood_are_refused_with_a_way_out(tmp_path, files, words):
    touch(tmp_path, *files)
    message = refusal(tmp_path)
    for expected in words:
        assert expected in message


def test_a_part_without_the_chosen_classes_is_refused(tmp_path):
    touch(tmp_path, "train/A/1.png", "test/B/1.png")
    assert "/test' holds no image" in refusal(tmp_path, "A")


def test_classes_settle_whether_folders_are_parts(tmp_path):
    touch(tmp_path, "train/A/1.png", "A/2.png")
    assert ids(tmp_path, "A") == ["A/2"]
    assert ids(tmp_path, "A", "train") == ["A/2", "train/A/1"]


def test_a_root_one_folder_too_high_is_sent_to_the_right_one(tmp_path):
    touch(tmp_path, "xrays/A/1.png", "xrays/B/1.png", "__MACOSX/xrays/._x.png")
    message = refusal(tmp_path)
    for expected in ("holds one folder only, 'xrays'", "(A, B)", f"`root` to '{tmp_path}/xrays'"):
        assert expected in message
    assert ids(tmp_path, "xrays") == ["xrays/A/1", "xrays/B/1"]


# --- folders below a class folder -----------------------------------------------------------------


def test_images_in_folders_below_a_class_folder_are_read(tmp_path):
    touch(tmp_path, "A/1.png", "A/x/1.png", "A/x/y/2.png", "A/.hidden/3.png", "B/images/z/4.png")
    touch(tmp_path, "B/masks/z/4.png")
    assert ids(tmp_path) == ["A/1", "A/x/1", "A/x/y/2", "B/z/4"]
    assert listed(tmp_path)[-1].mask_path == str(tmp_path / "B/masks/z/4.png")


def test_folders_of_masks_are_never_taken_for_images(tmp_path):
    touch(tmp_path, "A/images/1.png", "A/lung masks/1.png", "B/1.png", "B/Segmentations/1.png")
    assert ids(tmp_path) == ["A/1", "B/1"]
    ((kind, files),) = left_out(tmp_path).items()
    assert "masks" in kind and len(files) == 2


def test_links_to_folders_below_are_not_followed_but_named(tmp_path):
    touch(tmp_path, "A/1.png")
    (tmp_path / "A/again").symlink_to(".")
    (tmp_path / "B").symlink_to("A")
    assert ids(tmp_path) == ["A/1", "B/1"]
    assert len(left_out(tmp_path)["links to folders"]) == 2


# --- DICOM without suffix -------------------------------------------------------------------------


def test_dicom_files_without_suffix_are_told_by_their_first_bytes(tmp_path):
    touch(tmp_path, "A/IM0001", "A/1.2.840.113619.2", "A/1.2.840.113619.3", content=DICOM)
    touch(tmp_path, "A/LICENSE", "A/9.9", "A/2.png", "A/empty", content=b"words")
    (tmp_path / "A/empty").write_bytes(b"")
    assert ids(tmp_path) == ["A/1.2.840.113619.2", "A/1.2.840.113619.3", "A/2", "A/IM0001"]
    (files,) = left_out(tmp_path).values()
    assert [Path(file).name for file in sorted(files)] == ["9.9", "LICENSE", "empty"]


def test_files_with_a_suffix_are_not_opened(tmp_path, monkeypatch):
    touch(tmp_path, "A/1.png", "A/2.dcm", "A/3.nii.gz")

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a file is opened")

    monkeypatch.setattr("builtins.open", refuse)
    assert ids(tmp_path) == ["A/1", "A/2"]


def test_a_job_of_one_shard_opens_its_own_files_only_and_calls_them_alike(tmp_path):
    touch(tmp_path, "A/1", "A/2", content=DICOM)
    touch(tmp_path, "A/1.png", "A/3")
    everything = listed(tmp_path)
    assert [image.image_id for image in everything] == ["A/1", "A/1.png", "A/2"]
    for image in everything:
        wanted = {image.image_id}.__contains__
        own = list_images(settings(tmp_path), Path("phantoms"), wanted)
        assert own == [image]


# --- what is left out -----------------------------------------------------------------------------


def test_files_of_other_kinds_are_counted_and_named_in_one_sentence(tmp_path):
    touch(tmp_path, "A/1.png", "A/a.nii.gz", "A/b.NII.GZ", "A/c.zip", "A/list.csv", "2.png")
    touch(tmp_path, "A/Thumbs.db", "A/notes.txt", "A/.DS_Store", "A.metadata.xlsx")
    data_set = list_data_set(settings(tmp_path), Path("phantoms"), 8)
    (sentence,) = left_out_in_words("mine", data_set.left_out)
    assert sentence.replace(str(tmp_path), "here") == (
        "Data set mine leaves out 5 files beside its images: "
        "2 *.nii.gz (such as 'here/A/a.nii.gz'), 1 *.csv (such as 'here/A/list.csv'), "
        "1 *.zip (such as 'here/A/c.zip'), 1 in no class folder (such as 'here/2.png'). "
        "Unpack or convert those that are X-rays."
    )


def test_dicom_that_is_packed_is_listed(tmp_path):
    touch(tmp_path, "A/1.dcm.gz", "A/2.DICOM.GZ", "A/1.png")
    images = list_images(settings(tmp_path), Path("phantoms"))
    assert [image.image_id for image in images] == ["A/1", "A/1.dcm", "A/2.DICOM"]
    assert left_out(tmp_path) == {}


def test_nothing_is_said_where_nothing_is_left_out(tmp_path):
    touch(tmp_path, "A/1.png", "A/masks/1.png", "A/README.md")
    assert left_out_in_words("mine", left_out(tmp_path)) == []


def test_a_sentence_names_the_commonest_kinds_only():
    kinds = {f"*.{k}": [f"{n}.{k}" for n in range(k + 1)] for k in range(7)}
    (sentence,) = left_out_in_words("mine", kinds)
    assert sentence.startswith("Data set mine leaves out 28 files") and "7 *.6" in sentence
    assert "and 2 more kinds." in sentence and "*.1 " not in sentence
