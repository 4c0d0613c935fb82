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
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.terms import TEST


def gathered(tables: Iterable[pd.DataFrame], runs: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Tables of several runs below each other, with the run in a column."""
    return pd.concat(
        [
            table.assign(run=f"fold {run['fold']}, seed {run['seed']}")
            for table, run in zip(tables, runs, strict=True)
        ],
        ignore_index=True,
    )


def with_groups(predictions_file: str, split_file: str) -> pd.DataFrame:
    """Predictions with the group of each image, which the bootstrap keeps together."""
    groups = pd.read_parquet(split_file, columns=["image_id", "group"])
    return pd.read_parquet(predictions_file).merge(groups, on="image_id", validate="one_to_one")


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    classes, runs = list(snakemake.params.classes), snakemake.params.runs
    histories = gathered(map(pd.read_parquet, snakemake.input.histories), runs)
    predictions = gathered(
        map(with_groups, snakemake.input.predictions, snakemake.input.splits), runs
    )
    test = predictions[predictions["role"] == TEST].reset_index(drop=True)
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
