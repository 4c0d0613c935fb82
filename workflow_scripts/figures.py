"""Curves of all runs of one task and scheme."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from sklearn.metrics import confusion_matrix

from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.figures.confusion import confusion_figure
from workflow_scripts.cxrcam.figures.curves import precision_recall_figure, roc_figure
from workflow_scripts.cxrcam.figures.history import history_figure
from workflow_scripts.cxrcam.figures.reliability import reliability_figure
from workflow_scripts.cxrcam.files import read_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions


def gathered(tables: Iterable[pd.DataFrame], runs: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Tables of several runs below each other, with the run in a column."""
    return pd.concat(
        [
            table.assign(run=f"fold {run['fold']}, seed {run['seed']}")
            for table, run in zip(tables, runs, strict=True)
        ],
        ignore_index=True,
    )


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, classes, runs = snakemake.input, list(snakemake.params.classes), snakemake.params.runs
    histories = gathered(map(pd.read_parquet, given.histories), runs)
    files = zip(given.predictions, given.splits, strict=True)
    test = gathered((read_test_predictions(said, classes, split) for said, split in files), runs)
    metrics = list(map(read_json, given.metrics))
    matrix = confusion_matrix(test["label"], test["predicted"], labels=classes)
    where = f"{snakemake.wildcards.task}, {snakemake.wildcards.scheme}"
    drawn = {
        "history": history_figure(histories, title=f"Training history: {where}"),
        "confusion": confusion_figure(matrix, classes, title=f"Confusion matrix: {where}"),
        "roc": roc_figure(
            test, classes, title=f"Receiver operating characteristic: {where}", metrics=metrics
        ),
        "precision_recall": precision_recall_figure(
            test, classes, title=f"Precision and recall: {where}", metrics=metrics
        ),
        "reliability": reliability_figure(test, classes, title=f"Reliability: {where}"),
    }
    for target in map(Path, snakemake.output.png):
        save_figure(drawn[target.name.split("-")[0]], target.with_suffix(""))
    log.info("Drew %s.", ", ".join(drawn))
