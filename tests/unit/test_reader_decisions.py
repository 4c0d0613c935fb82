"""A reader's decisions: images that are left out, and images that bear another label."""

from pathlib import Path

import pytest

from workflow_scripts.cxrcam.data.listing.datasets import (
    list_data,
    list_images,
    listing_fingerprint,
    shard_fingerprints,
    shard_number,
)
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.listed import list_data_set
from workflow_scripts.cxrcam.data.listing.reader_decisions import Decisions, check_new_labels
from workflow_scripts.cxrcam.data.listing.unions import with_members

PHANTOMS = Path("results/any/phantoms")


@pytest.fixture
def data_set(tmp_path: Path) -> dict:
    for name in ("COVID/1.png", "COVID/2.png", "COVID/3.png", "Normal/1.png", "Normal/2.png"):
        file = tmp_path / "folders" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
    return {"kind": "class_folders", "root": str(tmp_path / "folders")}


def table(tmp_path: Path, text: str, name: str = "table.csv") -> str:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path / name)


def labels(settings: dict) -> dict[str, str]:
    return {image.image_id: image.label for image in list_images(settings, PHANTOMS)}


def test_images_are_left_out_and_relabelled_and_counted(data_set, tmp_path):
    out = table(tmp_path, "task,image_id,reason\nt,COVID/2,lateral\n", "out.csv")
    new = "image_id,label,by\nCOVID/1,Normal,me\nNormal/1,Normal,me\n"
    data_set |= {"exclude": out, "relabel": table(tmp_path, new)}
    assert labels(data_set) == {
        "COVID/1": "Normal",
        "COVID/3": "COVID",
        "Normal/1": "Normal",
        "Normal/2": "Normal",
    }
    # The label that the second one has already is no change.
    assert list_data(data_set, PHANTOMS).decisions == Decisions(excluded=1, relabelled=1)
    listed = list_data_set(data_set, PHANTOMS, 10)
    assert listed.class_sizes == {"COVID": 1, "Normal": 3}
    assert listed.decisions == Decisions(excluded=1, relabelled=1)


def test_what_a_table_says_beside_changes_nothing_and_a_decision_its_own_shard_only(
    data_set, tmp_path
):
    def stamps(**decisions: str) -> tuple[str, list[str]]:
        images = list_images({**data_set, **decisions}, PHANTOMS)
        return listing_fingerprint(images), shard_fingerprints(images, 8)

    plain = stamps()
    new = stamps(relabel=table(tmp_path, "image_id,label\nCOVID/1,Normal\n"))
    assert new == stamps(relabel=table(tmp_path, "note,label,image_id\nsure,Normal,COVID/1\n"))
    assert new[0] != plain[0] and new[1] == plain[1]  # no image is decoded again
    out = stamps(exclude=table(tmp_path, "image_id\nCOVID/1\n"))
    differ = [k for k in range(8) if out[1][k] != plain[1][k]]
    assert out[0] != plain[0] and differ == [shard_number("COVID/1", 8)]


def test_a_job_that_needs_one_shard_follows_the_decisions(data_set, tmp_path):
    data_set |= {
        "exclude": table(tmp_path, "image_id\nCOVID/2\n", "out.csv"),
        "relabel": table(tmp_path, "image_id,label\nCOVID/1,Normal\n"),
    }
    everything = list_images(data_set, PHANTOMS)
    shards = [
        list_images(data_set, PHANTOMS, lambda name, k=k: shard_number(name, 4) == k)
        for k in range(4)
    ]
    assert sorted((i for of in shards for i in of), key=lambda i: i.image_id) == everything


def test_tables_of_a_data_set_and_of_its_union_hold_together(data_set, tmp_path):
    data_set["exclude"] = table(tmp_path, "image_id\nCOVID/2\n", "out.csv")
    other = {"kind": "class_folders", "root": data_set["root"]}
    union = {"kind": "union", "of": ["one", "two"], "labels": {}}
    union["relabel"] = table(tmp_path, "image_id,label\ntwo/COVID/1,Normal\n")
    settings = with_members({"one": data_set, "two": other, "both": union}, "both")
    found = labels(settings)
    assert "one/COVID/2" not in found and found["two/COVID/2"] == "COVID"
    assert (found["one/COVID/1"], found["two/COVID/1"]) == ("COVID", "Normal")
    assert list_data(settings, PHANTOMS).decisions == Decisions(excluded=1, relabelled=1)


