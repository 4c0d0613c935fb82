"""The index: groups that hang together, sources as declared, nothing lost on the way."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.cxrcam.contracts import FACTS, LISTING
from workflow_scripts.cxrcam.data.index_table import (
    QUARANTINE_COLUMNS,
    IndexingError,
    build_index,
    check_quarantine,
    group_images,
    patients_in_words,
    read_declared_sources,
)
from workflow_scripts.cxrcam.data.listing.image_files import ImageFile
from workflow_scripts.cxrcam.terms import INDEX_COLUMNS


def pairs(*links: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(links), columns=["image_id_a", "image_id_b"])


def listing(*images: ImageFile) -> pd.DataFrame:
    """Listing as the entry script writes and reads it."""
    rows = [{**vars(image), "extra": json.dumps(image.extra)} for image in images]
    return pa.Table.from_pylist(rows, schema=LISTING).to_pandas()


def facts(*image_ids: str, **bad: str) -> pd.DataFrame:
    """Facts of readable images, and of bad ones with their reasons."""
    readable = [
        {
            **{"image_id": image_id, "width": 30, "height": 40, "mode": "L"},
            **{"file_sha256": f"file {image_id}", "pixel_sha256": f"pixels {image_id}"},
            **{"words": bytes(4096), "thumbnail": bytes(1024), "quarantine_reason": None},
        }
        for image_id in image_ids
    ]
    broken = [{"image_id": name, "quarantine_reason": reason} for name, reason in bad.items()]
    return pa.Table.from_pylist(readable + broken, schema=FACTS).to_pandas()


def image(image_id: str, **values) -> ImageFile:
    return ImageFile(image_id, f"data/{image_id}.png", values.pop("label", "COVID"), **values)


# --- declared sources -----------------------------------------------------------------------------


@pytest.fixture
def workbook(tmp_path) -> Path:
    """A table as the COVID-19 Radiography Database brings it."""
    path = tmp_path / "Normal.metadata.xlsx"
    table = {
        "FILE NAME": ["NORMAL-1", " NORMAL-2 ", "NORMAL-3"],
        "FORMAT": ["PNG"] * 3,
        "URL": ["https://a.org", " https://b.org ", None],
    }
    pd.DataFrame(table).to_excel(path, index=False)
    return path


def test_declared_sources_are_found_whatever_the_case_of_the_name(workbook):
    assert read_declared_sources([workbook]) == {
        "normal-1": "https://a.org",
        "normal-2": "https://b.org",
    }


def test_declared_sources_reach_the_images_of_any_spelling(workbook):
    index, _ = build_index(
        listing(*(image(f"Normal/Normal-{k}") for k in (1, 2, 3))),
        facts("Normal/Normal-1", "Normal/Normal-2", "Normal/Normal-3"),
        pairs(),
        read_declared_sources([workbook]),
    )
    assert index["source"][:2].tolist() == ["https://a.org", "https://b.org"]
    assert index["source"].isna().tolist() == [False, False, True]


def test_a_source_of_the_manifest_wins_over_a_declared_one():
    index, _ = build_index(
        listing(image("A/x", source="Hannover"), image("A/y")),
        facts("A/x", "A/y"),
        pairs(),
        {"x": "declared", "y": "declared"},
    )
    assert index["source"].tolist() == ["Hannover", "declared"]


def test_in_a_union_a_table_is_about_the_images_of_its_own_data_set():
    index, _ = build_index(
        listing(
            image("a/Normal/x", source="a"),
            image("b/Normal/x", source="b"),
            image("b/Normal/y", source="Rome"),
        ),
        facts("a/Normal/x", "b/Normal/x", "b/Normal/y"),
        pairs(),
        {"b/x": "declared", "b/y": "declared", "a/z": "declared"},
        ["a/", "b/"],
    )
    assert index["source"].tolist() == ["a", "declared", "Rome"]


def test_in_a_union_patients_of_dicom_files_are_those_of_their_own_data_set():
    found = facts("a/x", "a/y", "b/x", "b/y", "c/x")
    found["dicom_patient"] = ["p1", "p2", "p1", "p1", "p1"]
    listed = [image(name) for name in ("a/x", "a/y", "b/x", "b/y")]
    listed.append(image("c/x", patient="c/7"))
    index, _ = build_index(listing(*listed), found, pairs(), {}, ["a/", "b/", "c/"])
    # One number in all files of b is none; the manifest of c knows better.
    assert index["patient"].fillna("").tolist() == ["a/p1", "a/p2", "", "", "c/7"]


def test_several_tables_are_read_and_one_of_another_kind_is_passed_over(workbook, tmp_path):
    other = tmp_path / "other.xlsx"
    pd.DataFrame({"name": ["NORMAL-9"], "URL": ["https://c.org"]}).to_excel(other, index=False)
    assert set(read_declared_sources([other, workbook])) == {"normal-1", "normal-2"}
    assert read_declared_sources([]) == {}


def test_a_damaged_table_is_refused_by_name_with_the_way_out(tmp_path):
    (tmp_path / "COVID.metadata.xlsx").write_bytes(b"no workbook")
    with pytest.raises(IndexingError, match=r"COVID\.metadata\.xlsx.*Repair it, or move it away"):
        read_declared_sources([tmp_path / "COVID.metadata.xlsx"])


# --- groups ---------------------------------------------------------------------------------------


def test_images_without_a_link_are_groups_of_their_own():
    assert group_images(["a", "b"], ["", ""], pairs()) == ["a", "b"]


def test_images_of_one_patient_are_one_group():
    assert group_images(["a", "b", "c"], ["P1", "", "P1"], pairs()) == [
        "patient:P1",
        "b",
        "patient:P1",
    ]


def test_groups_are_all_that_hangs_together_by_patients_and_duplicates():
    # a and b: one patient; b and c: duplicates; c and d: duplicates; d and e: another patient.
    groups = group_images(
        list("abcdef"), ["P1", "P1", "", "P2", "P2", ""], pairs(("b", "c"), ("d", "c"))
    )
    assert groups == ["patient:P1"] * 5 + ["f"]


def test_a_cluster_without_patient_bears_the_name_of_its_first_image():
    assert group_images(list("abc"), ["", "", ""], pairs(("c", "b"))) == ["a", "b", "b"]


def test_a_patient_whose_name_is_an_images_name_is_another_group():
    assert len(set(group_images(["a", "b"], ["", "a"], pairs()))) == 2


@given(st.data())
def test_linked_images_share_a_group_and_others_do_not(data):
    n = data.draw(st.integers(1, 12))
    ids = [f"i{k}" for k in range(n)]
    patients = data.draw(st.lists(st.sampled_from(["", "P", "Q", "R"]), min_size=n, max_size=n))
    row = st.integers(0, n - 1)
    links = data.draw(st.lists(st.tuples(row, row).filter(lambda p: p[0] != p[1]), max_size=6))
    # Reachability by repeated squaring, a method that the code does not use.
    linked = np.eye(n, dtype=bool)
    for a, b in links:
        linked[a, b] = linked[b, a] = True
    for a in range(n):
        for b in range(n):
            linked[a, b] |= bool(patients[a]) and patients[a] == patients[b]
    for _ in range(4):
        linked = linked @ linked
    groups = np.array(group_images(ids, patients, pairs(*((ids[a], ids[b]) for a, b in links))))
    np.testing.assert_array_equal(groups[:, None] == groups[None], linked)


# --- joining --------------------------------------------------------------------------------------


def test_the_index_has_the_contracts_columns_sorted_by_image_id():
    index, quarantine = build_index(
        listing(image("B/2", label="B"), image("A/1", label="A")), facts("B/2", "A/1"), pairs(), {}
    )
    assert tuple(index.columns) == INDEX_COLUMNS
    assert index["image_id"].tolist() == ["A/1", "B/2"]
    assert index["label"].tolist() == ["A", "B"]
    assert index["file_sha256"].tolist() == ["file A/1", "file B/2"]
    assert index["path"].tolist() == ["data/A/1.png", "data/B/2.png"]
    assert quarantine.empty


def test_the_order_of_shards_changes_nothing():
    images = listing(*(image(f"A/{k}") for k in range(5)))
    ids = [f"A/{k}" for k in range(5)]
    first, _ = build_index(images, facts(*ids), pairs(("A/1", "A/3")), {})
    second, _ = build_index(images, facts(*reversed(ids)), pairs(("A/1", "A/3")), {})
    pd.testing.assert_frame_equal(first, second)


def test_unreadable_images_go_to_the_quarantine_with_their_reasons():
    index, quarantine = build_index(
        listing(image("good"), image("cut"), image("gone", label="Normal")),
        facts("good", cut="The file is cut off.", gone="cannot be opened"),
        pairs(),
        {},
    )
    assert index["image_id"].tolist() == ["good"]
    assert quarantine.columns.tolist() == QUARANTINE_COLUMNS
    assert quarantine.to_numpy().tolist() == [
        ["cut", "data/cut.png", "COVID", "The file is cut off."],
        ["gone", "data/gone.png", "Normal", "cannot be opened"],
    ]


def test_what_is_unknown_is_null_in_the_parquet_file(tmp_path):
    index, _ = build_index(
        listing(image("a"), image("b", patient="P", mask_path="m.png", split="test")),
        facts("a", "b"),
        pairs(),
        {},
    )
    index.to_parquet(tmp_path / "images.parquet", index=False)
    a, b = pq.read_table(tmp_path / "images.parquet").to_pylist()
    unknown = ("source", "mask_path", "lesion_mask_path", "patient", "split")
    assert [a[column] for column in unknown] == [None] * 5
    assert [b[column] for column in unknown] == [None, "m.png", None, "P", "test"]
    assert (a["width"], a["height"]) == (30, 40)


def test_further_columns_of_the_manifest_are_kept():
    index, _ = build_index(
        listing(
            image("a", extra={"age": "61", "view": "PA"}),
            image("cut", extra={"age": "1", "view": ""}),
            image("z", extra={"age": "", "view": "AP"}),
        ),
        facts("z", "a", cut="cut off"),
        pairs(),
        {},
    )
    assert tuple(index.columns) == (*INDEX_COLUMNS, "age", "view")
    assert index[["age", "view"]].to_numpy().tolist() == [["61", "PA"], ["", "AP"]]


def test_a_column_of_the_manifest_that_is_called_like_one_of_ours_is_kept_beside_it():
    index, _ = build_index(
        listing(image("a", extra={"width": "43 cm", "group": "ward 3", "extra": "yes"})),
        facts("a"),
        pairs(),
        {},
    )
    assert (index["width"][0], index["group"][0]) == (30, "a")
    assert index["manifest_width"].tolist() == ["43 cm"]
    assert index["manifest_group"].tolist() == ["ward 3"]
    assert index["extra"].tolist() == ["yes"]
    assert index.columns.is_unique


def test_an_index_without_any_readable_image_can_be_built_so_that_its_reasons_are_told():
    index, quarantine = build_index(listing(image("a")), facts(a="cut off"), pairs(), {"a": "url"})
    assert (len(index), len(quarantine)) == (0, 1)
    with pytest.raises(IndexingError):
        check_quarantine(quarantine, 1, 0.5)


def test_a_listed_image_that_was_never_decoded_is_named():
    with pytest.raises(IndexingError, match=r"1 listed images were never decoded.*'b'.*cache"):
        build_index(listing(image("a"), image("b")), facts("a"), pairs(), {})


def test_an_image_that_two_shards_decoded_is_an_error():
    with pytest.raises(pd.errors.MergeError):
        build_index(listing(image("a")), facts("a", "a"), pairs(), {})


# --- too many unreadable --------------------------------------------------------------------------


def quarantined(*reasons: str) -> pd.DataFrame:
    rows = [[f"A/{k}", f"data/{k}.png", "A", reason] for k, reason in enumerate(reasons)]
    return pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)


def test_too_many_unreadable_images_stop_the_run_with_counts_reasons_and_files():
    table = quarantined("cut off", "empty", "cut off", "cut off")
    with pytest.raises(IndexingError) as caught:
        check_quarantine(table, 100, 0.03)
    for words in (
        *("4 of 100 images", "4.0%", "max_quarantined_share allows 3.0%"),
        *("3 × cut off; 1 × empty", "data/0.png, data/1.png, data/2.png", "larger share"),
    ):
        assert words in str(caught.value)


def test_reasons_that_differ_by_numbers_are_one_and_keep_their_numbers():
    large = "it has {} pixels, more than image.max_pixels allows."
    table = quarantined(large.format("12 × 9"), "empty", large.format("1,024 × 5"))
    with pytest.raises(IndexingError) as caught:
        check_quarantine(table, 100, 0.01)
    assert "2 × it has 12 × 9 pixels, more than image.max_pixels allows; 1 × empty." in str(
        caught.value
    )
    assert ".." not in str(caught.value)


def test_the_share_allowed_is_allowed():
    check_quarantine(quarantined("cut off", "cut off"), 200, 0.01)
    check_quarantine(quarantined(), 200, 0.0)
    with pytest.raises(IndexingError):
        check_quarantine(quarantined("cut off"), 200, 0.0)


def test_a_patient_of_two_sexes_or_distant_ages_is_named():
    index = pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "patient": ["p", "p", "q", "q", None, None],
            "sex": ["F", "F", "F", "M", "F", "M"],
            "age": ["30", "61", "40", "41", "1", "90"],
        }
    )
    sexes, ages = patients_in_words(index)
    assert "'q' has two sexes: F (c) and M (d)" in sexes
    assert "'p' has two ages: 30 (a) and 61 (b)" in ages
    assert patients_in_words(index.assign(sex="", age="")) == []
    assert patients_in_words(index[["image_id", "patient"]]) == []
    many = pd.concat([index, index.assign(patient=index["patient"] + "2")])
    assert "1 more patient" in patients_in_words(many)[0]
