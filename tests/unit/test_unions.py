"""Unions: several data sets listed as one, without clashes of names and patients."""

import os
from pathlib import Path

import pytest

from workflow_scripts.cxrcam.data.listing.datasets import (
    list_data,
    list_images,
    place,
    shard_fingerprints,
    shard_number,
)
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError
from workflow_scripts.cxrcam.data.listing.listed import list_data_set
from workflow_scripts.cxrcam.data.listing.unions import with_members

PHANTOMS = Path("results/both/phantoms")


def write(file: Path, text: str = "x") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@pytest.fixture
def data_sets(tmp_path) -> dict:
    """Class folders with masks and tables of their own, and a manifest with patients."""
    for name in ("COVID/1.png", "COVID/2.png", "Normal/1.png"):
        label, file = name.split("/")
        write(tmp_path / f"folders/{label}/images/{file}")
    write(tmp_path / "folders/COVID/masks/1.png")
    write(tmp_path / "folders/COVID/images/notes.pdf")
    write(tmp_path / "folders/COVID.metadata.xlsx")
    rows = ["a.png,covid,1,,X", "b.png,normal,unknown,Rome,Y", "c.png,odd,2,unknown,"]
    write(tmp_path / "m/list.csv", "\n".join(["path,label,patient,source,scanner", *rows]))
    for letter in "abc":
        write(tmp_path / f"m/{letter}.png")
    return {
        "one": {"kind": "class_folders", "root": str(tmp_path / "folders"), "not_copies": "no.csv"},
        "two": {"kind": "manifest", "path": str(tmp_path / "m/list.csv"), "expected": {"side": 9}},
        "both": {
            **{"kind": "union", "of": ["one", "two"], "not_copies": "own.csv"},
            "labels": {"two": {"covid": "COVID", "normal": "Normal", "odd": None}},
        },
    }


def listed(data_sets, wanted=None):
    return list_images(with_members(data_sets, "both"), PHANTOMS, wanted)


def test_images_are_named_after_their_data_set_and_take_the_labels_of_the_map(data_sets):
    images = {image.image_id: image for image in listed(data_sets)}
    assert {name: image.label for name, image in images.items()} == {
        "one/COVID/1": "COVID",
        "one/COVID/2": "COVID",
        "one/Normal/1": "Normal",
        "two/a": "COVID",
        "two/b": "Normal",
    }
    assert images["one/COVID/1"].mask_path.endswith("COVID/masks/1.png")
    assert images["two/a"].extra == {"data_set": "two", "scanner": "X"}
    assert images["one/COVID/1"].extra == {"data_set": "one"}


def test_patients_are_those_of_their_data_set_and_sources_are_never_missing(data_sets):
    images = {image.image_id: image for image in listed(data_sets)}
    assert images["two/a"].patient == "two/1"
    assert images["two/b"].patient == "unknown"  # of nobody, wherever
    assert images["one/COVID/1"].patient == ""
    sources = [images[name].source for name in ("two/a", "two/b", "one/COVID/1")]
    assert sources == ["two", "Rome", "one"]


def test_a_job_that_needs_one_shard_lists_the_same_images(data_sets):
    everything = listed(data_sets)
    shards = [listed(data_sets, lambda name, k=k: shard_number(name, 4) == k) for k in range(4)]
    assert sorted((i for shard in shards for i in shard), key=lambda i: i.image_id) == everything
    for number, shard in enumerate(shards):
        same = shard_fingerprints(everything, 4)[number]
        assert shard_fingerprints(shard, 4)[number] == same


def test_a_replaced_file_of_one_data_set_changes_one_shard(data_sets, tmp_path):
    before = shard_fingerprints(listed(data_sets), 8)
    os.utime(tmp_path / "m/a.png", (1, 1))
    after = shard_fingerprints(listed(data_sets), 8)
    changed = [k for k in range(8) if before[k] != after[k]]
    assert changed == [shard_number("two/a", 8)]


def test_what_belongs_to_a_data_set_stays_with_it(data_sets, tmp_path):
    union = list_data_set(with_members(data_sets, "both"), PHANTOMS, 10)
    assert union.class_sizes == {"COVID": 3, "Normal": 2}
    assert union.metadata_parts == {str(tmp_path / "folders/COVID.metadata.xlsx"): "one/"}
    assert union.not_copies_parts == {"own.csv": "", "no.csv": "one/"}
    assert union.parts["images"] == ["one/", "two/"]
    assert union.left_out["*.pdf"] == [str(tmp_path / "folders/COVID/images/notes.pdf")]
    assert not union.is_drawn and union.drawn_parts == ()
    # What changes no image makes no listing stale.
    assert "not_copies" not in union.image_settings["members"]["one"]
    assert "expected" not in union.image_settings["members"]["two"]
    assert place(union.settings) == "the union of one and two"


def test_a_replaced_mask_of_a_data_set_is_seen(data_sets, tmp_path):
    settings = with_members(data_sets, "both")
    before = list_data_set(settings, PHANTOMS, 10).mask_fingerprint
    os.utime(tmp_path / "folders/COVID/masks/1.png", (1, 1))
    assert list_data_set(settings, PHANTOMS, 10).mask_fingerprint != before


def test_phantoms_lie_where_they_lie_when_used_alone_and_their_masks_are_not_looked_at(data_sets):
    for name in ("one", "two"):
        data_sets[name] = {"kind": "phantom", "images_per_class": {"Normal": 1, "COVID": 1}}
    data_sets["both"]["labels"] = {}
    union = list_data_set(with_members(data_sets, "both"), PHANTOMS, 10)
    assert union.drawn_parts == ("one/", "two/")
    assert union.is_drawn and union.mask_fingerprint == ""
    assert [(image.path, image.source) for image in union.images if image.label == "COVID"] == [
        ("results/one/phantoms/COVID/images/COVID-1.png", "one"),
        ("results/two/phantoms/COVID/images/COVID-1.png", "two"),
    ]


def test_an_empty_class_folder_is_known_by_its_new_name(data_sets, tmp_path):
    (tmp_path / "folders/odd").mkdir()
    (tmp_path / "folders/Lung Opacity").mkdir()
    union = list_data_set(with_members(data_sets, "both"), PHANTOMS, 10)
    assert union.class_sizes == {"COVID": 3, "Normal": 2, "odd": 0, "Lung Opacity": 0}


def test_a_class_of_the_map_that_is_not_there_is_refused_with_what_is(data_sets):
    data_sets["both"]["labels"] = {"two": {"covd": "COVID"}}
    with pytest.raises(DatasetError) as caught:
        listed(data_sets)
    for words in ("'covd'", "'two'", "Did you mean 'covid'?", "'normal'"):
        assert words in str(caught.value)


def test_a_manifest_with_our_own_column_is_refused(data_sets, tmp_path):
    write(tmp_path / "m/list.csv", "path,label,data_set\na.png,covid,5\n")
    data_sets["both"]["labels"] = {}
    with pytest.raises(DatasetError, match=r"'two' has a column 'data_set'.*rename it"):
        listed(data_sets)


def test_classes_spelt_in_two_ways_by_two_data_sets_are_refused(data_sets):
    data_sets["both"]["labels"] = {}
    with pytest.raises(DatasetError, match=r"'normal' .*'Normal' .*with its `labels`"):
        list_data(with_members(data_sets, "both"), PHANTOMS)
