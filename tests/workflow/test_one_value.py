"""One quantity has one value, wherever a study shows it: tables, figures, verdict and report."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.report.cells import interval_cell
from workflow_scripts.cxrcam.verdict.check import per_cent


@pytest.fixture(scope="module")
def results(finished: Project) -> Path:
    return finished.folder / "results" / "small"


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def words(html: str) -> str:
    """What a reader sees of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


@pytest.fixture(scope="module")
def page(results: Path) -> str:
    return read(results / "report/index.html")


def rows_of(page: str, table: str) -> list[list[str]]:
    """Cells of each row of a table of the report, its headings first."""
    body = page.split(f'id="{table}"', 1)[1].split("</table>", 1)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.S)
    return [
        [words(cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
        for row in rows
    ]


def test_a_run_has_the_same_numbers_in_its_metrics_the_table_and_the_report(
    results: Path, page: str
) -> None:
    table = pd.read_csv(results / "tables/metrics.csv")
    headings, *rows = rows_of(page, "runs-table")
    # What is the same in all rows stands in the caption.
    caption = words(page.split('id="runs-table"', 1)[1].split("</caption>", 1)[0])
    the_same = dict(
        re.findall(r"([A-Z][^:;]*): ([^;]*?)(?:;|$)", caption.split("all rows: ")[-1].strip())
    )
    assert len(rows) == len(table) > 3
    for row, run in zip(rows, table.to_dict("records"), strict=True):
        shown = {**the_same, **dict(zip(headings, row, strict=True))}
        folder = f"runs/{run['task']}/{run['scheme']}/fold-{run['fold']}/seed-{run['seed']}"
        metrics = json.loads(read(results / folder / "metrics.json"))
        for heading, name in (("Accuracy (95 %)", "accuracy"), ("AUROC (95 %)", "macro_auroc")):
            bounds = metrics[f"{name}_interval"]
            assert shown[heading] == interval_cell(metrics[name], *bounds).text
            assert run[name] == metrics[name]
        error = metrics["expected_calibration_error"]
        assert shown["ECE, not calibrated"] == f"{error:.3f}"
        floors = metrics["against_floors"]
        best = floors["floors"][floors["best"]]["accuracy"]
        assert shown["Best floor"].startswith(f"{best:.3f} ")


def test_the_verdict_judges_the_calibration_error_that_the_table_shows(results: Path) -> None:
    keys = ["task", "scheme", "fold", "seed"]
    table = pd.read_csv(results / "tables/metrics.csv").set_index(keys)
    judged = pd.read_csv(results / "audit/calibration.csv").set_index(keys)
    shown = table["expected_calibration_error"].loc[judged.index]
    pd.testing.assert_series_equal(judged["ece_before"], shown, check_names=False)


def test_a_design_has_one_accuracy_in_summary_verdict_report_and_terminal(
    finished: Project, results: Path, page: str
) -> None:
    seen, printed = words(page), read(finished.folder / "printed.txt")
    verdict = json.loads(read(results / "audit/verdict.json"))
    answers = {(d["task"], d["scheme"]): d["number"] for d in verdict["designs"]}
    summary = pd.read_csv(results / "tables/summary.csv")
    assert len(summary) > 1
    for design in summary.to_dict("records"):
        task, scheme = design["task"], design["scheme"]
        share, low, high = (design[f"pooled_accuracy{end}"] for end in ("", "_low", "_high"))
        assert f"accuracy {interval_cell(share, low, high).text}, n = {design['pooled_n']}" in seen
        assert answers[task, scheme].startswith(f"{per_cent(share)} right (")
        assert f"n = {design['pooled_n']})" in answers[task, scheme]
        assert re.search(rf"  {task} +{scheme} +{share:.3f} \({low:.3f} to {high:.3f}\)", printed)
        matrix = words(
            page.split(f"Confusion matrix of {task}, {scheme}", 2)[-1].split("</table>")[0]
        )
        counts = [int(n) for n in re.findall(r"(?<![\d.])\d+(?![\d.])", matrix)]
        assert sum(counts) == design["pooled_n"]


def test_the_headline_has_one_number_wherever_it_stands(
    finished: Project, results: Path, page: str
) -> None:
    verdict = json.loads(read(results / "audit/verdict.json"))
    headline, answer = verdict["headline"], verdict["answer"]
    summary = pd.read_csv(results / "tables/summary.csv").set_index(["task", "scheme"])
    design = summary.loc[(headline["task"], headline["scheme"])]
    stored = design[["pooled_accuracy", "pooled_accuracy_low", "pooled_accuracy_high"]].tolist()
    assert [headline["accuracy"], headline["low"], headline["high"]] == stored
    assert answer.startswith(headline["number"])
    seen = words(page)
    assert answer in seen
    assert answer in read(finished.folder / "printed.txt")
    assert answer in read(results / "audit/verdict.md")
    low, high = per_cent(headline["low"]).removesuffix(" %"), per_cent(headline["high"])
    bar = f"{per_cent(headline['accuracy'])} ({low} to {high})"
    # In the figure and in the paragraph for a methods section.
    assert seen.count(bar) >= 2


def test_a_gap_of_one_run_is_the_same_in_table_and_verdict(results: Path) -> None:
    table = pd.read_csv(results / "tables/metrics.csv")
    verdict = json.loads(read(results / "audit/verdict.json"))
    alone = table.groupby(["task", "scheme"]).filter(lambda runs: len(runs) == 1)
    assert len(alone) > 0
    for run in alone.to_dict("records"):
        subject = f"{run['task']}, {run['scheme']}"
        (check,) = (
            c
            for c in verdict["checks"]
            if c["name"] == "better than a blind classifier" and c["subject"] == subject
        )
        assert f"{100 * run['gap']:+.0f} points" in check["finding"]
