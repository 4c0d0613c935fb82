"""From finding to mending: a second study beside the first, which stays as it is."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.configuration.mend_names import (
    BLANK_CORNERS,
    LUNGS_ONLY,
    WITHOUT_TWINS,
)
from workflow_scripts.cxrcam.images.blanking import CORNER_HEIGHT, CORNER_WIDTH

OVERLAY = "results/small/audit/mended.yaml"


def fail(project: Project, mend: str) -> None:
    """Let the verdict say that a check failed which a mend answers, without a run."""
    file = project.folder / "results/small/audit/verdict.json"
    verdict = json.loads(file.read_text(encoding="utf-8"))
    verdict["checks"][0] |= {
        "status": "failed",
        "mend": mend,
        "advice": "Do it.",
        "subject": "two_class, holdout",
    }
    file.write_text(json.dumps(verdict), encoding="utf-8")


def second_study(project: Project, *arguments: str) -> str:
    """Run Snakemake with the overlay that the first study wrote."""
    done = project.snakemake("--configfile", "overlay.yaml", OVERLAY, *arguments, overlay=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_mended_corners_are_black_in_a_second_study_that_leaves_the_first_alone(
    project: Project,
) -> None:
    fail(project, BLANK_CORNERS)
    printed = project.run("mend")
    assert f"--configfile overlay.yaml {OVERLAY}" in printed
    before = project.results("small/*")
    plan = second_study(project, "--summary")
    header, *rows = (line.split("\t") for line in plan.splitlines() if "\t" in line)
    output, status = header.index("output_file"), header.index("plan")
    planned = {row[output] for row in rows if row[status] != "no update"}
    assert "results/small_mended/tables/mended.csv" in planned
    assert not {file for file in planned if file.startswith("results/small/")}
    second_study(project, "--cores", "2", "results/small_mended/cache/shard-00000.parquet")
    assert project.results("small/*") == before
    shard = "cache/shard-00000.parquet"
    old, new = (
        pq.read_table(project.folder / "results" / name / shard).to_pandas()
        for name in ("small", "small_mended")
    )
    assert old["image_id"].tolist() == new["image_id"].tolist() and len(old) > 1
    height, width = round(32 * CORNER_HEIGHT), round(32 * CORNER_WIDTH)
    for image, blanked in zip(old["pixels"], new["pixels"], strict=True):
        for row in range(32):
            for column in range(32):
                corner = min(row, 31 - row) < height and min(column, 31 - column) < width
                expected = 0 if corner else image[32 * row + column]
                assert blanked[32 * row + column] == expected


@pytest.mark.parametrize(
    ("mend", "told"),
    [
        (WITHOUT_TWINS, lambda overlay: overlay["schemes"]["holdout"]["grouped"]),
        # Two images of a class have a mask: the lungs cannot be kept.
        (LUNGS_ONLY, lambda overlay: overlay == {}),
    ],
)
def test_an_overlay_of_every_mend_can_be_run(
    project: Project, mend: str, told: Callable[[dict], bool]
) -> None:
    fail(project, mend)
    project.run("mend")
    text = (project.folder / OVERLAY).read_text(encoding="utf-8")
    overlay = yaml.safe_load(text)
    assert told(overlay)
    if overlay:
        assert "mended_table" in second_study(project, "--dry-run", "--quiet", "rules")
    else:
        assert "have no lung mask" in text


def test_a_first_study_that_has_not_run_is_refused(fresh: Project) -> None:
    fresh.change(compare_with="earlier")
    message = fresh.refuse()
    assert "'results/earlier/tables/metrics.csv' does not exist: run that study first" in message


def test_a_study_is_not_compared_with_itself(project: Project) -> None:
    project.change(compare_with="small")
    assert "would be overwritten" in project.refuse()


def test_the_numbers_of_both_studies_stand_in_one_table(project: Project, tmp_path: Path) -> None:
    first = project.folder / "results/small"
    for file in ("tables/metrics.csv", "audit/verdict.json"):
        copy = project.folder / "results/earlier" / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((first / file).read_bytes())
    project.change(compare_with="earlier")
    printed = project.run("results/small/tables/mended.csv")
    table = pd.read_csv(first / "tables/mended.csv")
    halves = [table[table["data_set"] == name] for name in ("earlier", "small")]
    assert len(halves[0]) == len(halves[1]) == 4
    for column in ("accuracy", "best_floor", "gap", "failed_checks"):
        assert halves[0][column].tolist() == halves[1][column].tolist()
    assert "What did it cost?" in printed
