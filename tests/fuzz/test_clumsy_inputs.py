"""Inputs as careful people hand them over: read as they are meant, or refused in words."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import smooth_noise
from tests.fuzz.test_broken_configurations import CONFIG, SCHEMA
from tests.fuzz.test_broken_tables import assert_readable
from workflow_scripts.cxrcam.configuration.resolution import (
    ConfigurationError,
    resolve_configuration,
)
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError
from workflow_scripts.cxrcam.data.listing.listed import ListedDataSet, list_data_set
from workflow_scripts.cxrcam.data.listing.spellings import without_missing_words

ACCEPTED = ""


def write(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    kind = "GIF" if file.suffix == ".gif" else "WEBP" if file.suffix == ".webp" else "PNG"
    Image.fromarray(smooth_noise(len(str(file)))).save(file, kind)
    return file


def listed(settings: dict) -> ListedDataSet:
    found = list_data_set(settings, Path("phantoms"), 4)
    assert len(found.mask_fingerprint) == 16
    return found


# --- manifests ------------------------------------------------------------------------------------

# Header and further cells of the rows of a.png and b.png, and words of the refusal.
COLUMNS = {
    "Patient": ("Patient,note\n", "1,x", "1,y", "Did you mean 'patient' by 'Patient'?"),
    "patient_id": ("patient_id\n", "1", "1", "Did you mean 'patient' by 'patient_id'?"),
    "PatientID": ("PatientID\n", "1", "1", "Did you mean 'patient' by 'PatientID'?"),
    "Subject ID": ("Subject ID\n", "1", "1", "Did you mean 'patient' by 'Subject ID'?"),
    "Split": ("Split\n", "train", "test", "Did you mean 'split' by 'Split'?"),
    "Mask_Path": ("Mask_Path\n", "b.png", "", "Did you mean 'mask_path' by 'Mask_Path'?"),
    "mask": ("mask\n", "b.png", "", "Did you mean 'mask_path' by 'mask'?"),
    "lesion mask": ("lesion mask\n", "b.png", "", "'lesion_mask_path' by 'lesion mask'?"),
    "both patient and PatientID": ("patient,PatientID\n", "1,2", "2,3", ACCEPTED),
    "age": ("age\n", "50", "60", ACCEPTED),
    "group": ("group\n", "1", "2", ACCEPTED),
    "a patient with another dash": ("patient\n", "P-1", "P–1", "spell the patient"),
    "a patient with a zero-width blank": ("patient\n", "P1", "P1\u200b", "spell the patient"),
    "a patient with a curly apostrophe": ("patient\n", "O'Neil", "O’Neil", "spell the patient"),
    "patients that differ": ("patient\n", "P-1", "P-2", ACCEPTED),
    "a mask whose name is too long": ("mask_path\n", "x" * 5000, "", "does not exist"),
    "a mask that is a folder": ("mask_path\n", ".", "", "does not exist"),
    "no mask in pandas' words": ("mask_path\n", "nan", "", "leave it empty"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_and_cells_of_a_manifest(name: str, tmp_path: Path, tried: Callable) -> None:
    header, first, second, words = COLUMNS[name]
    write(tmp_path / "a.png"), write(tmp_path / "b.png")
    text = f"path,label,{header}a.png,A,{first}\nb.png,B,{second}\n"
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    tried("clumsy: manifests")
    settings = {"kind": "manifest", "path": str(tmp_path / "m.csv")}
    if words == ACCEPTED:
        assert len(listed(settings).images) == 2
        return
    with pytest.raises(DatasetError) as caught:
        listed(settings)
    assert_readable(str(caught.value))
    assert words in str(caught.value)


@pytest.mark.parametrize("labels", [("COVID-19", "COVID‐19"), ("Hodgkin's", "Hodgkin’s")])
def test_labels_that_differ_by_what_an_office_program_replaces(
    labels: tuple[str, str], tmp_path: Path, tried: Callable
) -> None:
    for label in labels:
        write(tmp_path / label / "1.png")
    tried("clumsy: labels")
    with pytest.raises(DatasetError, match="differ only by") as caught:
        listed({"kind": "class_folders", "root": str(tmp_path)})
    assert_readable(str(caught.value))


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "m.csv/x.csv"])
def test_a_manifest_at_a_path_that_cannot_be(path: str, tmp_path: Path, tried: Callable) -> None:
    (tmp_path / "m.csv").write_text("path,label\n", encoding="utf-8")
    tried("clumsy: manifests")
    with pytest.raises(DatasetError, match="does not exist"):
        listed({"kind": "manifest", "path": str(tmp_path / path)})


def test_a_manifest_that_is_a_folder(tmp_path: Path, tried: Callable) -> None:
    """As pandas and Spark write Parquet."""
    (tmp_path / "m.parquet").mkdir()
    tried("clumsy: manifests")
    with pytest.raises(DatasetError, match="is no file"):
        listed({"kind": "manifest", "path": str(tmp_path / "m.parquet")})


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b"])
def test_a_root_at_a_path_that_cannot_be(path: str, tmp_path: Path, tried: Callable) -> None:
    tried("clumsy: folders")
    with pytest.raises(DatasetError, match="does not exist"):
        listed({"kind": "class_folders", "root": str(tmp_path / path)})


@pytest.mark.parametrize("word", ["Anonymous", "anonymized", "n.a.", "#REF!", "#VALUE!", "#DIV/0!"])
def test_words_for_nobody_name_no_patient(word: str, tried: Callable) -> None:
    tried("clumsy: patients")
    assert without_missing_words([word, "P1"]) == ["", "P1"]


# --- class folders --------------------------------------------------------------------------------

# Files, and the names of the images that must be found or words of the refusal.
FOLDERS = {
    "images beside and in images/": (["A/1.png", "A/images/2.png"], "images beside it"),
    "images beside an empty images/": (["A/1.png", "A/images/.keep"], "images beside it"),
    "a picture of the class in images/": (["A/images/2.png", "A/README.txt"], ["A/2"]),
    "masks of other names": (["A/images/1.png", "A/masks/1_mask.png"], "None of the masks"),
    "lesions of other names": (["A/1.png", "A/lesions/1-lesion.png"], "None of the masks"),
    "a mask too many": (["A/1.png", "A/masks/1.png", "A/masks/2.png"], ["A/1"]),
    "other formats beside PNG": (["A/1.png", "A/2.webp", "A/3.gif"], ["A/1", "A/2", "A/3"]),
    "what a Mac leaves": (["A/1.png", "A/._1.png", "A/.DS_Store"], ["A/1"]),
    "two deep": (["A/x/1.png"], ["A/x/1"]),
    "Images with a capital": (["A/Images/1.png"], ["A/Images/1"]),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_class_folders(name: str, tmp_path: Path, tried: Callable) -> None:
    files, expected = FOLDERS[name]
    for file in files:
        write(tmp_path / file)
    tried("clumsy: folders")
    settings = {"kind": "class_folders", "root": str(tmp_path)}
    if isinstance(expected, list):
        assert [image.image_id for image in listed(settings).images] == expected
        return
    with pytest.raises(DatasetError) as caught:
        listed(settings)
    assert_readable(str(caught.value))
    assert expected in str(caught.value)


def test_a_folder_above_that_may_not_be_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Callable
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    tried("clumsy: folders")
    monkeypatch.setattr(os, "stat", denied)  # root may enter everything
    for settings in (
        {"kind": "class_folders", "root": str(tmp_path / "x")},
        {"kind": "manifest", "path": str(tmp_path / "x.csv")},
    ):
        with pytest.raises(DatasetError) as caught:
            listed(settings)
        assert_readable(str(caught.value))


# --- configurations -------------------------------------------------------------------------------


def test_no_list_is_advised_that_would_be_refused_too(tried: Callable) -> None:
    tried("clumsy: configurations")
    with pytest.raises(ConfigurationError, match="seeds is the text 'abc'") as caught:
        resolve_configuration(CONFIG | {"seeds": "abc"}, SCHEMA)
    assert "write" not in str(caught.value)
