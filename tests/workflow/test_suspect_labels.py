"""A flipped label is found, shown, mended by a reader's table, and found no more."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from tests.workflow.small_project import Project, merged, small_configuration, xray

AUDIT = "results/small/audit/suspect_labels"
INDEX = "results/small/index/images.parquet"
N = 16


def write_images(root: Path) -> None:
    """Normal is dark and COVID bright, but for COVID/3; one picture lies in both folders."""
    for position, label in enumerate(("Normal", "COVID")):
        (root / label).mkdir(parents=True)
        for number in range(N):
            is_bright = label == "COVID" and number != 3
            picture = xray(100 * position + number) // 3 + (150 if is_bright else 0)
            Image.fromarray(picture.astype(np.uint8)).save(root / label / f"{number}.png")
    Image.open(root / "Normal" / "5.png").save(root / "COVID" / "copy.png")


def test_a_flipped_label_is_found_and_mended_by_a_reader(tmp_path: Path) -> None:
    changes = {
        "tasks": {"three_class": None},
        "schemes": {
            **{"random_subsample": None, "holdout": None},
            "halves": {"kind": "stratified_kfold", "folds": 2},
        },
    }
    project = Project.create(tmp_path / "cxrcam", merged(small_configuration(), changes))
    write_images(project.folder / "data" / "small")
    project.run(f"{AUDIT}.csv", f"{AUDIT}.html")
    table = pd.read_csv(project.folder / f"{AUDIT}.csv")
    assert table["image_id"].tolist()[:3] == ["COVID/copy", "Normal/5", "COVID/3"]
    assert table["reason"][0] == "its copy Normal/5 is labelled Normal"
    flipped = table.iloc[2]
    assert (flipped["likelier_label"], flipped["reason"]) == ("Normal", "trees on a thumbnail")
    assert flipped["probability"] < 0.3
    # Each image is in the test part of one of the folds.
    assert table["network_probability"].between(0, 1).all()
    page = (project.folder / f"{AUDIT}.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 4 * len(table)

    # As the page says: rows of the table, the right label written into them.
    flipped.to_frame().T.assign(label="Normal").to_csv(project.folder / "new.csv", index=False)
    table.head(1).to_csv(project.folder / "out.csv", index=False)
    project.change(datasets={"small": {"relabel": "new.csv", "exclude": "out.csv"}})
    printed = project.run(f"{AUDIT}.csv", f"{AUDIT}.html", INDEX)
    labels = pd.read_parquet(project.folder / INDEX).set_index("image_id")["label"]
    assert labels["COVID/3"] == "Normal" and "COVID/copy" not in labels and len(labels) == 2 * N
    again = pd.read_csv(project.folder / f"{AUDIT}.csv")
    assert again.empty or not {"COVID/3", "COVID/copy", "Normal/5"} & set(again["image_id"])
    assert "Nothing to be done" not in printed
    assert "Nothing to be done" in project.run(f"{AUDIT}.csv", f"{AUDIT}.html", INDEX)

    (project.folder / "new.csv").write_text("image_id,label\nCOVID/4,Covid19\n", encoding="utf-8")
    message = project.refuse()
    assert "Row 2 of new.csv (relabel) gives the label 'Covid19'" in message
    project.change(datasets={"small": {"relabel": "absent.csv"}})
    assert "The table relabel 'absent.csv' does not exist" in project.refuse()
