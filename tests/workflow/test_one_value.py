"""One quantity has one value, wherever a study shows it.

Tables, figures, verdict, report, what the run prints, and the exported network's card and facts.
"""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

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
    table = pd.read_csv(results / "tables/metrics.csv").set_index(["task", "scheme"]).sort_index()
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
        # Answers of all runs: with several seeds more than images.
        assert sum(counts) == table.loc[(task, scheme), "n"].sum()


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
        assert f"{100 * run['gap']:+z.0f} points" in check["finding"]


def test_curves_have_the_areas_and_errors_of_the_table(results: Path) -> None:
    table = pd.read_csv(results / "tables/metrics.csv")
    alone = table.groupby(["task", "scheme"]).filter(lambda runs: len(runs) == 1)
    two = alone[alone["auroc_Viral Pneumonia"].isna()]
    assert len(two) > 0
    for run in alone.to_dict("records"):
        design = f"{run['task']}-{run['scheme']}"
        reliability = read(results / f"figures/reliability-{design}.svg")
        assert f"ECE {run['expected_calibration_error']:.3f}" in reliability
    for run in two.to_dict("records"):
        curve = read(results / f"figures/roc-{run['task']}-{run['scheme']}.svg")
        area, low, high = (run[f"macro_auroc{end}"] for end in ("", "_low", "_high"))
        assert f"<!-- AUROC {area:.3f} -->" in curve
        assert f"<!-- 95 % CI {low:.3f}–{high:.3f} -->" in curve
        assert run["auroc_Normal"] == pytest.approx(run["auroc_COVID"], abs=1e-12)


@pytest.fixture(scope="module")
def run(exported: Project) -> pd.Series:
    """The exported run, in the table of all runs."""
    table = pd.read_csv(exported.folder / "results/small/tables/metrics.csv")
    keys = ["task", "scheme", "fold", "seed"]
    return table.set_index(keys, drop=False).loc[("two_class", "holdout", 1, 0)]


@pytest.fixture(scope="module")
def export(exported: Project) -> Path:
    return exported.folder / "results/small/export/two_class/holdout/fold-1/seed-0"


def cells(card: str, first: str) -> list[str]:
    """Cells of a row of the model card."""
    (row,) = (line for line in card.splitlines() if line.startswith(f"| {first}"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def in_words(run: pd.Series, name: str, sign: bool = False) -> str:
    return interval_cell(*(run[f"{name}{end}"] for end in ("", "_low", "_high")), sign=sign).text


def test_the_model_card_has_the_numbers_of_the_table(run: pd.Series, export: Path) -> None:
    _, head, card = read(export / "README.md").split("---\n", 2)
    assert f"On {run['n']:,} test images" in card
    _, accuracy, interval = cells(card, "this network")
    assert f"{accuracy} ({interval})" == in_words(run, "accuracy")
    floors = [name.removeprefix("floor_") for name in run.index if name.startswith("floor_")]
    assert len(floors) > 3
    for name in floors:
        _, accuracy, _ = cells(card, f"{name.replace('_', ' ')}:")
        assert accuracy == f"{run[f'floor_{name}']:.3f}"
    best = run["best_floor"].replace("_", " ")
    assert f"Against the best of them, {best}, it gains {in_words(run, 'gap', sign=True)}." in card
    for name in ("Normal", "COVID"):
        _, n, sensitivity, specificity, auroc = cells(card, f"{name} |")
        assert n == str(run[f"n_{name}"])
        for shown, metric in ((sensitivity, "sensitivity"), (specificity, "specificity")):
            assert shown.startswith(f"{run[f'{metric}_{name}']:.3f} (")
        # Of two classes each has the AUROC of the task.
        assert auroc == in_words(run, "macro_auroc")
    error = run["expected_calibration_error_calibrated"]
    assert f"The expected calibration error on the test images is {error:.3f}." in card

    accuracy, area = yaml.safe_load(head)["model-index"][0]["results"][0]["metrics"]
    assert accuracy["value"] == round(run["accuracy"], 4)
    low, high = run["accuracy_low"], run["accuracy_high"]
    assert f"{low:.3f} to {high:.3f}, n = {run['n']};" in accuracy["name"]
    assert f"{best}, reaches {run['best_floor_accuracy']:.3f})" in accuracy["name"]
    assert area["value"] == round(run["macro_auroc"], 4)


def test_the_model_card_gives_the_answer_and_the_checks_of_the_verdict(
    exported: Project, export: Path
) -> None:
    card = read(export / "README.md")
    verdict = json.loads(read(exported.folder / "results/small/audit/verdict.json"))
    counts = verdict["counts"]
    assert verdict["answer"] in card
    assert (
        f"Of the checks of this network {counts['failed']} failed, {counts['not assessable']} could"
        f" not be made and {counts['passed']} passed." in card
    )
    listed = [check for check in verdict["checks"] if check["status"] == "failed"]
    assert 0 < card.count("- Failed: ") == counts["failed"] <= len(listed)


def test_the_exported_facts_and_differences_are_of_the_same_run(
    run: pd.Series, export: Path
) -> None:
    facts, parity = (json.loads(read(export / f"{name}.json")) for name in ("model", "parity"))
    assert [facts[key] for key in ("task", "scheme", "fold", "seed")] == list(run.name)
    assert facts["temperature"] == run["temperature"]
    assert parity["n_test_images"] == run["n"]
    loss = parity["files"]["model.onnx"]["loss"]
    assert loss["n"] == run["n"]
    assert loss["accuracy_of_run"] == pytest.approx(run["accuracy"], abs=1e-12)