def test_decisions_are_no_settings_of_the_images(data_set, tmp_path):
    """Phantoms are drawn as before, and a table under another name makes nothing stale."""
    data_set["exclude"] = table(tmp_path, "image_id\nCOVID/2\n")
    assert list(list_data_set(data_set, PHANTOMS, 10).image_settings) == ["kind", "root"]


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("exclude", None, r"table exclude .*does not exist .* set exclude .* to null"),
        ("exclude", "", r"has no column image_id"),
        ("exclude", "image_id\n", r"names no image: write one row"),
        ("exclude", "name\nCOVID/1\n", r"has no column image_id"),
        ("exclude", "image_id\nCOVID/11\n", r"Row 2 of .*COVID/11.* Did you mean 'COVID/1'\?"),
        (
            *("exclude", "image_id\nCOVID/1\nNormal/1\nCOVID/1\n"),
            r"Row 4 of .*'COVID/1' again \(first in Row 2 ",
        ),
        ("relabel", "image_id\nCOVID/1\n", r"has no column label"),
        ("relabel", "image_id,label\nCOVID/9,Normal\n", r"which the data set does not have"),
        ("relabel", "image_id,label\nCOVID/1,\n", r"gives 'COVID/1' no label"),
        ("relabel", "image_id,label\nCOVID/1,COVID\n", r"changes nothing"),
        ("relabel", "image_id,label\nCOVID/1,normal\n", r"differ only by case"),
    ],
)
def test_a_table_that_decides_nothing_clear_is_refused(data_set, tmp_path, kind, text, message):
    file = str(tmp_path / "table.csv") if text is None else table(tmp_path, text)
    with pytest.raises(DatasetError, match=message):
        list_images({**data_set, kind: file}, PHANTOMS)


def test_an_image_cannot_be_left_out_and_relabelled(data_set, tmp_path):
    data_set |= {
        "exclude": table(tmp_path, "image_id\nCOVID/2\n", "out.csv"),
        "relabel": table(tmp_path, "image_id,label\nCOVID/2,Normal\n"),
    }
    with pytest.raises(DatasetError, match=r"'COVID/2', which is left out \(Row 2 of .*out\.csv"):
        list_images(data_set, PHANTOMS)


def test_a_name_that_a_spreadsheet_would_calculate_is_known_again(data_set, tmp_path):
    file = Path(data_set["root"]) / "=sum" / "1.png"
    file.parent.mkdir()
    file.write_text("", encoding="utf-8")
    data_set["exclude"] = table(tmp_path, "image_id\n'=sum/1\n")  # as `write_csv` protects it
    assert "=sum/1" not in labels(data_set)


def decided(label: str) -> Decisions:
    return Decisions(relabelled=1, new_labels={label: "Row 2 of new.csv (relabel)"})


def test_a_label_that_no_image_has_must_be_a_class_of_a_task():
    images = [ImageFile("1", "1.png", "COVD"), ImageFile("2", "2.png", "Normal")]
    check_new_labels("mine", decided("COVD"), images, ["COVD"], [])
    with pytest.raises(DatasetError, match=r"Row 2 .*'COVD', .* Did you mean 'COVID'\?"):
        check_new_labels("mine", decided("COVD"), images, ["COVID"], [])


def test_labels_may_join_findings_that_are_no_columns():
    images = [ImageFile("1", "1.png", "Mass|Effusion")]
    new = decided("Mass|Effusion")
    check_new_labels("mine", new, images, [], ["Effusion", "Mass"])
    with pytest.raises(DatasetError, match="no image and no task has"):
        check_new_labels("mine", new, images, [], ["Effusion"])
    images = [ImageFile("1", "1.png", "Mass", extra={"Mass": "1"})]
    with pytest.raises(DatasetError, match=r"datasets\.mine\.relabel: the finding 'Mass' is a col"):
        check_new_labels("mine", Decisions(relabelled=1), images, [], ["Mass"])
