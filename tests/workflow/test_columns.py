"""What a manifest tells of its images: a view that is the class, a sex that is not; groups."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.workflow.conftest import made_once
from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.networks.prediction_table import write_features, write_predictions
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

CLASSES = ["Normal", "COVID"]
PER_CLASS = 80  # with fewer, nothing can pass
AUDIT = Path("results/clinic/audit")


def make_manifest(folder: Path) -> None:
    """Phantoms of one source; COVID is taken lying, women and men are as common in both classes."""
    settings = PhantomSettings(size=64, difficulty=0.2, confounders=())
    table = write_phantom_dataset(folder, dict.fromkeys(CLASSES, PER_CLASS), 0, settings)
    table = table[["path", "label"]].assign(source="clinic")
    table["view"] = table["label"].map({"Normal": "PA", "COVID": "AP"})
    table["diagnosis"] = table["label"].map({"Normal": "healthy", "COVID": "ill"})
    table["sex"] = ["female" if number % 2 else "M" for number in range(len(table))]
    table["age"] = ["045Y" if number % 4 < 2 else "71" for number in range(len(table))]
    table.to_csv(folder / "list.csv", index=False)


def configuration() -> dict[str, Any]:
    """One run of a small network."""
    nothing = ("demo", "demo_marker", "covid19_radiography", "mine")
    return {
        "dataset": "clinic",
        "datasets": {
            **dict.fromkeys(nothing),
            "clinic": {"kind": "manifest", "path": "data/clinic/list.csv"},
        },
        "tasks": {"two_class": {"classes": CLASSES}, "three_class": None},
        "schemes": {"holdout": {"test_fraction": 0.4}, "random_subsample": None},
        "seeds": [0],
        "image": {"size": 64},
        "model": {"weights": "random", "last_stage": 1, "map_stride": None, "input_size": None},
        "train": {"epochs": 2, "batch_size": 8, "learning_rate": 0.002, "progressive": []},
        "compute": {"threads": 1, "precision": "float32"},
        "cam": {"overlays": 2, "gallery_images": 2},
        "audit": {"explanation_images": 2},
    }


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The workflow after a run. Look, do not touch."""

    def make(folder: Path) -> tuple[Project, str]:
        project = Project.create(folder, configuration())
        make_manifest(folder / "data" / "clinic")
        return project, project.run("--", str(AUDIT.parent / "report/index.html"))

    return made_once(tmp_path_factory, "clinic", make)


def checks(project: Project, kind: str) -> dict[str, dict[str, str]]:
    """Checks of a kind, by their detail."""
    verdict = json.loads((project.folder / AUDIT / "verdict.json").read_text(encoding="utf-8"))
    return {
        check["name"].partition(": ")[2]: check
        for check in verdict["checks"]
        if check["name"].startswith(kind)
    }


