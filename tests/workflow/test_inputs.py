"""Images as they come: replaced, damaged, flat, listed in a table, drawn, in any folder."""

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.workflow.small_project import (
    CLASSES,
    Project,
    make_class_folders,
    make_manifest,
    manifest_configuration,
    merged,
    save_xray,
    small_configuration,
)

INDEX = "results/small/index/images.parquet"
QUARANTINE = "results/small/index/quarantine.csv"


def new_project(folder: Path, **changes: object) -> Project:
    """A project with other settings, without images."""
    return Project.create(folder, merged(small_configuration(), changes))


def damage(file: Path) -> None:
    """Cut a file off in the middle, as an interrupted download does."""
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


# --- images that change ---------------------------------------------------------------------------


def test_replacing_an_image_decodes_its_shard_only(project: Project) -> None:
    before = project.results("shard-*.parquet")
    contents = {name: (project.folder / name).read_bytes() for name in before}
    index = pd.read_parquet(project.folder / INDEX).set_index("image_id")
    save_xray(project.folder / "data/small/COVID/images/COVID-3.png", 77)
    project.run(INDEX)

    after = project.results("shard-*.parquet")
    rewritten = {name for name in before if after[name] != before[name]}
    assert rewritten == {
        "results/small/cache/shard-00002.parquet",
        "results/small/index/facts/shard-00002.parquet",
    }
    for name in before.keys() - rewritten:
        assert (project.folder / name).read_bytes() == contents[name]
    new = pd.read_parquet(project.folder / INDEX).set_index("image_id")
    changed = index["pixel_sha256"] != new["pixel_sha256"]
    assert changed[changed].index.tolist() == ["COVID/COVID-3"]
    # What depends on it is still to do, and a further look changes nothing.
    assert "train two_class/holdout/fold-1/seed-0" in project.plan()
    assert not {"cache 00002", "index", "listing"} & project.plan()


# --- images that cannot be read -------------------------------------------------------------------


def test_a_damaged_image_is_set_apart_and_the_run_goes_on(fresh: Project) -> None:
    fresh.change(image={"max_quarantined_share": 0.1})
    damage(fresh.folder / "data/small/COVID/images/COVID-5.png")
    split = "results/small/splits/two_class/holdout/fold-1.parquet"
    printed = fresh.run(split)
    assert "1 of 30 images could not be read and were left out" in printed
    assert QUARANTINE in printed
    with (fresh.folder / QUARANTINE).open(encoding="utf-8", newline="") as handle:
        (row,) = csv.DictReader(handle)
    assert row["image_id"] == "COVID/COVID-5"
    assert row["path"] == "data/small/COVID/images/COVID-5.png"
    assert row["label"] == "COVID"
    assert "cut off" in row["reason"]
    assert len(pd.read_parquet(fresh.folder / INDEX)) == 29
    assert "COVID/COVID-5" not in set(pd.read_parquet(fresh.folder / split)["image_id"])


def test_too_many_damaged_images_stop_the_run(fresh: Project) -> None:
    for number in (1, 2):
        damage(fresh.folder / f"data/small/COVID/images/COVID-{number}.png")
    (fresh.folder / "data/small/Normal/images/Normal-4.png").write_text("no picture")
    done = fresh.snakemake("--cores", "2", "results/small/splits/two_class/holdout/fold-1.parquet")
    printed = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert (
        "3 of 30 images cannot be read (10.0%; image.max_quarantined_share allows 1.0%)" in printed
    )
    assert "data/small/COVID/images/COVID-1.png" in printed
    assert "Repair or remove the files, or allow a larger share" in printed
    assert "Traceback" not in printed
    assert not (fresh.folder / INDEX).exists()
    assert not (fresh.folder / QUARANTINE).exists()
    assert not (fresh.folder / "results/small/splits").exists()
    assert [name for name in fresh.results() if ".part" in name] == []
    # The whole list stands in the log, as the message says.
    log = (fresh.folder / "results/logs/small/index/images.log").read_text(encoding="utf-8")
    assert len(re.findall(r"Left out '", log)) == 3
    assert "Left out 1 of 30 images: " in log and "Left out 2 of 30 images: " in log


# --- kinds of data sets ---------------------------------------------------------------------------


def test_the_flat_layout_is_read_like_the_nested_one(tmp_path: Path) -> None:
    project = new_project(tmp_path / "cxrcam")
    make_class_folders(project.folder / "data" / "small", flat=True)
    project.run(INDEX)
    index = pd.read_parquet(project.folder / INDEX)
    assert index["label"].value_counts().to_dict() == dict.fromkeys(CLASSES, 10)
    assert index["mask_path"].isna().all()
    assert index["image_id"].iloc[0] == "COVID/COVID-1"


