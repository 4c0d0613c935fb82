"""The crate of a run: what its profiles require is there, and nothing that tells where it ran."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from workflow_scripts.cxrcam.crate.contents import copy_workflow, first_start, list_items
from workflow_scripts.cxrcam.crate.run_crate import (
    PROFILES,
    Run,
    parameters_of,
    run_crate,
    without_places,
)

CONFIGURATION = {
    "dataset": "mine",
    "external": [],
    "datasets": {
        "mine": {"kind": "manifest", "path": "/home/alice/ward 7/list.csv"},
        "other": {"kind": "class_folders", "root": "/home/bob/images"},
    },
    "model": {"weights": "/home/alice/weights.pth"},
    "seeds": [0],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("Snakefile", "CITATION.cff", "rules/common.smk", "workflow_scripts/train.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n", encoding="utf-8")
    (folder / "config.yaml").write_text("root: /home/alice/images\n", encoding="utf-8")
    (folder / "workflow_scripts/cxrcam/__pycache__").mkdir(parents=True)
    (folder / "workflow_scripts/cxrcam/__pycache__/train.pyc").write_bytes(b"0")
    return folder


@pytest.fixture
def crate(tmp_path: Path, project: Path) -> Path:
    """A folder with a crate in it."""
    root = tmp_path / "results" / "mine"
    for name in ("tables/metrics.csv", "runs/two class/model.safetensors", "report/index.html"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    (root / "cam/gallery").mkdir(parents=True)
    elsewhere = tmp_path / "results" / "run_config.yaml"
    elsewhere.write_text("a: b\n", encoding="utf-8")
    results = [*root.rglob("*.csv"), *root.rglob("*.safetensors"), root / "cam/gallery", elsewhere]
    run = Run(
        dataset="mine",
        verdict="No. The number cannot be believed.",
        version="0123abc",
        configuration=CONFIGURATION,
        n_images=3,
        images_sha256="00ff",
        versions=[("Python", "3.11.9"), ("snakemake", "9.27.1")],
        began=1_700_000_000.5,
        ended=1_700_003_600.9,
        workflow=list_items(root, copy_workflow(project, root / "workflow")),
        results=list_items(root, results),
    )
    (root / "ro-crate-metadata.json").write_text(json.dumps(run_crate(run)), encoding="utf-8")
    return root


def entities(crate: Path) -> dict[str, dict[str, Any]]:
    text = (crate / "ro-crate-metadata.json").read_text(encoding="utf-8")
    return {entity["@id"]: entity for entity in json.loads(text)["@graph"]}


def references(value: Any) -> list[str]:
    """Identifiers in a property, which may hold one entity or several."""
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def test_the_library_reads_it_back_as_a_workflow(crate: Path) -> None:
    read = ROCrate(crate)
    assert read.mainEntity.id == "workflow/Snakefile"
    kinds = {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert set(read.mainEntity.type) == kinds
    assert read.mainEntity["programmingLanguage"]["version"] == "9.27.1"


def test_the_root_names_the_three_profiles_and_what_they_require(crate: Path) -> None:
    found = entities(crate)
    root = found["./"]
    assert references(root["conformsTo"]) == list(PROFILES)
    assert all(found[profile]["@type"] == "CreativeWork" for profile in PROFILES)
    assert root["datePublished"] == "2023-11-14"
    assert {"name", "description", "license", "mainEntity", "hasPart", "mentions"} <= root.keys()
    assert "Research use only" in root["description"]
    descriptor = references(found["ro-crate-metadata.json"]["conformsTo"])
    assert descriptor[0] == "https://w3id.org/ro/crate/1.1"


def test_the_action_says_what_made_what_of_what_and_when(crate: Path) -> None:
    found = entities(crate)
    action = found[found["./"]["mentions"]["@id"]]
    assert action["@type"] == "CreateAction"
    assert references(action["instrument"]) == ["workflow/Snakefile"]
    assert references(action["result"]) == [
        "cam/gallery/",
        "runs/two%20class/model.safetensors",
        "tables/metrics.csv",
    ]
    assert (action["startTime"], action["endTime"]) == (
        "2023-11-14T22:13:20+00:00",
        "2023-11-14T23:13:20+00:00",
    )
    given = {found[one]["name"]: found[one]["value"] for one in references(action["object"])}
    assert given["seeds"] == "[0]"
    assert given["images"] == "3 images, SHA-256 of all: 00ff"


def test_each_setting_is_an_example_of_a_parameter_of_the_workflow(crate: Path) -> None:
    found = entities(crate)
    inputs = references(found["workflow/Snakefile"]["input"])
    values = references(found["#run"]["object"])
    assert [references(found[one]["exampleOfWork"])[0] for one in values] == inputs
    assert {found[one]["@type"] for one in inputs} == {"FormalParameter"}


def test_each_file_that_it_names_lies_in_it_with_its_size(crate: Path) -> None:
    files = [one for one in entities(crate).values() if "File" in one["@type"]]
    assert len(files) == 6
    for entity in files:
        path = crate / entity["@id"].replace("%20", " ")
        assert path.stat().st_size == int(entity["contentSize"])


def test_no_entity_is_named_that_is_not_there(crate: Path) -> None:
    found = entities(crate)
    outside = ("https://", "http://")

    def named(value: Any) -> list[str]:
        if isinstance(value, list):
            return [one for part in value for one in named(part)]
        if isinstance(value, dict):
            return [value["@id"]] if "@id" in value else []
        return []

    every = {one for entity in found.values() for value in entity.values() for one in named(value)}
    assert {one for one in every if not one.startswith(outside)} <= found.keys()


def test_it_tells_nobody_where_the_images_lay(crate: Path, tmp_path: Path) -> None:
    held = [file.read_text(encoding="utf-8") for file in crate.rglob("*") if file.is_file()]
    for private in ("alice", "bob", "ward 7", str(tmp_path)):
        assert not any(private in text for text in held)


def test_places_are_cut_to_their_last_name_wherever_they_stand() -> None:
    settings = {"root": "../images", "weights": ["/a/b.pth", "random"], "epochs": 3}
    cut = {"root": "images", "weights": ["b.pth", "random"], "epochs": 3}
    assert without_places(settings) == cut


def test_the_copy_of_the_workflow_holds_code_and_nothing_stale(project: Path) -> None:
    folder = project / "copy"
    folder.mkdir()
    (folder / "old.py").write_text("", encoding="utf-8")
    copied = {file.relative_to(folder).as_posix() for file in copy_workflow(project, folder)}
    assert copied == {
        "Snakefile",
        "CITATION.cff",
        "rules/common.smk",
        "workflow_scripts/train.py",
    }
    assert not (folder / "old.py").exists()


def test_it_is_cited_by_the_file_that_says_how(crate: Path) -> None:
    assert references(entities(crate)["workflow/Snakefile"]["citation"]) == [
        "workflow/CITATION.cff"
    ]


def test_a_run_began_when_the_first_of_its_jobs_did(tmp_path: Path) -> None:
    for name, ended, seconds in (("a/x.tsv", 1000, ["5", "7"]), ("y.tsv", 995, ["2"])):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(["s\tmax_rss", *(f"{s}\t1" for s in seconds)]) + "\n")
        os.utime(file, (ended, ended))
    assert first_start(tmp_path, 2000.0) == 988.0
    assert first_start(tmp_path, 900.0) == 900.0
    assert first_start(tmp_path / "absent", 2000.0) == 2000.0


def test_the_settings_of_a_union_have_those_of_its_data_sets() -> None:
    data_sets = CONFIGURATION["datasets"] | {
        "both": {"kind": "union", "of": ["mine", "third"]},
        "third": {"kind": "manifest", "path": "third.csv"},
    }
    run = SimpleNamespace(
        configuration={"external": [], "datasets": data_sets},
        **{"dataset": "both", "n_images": 3, "images_sha256": "00ff"},
    )
    assert set(json.loads(parameters_of(run)["datasets"])) == {"both", "mine", "third"}
