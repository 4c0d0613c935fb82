"""The workflow used from a second folder: as a module of another workflow, and by its path."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.determinism import STUDY
from tests.workflow.small_project import ROOT, Project, merged, read_plan

# Another workflow, with a step of its own behind ours.
SNAKEFILE = """
configfile: "study.yaml"

module cxrcam:
    snakefile: "../cxrcam/Snakefile"
    config: config["xrays"]

use rule * from cxrcam as cxr_*

rule accuracy:
    default_target: True
    input:
        rules.cxr_all.input,
        summary="results/drawn/tables/summary.csv",
    output:
        "accuracy.csv",
    shell:
        "cut -d, -f1-3 {input.summary} > {output}"

onsuccess:
    cxrcam.onsuccess()
"""


def study() -> dict[str, Any]:
    """All settings of a small study: a module does not read the config.yaml of its own folder."""
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    return merged(shipped, STUDY)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Project:
    """A folder beside the workflow's, with nothing of it."""
    Project.create(tmp_path / "cxrcam")
    (tmp_path / "elsewhere").mkdir()
    return Project(tmp_path / "elsewhere")


def files_of(folder: Path) -> set[Path]:
    """Files that a run may have left in a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file for file in files if "__pycache__" not in file.parts}


def test_a_study_runs_to_its_end_as_a_module_of_another_workflow(elsewhere: Project) -> None:
    (elsewhere.folder / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    settings = {"xrays": study()}
    (elsewhere.folder / "study.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    workflow = elsewhere.folder.parent / "cxrcam"
    before = files_of(workflow)

    done = elsewhere.snakemake("--cores", "2", overlay=False)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert "not present in the Snakefile" not in printed, "localrules names rules of another name"
    assert "Can it be believed?" in printed
    results = elsewhere.folder / "results" / "drawn"
    assert (results / "runs/two_class/holdout/fold-1/seed-0/model.safetensors").is_file()
    assert (results / "report" / "index.html").is_file()
    table = (elsewhere.folder / "accuracy.csv").read_text("utf-8")
    assert table.startswith("dataset,task,scheme\ndrawn,two_class,holdout")
    assert files_of(workflow) == before, "a run wrote into the folder of the workflow"

    # What is stale is noticed as ever: only the fingerprint sees a module that scripts import.
    def plan() -> set[str]:
        return read_plan(elsewhere.snakemake("--summary", overlay=False).stdout)

    assert plan() == set()
    code = workflow / "workflow_scripts/cxrcam/networks/training/loop.py"
    code.write_text(code.read_text("utf-8") + "\n\nADDED = 1\n", encoding="utf-8")
    assert {"cxr_train", "cxr_predict_run", "accuracy"} <= plan()
    assert not {"cxr_cache", "cxr_index", "cxr_splits"} & plan()


def test_the_workflow_is_run_by_its_path_from_another_folder(elsewhere: Project) -> None:
    (elsewhere.folder / "mine.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    snakefile, settings = "../cxrcam/Snakefile", "../cxrcam/config.yaml"
    done = elsewhere.snakemake(
        *("--snakefile", snakefile, "--configfile", settings, "mine.yaml", "--cores", "1"),
        *("--", "results/drawn/index/images.parquet"),
        overlay=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (elsewhere.folder / "results/drawn/index/images.parquet").is_file()
    assert not (elsewhere.folder.parent / "cxrcam" / "results").exists()