def test_patients_of_a_manifest_never_cross_a_split(tmp_path: Path) -> None:
    project = new_project(
        tmp_path / "cxrcam",
        dataset="listed",
        datasets={"small": None, "listed": {"kind": "manifest", "path": "data/list.csv"}},
        schemes={"holdout": {"validation_fraction": 0.2}},
    )
    make_class_folders(project.folder / "data" / "small")
    rows = [
        # Neighbours are of one patient: two or three images each.
        f"small/{label}/images/{label}-{n}.png,{label},{label[0]}{n // 3},Hospital {n % 2},{n * 7}"
        for label in CLASSES
        for n in range(1, 11)
    ]
    text = "\n".join(["path,label,patient,source,age", *rows]) + "\n"
    (project.folder / "data" / "list.csv").write_text(text, encoding="utf-8")
    splits = [
        f"results/listed/splits/three_class/{scheme}/fold-{fold}.parquet"
        for scheme, fold in (("holdout", 1), ("random_subsample", 1), ("random_subsample", 2))
    ]
    project.run(*splits)

    index = pd.read_parquet(project.folder / "results/listed/index/images.parquet")
    assert index["patient"].notna().all()
    assert set(index["source"]) == {"Hospital 0", "Hospital 1"}
    assert index["age"].tolist()[0] == "7", "further columns are carried along"
    patient = index.set_index("image_id")["patient"]
    for split in splits:
        table = pd.read_parquet(project.folder / split)
        roles = table.groupby(patient.loc[table["image_id"]].to_numpy())["role"].nunique()
        assert len(roles) >= 9
        assert (roles == 1).all(), f"a patient is on two sides of {split}"
        assert {"train", "test"} <= set(table["role"])


def test_phantoms_are_drawn_and_divided(tmp_path: Path) -> None:
    project = new_project(
        tmp_path / "cxrcam",
        dataset="demo",
        datasets={
            "small": None,
            "demo": {
                "kind": "phantom",
                "images_per_class": dict.fromkeys(CLASSES, 8),
                "size": 64,
                "seed": 0,
                "difficulty": 0.3,
                "confounders": [],
            },
        },
    )
    split = "results/demo/splits/three_class/holdout/fold-1.parquet"
    project.run(split)
    assert len(pd.read_parquet(project.folder / split)) == 24
    index = pd.read_parquet(project.folder / "results/demo/index/images.parquet")
    assert index["mask_path"].notna().all()
    assert (index["lesion_mask_path"].isna() == (index["label"] == "Normal")).all()
    with Image.open(project.folder / index["path"].iloc[0]) as picture:
        assert picture.size == (64, 64)
    # Drawn once: asking again draws nothing, other settings of the drawing draw all anew.
    assert not {"phantoms", "cache 00000", "index"} & project.plan()
    project.change(datasets={"demo": {"difficulty": 0.5}})
    assert {"phantoms", "cache 00000", "index"} <= project.plan()


# --- places ---------------------------------------------------------------------------------------


def test_a_folder_with_a_space_in_its_name_works(tmp_path: Path) -> None:
    project = new_project(
        tmp_path / "my project", datasets={"small": {"root": "X-ray data/my set"}}
    )
    make_class_folders(project.folder / "X-ray data" / "my set", n=8)
    assert "tables" in project.plan()
    project.run(INDEX, "results/run_config.yaml")
    index = pd.read_parquet(project.folder / INDEX)
    assert index["path"].iloc[0] == "X-ray data/my set/COVID/images/COVID-1.png"


def test_a_folder_with_braces_in_its_name_is_refused(tmp_path: Path) -> None:
    """Snakemake would take them for wildcards."""
    project = new_project(tmp_path / "my {study}")
    make_class_folders(project.folder / "data" / "small", n=8)
    message = project.refuse()
    assert "Snakemake takes braces in a path for wildcards" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("resnet35", "torchvision has no classification network of that name"),
        ("timm:no_such_network", "timm"),
        ("vit_b_16", "choose a network that takes any size"),
    ],
)
def test_a_network_that_cannot_be_had_is_refused_before_any_job(
    tmp_path: Path, architecture: str, words: str
) -> None:
    project = new_project(tmp_path / "study")
    make_class_folders(project.folder / "data" / "small", n=8)
    project.change(model={"architecture": architecture})
    message = project.refuse()
    assert words in message
    assert "Traceback" not in message


def test_results_go_where_the_user_says(tmp_path: Path) -> None:
    """With `--directory`, code and schema still come from the folder of the Snakefile."""
    project = new_project(tmp_path / "cxrcam")
    elsewhere = tmp_path / "elsewhere"
    make_class_folders(elsewhere / "data" / "small", n=8)
    project.run(
        "results/run_config.yaml",
        *("--directory", str(elsewhere), "--configfile", "config.yaml", "overlay.yaml"),
    )
    assert (elsewhere / "results/run_config.yaml").is_file()
    assert not (project.folder / "results").exists()


def test_labels_that_are_lists_of_classes_are_said_before_the_run(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "cxrcam", manifest_configuration())
    make_manifest(project.folder / "data")
    table = project.folder / "data/findings.csv"
    rows = table.read_text("utf-8").replace(",effusion,", ",effusion|oedema,", 3)
    table.write_text(rows, encoding="utf-8")
    done = project.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    for task in ("fluid", "findings"):
        said = f"Task {task} leaves out 3 images whose label is a list with one of its classes:"
        assert (done.stdout + done.stderr).count(said) == 1
    assert "'effusion|oedema' (3)" in done.stdout + done.stderr
