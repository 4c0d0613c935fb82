"""Whatever file a job reads: a replaced one makes stale what depends on it, and nothing else.

Each file is replaced by another one that is *older* than all results, as one that was moved here
or unpacked from an archive: Snakemake's own comparison of times does not see it.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

from tests.workflow.small_project import Project, merged, save_xray, small_configuration, xray
from tests.workflow.stale_cases import Case, Plans, assert_plan, planned

LABELS = ("Normal", "COVID")
LISTED = "path,label,patient,mask_path,lesion_mask_path"
PREDICT = ("--config", "predict_images=new", "--", "predict")
LONG_AGO = 1_500_000_000  # 2017


def write_mask(file: Path, side: int) -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[8:40, 6:side] = 255
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(file)


def write_manifest(folder: Path, n: int, first_number: int) -> None:
    """A table of `n` images a class, the first of each with both masks."""
    rows = [LISTED]
    for position, label in enumerate(LABELS):
        for number in range(n):
            name = f"{label}-{number}.png"
            save_xray(folder / name, first_number + 100 * position + number)
            masks = "lungs.png,lesions.png" if number < 5 else ","
            rows.append(f"{name},{label},p{position}{number},{masks}")
    write_mask(folder / "lungs.png", 40)
    write_mask(folder / "lesions.png", 20)
    (folder / "list.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_metadata(file: Path, site: str) -> None:
    names = [f"COVID-{number}" for number in range(3)]
    urls = [f"https://{site}.example"] * len(names)
    pd.DataFrame({"FILE NAME": names, "URL": urls}).to_excel(file, index=False)


def write_weights(file: Path, seed: int) -> None:
    torch.manual_seed(seed)
    # Not in place: copies of the project share the file (`copy_file`).
    save_file(torchvision.models.resnet18().state_dict(), file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)


READERS = {name: f"data/home/{name}.csv" for name in ("not_copies", "exclude", "relabel")}


def configuration() -> dict:
    """One task, whose second design starts from a file; images of two other collections."""
    given = {"model": {"weights": "mine.safetensors"}, "train": {"freeze_until": "layer1"}}
    return merged(
        small_configuration(),
        {
            "dataset": "home",
            "datasets": {
                "small": None,
                "home": {"kind": "manifest", "path": "data/home/list.csv", **READERS},
                "table": {"kind": "manifest", "path": "data/table/list.csv"},
                "folders": {"kind": "class_folders", "root": "data/folders"},
            },
            "external": ["table", "folders"],
            "tasks": {"three_class": None},
            "schemes": {
                "random_subsample": None,
                "given": {"kind": "same_splits", "of": "holdout", **given},
            },
            "image": {"shard_images": 100},
            "predict": {"coverage": 0.5, "scheme": "holdout"},
        },
    )


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished study that reads every kind of file, with answers for new images."""
    project = Project.create(tmp_path_factory.mktemp("inputs") / "cxrcam", configuration())
    data = project.folder / "data"
    write_manifest(data / "home", 10, 0)
    for name, text in (
        ("not_copies", "image_id_a,image_id_b\n"),
        ("exclude", "image_id,note\nCOVID-9,lateral\n"),
        ("relabel", "image_id,label,note\nCOVID-8,Normal,me\n"),
    ):
        (project.folder / READERS[name]).write_text(text, encoding="utf-8")
    write_manifest(data / "table", 4, 3000)
    for position, label in enumerate(LABELS):
        for number in range(4):
            name = f"{label}-{number}.png"
            save_xray(data / "folders" / label / "images" / name, 6000 + 100 * position + number)
    write_metadata(data / "folders" / "COVID.metadata.xlsx", "one")
    write_weights(project.folder / "mine.safetensors", 0)
    save_xray(project.folder / "new" / "a.png", 9000)
    project.run()
    project.run(*PREDICT)
    return project


