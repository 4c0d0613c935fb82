"""Pictures of a run: the chosen images, each read once, with numbers of all test images."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.unit.report_example import example_runs
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.maps import run_galleries
from workflow_scripts.cxrcam.maps.placement import heat_scale
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.maps.run_galleries import ChosenImages, write_run_pictures
from workflow_scripts.cxrcam.maps.run_pictures import RunPictures, read_run_pictures, read_xray
from workflow_scripts.cxrcam.networks.prediction_table import write_predictions

STYLE = {"scale_max": 2.0, "opacity": 0.5, "against": False, "method": None}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunPictures:
    return example_runs(tmp_path_factory.mktemp("images"))[1].with_drawn(())


def classes_of(run: RunPictures) -> list[str]:
    return list(dict.fromkeys(run.records["label"]))


def test_images_of_overlays_and_galleries_are_named_once(run):
    chosen = ChosenImages.of(run.records, classes_of(run), 2, 3)
    assert len(chosen.overlays) == 2
    assert {name: len(rows) for name, rows in chosen.galleries.items()} == dict.fromkeys(
        classes_of(run), 3
    )
    assert len(chosen.image_ids) == len(set(chosen.image_ids)) <= 8
    assert set(chosen.overlays["image_id"]) <= set(chosen.image_ids)


def test_overlays_are_numbered_mistakes_first_and_galleries_speak_of_all(
    run, tmp_path, monkeypatch
):
    told = []
    drawn = run_galleries.gallery

    def gallery(pictures, *arguments, **options):
        told.append((options["class_name"], options["total"], options["wrong"], len(pictures)))
        return drawn(pictures, *arguments, **options)

    monkeypatch.setattr(run_galleries, "gallery", gallery)
    classes = [*classes_of(run), "nowhere"]
    chosen = ChosenImages.of(run.records, classes, 5, 2)
    # Maps of another kind are made of the chosen images only; the numbers stay those of all.
    few = run.with_maps(chosen.image_ids, lambda rows: run.maps.of_images(range(len(rows))))
    write_run_pictures(few, chosen, tmp_path / "overlays", tmp_path / "gallery", STYLE)
    names = sorted(path.name for path in (tmp_path / "overlays").iterdir())
    outcomes = [re.fullmatch(r"\d{3}-(correct|mistake)-.*\.png", name)[1] for name in names]
    assert outcomes == sorted(outcomes, reverse=True)
    assert [name[:3] for name in names] == ["001", "002", "003", "004"]
    assert len(list((tmp_path / "gallery").iterdir())) == 2
    of_class = run.records.groupby("label")["correct"]
    expected = [(name, int(of_class.size()[name]), int((~run.records["correct"])[
        run.records["label"] == name].sum()), 2) for name in classes[:2]]  # fmt: skip
    assert told == expected


def test_phantoms_are_told_by_their_part_of_the_data_set(run):
    one, *others = run.records["image_id"]
    assert run.with_drawn(("",)).records["is_drawn"].all()
    assert not run.with_drawn(()).records["is_drawn"].any()
    drawn = run.with_drawn((one,)).records["is_drawn"].tolist()
    assert drawn == [True, *(name.startswith(one) for name in others)]


def test_maps_of_another_kind_bring_a_scale_of_their_own(run):
    asked = run.records["image_id"].tolist()[3:5]
    other = RawMaps(np.full((2, 1, 4, 4), 7.0, np.float32), 64, 16.0, 7.5)
    few = run.with_maps(asked, lambda rows: other if rows["image_id"].tolist() == asked else None)
    assert few.scale == 7.0
    assert few.records["image_id"].tolist() == asked
    np.testing.assert_array_equal(few.picture(asked[1], 32)["evidence"], 1.0)


def test_an_xray_is_shown_as_the_network_saw_it(tmp_path: Path):
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / "x.png")
    half = np.zeros((64, 64), np.uint8)
    half[:, :32] = 255
    Image.fromarray(half).save(tmp_path / "lungs.png")
    index = pd.DataFrame(
        {"path": str(tmp_path / "x.png"), "mask_path": str(tmp_path / "lungs.png")}
        | {"lesion_mask_path": None},
        index=["x"],
    )
    plain = read_xray(index, "x", 32, 10**6)
    assert plain["grey"].shape == (32, 32) and (plain["grey"] == 90).all()
    assert plain["lung_mask"][:, :16].all() and not plain["lung_mask"][:, 16:].any()
    assert plain["lesion_mask"] is None
    image = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    Image.fromarray(image).save(tmp_path / "x.png")
    covered = read_xray(index, "x", 64, 10**6, "lungs_out")["grey"]
    assert (covered[:, 32:] == image[:, 32:]).all() and len(np.unique(covered[:, :32])) == 1


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ('{"frame": null, "boxes": [["Mass", 0, 0, 32, 64]]}', "left half"),
        ("nonsense", None),  # named by the rule that caches masks
        ("", None),
        (float("nan"), None),
    ],
)
def test_lesions_that_a_table_tells_are_drawn(tmp_path: Path, told: object, expected: str | None):
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / "x.png")
    row = {"path": str(tmp_path / "x.png"), "mask_path": None, "lesion_mask_path": None}
    row |= {"width": 64, "height": 64, "lesion_regions": told}
    lesions = read_xray(pd.DataFrame(row, index=["x"]), "x", 32, 10**6)["lesion_mask"]
    if expected is None:
        assert lesions is None
    else:
        assert lesions[:, :16].all() and not lesions[:, 16:].any()


@pytest.mark.parametrize("lost", ["x.png", "lungs.png"])
def test_a_file_that_has_gone_since_it_was_indexed_is_named(tmp_path: Path, lost: str):
    half = np.repeat(np.array([[0, 255]], np.uint8), 32, axis=1).repeat(64, axis=0)
    for name in ("x.png", "lungs.png"):
        Image.fromarray(half).save(tmp_path / name)
    index = pd.DataFrame(
        {"path": str(tmp_path / "x.png"), "mask_path": str(tmp_path / "lungs.png")}
        | {"lesion_mask_path": None},
        index=["x"],
    )
    (tmp_path / lost).unlink()
    with pytest.raises(InputError, match=rf"{lost}' was indexed and cannot be read any more.*run"):
        read_xray(index, "x", 32, 10**6)


def test_a_run_is_read_with_the_evidence_for_what_it_called_each_test_image(tmp_path: Path):
    images = pd.DataFrame(
        {"image_id": ["a", "b", "v"], "label": ["N", "C", "C"], "role": ["test", "test", "train"]}
    )
    said = np.array([[0.25, 0.75], [0.875, 0.125], [0.5, 0.5]], np.float32)
    write_predictions(tmp_path / "p.parquet", images, ["N", "C"], said, said)
    values = np.zeros((3, 2, 1, 1), np.float32)
    values[:, :, 0, 0] = [[1, 5], [6, 2], [99, 0]]
    maps = RawMaps(values, 64, 64.0, 31.5)
    write_raw_maps(tmp_path / "m.parquet", ["a", "b", "v"], ["N", "C"], maps)
    pd.DataFrame({"image_id": ["a", "b", "v"]}).to_parquet(tmp_path / "i.parquet")
    run = read_run_pictures(
        *(tmp_path / f"{name}.parquet" for name in "ipm"), ["N", "C"], "whole", 10**6
    )
    assert run.records["predicted"].tolist() == ["C", "N"]
    # Half of the difference between the two class maps: (5 - 1) / 2 and (6 - 2) / 2.
    assert run.maps.values[:, 0, 0, 0].tolist() == [2.0, 2.0]
    assert run.scale == heat_scale([2.0, 2.0])
