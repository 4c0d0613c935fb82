"""A network with several findings, from a table of phantoms through to the report."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tests.workflow.conftest import made_once
from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.files import read_json
from workflow_scripts.cxrcam.phantom.dataset import PhantomSettings, write_phantom_dataset

LABELS = ["COVID", "Viral Pneumonia", "Effusion"]
QUESTIONS = {label: f"chest_{label.replace(' ', '_')}" for label in LABELS}
IMAGES = {
    **{"Normal": 10, "COVID": 6, "Viral Pneumonia": 6, "Effusion": 6},
    **{"COVID|Effusion": 4, "Viral Pneumonia|Effusion": 4, "COVID|Viral Pneumonia": 4},
}
RESULTS = "results/drawn"
RUN = "holdout/fold-1/seed-0"


def configuration() -> dict[str, Any]:
    return {
        "dataset": "drawn",
        "datasets": {
            **dict.fromkeys(("demo", "demo_marker", "covid19_radiography", "mine")),
            "drawn": {"kind": "manifest", "path": "data/drawn.csv"},
        },
        "tasks": {
            **{"two_class": None, "three_class": None},
            "chest": {"findings": {"labels": LABELS, "uncertain": "ignore"}},
        },
        "schemes": {"holdout": {"test_fraction": 0.4}, "random_subsample": None},
        "image": {"size": 64, "shard_images": 100},
        "model": {"weights": "random", "last_stage": None, "map_stride": None, "input_size": None},
        "train": {"epochs": 1, "batch_size": 8, "progressive": []},
        "compute": {"threads": 1, "precision": "float32"},
        "cam": {"overlays": 2, "gallery_images": 2},
        "audit": {"explanation_images": 2},
    }


def write_table(folder: Path) -> None:
    """Phantoms, and what a report would say of them: a column a finding, one in six uncertain."""
    drawn = write_phantom_dataset(folder / "drawn", IMAGES, 0, PhantomSettings(size=64))
    table = pd.DataFrame({"path": "drawn/" + drawn["path"]})
    table["mask_path"] = table["path"].str.replace("/images/", "/masks/")
    shown = drawn["label"].str.split("|")
    for number, label in enumerate(LABELS):
        present = shown.map(lambda some, label=label: label in some)
        table[label] = np.where(present, "1", "").astype(object)
        table.loc[number::6, label] = "-1"
    table.to_csv(folder / "drawn.csv", index=False)


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished study. Look, do not touch."""

    def make(folder: Path) -> tuple[Project, str]:
        project = Project.create(folder, configuration())
        write_table(folder / "data")
        return project, project.run()

    return made_once(tmp_path_factory, "several_findings", make)


def read(project: Project, name: str) -> pd.DataFrame:
    file = project.folder / RESULTS / name
    return pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)


def of_network(project: Project) -> pd.DataFrame:
    """What is known of each image, its role, and what the network said."""
    split = read(project, "splits/chest/holdout/fold-1.parquet")
    said = read(project, f"runs/chest/{RUN}/predictions.parquet").drop(columns=["label", "role"])
    return split.merge(said, on="image_id", how="left").set_index("image_id")


def test_the_division_says_what_the_table_says(chest: Project) -> None:
    split = of_network(chest)
    given = pd.read_csv(chest.folder / "data/drawn.csv", keep_default_na=False, dtype=str)
    given.index = given["path"].str.removesuffix(".png")
    assert len(split) == len(given)
    for label in LABELS:
        expected = given[label].map({"1": 1.0, "": 0.0, "-1": np.nan})
        known = split[f"finding_{label}"]
        names = known.index.str.removesuffix(".png")
        np.testing.assert_array_equal(known, expected.loc[names])
        assert known.isna().any()