def replanned(project: Project, *arguments: str) -> set[str]:
    """Jobs that would run: rule, data set and, where there is one, scheme."""
    done = project.snakemake("--summary", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    header, *rows = (line.split("\t") for line in done.stdout.splitlines())
    output, rule, plan = (header.index(name) for name in ("output_file", "rule", "plan"))
    jobs = set()
    for row in rows:
        if row[plan] == "no update":
            continue
        place = re.match(r"results/(\w+)/(?:audit/external/(\w+)/)?", row[output])
        scheme = re.search(r"/two_class/(\w+)/|-two_class-(\w+)\.", row[output])
        parts = [*(place.groups() if place else ()), *(scheme.groups() if scheme else ())]
        jobs.add(" ".join([row[rule], *filter(None, parts)]))
    return jobs


# --- what follows from what -----------------------------------------------------------------------

SCHEMES = ("holdout", "given")
OVER_RUNS = {"audit_verdict home", "report home"}
TABLES = {"tables home", "comparisons home"}
OF_TESTS = {
    f"external_predict home {other} {scheme}"
    for other in ("table", "folders")
    for scheme in SCHEMES
}


def after_predict(*schemes: str) -> set[str]:
    rules = ("predict_run", "evaluate", "cam", "figures", "audit_run", "audit_explanations")
    of_runs = {f"{rule} home {scheme}" for rule in rules for scheme in schemes}
    if "holdout" in schemes:  # the design of the headline
        of_runs |= {"audit_labels home", "audit_subgroups home", "audit_slices home"}
        of_runs |= {"audit_probes home holdout"}
    return of_runs | TABLES | OVER_RUNS | {"external_table home"}


def after_train(*schemes: str) -> set[str]:
    tests = {job for job in OF_TESTS if job.endswith(schemes)}
    return {f"train home {scheme}" for scheme in schemes} | after_predict(*schemes) | tests


def after_index_of_home() -> set[str]:
    of_data = {"index", "masks", "audit_data", "audit_leaks"}
    of_data |= {"audit_duplicates", "audit_suspects"}
    divided = {f"splits home {scheme}" for scheme in SCHEMES} | {"audit_floors home holdout"}
    return {f"{rule} home" for rule in of_data} | divided | after_train(*SCHEMES)


def after_index_of(other: str) -> set[str]:
    tests = {job for job in OF_TESTS if f" {other} " in job}
    at_home = {"audit_duplicates home", "external_table home"} | OVER_RUNS
    return {f"index {other}", f"audit_suspects {other}"} | tests | at_home


# --- changes --------------------------------------------------------------------------------------


def relabelled(file: str, old: str, new: str) -> Callable[[Project], None]:
    """Change a row of a table."""

    def change(project: Project) -> None:
        project.edit(file, old, new)
        age(project, file)

    return change


def replaced(file: str, write: Callable[[Path], None]) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        write(project.folder / file)
        age(project, file)

    return change


def age(project: Project, file: str) -> None:
    os.utime(project.folder / file, (LONG_AGO, LONG_AGO))


PATIENT = ("COVID-3.png,COVID,p13", "COVID-3.png,COVID,p12")
CASES = [
    Case("nothing", lambda project: None, set()),
    Case("nothing, for new images", lambda project: None, set(), PREDICT),
    Case(
        "a weights file",
        replaced("mine.safetensors", lambda file: write_weights(file, 1)),
        {"run_config", "features home"} | after_train("given"),
    ),
    Case(
        "a metadata table",
        replaced("data/folders/COVID.metadata.xlsx", lambda file: write_metadata(file, "two")),
        after_index_of("folders"),
    ),
    Case(
        "a row of the manifest",
        relabelled("data/home/list.csv", *PATIENT),
        {"listing home"} | after_index_of_home(),
    ),
    Case(
        "a reader's table of what are no copies",
        relabelled(READERS["not_copies"], "image_id_b\n", "image_id_b\na,b\n"),
        {f"external_overlap home {other}" for other in ("table", "folders")}
        | after_index_of_home(),
    ),
    Case(
        "a reader's note on an image",
        relabelled(READERS["relabel"], ",me", ",you"),
        set(),
    ),
    Case(
        "a label that a reader gave",
        relabelled(READERS["relabel"], "COVID-8,Normal", "COVID-7,Normal"),
        {"listing home"} | after_index_of_home(),
    ),
    Case(
        "an image that a reader left out",
        relabelled(READERS["exclude"], "COVID-9", "COVID-7"),
        {"listing home", "cache home", "features home"}
        | {f"external_overlap home {other}" for other in ("table", "folders")}
        | after_index_of_home(),
    ),
    Case(
        "a lung mask",
        replaced("data/home/lungs.png", lambda file: write_mask(file, 30)),
        {"masks home"} | after_predict(*SCHEMES),
    ),
    Case(
        "a lesion mask",
        replaced("data/home/lesions.png", lambda file: write_mask(file, 12)),
        {"masks home"} | after_predict(*SCHEMES),
    ),
    Case(
        "a row of an external manifest",
        relabelled("data/table/list.csv", *PATIENT),
        {"listing table"} | after_index_of("table"),
    ),
    Case(
        "an image of an external set",
        replaced("data/table/COVID-1.png", lambda file: save_xray(file, 7777)),
        {"listing table", "cache table", "external_overlap home table"} | after_index_of("table"),
    ),
    Case(
        "a new image",
        replaced("new/a.png", lambda file: save_xray(file, 9001)),
        {"predict_images home", "predict_page home"},
        PREDICT,
    ),
    Case(
        "one more new image",
        replaced("new/b.png", lambda file: Image.fromarray(xray(9002)).save(file)),
        {"predict_images home", "predict_page home"},
        PREDICT,
    ),
]


@pytest.fixture(scope="module")
def plans(everything: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    with planned(everything, CASES, tmp_path_factory.mktemp("cases"), replanned) as plans:
        yield plans


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim)
def test_a_replaced_file_reruns_exactly_what_reads_it(case: Case, plans: Plans) -> None:
    assert_plan(case, plans)
