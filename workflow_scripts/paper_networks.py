"""Accuracy, size and speed of the networks that were trained on the same divisions."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.metrics.time_to_target import with_clock
from workflow_scripts.cxrcam.networks.cost import multiply_adds, parameter_count
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.paper.scorecard import floor_of


def training_speed(history: pd.DataFrame, n_training: int) -> float:
    """Images a second while training, evaluations not counted."""
    last = history.sort_values("iteration").iloc[-1]
    return float(last["epoch"] * n_training / last["seconds"])


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    metrics = pd.read_csv(snakemake.input.metrics)
    costs = []
    files = (snakemake.input.models, snakemake.input.histories, snakemake.input.timings)
    for run, model_file, *history_files in zip(snakemake.params.runs, *files, strict=True):
        model, card = load_model(Path(model_file))
        history = with_clock(*map(pd.read_parquet, history_files))
        row = metrics[(metrics[list(run)] == pd.Series(run)).all(axis=1)].iloc[0]
        costs.append(
            {
                "task": run["task"],
                "scheme": run["scheme"],
                "network": card.architecture,
                "input": card.input_size,
                "parameters": parameter_count(model),
                "gmac": multiply_adds(model, card.input_size),
                "speed": training_speed(history, row["n_train_images"]),
            }
        )
    rows = []
    by = ["task", "scheme", "network", "input", "parameters", "gmac"]
    for (task, scheme, network, side, parameters, gmac), group in pd.DataFrame(costs).groupby(
        by, sort=False
    ):
        runs = metrics[(metrics["task"] == task) & (metrics["scheme"] == scheme)]
        share = pooled(runs)
        rows.append(
            {
                "Task": task,
                "Network": network,
                "Accuracy": share.value,
                "95 % from": share.low,
                "to": share.high,
                "n": share.n,
                "Runs": len(runs),
                "Floor": floor_of(runs),
                "Input (px)": side,
                "Parameters": parameters,
                "GMAC": round(gmac, 3),
                "Training images/s": round(group["speed"].mean(), 1),
            }
        )
    table = pd.DataFrame(rows).sort_values(["Task", "GMAC"], kind="stable", ignore_index=True)
    write_table(
        table,
        Path(snakemake.output[0]).with_suffix(""),
        "Networks trained on the same divisions with the same recipe. Accuracy on the test images "
        "with Wilson's 95 % interval; GMAC: 10^9 multiply-adds of one image; images/s: while "
        "training on the machine of this run, which may have run several jobs at once.",
    )
    log.info("Compared %d networks.", table["Network"].nunique())
