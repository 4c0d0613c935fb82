"""A public collection as it unpacks, from its tables to lesion masks drawn from its boxes."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.unit.collection_trees import write_table
from tests.workflow.small_project import Project, merged, save_xray, small_configuration
from workflow_scripts.cxrcam.data.mask_cache import masks_of

MASKS = "results/rsna/cache/masks.parquet"
CLASSES = ("Normal", "Lung Opacity", "No Lung Opacity / Not Normal")
BOXES, INFO = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"


def write_collection(root: Path) -> None:
    """Twelve images, of which each third has a box that covers the right half."""
    rows, boxes = [], []
    for number in range(12):
        name, label = f"u{number:02d}", CLASSES[number % 3]
        save_xray(root / f"stage_2_train_images/{name}.png", number)
        rows.append((name, label))
        sick = label == "Lung Opacity"
        boxes.append((name, *((512, 0, 512, 1024, 1) if sick else ("",) * 4 + (0,))))
    write_table(root / INFO, "patientId,class", *rows)
    write_table(root / BOXES, "patientId,x,y,width,height,Target", *boxes)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    data_set = {"kind": "collection", "name": "rsna_pneumonia", "root": "data/rsna"}
    changes = {
        **{"dataset": "rsna", "datasets": {"small": None, "rsna": data_set}},
        "tasks": {"two_class": {"classes": ["Normal", "Lung Opacity"]}, "three_class": None},
        "schemes": {"random_subsample": None},
    }
    configuration = merged(small_configuration(), changes)
    made = Project.create(tmp_path_factory.mktemp("collection") / "cxrcam", configuration)
    write_collection(made.folder / "data/rsna")
    return made


def test_boxes_become_lesion_masks_and_an_edited_one_renews_them_alone(project: Project) -> None:
    (project.folder / "data/rsna/stage_2_test_images").mkdir()
    save_xray(project.folder / "data/rsna/stage_2_test_images/new.png", 99)
    printed = project.run(MASKS)
    assert "leaves out 1 image of its collection: 1 that no table names" in printed
    index = pd.read_parquet(project.folder / "results/rsna/index/images.parquet")
    assert index["label"].value_counts().to_dict() == {
        name.replace(" /", ","): 4 for name in CLASSES
    }
    assert set(index["source"]) == {"NIH Clinical Center"}
    names = index["image_id"].tolist()
    has, masks = masks_of(project.folder / MASKS, names, "lesion", size=32)
    assert (has == (index["label"] == "Lung Opacity")).all()
    expected = np.zeros((32, 32), dtype=bool)
    expected[:, 16:] = True
    assert (masks[has] == expected).all()

    table = project.folder / "data/rsna" / BOXES
    rows = [*csv.reader(table.read_text("utf-8").splitlines())]
    assert rows[2][0] == "u01"
    rows[2][1:4] = ["768", "0", "256"]
    table.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    printed = project.run(MASKS)
    assert "Decoding shard" not in printed
    _, masks = masks_of(project.folder / MASKS, ["u01"], "lesion", size=32)
    assert masks[0, :, 24:].all() and not masks[0, :, :24].any()
    assert "Nothing to be done" in project.run(MASKS)
