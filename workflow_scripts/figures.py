"""Curves of all runs of one task and scheme."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from sklearn.metrics import confusion_matrix

from workflow_scripts.cxrcam.figures import (
    confusion_figure,
    history_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
    save_figure,
)
from workflow_scripts.cxrcam.logs import start_log


def gathered(files: Sequence[str], runs: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Tables of several runs below each other, with the run in a column."""
    return pd.concat(
        [
            pd.read_parquet(file).assign(run=f"fold {run['fold']}, seed {run['seed']}")
            for file, run in zip(files, runs, strict=True)
        ],
        ignore_index=True,
    )


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    classes, runs = list(snakemake.params.classes), snakemake.params.runs
    histories = gathered(snakemake.input.histories, runs)
    predictions = gathered(snakemake.input.predictions, runs)
    test = predictions[predictions["role"] == "test"].reset_index(drop=True)
    predicted = test[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)
    matrix = confusion_matrix(test["label"], [classes[k] for k in predicted], labels=classes)
    where = f"{snakemake.wildcards.task}, {snakemake.wildcards.scheme}"
    drawn = {
        "history": history_figure(histories, title=f"Training history: {where}"),
        "confusion": confusion_figure(matrix, classes, title=f"Confusion matrix: {where}"),
        "roc": roc_figure(test, classes, title=f"Receiver operating characteristic: {where}"),
        "precision_recall": precision_recall_figure(
            test, classes, title=f"Precision and recall: {where}"
        ),
        "reliability": reliability_figure(test, classes, title=f"Reliability: {where}"),
    }
    for target in map(Path, snakemake.output.png):
        save_figure(drawn[target.name.split("-")[0]], target.with_suffix(""))
    log.info("Drew %s.", ", ".join(drawn))
