"""Views of the workflow: graphs, summaries, checks of style, resources."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.small_project import CLASSES, ROOT, Project
from workflow_scripts.cxrcam.figures.pipeline import STAGES
from workflow_scripts.cxrcam.machine import has_gpu
from workflow_scripts.cxrcam.report.rule_graph import RULES, arrows


@pytest.mark.parametrize("view", ["--dag", "--rulegraph", "--filegraph"])
def test_a_graph_is_all_that_goes_to_standard_output(finished: Project, view: str) -> None:
    done = finished.snakemake(view)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("digraph")
    assert done.stdout.rstrip().endswith("}")
    # One line more, a print at parse time for instance, and dot would refuse it.
    assert done.stdout.count("digraph") == 1
    assert "train" in done.stdout


@pytest.mark.parametrize("view", ["--dag", "--rulegraph"])
def test_mermaid_graphs_are_clean_too(finished: Project, view: str) -> None:
    done = finished.snakemake(view, "mermaid-js")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("---\ntitle: DAG\n---\nflowchart")
    lines = [line.strip() for line in done.stdout.splitlines()[4:] if line.strip()]
    assert all(re.match(r"(id\d+(\[| -->)|style id\d+ )", line) for line in lines)


def test_rules_read_like_the_flow(finished: Project) -> None:
    graph = finished.snakemake("--rulegraph").stdout
    number = {name: n for n, name in re.findall(r"(\d+)\[label = \"(\w+)", graph)}
    edges = set(re.findall(r"(\d+) -> (\d+)", graph))
    flow = ["cache", "index", "splits", "train", "predict_run", "evaluate", "tables"]
    for before, after in itertools.pairwise(flow):
        assert (number[before], number[after]) in edges, f"{before} does not feed {after}"
    # An arrow here would decode every image anew when one is added: see rule cache.
    assert (number["listing"], number["cache"]) not in edges


def test_the_arrows_of_the_papers_figure_are_those_of_the_rules(fresh: Project) -> None:
    # Of the demo as it is shipped, which has drawn images and published weights.
    targets = ("all", "paper", "export", "crate")
    graph = fresh.snakemake("--rulegraph", "dot", "--", *targets, overlay=False).stdout
    number = {name: n for n, name in re.findall(r"(\d+)\[label = \"(\w+)", graph)}
    edges = set(re.findall(r"(\d+) -> (\d+)", graph))
    for name, stage in STAGES.items():
        for used in stage.uses:
            pairs = itertools.product(STAGES[used].rules.split(", "), stage.rules.split(", "))
            found = [(number.get(a), number.get(b)) in edges for a, b in pairs]
            assert any(found), f"{used} does not feed {name}"


def reduced(graph: str) -> dict[str, set[str]]:
    """Rules of a graph that each rule takes files of, without those that come through another."""
    name = dict(re.findall(r"(\d+)\[label = \"(\w+)", graph))
    uses: dict[str, set[str]] = {rule: set() for rule in name.values() if rule != "all"}
    for before, after in re.findall(r"(\d+) -> (\d+)", graph):
        if name[after] != "all":
            uses[name[after]].add(name[before])

    def behind(rule: str) -> set[str]:
        return uses[rule].union(*map(behind, uses[rule]))

    return {rule: of - set().union(*map(behind, of)) for rule, of in uses.items()}


def test_the_reports_picture_shows_the_rules_of_the_study_and_no_others(finished: Project) -> None:
    graph = reduced(finished.snakemake("--rulegraph").stdout)
    svg = (finished.folder / "results/small/report/rulegraph.svg").read_text(encoding="utf-8")
    assert {*re.findall(r">(\w+)</text>", svg)} == graph.keys()
    assert "phantoms" not in graph
    assert {rule: {*of} for rule, of in arrows(RULES.keys() - graph.keys()).items()} == graph


def test_the_arrows_of_the_reports_picture_hold_for_findings_and_external_data(
    fresh: Project,
) -> None:
    fresh.change(
        external=["demo"],
        datasets={"demo": {"kind": "phantom", "images_per_class": dict.fromkeys(CLASSES, 4)}},
        tasks={
            "two_class": None,
            "three_class": None,
            "chest": {"findings": {"labels": ["COVID"]}},
        },
        schemes={"random_subsample": None},
        audit={"map_methods": ["grad_cam"]},
    )
    done = fresh.snakemake("--rulegraph")
    assert done.returncode == 0, done.stderr
    graph = reduced(done.stdout)
    assert {"finding", "external_table", "map_methods", "phantoms"} <= graph.keys()
    assert {rule: {*of} for rule, of in arrows(RULES.keys() - graph.keys()).items()} == graph


def test_the_summary_has_a_line_an_output(finished: Project) -> None:
    done = finished.snakemake("--summary")
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert header.startswith("output_file\t")
    listed = {row.split("\t")[0] for row in rows}
    assert "results/small/tables/metrics.csv" in listed
    assert all((finished.folder / output).exists() for output in listed)


def test_snakemakes_own_report_holds_results_with_captions(
    finished: Project, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    done = finished.snakemake("--report", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text(encoding="utf-8")
    for category in ("Answer", "Numbers", "Figures", "Maps", "Data"):
        assert f'"{category}"' in text, category
    # A caption as it stands, and one that says which design it is of.
    assert "Read it before any other result" in text
    assert re.search(r"All runs of two_class,\s+holdout", text)
    assert "every run, beside its floors" in text
    # It begins with what the verdict says, and pages are such as a browser shows.
    verdict = json.loads((finished.folder / "results/small/audit/verdict.json").read_text("utf-8"))
    # The page holds it as JSON.
    assert f"<strong>{json.dumps(verdict['answer'])[1:-1]}" in text
    # Its table is Markdown, and what is longer than the screen loses its beginning.
    assert "Design | Answer" not in text
    for name in ("duplicates", "suspect_images", "suspect_labels"):
        assert f"data:text/html;charset=utf8;filename={name}.html;base64," in text
        opened = (finished.folder / f"results/small/audit/{name}.html").read_text("utf-8")
        assert not re.search(r'<(link|script|img)[^>]+(href|src)="(?!data:)', opened)


def test_a_dry_run_warns_of_nothing(fresh: Project) -> None:
    done = fresh.snakemake("--dry-run")
    assert done.returncode == 0
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert "deprecat" not in (done.stdout + done.stderr).lower()
    assert not (fresh.folder / "results").exists(), "a dry run wrote results"


def test_a_second_run_says_that_there_is_nothing_to_do(finished: Project) -> None:
    assert "Nothing to be done" in finished.snakemake("--dry-run").stdout


def test_lint_has_no_findings(fresh: Project) -> None:
    done = fresh.snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "good condition" in done.stdout + done.stderr


def test_rules_are_formatted() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("snakefmt"), "--check", "Snakefile", "rules"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def planned(project: Project, *arguments: str) -> str:
    """Plan with the particulars of each job."""
    # Where a rule has a message, Snakemake shows that instead of the job's particulars.
    for file in (project.folder / "rules").glob("*.smk"):
        text = file.read_text(encoding="utf-8")
        text = re.sub(r"\n    message:\n(        .+\n)+", "\n", text)
        file.write_text(text, encoding="utf-8")
    done = project.snakemake("--dry-run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def resources(project: Project, *arguments: str) -> dict[str, set[str]]:
    """Resources that the jobs of each rule ask for."""
    found: dict[str, set[str]] = {}
    pattern = r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    resources: (.+)$"
    for rule, asked in re.findall(pattern, planned(project, *arguments), re.MULTILINE):
        found.setdefault(rule, set()).update(asked.split(", "))
    return found


@pytest.mark.parametrize(
    ("shard_images", "cores", "threads"), [(8, 2, []), (8, 8, ["2"] * 4), (1000, 2, ["2"])]
)
def test_shards_share_the_cores(
    fresh: Project, shard_images: int, cores: int, threads: list[str]
) -> None:
    fresh.change(image={"shard_images": shard_images})
    plan = planned(fresh, "--cores", str(cores))
    pattern = r"^rule cache:\n(?:    .*\n)*?    threads: (.+)$"
    assert re.findall(pattern, plan, re.MULTILINE) == threads


@pytest.mark.parametrize(
    ("limit", "granted"), [("", "gpu=1"), ("gpu=1", "gpu=1"), ("gpu=0", "gpu=0")]
)
def test_training_asks_for_a_gpu_and_does_without(fresh: Project, limit: str, granted: str) -> None:
    fresh.change(compute={"device": "cuda"})
    asked = resources(fresh, *(["--resources", limit] if limit else []))
    assert granted in asked["train"]
    assert granted in asked["predict_run"]
    assert not any(value.startswith("gpu=") for value in asked["evaluate"])


def test_a_training_on_several_gpus_asks_for_them_all(fresh: Project) -> None:
    fresh.change(compute={"device": "cuda", "threads": 3}, train={"gpus": 2})
    asked = resources(fresh)
    assert "gpu=2" in asked["train"] and "gpu=1" in asked["predict_run"]


def test_no_gpu_is_asked_for_where_there_is_none(fresh: Project) -> None:
    fresh.change(compute={"device": "cpu"})
    assert "gpu=0" in resources(fresh)["train"]
    fresh.change(compute={"device": "auto"})
    assert ("gpu=1" in resources(fresh)["train"]) == has_gpu()


def test_a_plan_says_why_each_rule_runs(project: Project) -> None:
    project.change(train={"learning_rate": 0.5})
    project.edit("workflow_scripts/audit_leaks.py", "if __name__", "SPARE = 1\n\nif __name__")
    done = project.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    (rules,) = re.findall(r"params have changed since last execution:\n +(.+)", done.stdout)
    assert {"audit_leaks", "train"} <= set(rules.split(", "))
    # Of each job it would be a wall of file names and settings.
    assert "Reason: " not in done.stdout
    asked = project.snakemake("--dry-run", "--quiet", "host")
    assert "Reason: Params have changed" in asked.stdout
    assert "'learning_rate': 0.5" in asked.stdout
