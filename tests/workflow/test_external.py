"""Images from elsewhere: tested on, never trained on, and without what both data sets have.

The finished run is copied and told of an external data set that borrows two of its images, one of
them under another label; a patient of a borrowed image has a second one.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.workflow.small_project import (
    CLASSES,
    TASKS,
    Project,
    merged,
    save_xray,
    small_configuration,
)
from workflow_scripts.cxrcam.audit.suspect_images import COLUMNS
from workflow_scripts.cxrcam.contracts import predictions_schema
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval

NEW_PER_CLASS = 6
EXTERNAL = "results/small/audit/external"
RUN = f"{EXTERNAL}/elsewhere/two_class/holdout/fold-1/seed-0"
# Whatever belongs to external data, the verdict on them, and the page that shows it.
OF_EXTERNAL = (
    *("results/elsewhere/", f"{EXTERNAL}/", f"{EXTERNAL}.csv", "results/small/report/"),
    "results/small/audit/duplicates.",
    *(f"results/small/audit/{name}" for name in ("verdict.", "claim_2024.md", "repeatability.")),
    *(f"results/small/audit/{name}" for name in ("calibration.csv", "masked_inputs.csv")),
)


def make_elsewhere(folder: Path) -> None:
    """Six new images of two classes, two of them alike, and two borrowed ones."""
    rows = ["path,label,patient"]
    for position, label in enumerate(CLASSES[:2]):
        for number in range(NEW_PER_CLASS):
            name = f"new-{position}-{number}.png"
            save_xray(folder / name, 9000 + 100 * position + number)
            rows.append(f"{name},{label},p{position}{number}")
    shutil.copy(folder / "new-1-4.png", folder / "new-1-5.png")
    # The same patient as new-0-0; Normal at home.
    rows.append("../small/Normal/images/Normal-3.png,COVID,p00")
    rows.append("../small/COVID/images/COVID-1.png,COVID,")
    (folder / "list.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def tested(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished run with an external data set. Look, do not touch."""
    project = finished.copy(tmp_path_factory.mktemp("external") / "cxrcam")
    make_elsewhere(project.folder / "data" / "elsewhere")
    project.change(
        external=["elsewhere"],
        datasets={"elsewhere": {"kind": "manifest", "path": "data/elsewhere/list.csv"}},
        schemes={"random_subsample": None},  # one run of each task is enough here
    )
    project.run("all", "results/elsewhere/audit/duplicates.png")
    return project


def checks_of(project: Project) -> list[dict[str, str]]:
    """Checks of external data in the verdict."""
    verdict = json.loads((project.folder / "results/small/audit/verdict.json").read_text("utf-8"))
    return [check for check in verdict["checks"] if check["name"].startswith("external data")]


def row_of(project: Project, task: str) -> pd.Series:
    table = pd.read_csv(project.folder / f"{EXTERNAL}.csv")
    assert table["data_set"].tolist() == ["elsewhere"] * len(TASKS)
    return table.set_index("task").loc[task]


def test_borrowed_images_are_found(tested: Project) -> None:
    pairs = pd.read_parquet(tested.folder / EXTERNAL / "elsewhere/overlap.parquet")
    assert set(zip(pairs["image_id_a"], pairs["image_id_b"], pairs["kind"], strict=True)) == {
        ("COVID/COVID-1", "../small/COVID/images/COVID-1", "exact"),
        ("Normal/Normal-3", "../small/Normal/images/Normal-3", "exact"),
    }


