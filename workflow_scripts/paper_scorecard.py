"""The paper's claims beside what was found: accuracy table and scorecard."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.files import atomic_path, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.networks.cost import parameter_count
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.paper.claims import paper_claims
from workflow_scripts.cxrcam.paper.designs import describe_design, find_designs
from workflow_scripts.cxrcam.paper.scorecard import (
    Evidence,
    floor_of,
    scorecard_markdown,
    scorecard_table,
)


def map_rows(run: dict[str, Any], file: str) -> list[dict[str, Any]]:
    """Scores of the maps of one run, one row a measure."""
    scores = json.loads(Path(file).read_text(encoding="utf-8"))
    rows = []
    for measure, score in scores.items():
        if "reason" not in score:
            low, high = score["interval"] or (None, None)
            kept = {key: score[key] for key in ("value", "chance", "n")}
            rows.append({**run, "measure": measure, **kept, "low": low, "high": high})
    return rows


def accuracy_table(metrics: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """Accuracy of each design, overall and by equation (1) for each class."""
    rows = []
    for (task, scheme), runs in metrics.groupby(["task", "scheme"], sort=False):
        share = pooled(runs)
        row = {
            "Task": task,
            "Scheme": scheme,
            "Runs": len(runs),
            "n": share.n,
            "Accuracy": share.value,
            "95 % from": share.low,
            "to": share.high,
        }
        for name in config["tasks"][task]["classes"]:
            row[f"Equation (1), {name}"] = runs[f"accuracy_equation_1_{name}"].mean()
        row |= {"Floor": floor_of(runs), "Design": describe_design(config, task, scheme)}
        rows.append(row)
    table = pd.DataFrame(rows)
    last = ["Floor", "Design"]
    return table[[name for name in table.columns if name not in last] + last]


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    config, runs = snakemake.params.configuration, snakemake.params.runs
    metrics = pd.read_csv(snakemake.input.metrics)
    models = [load_model(Path(file)) for file in snakemake.input.models]
    folder = Path(snakemake.output.card[0]).parent
    expected = snakemake.input.get("expected")
    evidence = Evidence(
        metrics=metrics,
        efforts=pd.read_csv(snakemake.input.efforts),
        classes={task: settings["classes"] for task, settings in config["tasks"].items()},
        designs=find_designs(config),
        target=config["paper"]["target_accuracy"],
        parameters={
            run["task"]: parameter_count(model)
            for run, (model, _) in zip(runs, models, strict=True)
        },
        architecture=config["model"]["architecture"],
        expected=pd.read_csv(expected) if expected else None,
        channels=pd.read_csv(snakemake.input.channels),
        maps=pd.DataFrame(
            [
                row
                for run, file in zip(runs, snakemake.input.maps, strict=True)
                for row in map_rows(run, file)
            ],
            columns=["task", "scheme", "measure", "value", "low", "high", "chance", "n"],
        ),
    )
    claims = paper_claims(evidence)
    with atomic_path(folder / "scorecard.csv") as temporary:
        scorecard_table(claims).to_csv(temporary, index=False)
    origins = sorted({card.weights_origin for _, card in models})
    write_text(
        folder / "scorecard.md",
        scorecard_markdown(
            claims,
            f"Scorecard: the paper's claims on the data set {snakemake.wildcards.dataset}",
            [
                f"Initial weights: {', '.join(origins)}. The paper's are ImageNet's.",
                "Intervals are 95 %: Wilson's for shares of images, Student's and Welch's over "
                "runs; images tested in several runs are counted each time.",
                "Floor: the best accuracy on the same test images of a classifier that cannot see "
                "lung detail: histogram, border, corners, centre blacked out, 28-pixel thumbnail.",
            ],
        ),
    )
    write_table(
        accuracy_table(metrics, config),
        folder / "table_accuracy",
        "Accuracy of each design over its runs together, with Wilson's 95 % interval, and by the "
        "paper's equation (1), (TP + TN) / all, for each class against the others.",
    )
    verdicts = pd.Series([claim.verdict for claim in claims]).value_counts()
    log.info("Claims: %s.", verdicts.to_dict())