@pytest.mark.parametrize("label", LABELS)
def test_a_question_has_the_known_images_and_the_answers_of_the_network(
    chest: Project, label: str
) -> None:
    whole = of_network(chest)
    known = whole[whole[f"finding_{label}"].notna()]
    own = read(chest, f"splits/{QUESTIONS[label]}/holdout/fold-1.parquet").set_index("image_id")
    assert own.index.tolist() == known.index.tolist()
    assert own["role"].tolist() == known["role"].tolist()
    assert (own["label"] == known[f"finding_{label}"].map({0: f"no {label}", 1: label})).all()

    said = read(chest, f"runs/{QUESTIONS[label]}/{RUN}/predictions.parquet").set_index("image_id")
    tested = known[known["role"] != "train"]
    assert said.index.tolist() == tested.index.tolist()
    logit = tested[f"logit_{label}"]
    assert (said[f"logit_no {label}"] == 0).all()
    assert (said[f"logit_{label}"] == logit).all()
    np.testing.assert_allclose(said[f"probability_{label}"], 1 / (1 + np.exp(-logit)), atol=1e-6)
    np.testing.assert_allclose(
        said[f"probability_no {label}"], 1 - said[f"probability_{label}"], atol=1e-6
    )
    # On covered images, too, and no network of its own.
    covered = read(chest, f"audit/{QUESTIONS[label]}/{RUN}/covered.parquet")
    of_all = read(chest, f"audit/chest/{RUN}/covered.parquet")
    of_all = of_all[of_all["image_id"].isin(said.index)]
    assert covered["image_id"].tolist() == of_all["image_id"].tolist()
    names = ["variant", f"probability_{label}"]
    pd.testing.assert_frame_equal(covered[names], of_all[names].reset_index(drop=True))
    assert not (
        chest.folder / RESULTS / f"runs/{QUESTIONS[label]}/{RUN}/model.safetensors"
    ).exists()


def test_the_table_of_findings_holds_what_the_predictions_say(chest: Project) -> None:
    table = read(chest, "tables/findings.csv").set_index(["finding", "classifier"])
    tested = of_network(chest).query("role == 'test'")
    aurocs = []
    for label in LABELS:
        known = tested[tested[f"finding_{label}"].notna()]
        row = table.loc[label, "network"]
        aurocs.append(roc_auc_score(known[f"finding_{label}"] == 1, known[f"probability_{label}"]))
        assert row["auroc"] == pytest.approx(aurocs[-1])
        assert (row["n"], row["n_present"]) == (len(known), known[f"finding_{label}"].sum())
        floors = read(chest, f"audit/{QUESTIONS[label]}/holdout/fold-1/floors.parquet")
        border = floors[floors["floor"] == "border"]
        assert table.loc[(label, "border"), "auroc"] == pytest.approx(
            roc_auc_score(border["label"] == label, border[f"probability_{label}"])
        )
    mean = table.loc["mean of all", "network"]
    assert mean["auroc"] == pytest.approx(np.mean(aurocs))


def test_the_first_screen_and_the_terminal_list_each_finding(chest: Project) -> None:
    page = (chest.folder / RESULTS / "report/index.html").read_text(encoding="utf-8")
    first = page[: page.index("</section>")]
    printed = (chest.folder / "printed.txt").read_text(encoding="utf-8")
    table = read(chest, "tables/findings.csv").set_index(["finding", "classifier"])
    for label in [*LABELS, "mean of all"]:
        row = table.loc[label, "network"]
        assert (
            f"<bdi>{label}</bdi> <small>{row['n_present']:.0f} of {row['n']:.0f}</small>" in first
        )
        assert f"  {label:<24} {row['auroc']:.2f} (" in printed
    verdict = read_json(chest.folder / RESULTS / "audit/verdict.json")
    assert verdict["headline"]["task"] == "chest"
    assert [row["finding"] for row in verdict["findings"]] == [*LABELS, "mean of all"]
    mean = table.loc[("mean of all", "network"), "auroc"]
    assert verdict["answer"].startswith(f"Mean AUROC {mean:.2f} (")
    assert verdict["answer"].replace("'", "&#39;") in first
    assert verdict["answer"] in printed


UNCHANGED = {"cache", "listing", "index", "masks", "audit_duplicates", "audit_suspects"}
STALE = {
    *("run_config", "splits", "finding_split", "train", "predict_run", "finding", "evaluate"),
    *("audit_data", "audit_leaks", "audit_floors", "audit_run", "audit_explanations", "cam"),
    *("findings", "tables", "comparisons", "figures", "audit_labels", "audit_subgroups"),
    "audit_probes",
    *("audit_verdict", "report"),
}


def plans(project: Project) -> dict[bool, set[str]]:
    """Rules of which each output stays as it is (False), or is made anew (True)."""
    done = project.snakemake("--summary")
    assert done.returncode == 0, done.stdout + done.stderr
    header, *rows = (line.split("\t") for line in done.stdout.splitlines())
    rule, plan = header.index("rule"), header.index("plan")
    made: dict[bool, set[str]] = {False: set(), True: set()}
    for row in rows:
        made[row[plan] != "no update"].add(row[rule])
    return made


def test_another_meaning_of_uncertain_makes_stale_what_depends_on_it(
    chest: Project, tmp_path: Path
) -> None:
    project = chest.copy(tmp_path / "cxrcam")
    assert plans(project) == {False: STALE | UNCHANGED, True: set()}
    project.change(tasks={"chest": {"findings": {"uncertain": "present"}}})
    assert plans(project) == {False: UNCHANGED, True: STALE}
