"""Folders in parts, and images in them that stand out: from the files to the table and its page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from tests.unit.test_dicom import changed, dicom_bytes
from tests.workflow.small_project import Project, merged, save_xray, small_configuration

CLASSES = ("Normal", "COVID")
AUDIT = "results/small/audit/suspect_images"
TRACES = "results/small/audit/acquisition.json"
SPLIT = "results/small/splits/two_class/published/fold-1.parquet"


def test_parts_of_folders_are_divided_as_they_come_and_looked_at(tmp_path: Path) -> None:
    changes = {
        "tasks": {"three_class": None},
        "schemes": {
            **{"holdout": None, "random_subsample": None},
            "published": {"kind": "predefined"},
        },
    }
    project = Project.create(tmp_path / "cxrcam", merged(small_configuration(), changes))
    data = project.folder / "data" / "small"
    for position, label in enumerate(CLASSES):
        for number in range(12):
            part = ("train", "train", "Valid", "test")[number % 4]
            save_xray(data / part / label / f"{number}.png", 100 * position + number)
    black = np.full((96, 96), 7, np.uint8)
    black[48:] = 9
    Image.fromarray(black).save(data / "test" / "COVID" / "black.png")
    cells = np.random.default_rng(3).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    photo = Image.fromarray(cells).resize((90, 90), Image.Resampling.BICUBIC)
    photo.save(data / "test" / "COVID" / "photo.jpg")
    mended = dicom_bytes(changed(Modality="CR", WindowCenter=90000, WindowWidth=10))
    (data / "train" / "Normal" / "mended.dcm").write_bytes(mended)
    (data / "test" / "COVID" / "scan.nii.gz").write_bytes(b"")
    printed = project.run(SPLIT, f"{AUDIT}.csv", f"{AUDIT}.html", TRACES)
    assert "Data set small leaves out 1 file beside its images: 1 *.nii.gz" in printed

    split = pd.read_parquet(project.folder / SPLIT)
    roles = dict(zip(split["image_id"], split["role"], strict=True))
    assert roles["Valid/Normal/2"] == "validation" and roles["test/COVID/3"] == "test"
    assert split["role"].value_counts().to_dict() == {"train": 13, "test": 8, "validation": 6}

    suspects = pd.read_csv(project.folder / f"{AUDIT}.csv")
    found = suspects[suspects["image_id"] == "test/COVID/black"]
    assert found["why"].tolist() == ["nearly blank"] and found["label"].tolist() == ["COVID"]
    photo_reasons = suspects.loc[suspects["image_id"] == "test/COVID/photo", "why"]
    assert "in colour" in photo_reasons.tolist()
    assert (suspects["why"] == "in colour").sum() == 1
    page = (project.folder / f"{AUDIT}.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == suspects["image_id"].nunique()
    assert "test/COVID/black" in page

    traces = json.loads((project.folder / TRACES).read_text(encoding="utf-8"))["two_class"]
    assert traces["dicom"]["counts"] == {
        "modality CR": {"COVID": 0, "Normal": 1},
        "window not believed": {"COVID": 0, "Normal": 1},
        "images": {"COVID": 14, "Normal": 13},
    }
