"""What is taken from a DICOM file beside its pixels, what is let in, and what never leaves it."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from tests.shards import write_shard
from tests.unit.pictures import MAX_PIXELS, assert_plain, encoded, picture, read
from tests.unit.test_dicom import changed, dicom, dicom_bytes
from workflow_scripts.cxrcam.contracts import FACTS, LISTING
from workflow_scripts.cxrcam.data.decoding import decoded_batches
from workflow_scripts.cxrcam.data.index_table import QUARANTINE_COLUMNS, build_index, in_words
from workflow_scripts.cxrcam.data.listing.image_files import ImageFile
from workflow_scripts.cxrcam.data.pseudonyms import (
    pseudonym,
    read_key,
    write_new_key,
)
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.spreadsheets import write_csv, write_frame
from workflow_scripts.cxrcam.terms import INDEX_COLUMNS

KEY = bytes(range(32))
NO_PAIRS = pd.DataFrame({"image_id_a": [], "image_id_b": []}, dtype=object)


def accepted(dataset: Dataset, accept: str = "frontal_chest") -> list[str]:
    content = dicom_bytes(dataset)
    return read_grey(Path("x.dcm"), MAX_PIXELS, content, accept=accept).notes


def index_of(
    folder: Path, datasets: dict[str, Dataset], key: bytes | None = KEY, **listed
) -> tuple:
    """Facts, index and quarantine of some files, as cache and index make them."""
    for name, dataset in datasets.items():
        (folder / f"{name}.dcm").write_bytes(dicom_bytes(dataset))
    files = [(name, folder / f"{name}.dcm") for name in datasets]
    ((facts, _, pixels),) = decoded_batches(
        files, 32, "bilinear", MAX_PIXELS, threads=1, accept="frontal_chest", key=key
    )
    rows = [
        {**vars(ImageFile(name, str(path), "A", **listed.get(name, {}))), "extra": json.dumps({})}
        for name, path in files
    ]
    listing = pa.Table.from_pylist(rows, schema=LISTING).to_pandas()
    return facts, *build_index(listing, facts.to_pandas(), NO_PAIRS, {}), pixels


# --- what is let in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        *(({"Modality": name}, f"modality {name}") for name in ("CT", "MR", "US", "NM", "SEG")),
        ({"ViewPosition": "LL"}, "lateral view"),
        ({"ViewPosition": "RAO"}, "oblique view"),
        ({"PatientOrientation": ["A", "F"]}, "lateral view"),
        ({"BodyPartExamined": "HAND"}, "body part HAND"),
    ],
)
def test_what_says_that_it_is_no_frontal_chest_is_set_apart_unless_any_is_accepted(elements, words):
    dataset = changed(**elements)
    with pytest.raises(UnreadableImage, match=words) as caught:
        accepted(dataset)
    assert_plain(str(caught.value))
    assert "image.accept" in str(caught.value)
    assert accepted(dataset, "any") == []


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"Modality": "DX", "ViewPosition": "PA", "BodyPartExamined": "CHEST"},
        {"Modality": "CR", "ViewPosition": "AP", "PatientOrientation": ["L", "F"]},
        {"Modality": "OT", "ViewPosition": "", "BodyPartExamined": "PORT CHEST"},
    ],
)
def test_frontal_chests_and_files_that_say_nothing_are_let_in(elements):
    assert accepted(changed(**elements)) == []


def test_a_view_can_be_a_code():
    dataset, code = dicom(), Dataset()
    code.CodeMeaning = "Left lateral"
    dataset.ViewCodeSequence = [code]
    with pytest.raises(UnreadableImage, match="lateral"):
        accepted(dataset)
    code.CodeMeaning = "postero-anterior"
    assert read(dicom_bytes(dataset)).tags.view == "PA"


def test_raw_images_are_noted():
    assert accepted(changed(PresentationIntentType="FOR PROCESSING")) == [
        "raw image (for processing)"
    ]
    assert accepted(changed(PresentationIntentType="FOR PRESENTATION")) == []


# --- tags -----------------------------------------------------------------------------------------


def test_tags_become_columns_of_the_index(tmp_path):
    dataset = changed(Modality="DX", ViewPosition="PA", PatientSex="F", PatientAge="063Y")
    dataset.Manufacturer, dataset.ManufacturerModelName = "Carestream  Health", "DRX-1"
    dataset.BurnedInAnnotation, dataset.InstitutionName = "NO", "St. Elsewhere"
    dataset.PatientID = "4711"
    _, index, _, _ = index_of(tmp_path, {"a": dataset, "b": dicom()})
    assert tuple(index.columns) == INDEX_COLUMNS
    first = index.loc[0, [name for name in INDEX_COLUMNS if name.startswith("dicom_")]]
    assert first.to_dict() == {
        **{"dicom_modality": "DX", "dicom_view": "PA", "dicom_age": 63.0, "dicom_sex": "F"},
        **{"dicom_manufacturer": "Carestream Health", "dicom_model": "DRX-1"},
        "dicom_burned_in": "NO",
        "dicom_institution": pseudonym(KEY, "institution", "St. Elsewhere"),
        "dicom_patient": pseudonym(KEY, "patient", "4711"),
    }
    assert index.loc[1, first.index].isna().all()


@pytest.mark.parametrize(
    ("elements", "years"),
    [
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "003D"}, 0.0),
        ({"PatientAge": "097Y"}, 90.0),
        ({"PatientBirthDate": "19640812", "StudyDate": "20240811"}, 59.0),
        ({"PatientBirthDate": "19640812", "StudyDate": "20240812"}, 60.0),
        ({"PatientBirthDate": "19000101", "StudyDate": "20240812"}, 90.0),
        ({"PatientBirthDate": "20240812", "StudyDate": "20200101"}, None),
        ({"PatientBirthDate": "19640812"}, None),
        ({"PatientAge": "old"}, None),
    ],
)
def test_ages_are_in_years_and_end_at_90(elements, years):
    assert read(dicom_bytes(changed(**elements))).tags.age == years


def test_images_of_other_formats_have_no_tags_and_no_notes(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(picture())))
    files = [("a", tmp_path / "a.png")]
    ((facts, _, _),) = decoded_batches(files, 32, "bilinear", MAX_PIXELS, 1, key=KEY)
    (row,) = facts.to_pylist()
    assert {row[name] for name in FACTS.names if name.startswith("dicom_")} == {None}
    assert row["notes"] is None and row["quarantine_reason"] is None


# --- patients -------------------------------------------------------------------------------------


def test_images_of_one_patient_are_one_group_where_the_listing_knows_none(tmp_path):
    names = {"a": "4711", "b": " 04711 ", "c": "4712", "d": "Anonymous", "e": "anonymous"}
    _, index, _, _ = index_of(tmp_path, {k: changed(PatientID=v) for k, v in names.items()})
    hashes = [pseudonym(KEY, "patient", name) for name in ("4711", "4711", "4712")]
    assert index["patient"].tolist()[:3] == hashes and index["patient"][3:].isna().all()
    assert index["group"].tolist() == [f"patient:{name}" for name in hashes] + ["d", "e"]


def test_patients_of_the_listing_win(tmp_path):
    datasets = {name: changed(PatientID="4711") for name in "ab"} | {"c": changed(PatientID="9")}
    _, index, _, _ = index_of(tmp_path, datasets, a={"patient": "P1"})
    assert index["patient"].fillna("").tolist() == ["P1", "", ""]


def test_one_number_in_all_files_is_no_patient_and_that_is_said(tmp_path):
    datasets = {name: changed(PatientID="0000") for name in "abc"}
    _, index, quarantine, _ = index_of(tmp_path, datasets)
    assert index["patient"].isna().all() and index["group"].tolist() == list("abc")
    assert any("All 3 DICOM images" in sentence for sentence in in_words(index, quarantine))


def test_without_a_key_patients_stay_unknown_and_that_is_noted(tmp_path):
    _, index, _, _ = index_of(tmp_path, {"a": changed(PatientID="4711")}, key=None)
    assert index["patient"].isna().all() and index["dicom_patient"].isna().all()
    assert index["notes"].tolist() == ["patient left out (file is not named .dcm)"]


def test_hashes_depend_on_the_key_and_on_what_is_named():
    assert pseudonym(KEY, "patient", "1") == pseudonym(KEY, "patient", "1")
    names = {pseudonym(key, kind, "1") for key in (KEY, KEY[::-1]) for kind in ("patient", "x")}
    assert len(names) == 4 and all(re.fullmatch("[0-9a-f]{16}", name or "") for name in names)


def test_a_key_is_drawn_anew_and_its_owners_alone(tmp_path):
    for name in ("one", "two"):
        write_new_key(tmp_path / name)
    one, two = read_key(tmp_path / "one"), read_key(tmp_path / "two")
    assert len(one) == len(two) == 32 and one != two
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    (tmp_path / "two").write_text("secret")
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        read_key(tmp_path / "two")


# --- counted --------------------------------------------------------------------------------------


def test_notes_and_reasons_are_counted_one_line_a_kind(tmp_path):
    padded = changed(PixelSpacing=[0.4, 0.2], PatientOrientation=["R", "F"])
    datasets = {"a": padded, "b": changed(PixelSpacing=[0.4, 0.2]), "c": dicom()}
    datasets |= {"d": changed(Modality="CT"), "e": changed(Modality="CT")}
    _, index, quarantine, _ = index_of(tmp_path, datasets)
    assert index["notes"].fillna("").tolist() == [
        "unequal pixel spacing corrected; orientation corrected",
        "unequal pixel spacing corrected",
        "",
    ]
    assert in_words(index, quarantine) == [
        "Left out 2 of 5 images: The image is computed tomography (modality CT), no frontal chest "
        "radiograph. Set image.accept to any if it is wanted.",
        "Of 5 images, 2: unequal pixel spacing corrected.",
        "Of 5 images, 1: orientation corrected.",
    ]


# --- privacy --------------------------------------------------------------------------------------

PLANTED = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "PID-77-1234",
    "OtherPatientIDs": "OID-55-9876",
    "PatientBirthDate": "19640812",
    "AccessionNumber": "ACC-99-4321",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.111222333",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.444555666",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.777888999",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.123123123",
    "ReferringPhysicianName": "Quincy^Jack",
    "OperatorsName": "Rontgen^Wilhelm",
    "InstitutionName": "Klinikum Musterstadt",
    "InstitutionAddress": "Musterweg-9",
    "StudyDate": "20230405",
    "StudyTime": "112233",
    "StudyID": "STU-31-1111",
    "StudyDescription": "Thorax Mustermann",
    "PatientAddress": "Hinterhof-3",
    "DeviceSerialNumber": "SER-12-3456",
    "StationName": "STATION-88",
}


def test_nothing_that_names_a_person_leaves_the_file(tmp_path, capfd, caplog):
    """Every planted identifier is looked for in every output, as text and as UTF-16."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "in").mkdir()
    planted, other = changed(**PLANTED), changed(**PLANTED)
    planted.Modality = "DX"
    other.Modality = "CT"  # ends in the quarantine
    planted.add_new((0x0009, 0x0010), "LO", "PRIVATE Mustermann")
    facts, index, quarantine, pixels = index_of(tmp_path / "in", {"a": planted, "b": other})
    assert (len(index), len(quarantine)) == (1, 1)
    out = tmp_path / "out"
    out.mkdir()
    pq.write_table(facts, out / "facts.parquet", compression="none", use_dictionary=False)
    write_shard(out / "shard.parquet", ["a"], pixels, {})
    write_frame(out / "images.parquet", index)
    write_csv(out / "images.csv", index.drop(columns="path"))
    write_csv(out / "quarantine.csv", quarantine[QUARANTINE_COLUMNS])
    (out / "log.txt").write_text("\n".join(in_words(index, quarantine)))
    (out / "printed.txt").write_text("".join(capfd.readouterr()) + caplog.text)
    content = b"".join(file.read_bytes() for file in sorted(out.iterdir()))
    assert index["dicom_patient"][0].encode() in content  # what is written is looked at
    assert index["dicom_age"][0] == 58.0
    source = (tmp_path / "in" / "a.dcm").read_bytes()
    for name, value in PLANTED.items():
        for part in re.split(r"[\^ ]", value):
            assert part.encode() in source, name
            assert part.encode() not in content, name
            assert part.encode("utf-16-le") not in content, name


def test_pixels_do_not_depend_on_the_key(tmp_path):
    one, two = (
        index_of(tmp_path, {"a": changed(PatientID="4711")}, key)[3] for key in (KEY, KEY[::-1])
    )
    assert np.array_equal(one, two)
