"""The paper's claims beside what was found: accuracy table and scorecard."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.cost import parameter_count
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.paper.claims import paper_claims
from workflow_scripts.cxrcam.paper.designs import find_designs
from workflow_scripts.cxrcam.paper.scorecard import Evidence, scorecard_markdown, scorecard_table
from workflow_scripts.cxrcam.paper.tables import ACCURACY_CAPTION, accuracy_table
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, folder = snakemake.input, Path(snakemake.output.card[0]).parent
    config, runs = snakemake.params.configuration, snakemake.params.runs
    metrics = pd.read_csv(given.metrics)
    models = [load_model(Path(file)) for file in given.models]
    tasks = [run["task"] for run in runs]
    evidence = Evidence(
        metrics=metrics,
        efforts=pd.read_csv(given.efforts),
        classes={task: settings["classes"] for task, settings in config["tasks"].items()},
        designs=find_designs(config),
        target=config["paper"]["target_accuracy"],
        parameters={
            task: parameter_count(model) for task, (model, _) in zip(tasks, models, strict=True)
        },
        architecture=config["model"]["architecture"],
        expected=pd.read_csv(given.expected) if given.get("expected") else None,
        channels=pd.read_csv(given.channels),
        maps={
            (run["task"], run["scheme"]): read_json(file)
            for run, file in zip(runs, given.maps, strict=True)
        },
    )
    claims = paper_claims(evidence)
    write_frame(folder / "scorecard.csv", scorecard_table(claims))
    title = f"Scorecard: the paper's claims on the data set {snakemake.wildcards.dataset}"
    origins = {card.weights_origin for _, card in models}
    write_text(folder / "scorecard.md", scorecard_markdown(claims, title, origins))
    write_table(accuracy_table(metrics, config), folder / "table_accuracy", ACCURACY_CAPTION)
    verdicts = pd.Series([claim.verdict for claim in claims]).value_counts()
    log.info("Claims: %s.", verdicts.to_dict())
