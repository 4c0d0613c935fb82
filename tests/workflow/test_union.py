"""Two data sets as one study: trained on one, tested on the other, and the other way round."""

from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.small_project import (
    Project,
    make_class_folders,
    merged,
    save_xray,
    small_configuration,
)

HERE, THERE = ("Normal", "COVID"), ("healthy", "COVID", "other")
METRICS = "results/both/tables/metrics.csv"
INDEX = "results/both/index/images.parquet"
LEAKS = "results/both/audit/leaks.csv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    configuration = merged(
        small_configuration(),
        {
            "dataset": "both",
            "datasets": {
                "here": {"kind": "class_folders", "root": "data/here"},
                "there": {"kind": "class_folders", "root": "data/there"},
                "both": {
                    **{"kind": "union", "of": ["here", "there"]},
                    "labels": {"there": {"healthy": "Normal", "other": None}},
                },
                "small": None,
            },
            "tasks": {"three_class": None},
            "schemes": {
                "random_subsample": None,
                "sites": {"kind": "leave_one_out", "by": "source", "validation_fraction": 0.2},
            },
        },
    )
    project = Project.create(tmp_path_factory.mktemp("union") / "cxrcam", configuration)
    make_class_folders(project.folder / "data/here", HERE)
    make_class_folders(project.folder / "data/there", THERE, n=8)
    # Other pictures than those of the same name here, but for one, which both have.
    for position, label in enumerate(THERE):
        for number in range(1, 9):
            file = project.folder / f"data/there/{label}/images/{label}-{number}.png"
            save_xray(file, 1 if (position, number) == (0, 3) else 5000 + 100 * position + number)
    project.run(METRICS, LEAKS)
    return project


def test_images_of_both_are_indexed_with_the_names_of_their_data_sets(trained: Project) -> None:
    index = pd.read_parquet(trained.folder / INDEX).set_index("image_id")
    assert len(index) == 2 * 10 + 2 * 8
    assert index.loc["there/healthy/healthy-1", ["label", "source", "data_set"]].tolist() == [
        *("Normal", "there", "there")
    ]
    assert index["label"].value_counts().to_dict() == {"Normal": 18, "COVID": 18}
    assert index.loc["here/COVID/COVID-1", "mask_path"] == "data/here/COVID/masks/COVID-1.png"
    assert index.loc["there/COVID/COVID-1", "mask_path"] == "data/there/COVID/masks/COVID-1.png"
    # A picture that both have is one group.
    twins = ["here/Normal/Normal-1", "there/healthy/healthy-3"]
    assert index.loc[twins, "group"].nunique() == 1


def test_each_fold_tests_on_one_data_set_and_trains_on_the_other(trained: Project) -> None:
    for fold, (tested, taught, n) in enumerate((("here", "there", 20), ("there", "here", 16)), 1):
        file = f"results/both/splits/two_class/sites/fold-{fold}.parquet"
        split = pd.read_parquet(trained.folder / file)
        owner = split["image_id"].str.split("/").str[0]
        assert set(owner[split["role"] == "test"]) == {tested}
        assert set(owner[split["role"] != "test"]) == {taught}
        assert (split["role"] == "test").sum() == n
        assert set(split["role"]) == {"train", "validation", "test"}
        # The picture that both have is not trained on.
        assert (split["role"] != "test").sum() == 36 - n - 1
        log = trained.folder / f"results/logs/both/splits/two_class/sites/fold-{fold}.log"
        assert f"the source '{tested}'. 1 images that share" in log.read_text(encoding="utf-8")
    leaks = pd.read_csv(trained.folder / LEAKS).query("scheme == 'sites'")
    counted = leaks["n_leaked"].dropna()  # patients are not known
    assert len(counted) and (counted == 0).all()


def test_the_table_of_runs_says_which_source_was_left_out(trained: Project) -> None:
    table = pd.read_csv(trained.folder / METRICS).query("scheme == 'sites'")
    assert table[["fold", "held_out", "n"]].values.tolist() == [
        *([1, "source here", 20], [2, "source there", 16])
    ]
    summary = pd.read_csv(trained.folder / "results/both/tables/summary.csv")
    assert summary.set_index("scheme").loc["sites", "pooled_n"] == 36


def test_a_changed_file_of_one_data_set_renews_one_shard(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "cxrcam")
    assert not {job for job in project.plan(METRICS) if job.startswith(("cache", "listing"))}
    save_xray(project.folder / "data/there/COVID/images/COVID-3.png", 77)
    plan = project.plan(METRICS)
    assert len([job for job in plan if job.startswith("cache")]) == 1
    assert {"listing", "index", "tables"} <= plan


def test_phantoms_of_a_union_are_drawn_where_they_are_when_used_alone(tmp_path: Path) -> None:
    drawn = {"kind": "phantom", "images_per_class": {"Normal": 3, "COVID": 3}, "size": 64}
    data_sets = {"first": {**drawn, "seed": 1}, "second": {**drawn, "seed": 2}}
    union = {"kind": "union", "of": [*data_sets]}
    project = Project.create(
        tmp_path / "cxrcam",
        merged(
            small_configuration(),
            {
                **{"dataset": "both", "datasets": {"small": None, **data_sets, "both": union}},
                **{"tasks": {"three_class": None}, "schemes": {"random_subsample": None}},
                "image": {"size": 64},
            },
        ),
    )
    project.run(INDEX)
    assert len(list(project.folder.glob("results/*/phantoms/phantoms.csv"))) == 2
    index = pd.read_parquet(project.folder / INDEX)
    assert index["source"].value_counts().to_dict() == {"first": 6, "second": 6}
    assert index["pixel_sha256"].is_unique
    project.change(datasets={"second": {"difficulty": 0.9}})
    assert {"phantoms", "index"} < project.plan(INDEX)


def test_the_whole_study_can_be_planned(trained: Project) -> None:
    assert "report" in trained.plan()
