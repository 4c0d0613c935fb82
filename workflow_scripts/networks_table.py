"""Accuracy, size and speed of the networks that were trained on the same divisions."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.time_to_target import with_clock
from workflow_scripts.cxrcam.networks.cost import multiply_adds, parameter_count
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.paper.tables import networks_table, training_speed

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, costs = snakemake.input, []
    metrics = pd.read_csv(given.metrics)
    files = zip(given.models, given.histories, given.timings, strict=True)
    for run, (model_file, *history_files) in zip(snakemake.params.runs, files, strict=True):
        model, card = load_model(Path(model_file))
        history = with_clock(*map(pd.read_parquet, history_files))
        in_parts = f", {card.sub_classes} sub-classes" if card.sub_classes > 1 else ""
        row = metrics[(metrics[list(run)] == pd.Series(run)).all(axis=1)].iloc[0]
        costs.append(
            {
                "task": run["task"],
                "scheme": run["scheme"],
                "network": card.architecture + in_parts,
                "input": card.input_size,
                "parameters": parameter_count(model),
                "gmac": multiply_adds(model, card.input_size),
                "speed": training_speed(history, row["n_train_images"]),
            }
        )
    table = networks_table(pd.DataFrame(costs), metrics)
    write_table(
        table,
        Path(snakemake.output[0]).with_suffix(""),
        "Networks trained on the same divisions with the same recipe. Accuracy on the test images "
        "with Wilson's 95 % interval; GMAC: 10^9 multiply-adds of one image; images/s: while "
        "training on the machine of this run, which may have run several jobs at once.",
    )
    log.info("Compared %d networks.", table["Network"].nunique())