def test_predictions_are_of_the_rest(tested: Project) -> None:
    file = tested.folder / RUN / "predictions.parquet"
    schema = predictions_schema(TASKS["two_class"])
    assert pq.read_schema(file).remove_metadata().equals(schema.remove_metadata())
    predictions = pd.read_parquet(file)
    new = {f"new-{k}-{number}" for k in (0, 1) for number in range(NEW_PER_CLASS)}
    # new-0-0 is of the patient of a borrowed image.
    assert set(predictions["image_id"]) == new - {"new-0-0"}
    assert set(predictions["role"]) == {"external"}
    probabilities = predictions[[f"probability_{name}" for name in TASKS["two_class"]]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_table_sets_the_result_beside_the_one_at_home(tested: Project) -> None:
    predictions = pd.read_parquet(tested.folder / RUN / "predictions.parquet")
    classes = TASKS["two_class"]
    called = predictions[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)
    right = int((np.array(classes)[called] == predictions["label"]).sum())
    row = row_of(tested, "two_class")
    assert (row["n"], row["n_removed"]) == (2 * NEW_PER_CLASS - 1, 3)
    assert row["accuracy"] == pytest.approx(right / row["n"])
    low, high = wilson_interval(right, row["n"])
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx((low, high))
    assert row["majority_share"] == pytest.approx(NEW_PER_CLASS / (2 * NEW_PER_CLASS - 1))
    assert 0 <= row["macro_auroc"] <= 1
    internal = pd.read_csv(tested.folder / "results/small/tables/metrics.csv").set_index("task")
    assert row["internal_n"] == internal.loc["two_class", "n"]
    assert row["internal_accuracy"] == internal.loc["two_class", "accuracy"]


def test_a_task_that_lacks_a_class_is_not_assessable(tested: Project) -> None:
    row = row_of(tested, "three_class")
    why = "it has no image of 'Viral Pneumonia'; tasks that it can test: two_class"
    assert row["reason"] == why
    assert pd.isna(row["accuracy"])
    assert not (tested.folder / EXTERNAL / "elsewhere/three_class").exists()
    (check,) = (c for c in checks_of(tested) if c["subject"] == "three_class, holdout")
    assert (check["status"], check["why"]) == ("not assessable", why)


def test_images_from_elsewhere_are_looked_at_too(tested: Project) -> None:
    audit = tested.folder / "results/elsewhere/audit"
    assert pd.read_csv(audit / "suspect_images.csv").columns.tolist() == list(COLUMNS)
    page = (audit / "suspect_images.html").read_text(encoding="utf-8")
    assert f"of {2 * NEW_PER_CLASS + 2} images do not look like" in page


def test_the_verdict_judges_external_data(tested: Project) -> None:
    (check,) = (c for c in checks_of(tested) if c["subject"] == "two_class, holdout")
    assert check["name"] == "external data: elsewhere"
    assert f"n = {2 * NEW_PER_CLASS - 1}" in check["finding"]
    assert check["file"] == "audit/external.csv"
    page = (tested.folder / "results/small/report/index.html").read_text(encoding="utf-8")
    first = page[: page.index('id="runs"')]
    assert "the network on elsewhere" in first
    assert f"{2 * NEW_PER_CLASS - 1} images from elsewhere; commonest class" in first


def test_a_picture_under_two_labels_leads_the_copies(tested: Project) -> None:
    audit = tested.folder / "results/small/audit"
    first, second = pd.read_csv(audit / "duplicates.csv").to_dict("records")
    assert (first["image_id_a"], first["label_a"]) == ("Normal/Normal-3", "Normal")
    assert (first["data_set_b"], first["label_b"]) == ("elsewhere", "COVID")
    assert (second["label_a"], second["label_b"]) == ("COVID", "COVID")
    caption = (audit / "duplicates.txt").read_text("utf-8")
    assert "between these and elsewhere: 2 clusters" in caption
    assert "1 pair of one picture under two labels" in caption
    with Image.open(audit / "duplicates.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 100
    page = (audit / "duplicates.html").read_text("utf-8")
    assert page.index("Two labels") < page.index("COVID/COVID-1")


def test_near_duplicates_are_drawn(tested: Project) -> None:
    caption = (tested.folder / "results/elsewhere/audit/duplicates.txt").read_text("utf-8")
    assert "1 cluster with 2 images; pairs by kind: 1 exact" in caption


def test_a_changed_external_image_reruns_external_outputs_only(
    tested: Project, tmp_path: Path
) -> None:
    project = tested.copy(tmp_path / "cxrcam")
    assert "Nothing to be done" in project.snakemake("--dry-run").stdout
    save_xray(project.folder / "data/elsewhere/new-1-2.png", 77)
    done = project.snakemake("--summary")
    assert done.returncode == 0, done.stderr
    header, *rows = (line.split("\t") for line in done.stdout.splitlines())
    output, plan = header.index("output_file"), header.index("plan")
    remade = {row[output] for row in rows if row[plan] != "no update"}
    assert {f"{RUN}/predictions.parquet", f"{EXTERNAL}.csv"} <= remade
    assert "results/small/audit/verdict.json" in remade
    assert {file for file in remade if not file.startswith(OF_EXTERNAL)} == set()


def test_nothing_is_trained_on_external_data(tested: Project) -> None:
    for target in ("splits/{}/fold-1.parquet", "runs/{}/fold-1/seed-0/model.safetensors"):
        file = f"results/elsewhere/{target.format('two_class/holdout')}"
        done = tested.snakemake("--dry-run", file)
        assert done.returncode == 1
        assert "No rule to produce" in done.stdout + done.stderr or "Missing input" in (
            done.stdout + done.stderr
        )


def test_without_external_data_nothing_of_it_is_made(finished: Project) -> None:
    assert not (finished.folder / EXTERNAL).exists()
    assert not (finished.folder / f"{EXTERNAL}.csv").exists()
    (check,) = checks_of(finished)
    assert check["status"] == "not assessable"
    assert check["why"] == "no data set from elsewhere is named (`external`)"


def test_several_phantom_sets_are_drawn_each_by_its_own_settings(tmp_path: Path) -> None:
    drawn = {
        name: {"kind": "phantom", "images_per_class": dict.fromkeys(CLASSES, n), "size": 64}
        | {"seed": seed}
        for name, n, seed in (("demo", 3, 0), ("again", 2, 0), ("others", 2, 1))
    }
    project = Project.create(
        tmp_path / "cxrcam",
        merged(
            small_configuration(),
            {
                "dataset": "demo",
                "datasets": {"small": None, **drawn},
                "external": ["again", "others"],
                "schemes": {
                    "holdout": {"test_fraction": 0.34},
                    "random_subsample": None,
                },
            },
        ),
    )
    overlaps = {
        other: f"results/demo/audit/external/{other}/overlap.parquet"
        for other in ("again", "others")
    }
    project.run(*overlaps.values())
    shared = {other: pd.read_parquet(project.folder / overlaps[other]) for other in overlaps}
    exact = shared["again"][shared["again"]["kind"] == "exact"]
    # Of one seed: healthy chests of the smaller set are those of the larger one.
    assert {"Normal/Normal-1", "Normal/Normal-2"} <= set(exact["image_id_b"])
    assert (exact["image_id_a"] == exact["image_id_b"]).all()
    assert "exact" not in set(shared["others"]["kind"])
    assert len(list((project.folder / "results/others/phantoms").rglob("images/*.png"))) == 6