def test_a_view_of_its_own_for_each_class_ends_with_no_and_is_named(clinic: Project) -> None:
    verdict = json.loads((clinic.folder / AUDIT / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["answer"].endswith("not believable, because a shortcut can explain it.")
    view = checks(clinic, "class by column")["view"]
    assert (view["about"], view["status"]) == ("shortcut", "failed")
    assert view["clause"].startswith("'view' alone gives the class away: it is right on 100 %")
    assert "class by column: view" in (clinic.folder / AUDIT / "verdict.md").read_text("utf-8")


def test_the_headline_is_told_group_by_group(clinic: Project) -> None:
    table = pd.read_csv(clinic.folder / AUDIT / "subgroups.csv")
    women = table[(table["column"] == "sex") & (table["group"] == "F") & (table["n"] > 0)]
    assert set(table["column"]) == {"view", "sex", "age"}, "one source tells no groups apart"
    assert {"accuracy", "sensitivity", "specificity"} <= set(women["metric"].dropna())
    page = (clinic.folder / AUDIT.parent / "report/index.html").read_text(encoding="utf-8")
    assert "The headline in each group of test images" in page and "subgroups.png" in page


def test_a_network_that_is_wrong_for_women_only_is_found_out(
    clinic: Project, tmp_path: Path
) -> None:
    project = clinic.copy(tmp_path / "cxrcam")
    file = AUDIT.parent / "runs/two_class/holdout/fold-1/seed-0/predictions.parquet"
    table = pd.read_parquet(project.folder / file)
    index = pd.read_parquet(project.folder / AUDIT.parent / "index/images.parquet")
    is_woman = table["image_id"].map(index.set_index("image_id")["sex"]) == "female"
    sure = np.where((table["label"] == "COVID") != is_woman, 0.9, 0.1)
    scores = np.stack([1 - sure, sure], axis=1).astype(np.float32)
    write_predictions(project.folder / file, table, CLASSES, np.log(scores), scores)
    verdict = str(AUDIT / "verdict.json")
    project.run("--rerun-triggers", "mtime", "--", verdict)
    (found,) = checks(project, "subgroups").values()
    assert (found["about"], found["status"]) == ("limits", "failed")
    assert "by sex, M over F: 100 points" in found["clause"]


def test_images_that_lie_together_and_are_called_wrongly_are_shown(
    clinic: Project, tmp_path: Path
) -> None:
    project = clinic.copy(tmp_path / "cxrcam")
    home = project.folder / AUDIT.parent
    index = pd.read_parquet(home / "index/images.parquet").set_index("image_id")
    split = home / "splits/two_class/holdout/fold-1.parquet"
    table = pd.read_parquet(split).assign(role="test")
    table.to_parquet(split, index=False)
    rng = np.random.default_rng(0)
    is_woman = (index["sex"][table["image_id"]] == "female").to_numpy()
    is_ill = (table["label"] == "COVID").to_numpy()
    features = rng.normal(size=(len(table), 8)).astype(np.float32)
    features[is_woman, 0] += 8  # where the scores do not look
    for_ill = np.where(is_ill & ~is_woman, 1.5, -1.5) + rng.normal(0, 0.3, len(table))
    logits = np.stack([-for_ill, for_ill], axis=1).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    run = home / "runs/two_class/holdout/fold-1/seed-0"
    write_predictions(run / "predictions.parquet", table, CLASSES, logits, shares)
    write_features(run / "features.parquet", table["image_id"].tolist(), features)
    verdict = str(AUDIT / "verdict.json")
    project.run("--allowed-rules", "audit_slices", "audit_verdict", "--", verdict)
    slices = pd.read_csv(project.folder / AUDIT / "slices.csv").set_index("label")
    assert slices["is_found"].to_dict() == {"COVID": True, "Normal": False}
    assert slices.loc["Normal", "reason"] == "fewer than 8 mistakes"
    assert "sex F (" in slices.loc["COVID", "traits"]
    page = (project.folder / AUDIT / "slices.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 12 and "sex F" in page
    (found,) = checks(project, "slices").values()
    assert (found["about"], found["status"]) == ("limits", "failed")
    assert "images of COVID that look alike to it" in found["clause"]


@pytest.mark.parametrize(
    ("named", "words"),
    [("viw", "Did you mean 'view'?"), ("source", "all images have the same value, 'clinic'")],
)
def test_columns_that_tell_no_groups_are_refused_before_any_job(
    clinic: Project, tmp_path: Path, named: str, words: str
) -> None:
    project = Project.create(tmp_path / "cxrcam", configuration())
    shutil.copytree(clinic.folder / "data", project.folder / "data")
    project.change(audit={"subgroups": ["sex", named]})
    message = project.refuse()
    assert f"audit.subgroups names '{named}', but " in message and words in message


def test_what_is_alike_in_both_classes_passes(clinic: Project) -> None:
    found = {name: check["status"] for name, check in checks(clinic, "class by column").items()}
    assert found == {"view": "failed", "sex": "passed", "age": "passed"}


def test_the_class_under_another_name_is_said_to_be_it(clinic: Project) -> None:
    words = "the column 'diagnosis' is the class under another name"
    columns = json.loads((clinic.folder / AUDIT / "columns.json").read_text(encoding="utf-8"))
    assert words in columns["two_class"]["diagnosis"]["verdict"]
    assert words in (clinic.folder / "results/logs/clinic/audit/data.log").read_text("utf-8")
    page = (clinic.folder / AUDIT.parent / "report/index.html").read_text(encoding="utf-8")
    assert "is the class under another name" in page
