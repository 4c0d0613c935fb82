"""Published systems side by side, from the files that the workflow wrote."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.workflow.small_project import Project


@pytest.fixture(scope="module")
def related(findings: Project) -> Path:
    return findings.folder / "results" / "findings" / "related"


@pytest.fixture(scope="module")
def table(related: Path) -> pd.DataFrame:
    return pd.read_csv(related / "table.csv")


def test_every_design_of_a_system_has_its_row_and_no_other_design(table: pd.DataFrame) -> None:
    designs = set(zip(table["Task"], table["Scheme"], strict=True))
    assert designs == {
        *(("fluid", name) for name in ("holdout", "kfold", "published", "honest")),
        *(("fluid", name) for name in ("decomposed", "capsules")),
        ("findings", "holdout"),
    }
    assert len(table) == len(designs)
    named = table.set_index("Scheme").loc["decomposed", "Network"]
    assert named == "resnet18, 2 sub-classes a class"


def test_a_row_says_what_the_tables_of_the_study_say(
    findings: Project, table: pd.DataFrame
) -> None:
    results = findings.folder / "results" / "findings"
    metrics = pd.read_csv(results / "tables/metrics.csv")
    for row in table.to_dict("records"):
        runs = metrics[(metrics["task"] == row["Task"]) & (metrics["scheme"] == row["Scheme"])]
        assert row["n"] == runs["n"].sum() and row["Runs"] == len(runs)
        assert row["Accuracy"] == pytest.approx(runs["correct"].sum() / runs["n"].sum())
        floor = (runs["best_floor_accuracy"] * runs["n"]).sum() / runs["n"].sum()
        assert row["Floor"] == pytest.approx(floor)
        assert row["Runs above it"] == f"{(runs['gap_low'] > 0).sum()} of {len(runs)}"
    masked = pd.read_csv(results / "audit/masked_inputs.csv")
    own = masked[(masked["scheme"] == "honest") & (masked["variant"] == "lungs_out")]
    row = table[table["Scheme"] == "honest"].iloc[0]
    assert row["Lungs covered"] == pytest.approx(own["accuracy"].iloc[0])
    assert row["n covered"] == own["n"].iloc[0]


def test_thresholds_come_from_the_validation_part_where_there_is_one(related: Path) -> None:
    points = pd.read_csv(related / "thresholds.csv").set_index("scheme")
    assert points["chosen_on"].to_dict() == {"published": "test", "honest": "validation"}
    page = (related / "README.md").read_text(encoding="utf-8")
    assert page.count("which flatters") == 1


@pytest.mark.parametrize("name", ["accuracy", "thresholds"])
def test_figures_can_be_opened_and_have_captions(related: Path, name: str) -> None:
    with Image.open(related / f"{name}.png") as picture:
        picture.load()
        assert picture.width >= 1300
    assert len((related / f"{name}.txt").read_text(encoding="utf-8")) > 80
    assert (related / f"{name}.svg").stat().st_size > 1000


def test_without_a_system_there_is_nothing_to_do_and_it_is_said(project: Project) -> None:
    printed = project.refuse("related")
    assert "presets/related.yaml" in printed
